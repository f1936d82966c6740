package main

import (
	"bufio"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected output in the scripts")

// TestScripts runs the sessions in testdata/script: what a person types and sees. They know the fixtures as $FIXTURES.
func TestScripts(t *testing.T) {
	fixtures, err := filepath.Abs("../../fixtures")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"dev": devInBackground, "natscontext": selectContext},
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("FIXTURES", fixtures)
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
	if ready := bufio.NewReader(stdout); ts.Getenv("NATS_URL") == "" {
		ts.Fatalf("dev did not start")
	} else if _, err := ready.ReadString('\n'); err != nil { // the first line of its status
		ts.Fatalf("dev printed no status: %v", err)
	}
}

// selectContext makes and selects a NATS context for $NATS_URL, in $XDG_CONFIG_HOME.
func selectContext(ts *testscript.TestScript, _ bool, _ []string) {
	folder := filepath.Join(ts.Getenv("XDG_CONFIG_HOME"), "nats")
	ts.Check(os.MkdirAll(filepath.Join(folder, "context"), 0o755))
	settings := []byte(`{"url":"` + ts.Getenv("NATS_URL") + `"}`)
	ts.Check(os.WriteFile(filepath.Join(folder, "context", "dev.json"), settings, 0o600))
	ts.Check(os.WriteFile(filepath.Join(folder, "context.txt"), []byte("dev"), 0o600))
}
