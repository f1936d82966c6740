package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// row is a line of the record's table.
var row = regexp.MustCompile(`(?m)^\| (\d+) \| ([^|]*) \| ([^|]*) \| (.*) \|$`)

// heading is that of a shortest way.
var heading = regexp.MustCompile(`(?m)^## (\d+)\. (.*)$`)

// wrongIn says what of a record is not as these mutations would have it: each has its row, in order, and something has found it.
func wrongIn(text string, all []mutation) (wrong []string) {
	rows := row.FindAllStringSubmatch(text, -1)
	for i, r := range rows {
		switch number, name, by := r[1], r[2], r[3]; {
		case i >= len(all):
			wrong = append(wrong, fmt.Sprintf("row %s (%s) is of no mutation", number, name))
		case number != strconv.Itoa(i+1) || name != all[i].name:
			wrong = append(wrong, fmt.Sprintf("row %s (%s) stands where mutation %d (%s) has to", number, name, i+1, all[i].name))
		case by == "" || by == nothing:
			wrong = append(wrong, fmt.Sprintf("mutation %s (%s) was not found", number, name))
		}
	}
	for i := len(rows); i < len(all); i++ {
		wrong = append(wrong, fmt.Sprintf("mutation %d (%s) has no row", i+1, all[i].name))
	}
	for _, h := range heading.FindAllStringSubmatch(text, -1) {
		if n, err := strconv.Atoi(h[1]); err != nil || n < 1 || n > len(all) || all[n-1].name != h[2] {
			wrong = append(wrong, fmt.Sprintf("the way %q is that of no mutation", h[0]))
		}
	}
	return wrong
}

// TestTheTrackRecordIsThatOfTheMutations does not run them: task mutants does, and writes the record.
func TestTheTrackRecordIsThatOfTheMutations(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("../..", record))
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range wrongIn(string(text), mutations) {
		t.Errorf("%s: %s; task mutants writes it anew", record, wrong)
	}
}

// A mutation whose place in the code is gone would be found by nothing.
func TestEachMutationHasItsPlaceInTheCode(t *testing.T) {
	names := map[string]bool{}
	for i, m := range mutations {
		data, err := os.ReadFile(filepath.Join("../..", m.file))
		if err != nil {
			t.Error(err)
		}
		if n := bytes.Count(data, []byte(m.old)); n != 1 {
			t.Errorf("mutation %d (%s): %s holds %q %d times, not once", i+1, m.name, m.file, m.old, n)
		}
		if m.old == m.new || names[m.name] || strings.ContainsAny(m.name, "|\n") {
			t.Errorf("mutation %d (%s) changes nothing, or its name is no name", i+1, m.name)
		}
		names[m.name] = true
	}
}

func TestARecordThatIsNotOfTheMutationsIsNoticed(t *testing.T) {
	all := []mutation{{name: "a rule is left out"}, {name: "another is"}}
	found := []finding{
		{mutation: all[0], number: 1, by: "random runs", what: "seed 2", steps: []string{"time passes"}},
		{mutation: all[1], number: 2, by: "a test of its own", what: "TestX"},
	}
	whole := string(page(found, ""))
	if wrong := wrongIn(whole, all); len(wrong) > 0 {
		t.Error(wrong)
	}
	escaped := found[1]
	escaped.by = ""
	for name, c := range map[string]struct {
		text string
		all  []mutation
		want string
	}{
		"a new mutation":       {whole, append(all[:2:2], mutation{name: "a third"}), "mutation 3 (a third) has no row"},
		"one that is gone":     {whole, all[:1], "row 2 (another is) is of no mutation"},
		"another order":        {whole, []mutation{all[1], all[0]}, "row 1 (a rule is left out) stands where mutation 1 (another is) has to"},
		"one that escaped":     {string(page([]finding{found[0], escaped}, "")), all, "mutation 2 (another is) was not found"},
		"a way of another one": {strings.Replace(whole, "## 1. a rule", "## 1. the rule", 1), all, "the way"},
	} {
		if wrong := strings.Join(wrongIn(c.text, c.all), "; "); !strings.Contains(wrong, c.want) {
			t.Errorf("%s: %q, want %q", name, wrong, c.want)
		}
	}
}
