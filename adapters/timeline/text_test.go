package timeline

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"viplog/core/trace"
)

var update = flag.Bool("update", false, "rewrite the golden texts and the tables of docs/timeline.md")

func textOf(t testing.TB, of Timeline, width int, colour bool) string {
	t.Helper()
	var out bytes.Buffer
	if err := Text(&out, of, width, colour); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// golden compares with a file, or rewrites it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-update rewrites it): want -, got +:\n%s", file, diff)
	}
}

func TestTextIsTheGolden(t *testing.T) {
	for _, name := range []string{"power", "double", "planted"} {
		t.Run(name, func(t *testing.T) { golden(t, "testdata/"+name+".txt", textOf(t, sample(t, name), 0, false)) })
	}
}

// What must hold of the golden texts however they are rewritten.
func TestTextSaysWhoAnnounces(t *testing.T) {
	double := textOf(t, sample(t, "double"), 0, false)
	for _, want := range []string{
		"lb-2         ! *** B  fault", "lb-1         ^ *** 2  announced", "auditor      % *** !  overlap", "auditor      = *>* A  alone",
		"Two nodes answer for 192.0.2.1 at once, lb-1 and lb-2: for 152 ms.",
	} {
		if !strings.Contains(double, want) {
			t.Errorf("no %q in\n%s", want, double)
		}
	}
	if power := textOf(t, sample(t, "power"), 0, false); !strings.Contains(power, "lb-2         # *#* -  down") {
		t.Errorf("nobody announces when the owner is down:\n%s", power)
	}
}

func TestTextKeepsToItsWidth(t *testing.T) {
	for _, width := range []int{1, 20, 60, 80, 100} {
		for _, of := range []Timeline{sample(t, "double"), large(500, 50)} {
			for line := range strings.Lines(textOf(t, of, width, false)) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
					t.Errorf("%d characters of %d: %s", n, width, line)
				}
			}
		}
	}
}

func TestTextHasColourOnlyIfAsked(t *testing.T) {
	of := sample(t, "double")
	of.Title += "\x1b[31m"
	of.Records = append(of.Records, trace.Record{At: of.End, Actor: "a\x1b]0;x\a", Note: trace.Note{Kind: trace.Fault, Text: "\x1b[2J\r\n\u009b\u202e"}})
	if plain := textOf(t, of, 0, false); strings.ContainsAny(plain, "\x1b\a\r\u009b\u202e") {
		t.Errorf("what a terminal obeys is in %q", plain)
	}
	coloured := textOf(t, of, 0, true)
	if !strings.Contains(coloured, "\x1b[31m    10.650  auditor      V") {
		t.Errorf("a violation is not red in %q", coloured)
	}
	if got := strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "").Replace(coloured); got != textOf(t, of, 0, false) {
		t.Error("colour changes more than colour")
	}
}

func TestEachMarkIsOneCharacterOfItsOwn(t *testing.T) {
	seen := map[string]trace.Kind{}
	for _, m := range append([]kindMark{otherMark}, marks...) {
		if len(m.Mark) != 1 || m.Mark <= " " || m.Mark > "~" {
			t.Errorf("%s: mark %q", m.Kind, m.Mark)
		}
		if before, has := seen[m.Mark]; has {
			t.Errorf("%q is of %s and of %s", m.Mark, before, m.Kind)
		}
		seen[m.Mark] = m.Kind
	}
}

// docs/timeline.md has the tables between its markers from here.
func TestDocumentationHasTheMarks(t *testing.T) {
	const file = "../../docs/timeline.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| mark | record | means |\n|---|---|---|\n")
	for _, m := range append(marks[:len(marks):len(marks)], otherMark) {
		kind := string(m.Kind)
		if kind == "" {
			kind = "others"
		}
		table.WriteString("| `" + m.Mark + "` | " + kind + " | " + m.Means + " |\n")
	}
	table.WriteString("\n| mark | a node is |\n|---|---|\n")
	for _, s := range nodeStates {
		table.WriteString("| `" + s.Mark + "` | " + s.Means + " |\n")
	}
	table.WriteString("\n| mark | an address |\n|---|---|\n")
	for _, row := range [][2]string{
		{nodeMark(0) + "`, `" + nodeMark(1), "is announced by this node alone, as the nodes' own records have it"},
		{nobodyMark, "is announced by nobody"},
		{severalMark, "is announced by two nodes, as their own records have it"},
		{overlapMark, "is answered for by two nodes, as an auditor sees it"},
	} {
		table.WriteString("| `" + row[0] + "` | " + row[1] + " |\n")
	}
	const begin, end = "<!-- marks: go test ./adapters/timeline -update -->\n", "<!-- end of marks -->\n"
	before, rest, hasBegin := strings.Cut(string(text), begin)
	_, after, hasEnd := strings.Cut(rest, end)
	if !hasBegin || !hasEnd {
		t.Fatalf("%s has no markers", file)
	}
	golden(t, file, before+begin+table.String()+end+after)
}
