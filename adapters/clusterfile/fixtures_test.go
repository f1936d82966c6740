package clusterfile

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const fixtures = "../../fixtures/clusters"

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(fixtures, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures for %s: %v", pattern, err)
	}
	return paths
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// golden compares text with a file that a person reads; -update rewrites it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(readFile(t, path)), got); diff != "" {
		t.Errorf("%s (-golden +got):\n%s", path, diff)
	}
}

// TestTheDocumentedSettingsAreValid puts the example of docs/settings.md in the place of a fixture's Settings.
func TestTheDocumentedSettingsAreValid(t *testing.T) {
	_, example, found := strings.Cut(string(readFile(t, "../../docs/settings.md")), "```yaml\n")
	example, _, closed := strings.Cut(example, "```")
	cluster, _, has := strings.Cut(string(readFile(t, filepath.Join(fixtures, "viplog-settings.yaml"))), "apiVersion: viplog/v1\n")
	if !found || !closed || !has {
		t.Fatal("no example, or no Settings in the fixture")
	}
	f, err := Parse("docs/settings.md", []byte(cluster+example))
	if err != nil {
		t.Fatal(err)
	}
	if p := f.Settings.Pools; len(p) != 1 || len(p[0].Announce) != 1 || p[0].QuotaPerNamespace != 20 {
		t.Errorf("settings %+v", f.Settings)
	}
}

func TestPublishedShapesParse(t *testing.T) {
	for _, path := range glob(t, "*.yaml") {
		name := filepath.Base(path)
		t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) {
			f, err := Parse(name, readFile(t, path))
			if err != nil {
				t.Fatalf("must be valid:\n%v", err)
			}
			var text strings.Builder
			if f.Notice != "" {
				text.WriteString("notice: " + f.Notice + "\n")
			}
			for _, w := range f.Warnings {
				text.WriteString(w.String() + "\n")
			}
			golden(t, filepath.Join("testdata", "warnings", strings.TrimSuffix(name, ".yaml")+".golden"), text.String())
		})
	}
}

// TestMistakesAreNamed holds each invalid file against its golden and against its first line, "# want: SUBSTRING", which
// is written by hand and survives -update.
func TestMistakesAreNamed(t *testing.T) {
	paths := glob(t, "invalid/*.yaml")
	if len(paths) < 40 {
		t.Errorf("%d invalid files, at least 40 are wanted", len(paths))
	}
	for _, path := range paths {
		name := filepath.Base(path)
		t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) {
			data := readFile(t, path)
			first, _, _ := strings.Cut(string(data), "\n")
			want, hasWant := strings.CutPrefix(first, "# want: ")
			if !hasWant || want == "" {
				t.Fatalf("the first line must be \"# want: SUBSTRING\", and is %q", first)
			}
			_, err := Parse(name, data)
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("must be refused with Problems, and gave %v", err)
			}
			if !slices.IsSortedFunc(problems, func(a, b Problem) int { return a.Line - b.Line }) {
				t.Errorf("not sorted by line:\n%v", err)
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("wanted %q in:\n%v", want, err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", err.Error()+"\n")
		})
	}
}

// TestGoldensHaveTheirFile keeps a golden from outliving its fixture.
func TestGoldensHaveTheirFile(t *testing.T) {
	for _, path := range glob(t, "invalid/*.golden") {
		if _, err := os.Stat(strings.TrimSuffix(path, ".golden") + ".yaml"); err != nil {
			t.Errorf("%s has no fixture: %v", path, err)
		}
	}
}
