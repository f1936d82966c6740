package staticpod

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// reload has programs read what they have not read yet. Which configuration a program was asked to load last is in a file, so that neither a crash between
// writing and asking nor one after both is noticed. One that does not run is asked again by the next look: it may have begun with the old one.
func reload(o Options, files []File) (changes []Change, err error) {
	for _, p := range []struct {
		name, config string
		ask          func(Options) (asked bool, err error)
	}{{nameHAProxy, fileHAProxy, reloadHAProxy}, {nameKeepalived, fileKeepalived, reloadKeepalived}} {
		sum := sha256.Sum256(contentOf(files, o.config(p.config)))
		loaded := File{o.run(p.name, fileLoaded), []byte(hex.EncodeToString(sum[:]) + "\n"), modeFile}
		why, failed := differs(loaded)
		if failed == nil && why != "" {
			var asked bool
			if asked, failed = p.ask(o); asked && failed == nil {
				changes = append(changes, Change{Reloaded, p.name, "it was not yet asked to load this configuration"})
				failed = Write(loaded)
			}
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("reload %s: %w", p.name, failed))
		}
	}
	return changes, err
}

// reloadPatience bounds a reload: HAProxy 2.7 and newer answer when it is done.
const reloadPatience = 5 * time.Second

// reloadHAProxy asks the master. HAProxy 2.6 closes the connection without a word, newer ones tell of their success.
func reloadHAProxy(o Options) (asked bool, err error) {
	c, err := net.DialTimeout("unix", o.run(nameHAProxy, fileSocket), reloadPatience)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(reloadPatience)); err != nil {
		return false, err
	}
	if _, err := c.Write([]byte("reload\n")); err != nil {
		return false, err
	}
	answer, err := io.ReadAll(c)
	if errors.Is(err, syscall.ECONNRESET) {
		err = nil // the master closes what it was not asked for
	}
	if strings.Contains(string(answer), "Success=0") {
		return true, fmt.Errorf("%w: %s", ErrReload, strings.TrimSpace(string(answer)))
	}
	return true, err
}

// reloadKeepalived names a time: its file knows whole seconds, and of one that is past it would not take notice.
func reloadKeepalived(o Options) (asked bool, err error) {
	at := time.Now().UTC().Truncate(time.Second).Add(2 * time.Second)
	return true, Write(File{o.run(nameKeepalived, fileReload), []byte(at.Format("2006-01-02 15:04:05Z") + "\n"), modeFile})
}

// ErrReload says that a program refuses its configuration, and goes on with the old one.
var ErrReload = errors.New("staticpod: not reloaded")
