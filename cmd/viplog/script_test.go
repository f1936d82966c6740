package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"viplog/core/ledger"
)

var update = flag.Bool("update", false, "rewrite the expected output in the scripts")

// TestScripts runs the sessions in testdata/script: what a person types and sees. They know the fixtures as $FIXTURES.
func TestScripts(t *testing.T) {
	fixtures, err := filepath.Abs("../../fixtures")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"dev": devInBackground, "digest": digestOfDev, "natscontext": selectContext,
			"exitcode": hasExitCode,
		},
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("FIXTURES", fixtures)
			env.Values[sessionKey{}] = &devSession{}
			return os.Symlink(fixtures, filepath.Join(env.WorkDir, "fixtures"))
		},
	})
}

// devInBackground starts `viplog dev` with the arguments of a script's line `dev …`, waits until it is ready, and sets
// NATS_URL to its server. It ends with the script.
func devInBackground(ts *testscript.TestScript, _ bool, args []string) {
	self, err := os.Executable()
	ts.Check(err)
	command := exec.Command(self, append([]string{"dev"}, args...)...)
	command.Env = append(os.Environ(), asViplog+"=1")
	command.Dir = ts.Getenv("WORK")
	stdin, err := command.StdinPipe() // open for as long as the script runs
	ts.Check(err)
	stdout, err := command.StdoutPipe()
	ts.Check(err)
	stderr, err := command.StderrPipe()
	ts.Check(err)
	starting.Lock()
	defer starting.Unlock()
	ts.Check(command.Start())
	ts.Defer(func() {
		_ = stdin.Close()
		_ = command.Wait()
	})
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "NATS listens on "); ok {
			ts.Setenv("NATS_URL", url)
			break
		}
	}
	ready := bufio.NewReader(stdout)
	*ts.Value(sessionKey{}).(*devSession) = devSession{stdin, ready}
	if ts.Getenv("NATS_URL") == "" {
		ts.Fatalf("dev did not start")
	} else if _, err := ready.ReadString('\n'); err != nil { // the first line of its status
		ts.Fatalf("dev printed no status: %v", err)
	}
}

// starting is held while a `viplog dev` starts: two that start at one time may both find the usual port of NATS free.
var starting sync.Mutex

// devSession is the `viplog dev` that a script has started.
type devSession struct {
	in  io.Writer
	out *bufio.Reader
}

type sessionKey struct{}

// hasExitCode runs viplog and wants an exit code: `exitcode 2 get nodes -o xml`.
func hasExitCode(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec("viplog", args[1:]...)
	got := 0
	if exit, failed := errors.AsType[*exec.ExitError](err); failed {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// digestOfDev asks the `viplog dev -o json` of a script for its status, and sets DIGEST and SEQUENCE to those of its nodes' own
// replicas, which must be the same.
func digestOfDev(ts *testscript.TestScript, _ bool, _ []string) {
	dev := ts.Value(sessionKey{}).(*devSession)
	_, err := fmt.Fprintln(dev.in, "status")
	ts.Check(err)
	line, err := dev.out.ReadBytes('\n')
	ts.Check(err)
	var status struct{ Nodes []ledger.NodeView }
	ts.Check(json.Unmarshal(line, &status))
	first := ledger.NodeView{}
	for _, n := range status.Nodes {
		switch {
		case n.Digest == "":
		case first.Digest == "":
			first = n
		case n.Digest != first.Digest || n.Sequence != first.Sequence:
			ts.Fatalf("%s has %d facts with the digest %s, %s %d with %s", first.Name, first.Sequence, first.Digest, n.Name, n.Sequence, n.Digest)
		}
	}
	ts.Setenv("DIGEST", first.Digest)
	ts.Setenv("SEQUENCE", fmt.Sprint(first.Sequence))
}

// selectContext makes and selects a NATS context for $NATS_URL, in $XDG_CONFIG_HOME.
func selectContext(ts *testscript.TestScript, _ bool, _ []string) {
	folder := filepath.Join(ts.Getenv("XDG_CONFIG_HOME"), "nats")
	ts.Check(os.MkdirAll(filepath.Join(folder, "context"), 0o755))
	settings := []byte(`{"url":"` + ts.Getenv("NATS_URL") + `"}`)
	ts.Check(os.WriteFile(filepath.Join(folder, "context", "dev.json"), settings, 0o600))
	ts.Check(os.WriteFile(filepath.Join(folder, "context.txt"), []byte("dev"), 0o600))
}
