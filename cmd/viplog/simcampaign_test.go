package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"viplog/sim/kernel"
	"viplog/sim/scenario"
)

// planted makes choices as another Chooser does, until something is to happen.
type planted struct {
	kernel.Chooser
	left   int // choices until then
	happen func()
}

// Pick implements kernel.Chooser.
func (p *planted) Pick(stream string, n int) int {
	if p.left--; p.left == 0 {
		p.happen()
	}
	return p.Chooser.Pick(stream, n)
}

// plant lets simulations of a test choose otherwise.
func plant(t *testing.T, choose scenario.Chooser) {
	before := simChooser
	simChooser = choose
	t.Cleanup(func() { simChooser = before })
}

// simulate runs `viplog sim run` with a folder for failures.
func simulate(ctx context.Context, folder string, args ...string) (code int, out, err string) {
	var stdout, stderr bytes.Buffer
	code = run(ctx, append([]string{"sim", "run", "--failures", folder}, args...), streams{strings.NewReader(""), &stdout, &stderr})
	return code, stdout.String(), stderr.String()
}

func TestACampaignThatIsStoppedKeepsWhatItFound(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var runs atomic.Int32
	plant(t, func(seed uint64) kernel.Chooser {
		p := &planted{Chooser: kernel.NewSeeded(seed), left: 1000}
		switch runs.Add(1) {
		case 3, 4: // the second seed, twice
			p.happen = func() { panic("planted") }
		case 7:
			p.happen = interrupt
		default:
			p.left = 0
		}
		return p
	})
	folder := t.TempDir()
	code, out, said := simulate(ctx, folder, "--seeds", "1..2000", "--jobs", "1", "--trouble", "2s", "--must-hit", "yes")
	if code != 10 {
		t.Errorf("exit code %d\n%s%s", code, out, said)
	}
	script, err := os.ReadFile(filepath.Join(folder, "failure-2.txtar"))
	if err != nil || !strings.Contains(string(script), "# Random trouble of seed 2.") {
		t.Errorf("%v: %s", err, script)
	}
	for _, want := range []string{"violated  seed 2:", "a machine panics: planted", "1 violated", " seeds/s, "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if !strings.Contains(said, "stopped: 199") || !strings.Contains(said, "seed 2: the scenario is in ") || strings.Contains(said, "no seed has hit") {
		t.Errorf("it says\n%s", said)
	}
}

func TestARunThatIsNotTheSameTwiceIsNoticed(t *testing.T) {
	var runs atomic.Int32
	plant(t, func(seed uint64) kernel.Chooser { return kernel.NewSeeded(seed + uint64(runs.Add(1))) })
	folder := filepath.Join(t.TempDir(), "made for it")
	if code, out, said := simulate(t.Context(), folder, "--seed", "5", "--trouble", "1s"); code != 11 || !strings.Contains(out, "a second run has the trace ") {
		t.Errorf("exit code %d\n%s%s", code, out, said)
	}
	if _, err := os.Stat(filepath.Join(folder, "failure-5.txtar")); err != nil {
		t.Error(err)
	}
}
