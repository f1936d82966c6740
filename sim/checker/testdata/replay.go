// This replaces the checker's own main: it takes the acts of walks through the production machines (sim/explore, modelled), does them
// in the model, and says on which steps the two disagree about who may announce.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

type walk struct {
	Nodes, Voters int
	First         int // voters of the first set, where it changes; else 0
	Seed          uint64
	Steps         []struct {
		Name             string
		Acts             []string
		Announces, Might []bool
	}
}

// difference is a step on which the two disagree.
type difference struct {
	Seed   uint64   `json:"seed"`
	Step   int      `json:"step"`
	Says   string   `json:"says"`
	Before []string `json:"before"`
}

func main() {
	out := json.NewEncoder(os.Stdout)
	in := bufio.NewReader(os.Stdin)
	decoder := json.NewDecoder(in)
	for decoder.More() {
		var w walk
		if err := decoder.Decode(&w); err != nil {
			fmt.Fprintln(os.Stderr, "replay:", err)
			os.Exit(1)
		}
		c := Cfg{N: w.Nodes, V: w.Voters, vset0: 1<<w.Voters - 1, anyProof: true, strict: true, settle: 1, max: ML}
		if w.First > 0 {
			c.vset0, c.voters, c.keepVer = 1<<w.First-1, true, true
		}
		var s State
		var names []string
		for at, step := range w.Steps {
			names = append(names, step.Name)
			for _, act := range step.Acts {
				if err := do(&c, &s, act); err != nil {
					out.Encode(difference{w.Seed, at, "the model does not do: " + act + ": " + err.Error(), names})
				}
			}
			var vs Views
			c.views(&s, &vs)
			if bad := c.bad(&s, &vs); bad != "" {
				out.Encode(difference{w.Seed, at, "the model says: " + bad, names})
			}
			if w.First > 0 {
				if step.Announces[0] && (!s.up[0] || !c.lease(&s, &vs, 1, s.app[0])) {
					out.Encode(difference{w.Seed, at, "it is leased, and not in the model", names})
				}
				if step.Announces[0] && c.proofAny(&s, &vs, 1) {
					out.Encode(difference{w.Seed, at, "it is leased, and proven dead in the model", names})
				}
				continue
			}
			for n := range step.Announces {
				may := c.claim(&s, &vs, uint8(n))
				switch {
				case step.Announces[n] && !may:
					out.Encode(difference{w.Seed, at, fmt.Sprintf("n%d announces, and may not in the model", n+1), names})
				case may && !step.Announces[n] && !step.Might[n]:
					out.Encode(difference{w.Seed, at, fmt.Sprintf("n%d may announce in the model, and never would", n+1), names})
				}
			}
		}
	}
}

// do does an act, if the model can.
func do(c *Cfg, s *State, act string) error {
	var vs Views
	c.views(s, &vs)
	words := strings.Fields(act)
	var numbers []int
	for _, word := range words[1:] {
		n, _ := strconv.Atoi(word)
		numbers = append(numbers, n)
	}
	store := func(fact uint8) error {
		if int(s.n) >= ML {
			return fmt.Errorf("its log is full")
		}
		s.log[s.n] = fact
		s.n++
		return nil
	}
	var err error
	switch what := words[0]; what {
	case "append":
		switch subject := words[1]; subject {
		case "add":
			err = store(fVAdd | uint8(numbers[1]))
		case "remove":
			err = store(fVRem | uint8(numbers[1]))
		case "settle":
			if !c.canSettle(s, &vs) {
				return fmt.Errorf("it is not settled")
			}
			err = store(fSett)
		case "join":
			err = store(fJoin | uint8(numbers[1]))
		case "fail":
			if !c.proofFail(s, &vs, uint8(numbers[1])) {
				return fmt.Errorf("there is no proof")
			}
			err = store(fFail | uint8(numbers[1]))
		case "left":
			if n := vs[s.n].nodeOf[numbers[1]]; s.up[n] && s.inc[n] == uint8(numbers[1]) {
				return fmt.Errorf("it still acts")
			}
			err = store(fLeft | uint8(numbers[1]))
		case "list":
			var list []uint8
			if len(words) > 2 {
				for _, n := range strings.Split(words[2], ",") {
					number, _ := strconv.Atoi(n)
					list = append(list, uint8(number))
				}
			}
			err = store(fList | uint8(pattern(c, list)))
		}
	case "start":
		n, inc, slot := numbers[0], numbers[1], numbers[2]
		if s.up[n] {
			return fmt.Errorf("its process runs")
		}
		if inc == 0 || s.log[inc-1] != fJoin|uint8(n) {
			return fmt.Errorf("the slot is not its join")
		}
		s.up[n], s.inc[n], s.app[n], s.base[n], s.hold[n] = true, uint8(inc), uint8(slot), uint8(slot), 0
		for x := range c.V {
			if s.cast[x][inc] == 0 && !c.voters {
				s.b[inc] |= 1 << (x * NVER)
			}
		}
	case "jump", "apply":
		n, slot := numbers[0], numbers[1]
		if !s.up[n] || uint8(slot) < s.app[n] || slot > int(s.n) {
			return fmt.Errorf("it has no process, or is beyond that, or the log is not so long")
		}
		s.app[n] = uint8(slot)
		if what == "jump" {
			s.base[n] = uint8(slot)
		}
	case "crash":
		n := numbers[0]
		if !s.up[n] {
			return fmt.Errorf("it has no process")
		}
		s.b[s.inc[n]] = 0
		s.up[n], s.inc[n], s.app[n], s.base[n], s.hold[n] = false, 0, 0, 0, 0
	case "vote":
		x, inc, version := numbers[0], numbers[1], uint8(numbers[2])
		s.b[inc] &^= 15 << (x * NVER)
		if s.cast[x][inc] == 0 {
			s.cast[x][inc], s.hi[x][inc] = version+1, version+1
		}
	case "grant":
		x, inc, version := numbers[0], numbers[1], numbers[2]
		if s.cast[x][inc] != 0 {
			return fmt.Errorf("it has voted against it")
		}
		if uint8(version) > vs[s.vapp[x]].vver {
			return fmt.Errorf("it knows no such set")
		}
		s.b[inc] |= 1 << (x*NVER + version)
	case "fold":
		x, slot := numbers[0], numbers[1]
		if slot > int(s.n) {
			return fmt.Errorf("the log is not so long")
		}
		s.vapp[x] = max(s.vapp[x], uint8(slot))
	case "restart":
		x := numbers[0]
		s.vapp[x] = max(vs[s.vapp[x]].vchg, 1)
	case "refuse":
		s.b[numbers[0]] = 0
	default:
		return fmt.Errorf("no such act")
	}
	c.views(s, &vs)
	c.learn(s, &vs)
	return err
}

// pattern is the number of a list among those that the model knows.
func pattern(c *Cfg, list []uint8) int {
	for i, p := range c.patterns {
		if string(p) == string(list) {
			return i
		}
	}
	c.patterns = append(c.patterns, list)
	return len(c.patterns) - 1
}
