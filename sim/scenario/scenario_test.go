package scenario

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"viplog/adapters/logfile"
	"viplog/core/log"

	"viplog/sim"
	"viplog/sim/kernel"
)

var update = flag.Bool("update", false, "rewrite docs/scenarios.md")

const folder = "../../fixtures/scenarios"

func TestEveryScenarioHolds(t *testing.T) {
	found := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".txtar" {
			return err
		}
		found++
		t.Run(strings.TrimPrefix(path, folder+"/"), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Parse(path, data, recordedLogs)
			if err != nil {
				t.Fatal(err)
			}
			if r := s.Run(t.Context(), Seeded); r.Verdict != sim.OK {
				t.Errorf("%s:%d: %s: %s\n%s", path, r.Line, r.Verdict, r.Why, TimelineText(r.Timeline))
			}
		})
		return nil
	})
	if err != nil || found < 8 {
		t.Fatalf("%d scenarios in %s: %v", found, folder, err)
	}
}

const plain = "cluster nodes=2 voters=1\nsettle\nservice shop/web address=192.0.2.1\nsettle\n"

func mustParse(t *testing.T, text string) *Scenario {
	t.Helper()
	s, err := Parse("test.txtar", []byte(text), recordedLogs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVerdicts(t *testing.T) {
	for _, test := range []struct{ name, script, verdict, why string }{
		{"ok", "after 1s fail lb-2\nconverge within=10s\nassert moves == 1\nassert blackhole 192.0.2.1 <= 600ms\n", "ok", ""},
		{"a false assert", "after 1s fail lb-2\nconverge within=10s\nassert moves == 0\n", "violated", "it is 1"},
		{"a bound that is too tight", "after 1s fail lb-2\nconverge within=10s\nassert blackhole 192.0.2.1 <= 100ms\n", "violated", "blackhole"},
		{"a false expectation", "expect silent lb-2\n", "violated", "answers for 192.0.2.1"},
		{"no rest in time", "after 1s fail lb-2\nconverge within=100ms\n", "violated", "192.0.2.1"},
		{"a mark that is not hit", "mark voted\n", "a mark was not hit", "voted"},
		{"what cannot be done is a no-op", "after 1s fail lb-2\nfail lb-2\nstart lb-1\nconverge within=10s\nassert moves == 1\n", "ok", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := mustParse(t, plain+test.script).Run(t.Context(), Seeded)
			if string(r.Verdict) != test.verdict || !strings.Contains(r.Why, test.why) {
				t.Errorf("%s: %s", r.Verdict, r.Why)
			}
		})
	}
}

func TestARunThatIsNotTheSameTwiceIsNotDeterministic(t *testing.T) {
	seed := uint64(0)
	other := func(uint64) kernel.Chooser { seed++; return kernel.NewSeeded(seed) }
	if r := mustParse(t, plain).Run(t.Context(), other); r.Verdict != NotDeterministic {
		t.Errorf("%s: %s", r.Verdict, r.Why)
	}
}

func TestAnUpdateRewritesTheTimelineAndKeepsTheAsserts(t *testing.T) {
	text := plain + "after 1s fail lb-2\nconverge within=10s\nassert moves == 1\n-- want.timeline --\n     0.000  nobody  nothing\n"
	s := mustParse(t, text)
	r := s.Run(t.Context(), Seeded)
	if r.Verdict != sim.Violates || !r.OnlyGolden {
		t.Fatalf("another timeline: %s, %s", r.Verdict, r.Why)
	}
	updated, has := s.Updated(r.Timeline)
	if !has || !strings.Contains(string(updated), "assert moves == 1") || !strings.Contains(string(updated), "loses power") {
		t.Fatalf("updated:\n%s", updated)
	}
	if r := mustParse(t, string(updated)).Run(t.Context(), Seeded); r.Verdict != sim.OK {
		t.Fatalf("after the update: %s, %s", r.Verdict, r.Why)
	}
}

func TestMistakesAreNamedWithTheirLine(t *testing.T) {
	for _, test := range []struct{ script, want string }{
		{"settle\n", "test.txtar:1: "},
		{"cluster nodes=0\n", "test.txtar:1: "},
		{"cluster nodes=2 pool=192.0.2.1/28\n", "192.0.2.0/28"},
		{"cluster\nfial lb-1\n", "fail"},
		{"cluster\nfail lb-9\n", "lb-"},
		{"cluster\nat 1x fail lb-1\n", "test.txtar:2: "},
		{"cluster\nservice web\n", "NS/NAME"},
		{"cluster\nassert moves ~ 1\n", "test.txtar:2: "},
		{"cluster\nassert nothing == 1\n", "test.txtar:2: "},
	} {
		_, err := Parse("test.txtar", []byte(test.script), recordedLogs)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, which does not have %q", test.script, err, test.want)
		}
	}
}

// TestReference holds docs/scenarios.md against the verbs and asserts that there are; -update writes it.
func TestReference(t *testing.T) {
	const path = "../../docs/scenarios.md"
	if *update {
		if err := os.WriteFile(path, []byte(reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != reference() {
		t.Errorf("%s is not that of the code (%v); run: go test ./sim/scenario -update", path, err)
	}
}

func reference() string {
	var text strings.Builder
	text.WriteString(`# Scenarios

Generated from the code; ` + "`go test ./sim/scenario -update`" + ` writes it anew.

A scenario is a .txtar file: a script first, and maybe the timeline that is wanted. ` + "`viplog sim run PATH…`" + ` runs each one twice on
the production machines, on a virtual clock, and says how it ended. Prose in comments (#) at the top says what to see and why.

A verb is one line. ` + "`at T VERB`" + ` waits until that time of the world, ` + "`after D VERB`" + ` so long after the line before; a verb alone is done at once.
What cannot be done, like failing a host that is down, is a no-op that the timeline names. Random choices come from the seed.
From ` + "`settle`" + ` on clients ask every address each 5 ms. What happens before the first verb that is no set-up is not in the timeline.
` + "`-- want.timeline --`" + `, when it is there, must be the timeline to the letter; ` + "`--update`" + ` rewrites it, and never an assert.

` + "`viplog whatif 'VERB; VERB…'`" + ` goes on where the log of a running cluster ends, or an exported one with ` + "`--log FILE`" + `, as ` + "`viplog sim replay FILE --then`" + ` does, and
answers in a table: who takes over what, what goes dark, what each node owns.

## Verbs

| verb | what it does | example |
|---|---|---|
`)
	cell := func(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
	for _, v := range Verbs() {
		fmt.Fprintf(&text, "| `%s` | %s | `%s` |\n", cell(v.Form), cell(v.Says), cell(v.Example))
	}
	text.WriteString("\n## Asserts\n\nThey stand at the end and look at the whole run without its set-up; ==, <= and >= compare.\n\n| assert | what it measures | example |\n|---|---|---|\n")
	for _, a := range Asserts() {
		fmt.Fprintf(&text, "| `%s` | %s | `%s` |\n", cell(a.Form), cell(a.Says), cell(a.Example))
	}
	return text.String()
}

func recordedLogs(path string) (id string, entries []log.Entry, err error) {
	recording, err := logfile.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	return recording.Head.ID, recording.Entries, nil
}
