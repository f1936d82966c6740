package manifest

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var wanted = regexp.MustCompile(`(?m)^"?# want: (.*?)"?$`)

// Each testdata/invalid/NAME.yaml is refused with the text of NAME.golden; its lines "# want: SUBSTRING" are written
// by hand and hold whatever -update wrote.
func TestInvalidManifestsAreRefusedWithTheirPlaces(t *testing.T) {
	files, err := filepath.Glob("testdata/invalid/*.yaml")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d invalid manifests, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			view, err := Read([]string{path}, nil)
			if err == nil {
				t.Fatal("not refused")
			}
			if len(view.Services)+len(view.Endpoints) > 0 {
				t.Error("an error and Services at once")
			}
			got := err.Error() + "\n"
			wants := wanted.FindAllStringSubmatch(string(text), -1)
			if len(wants) == 0 {
				t.Errorf("%s has no line # want: SUBSTRING", path)
			}
			for _, want := range wants {
				if !strings.Contains(got, want[1]) {
					t.Errorf("got\n%swithout %q", got, want[1])
				}
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", got)
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%swant\n%s(go test -update rewrites %s)", got, want, path)
	}
}
