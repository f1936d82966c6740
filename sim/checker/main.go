// Command checker takes walks through the explored worlds of ownership, which run the production machines, and holds them against an independent
// model of the protocol: after each step, whoever announces may do so in the model, and whoever may in the model
// would announce.
//
//	go run ./sim/checker -model ../shared/checker
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"viplog/sim/explore"
)

// approved says of which walks the model approved: their number and hash. A test takes them again, where the model is not at hand.
const approved = "sim/checker/testdata/approved.json"

func main() {
	model := flag.String("model", "", "the folder that holds the model's model.go")
	flag.Parse()
	if err := run(*model); err != nil {
		fmt.Fprintln(os.Stderr, "checker:", err)
		os.Exit(1)
	}
}

// walk is one walk through one world.
type walk struct {
	Nodes, Voters int
	First         int `json:",omitempty"` // voters of the first set, where it changes
	Seed          uint64
	Steps         []explore.ModelStep
}

// worlds are those that the walks lead through.
var worlds = []explore.OwnershipOptions{
	{Nodes: 2, Voters: 1, Facts: 5, Crashes: 2, Snapshots: true, Leaves: true},
	{Nodes: 3, Voters: 1, Facts: 5, Crashes: 2, Snapshots: true, Leaves: true},
	{Nodes: 2, Voters: 3, Facts: 5, Crashes: 1, Snapshots: true},
}

// changes are those of worlds whose voters change.
var changes = []explore.ChangesOptions{
	{From: []string{"A"}, Then: []string{"B+", "A-"}, Restarts: 1},
	{From: []string{"A", "B"}, Then: []string{"C+", "A-", "B-"}, Restarts: 1},
	{From: []string{"A", "B", "C"}, Then: []string{"A-", "D+"}},
}

const (
	walksHeld     = 2_000 // through each world, against the model
	walksApproved = 200   // of these in the file
	longest       = 60    // steps of a walk
	slots         = 13    // of the model's log
)

// summary is what all walks are together.
type summary struct {
	Walks  int    `json:"walks"`
	Steps  int    `json:"steps"`
	Acts   int    `json:"acts"`
	SHA256 string `json:"sha256"`
}

// written gives the first walks through each world, one to a line, the same each time.
func written(walks uint64) ([]byte, summary, error) {
	var text bytes.Buffer
	var s summary
	out := json.NewEncoder(&text)
	add := func(w walk) error {
		s.Walks++
		s.Steps += len(w.Steps)
		for _, step := range w.Steps {
			s.Acts += len(step.Acts)
		}
		return out.Encode(w)
	}
	for _, o := range worlds {
		for seed := range walks {
			w := walk{Nodes: o.Nodes, Voters: o.Voters, Seed: seed, Steps: explore.WalkModel(o, seed, longest, slots)}
			if err := add(w); err != nil {
				return nil, s, err
			}
		}
	}
	for _, o := range changes {
		for seed := range walks {
			w := walk{Nodes: 1, Voters: 4, First: len(o.From), Seed: seed, Steps: explore.WalkVoters(o, seed, longest)}
			if err := add(w); err != nil {
				return nil, s, err
			}
		}
	}
	s.SHA256 = fmt.Sprintf("%x", sha256.Sum256(text.Bytes()))
	return text.Bytes(), s, nil
}

func run(model string) error {
	if model == "" {
		return fmt.Errorf("-model names the folder that holds the model's model.go")
	}
	folder, err := os.MkdirTemp("", "checker")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	for from, to := range map[string]string{
		filepath.Join(model, "model.go"): "model.go", filepath.Join(model, "go.mod"): "go.mod",
		"sim/checker/testdata/replay.go": "replay.go",
	} {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, to), data, 0o644)
		}
		if err != nil {
			return fmt.Errorf("run this in the top folder: %w", err)
		}
	}
	walks, s, err := written(walksHeld)
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "run", ".")
	cmd.Dir, cmd.Stdin, cmd.Stderr = folder, bytes.NewReader(walks), os.Stderr
	said, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("the model: %w", err)
	}
	if len(said) > 0 {
		os.Stdout.Write(said)
		return fmt.Errorf("they disagree on %d steps of %d", bytes.Count(said, []byte("\n")), s.Steps)
	}
	fmt.Printf("%d walks, %d steps, %d acts of the model: no step on which they disagree\n", s.Walks, s.Steps, s.Acts)
	if _, s, err = written(walksApproved); err != nil {
		return err
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(approved, append(text, '\n'), 0o644)
}
