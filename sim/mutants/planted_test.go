package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAPlantedDoubleAnnouncementIsFoundShrunkAndShown goes the whole way with a fault in the code: a campaign finds it, makes its
// scenario small, and the timeline and the page of that scenario say that two nodes answer at once. How the page looks a test of
// adapters/timeline sees. It builds a viplog of its own, which takes a minute on a cold machine: task planted.
func TestAPlantedDoubleAnnouncementIsFoundShrunkAndShown(t *testing.T) {
	if os.Getenv("VIPLOG_PLANTED") == "" && os.Getenv("VIPLOG_REQUIRE") != "all" {
		t.Skip("skipped: it builds a viplog with a fault; task planted runs it")
	}
	const name = "a standby announces beside its owner"
	planted := slices.IndexFunc(mutations, func(m mutation) bool { return m.name == name })
	if planted < 0 {
		t.Fatalf("there is no mutation %q", name)
	}
	folder := t.TempDir()
	overlay, err := mutations[planted].overlay("../..", folder)
	if err != nil {
		t.Fatal(err)
	}
	viplog := filepath.Join(folder, "viplog")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-overlay", overlay, "-o", viplog, "viplog/cmd/viplog").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	violated := func(args ...string) string {
		cmd := exec.Command(viplog, append([]string{"sim", "run"}, args...)...)
		cmd.Dir = folder
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 10 {
			t.Fatalf("%v, want exit code 10\n%s", err, out)
		}
		return string(out)
	}
	read := func(file string) string {
		text, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}

	violated("--seeds", "1..3")
	small, verbs := read("failure-1.txtar"), 0
	for line := range strings.Lines(small) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			verbs++
		}
	}
	if verbs > 6 {
		t.Errorf("the scenario has %d verbs:\n%s", verbs, small)
	}
	shown, page := violated("-v", "--report", "page.html", "failure-1.txtar"), read("page.html")
	for _, want := range []string{"Two nodes answer for 192.0.2.0 at once, ", "Violated: exclusive announcement: "} {
		if !strings.Contains(shown, want) || !strings.Contains(page, want) {
			t.Errorf("no %q in the page, or in\n%s", want, shown)
		}
	}
}
