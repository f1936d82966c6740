package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// byName runs viplog under another name, as a link has it.
func byName(t *testing.T, name string, args ...string) (out, said string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	command := exec.CommandContext(t.Context(), link, args...)
	command.Env = append(os.Environ(), asViplog+"=1")
	command.Stdout, command.Stderr = &stdout, &stderr
	_ = command.Run() // what it says is looked at
	return stdout.String(), stderr.String()
}

func TestByTheNameOfAPluginItIsKubectls(t *testing.T) {
	out, _ := byName(t, "kubectl-viplog", "get", "--help")
	for _, want := range []string{"\n  kubectl viplog get ", "\n  kubectl viplog get services"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if _, said := byName(t, "kubectl-viplog", "got"); !strings.Contains(said, `unknown command "got" for "kubectl viplog"`) || !strings.Contains(said, "See 'kubectl viplog --help'.") {
		t.Errorf("an unknown command: %s", said)
	}
	if out, _ := byName(t, "viplog", "get", "--help"); strings.Contains(out, "kubectl viplog") {
		t.Errorf("by its own name it is its own:\n%s", out)
	}
}

// kubectl asks a program of the second name for completions, with what was typed after `kubectl viplog`.
func TestKubectlCompletesIt(t *testing.T) {
	out, _ := byName(t, "kubectl_complete-viplog", "explain", "")
	if want := strings.Join(append(subjectKinds, ":4\n"), "\n"); out != want {
		t.Errorf("%q, want %q", out, want)
	}
}

// No text of a plugin may name a command that is not there.
func TestAPluginsTextsNameWhatIsTyped(t *testing.T) {
	root := newRoot(streams{})
	asPlugin(root)
	seen := 0
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Example) {
			seen += strings.Count(line, "kubectl viplog ")
			if rest := strings.ReplaceAll(line, "kubectl viplog ", ""); strings.Contains(rest, "`viplog ") || strings.HasPrefix(rest, "  viplog ") {
				t.Errorf("%s: %s", cmd.CommandPath(), line)
			}
		}
		for _, below := range cmd.Commands() {
			look(below)
		}
	}
	look(root)
	if seen < 20 {
		t.Errorf("only %d texts were looked at", seen)
	}
}
