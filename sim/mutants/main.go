// Command mutants takes the rules of the ownership protocol out of the code, one at a time, lets explorations and random
// runs look for the harm, and writes what they find to docs/track-record.md. A mutation that nothing finds makes it fail.
//
//	go run ./sim/mutants            all of them (a quarter of an hour)
//	go run ./sim/mutants -only 3    those whose name holds the text, or the one with that number
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	record  = "docs/track-record.md"
	nothing = "**nothing**" // has found it
)

func main() {
	only := flag.String("only", "", "a part of a mutation's name, or its number")
	flag.Parse()
	if err := run(*only); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// finding is what was found of a mutation.
type finding struct {
	mutation
	number int
	by     string // which hunt
	what   string
	steps  []string
	took   time.Duration
}

func run(only string) error {
	var chosen []int
	for i, m := range mutations {
		if only == "" || only == strconv.Itoa(i+1) || strings.Contains(m.name, only) {
			chosen = append(chosen, i)
		}
	}
	all := make([]finding, len(chosen))
	errs := make([]error, len(chosen))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for at := range next {
				i := chosen[at]
				all[at], errs[at] = hunted(mutations[i])
				all[at].number = i + 1
				fmt.Printf("%2d  %-70s  %s: %s (%.0f s)\n", i+1, mutations[i].name, all[at].by, all[at].what, all[at].took.Seconds())
			}
		})
	}
	for at := range chosen {
		next <- at
	}
	close(next)
	workers.Wait()
	if only == "" {
		errs = append(errs, os.WriteFile(record, page(all, "Its last whole run was on "+time.Now().UTC().Format(time.DateOnly)+".\n"), 0o644))
	} else {
		fmt.Printf("%s", page(all, ""))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	escaped := 0
	for _, f := range all {
		if f.by == "" {
			escaped++
		}
	}
	if escaped > 0 {
		return fmt.Errorf("%d of %d mutations were not found", escaped, len(all))
	}
	return nil
}

// overlay writes to a folder what `go build -overlay` and `go test -overlay` read to have a tree with the mutation.
func (m mutation) overlay(tree, folder string) (list string, err error) {
	path, err := filepath.Abs(filepath.Join(tree, m.file))
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("run this in the top folder: %w", err)
	}
	if n := bytes.Count(data, []byte(m.old)); n != 1 {
		return "", fmt.Errorf("%s holds %q %d times, not once", m.file, m.old, n)
	}
	mutated := filepath.Join(folder, filepath.Base(m.file))
	if err := os.WriteFile(mutated, bytes.Replace(data, []byte(m.old), []byte(m.new), 1), 0o644); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: mutated}})
	if err != nil {
		return "", err
	}
	list = filepath.Join(folder, "overlay.json")
	return list, os.WriteFile(list, overlay, 0o644)
}

// hunted runs the hunts and tests on the code with one mutation.
func hunted(m mutation) (finding, error) {
	began := time.Now()
	folder, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return finding{}, err
	}
	defer os.RemoveAll(folder)
	list, err := m.overlay(".", folder)
	if err != nil {
		return finding{}, err
	}
	f := finding{mutation: m}
	err = f.explore(list, "quick")
	if err == nil && f.by == "" {
		f.runTests(list)
	}
	if err == nil && f.by == "" {
		err = f.explore(list, "long")
	}
	f.took = time.Since(began)
	return f, err
}

// explore looks for the harm with hunts of a kind.
func (f *finding) explore(overlay, kind string) error {
	out, err := test(overlay, kind, "-run", "^TestHunt$", "./sim/mutants")
	for line := range strings.Lines(out) {
		switch fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); {
		case fields[0] == "FOUND":
			f.by, f.what = fields[1], fields[2]
		case fields[0] == "STEP":
			f.steps = append(f.steps, fields[1])
		}
	}
	if err != nil && f.by == "" {
		return fmt.Errorf("%s: the mutated code does not build, or ends otherwise:\n%s", f.name, out)
	}
	return nil
}

// testsOf are the packages whose tests run a package's code.
var testsOf = map[string][]string{
	"core/lease":   {"./core/lease", "./core/control", "./core/node"},
	"core/control": {"./core/control"},
	"core/node":    {"./core/node"},
	"core/ledger":  {"./core/control", "./core/node", "./core/ledger"},
}

// runTests looks for the harm with the tests of the machines.
func (f *finding) runTests(overlay string) {
	out, _ := test(overlay, "", testsOf[filepath.ToSlash(filepath.Dir(f.file))]...)
	for line := range strings.Lines(out) {
		if name, failed := strings.CutPrefix(line, "--- FAIL: "); failed {
			name, _, _ = strings.Cut(name, " ")
			f.by, f.what = "a test of its own", name
			return
		}
	}
}

// test runs tests on the mutated code.
func test(overlay, hunts string, args ...string) (string, error) {
	cmd := exec.Command("go", append([]string{"test", "-vet=off", "-timeout", "5m", "-overlay", overlay}, args...)...)
	cmd.Env = append(os.Environ(), "VIPLOG_HUNT="+hunts, "RAPID_NOFAILFILE=true") // else the next mutation begins with what failed on this one
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// page is the track record, with a sentence of when it was made.
func page(all []finding, made string) []byte {
	var text bytes.Buffer
	text.WriteString(`# Track record

Each line is one rule of the protocol taken out of the code, and what found the harm: an exploration of every state of a
small world (then the shortest way to it is below), a directed world, random runs of whole clusters, or else a test of the rule by itself. Written by
` + "`go run ./sim/mutants`" + ` (task mutants), which fails if one is not found; it runs the production machines with ` + "`go test -overlay`" + `.
` + made + `
| # | what is wrong | found by | what happens |
|---|---|---|---|
`)
	for _, f := range all {
		by, what := f.by, f.what
		if by == "" {
			by, what = nothing, ""
		}
		fmt.Fprintf(&text, "| %d | %s | %s | %s |\n", f.number, f.name, by, what)
	}
	for _, f := range all {
		if len(f.steps) == 0 {
			continue
		}
		fmt.Fprintf(&text, "\n## %d. %s\n\n", f.number, f.name)
		for _, step := range f.steps {
			fmt.Fprintf(&text, "* %s\n", step)
		}
	}
	return text.Bytes()
}
