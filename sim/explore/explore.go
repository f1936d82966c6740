// Package explore visits every state that a small world can be in: all orders in which messages arrive and faults
// happen, on the machines that production runs.
package explore

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// World is a state of a small world. Worlds are never changed in place.
type World interface {
	// Steps lists what may happen next.
	Steps() []Step
	// Canonical gives the same bytes for states that behave alike from here on.
	Canonical() []byte
	// Violation says what must never be and is; "" if all is well.
	Violation() string
}

// Step is one thing that may happen, and the world after it.
type Step struct {
	Name string
	Do   func() World
}

// Result is what an exploration has seen.
type Result struct {
	States    int      // different ones
	Steps     int      // taken
	Depth     int      // steps to the farthest state, by the shortest way
	Complete  bool     // every state was visited; else the limit was reached
	Violation string   // of the first state found, by a shortest way; "" for none
	Trace     []string // the steps to it
}

func (r Result) String() string {
	how := "all"
	if !r.Complete {
		how = "the first"
	}
	text := fmt.Sprintf("%s %d states, %d steps, depth %d", how, r.States, r.Steps, r.Depth)
	if r.Violation != "" {
		text += fmt.Sprintf("; %s after %d steps:\n  %s", r.Violation, len(r.Trace), strings.Join(r.Trace, "\n  "))
	}
	return text
}

// visited is how a state was first reached.
type visited struct {
	before int // index of the state before; -1 for the start
	step   string
	depth  int
}

// Explore visits states breadth first, so that the first violation found is reached by the fewest steps, up to a limit
// of states. Progress, if not nil, is called now and then.
func Explore(start World, limit int, progress func(Result)) Result {
	seen := map[[sha256.Size]byte]bool{sha256.Sum256(start.Canonical()): true}
	ways := []visited{{before: -1}}
	queue := []World{start}
	result := Result{States: 1, Violation: start.Violation()}
	for at := 0; at < len(queue) && result.Violation == ""; at++ {
		world := queue[at]
		queue[at] = nil
		for _, step := range world.Steps() {
			next := step.Do()
			result.Steps++
			key := sha256.Sum256(next.Canonical())
			if seen[key] {
				continue
			}
			seen[key] = true
			ways = append(ways, visited{at, step.Name, ways[at].depth + 1})
			queue = append(queue, next)
			result.States, result.Depth = len(queue), ways[len(ways)-1].depth
			if result.Violation = next.Violation(); result.Violation != "" {
				result.Trace = trace(ways)
				return result
			}
			if len(queue) >= limit {
				return result
			}
			if progress != nil && len(queue)%100_000 == 0 {
				progress(result)
			}
		}
	}
	result.Complete = result.Violation == ""
	return result
}

// Visit visits every state depth first, which needs little memory but for what it has seen, up to a limit of states. The trace to
// a violation may be long; Explore finds a short one.
func Visit(start World, limit int, progress func(Result)) Result {
	type frame struct {
		steps []Step
		next  int
	}
	seen := map[[16]byte]struct{}{key(start): {}}
	result := Result{States: 1, Violation: start.Violation()}
	stack := []frame{{steps: start.Steps()}}
	for len(stack) > 0 && result.Violation == "" {
		top := &stack[len(stack)-1]
		if top.next == len(top.steps) {
			stack = stack[:len(stack)-1]
			continue
		}
		world := top.steps[top.next].Do()
		top.next++
		result.Steps++
		k := key(world)
		if _, known := seen[k]; known {
			continue
		}
		seen[k] = struct{}{}
		result.States++
		result.Depth = max(result.Depth, len(stack))
		if result.Violation = world.Violation(); result.Violation != "" {
			for _, f := range stack {
				result.Trace = append(result.Trace, f.steps[f.next-1].Name)
			}
			return result
		}
		if result.States >= limit {
			return result
		}
		if progress != nil && result.States%100_000 == 0 {
			progress(result)
		}
		stack = append(stack, frame{steps: world.Steps()})
	}
	result.Complete = result.Violation == ""
	return result
}

// key tells states apart: 128 bits of a hash, so that two of a billion states are taken for one in less than one of 10^20 cases.
func key(w World) [16]byte {
	sum := sha256.Sum256(w.Canonical())
	return [16]byte(sum[:16])
}

func trace(ways []visited) []string {
	var steps []string
	for at := len(ways) - 1; ways[at].before >= 0; at = ways[at].before {
		steps = append([]string{ways[at].step}, steps...)
	}
	return steps
}
