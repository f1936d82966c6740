package staticpod

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// reloadPatience bounds a reload of HAProxy, which takes 0.2 s where nothing else happens.
const reloadPatience = 3 * time.Second

// reloadHAProxy asks the master, and waits until it has counted the reload. Its answer says nothing: 2.6 closes the connection without a word, also when a
// reload that is under way swallows the command.
func reloadHAProxy(o Options) (runs bool, err error) {
	before, err := stateOfMaster(o)
	for _, away := range []error{os.ErrNotExist, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, away) {
			return false, nil // the last two: it starts, and its socket is there before it reads
		}
	}
	if err != nil {
		return false, err
	}
	end := time.Now().Add(reloadPatience)
	if _, err := askMaster(o, "reload"); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		return false, err
	}
	for ; time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		after, err := stateOfMaster(o)
		switch {
		case err != nil || after.reloads <= before.reloads: // it has no socket in between
		case after.failed > before.failed:
			return false, fmt.Errorf("%w: HAProxy goes on with the one that it has", ErrRefused)
		default:
			return true, nil
		}
	}
	return false, fmt.Errorf("HAProxy has not reloaded within %v", reloadPatience)
}

// masterState is how often a master has reloaded, and how often in vain since it last did.
type masterState struct{ reloads, failed int }

// stateOfMaster reads the master's line of "show proc": its process id, "master", its reloads, "[failed: 0]" and more.
func stateOfMaster(o Options) (s masterState, err error) {
	answer, err := askMaster(o, "show proc")
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(answer) {
		var pid int
		if n, _ := fmt.Sscanf(line, "%d master %d [failed: %d]", &pid, &s.reloads, &s.failed); n == 3 {
			return s, nil
		}
	}
	return s, fmt.Errorf("HAProxy's master answers %q", answer)
}

// askMaster sends a command, and reads until the master closes: after our end has, for more could come.
func askMaster(o Options, command string) (answer string, err error) {
	c, err := net.DialTimeout("unix", o.run(nameHAProxy, fileSocket), reloadPatience)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(reloadPatience)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, command+"\n"); err != nil {
		return "", err
	}
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		return "", err
	}
	data, err := io.ReadAll(c)
	return string(data), err
}
