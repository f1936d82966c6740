// Package explore visits every state that a small world can be in: all orders in which messages arrive and faults
// happen, on the machines that production runs.
package explore

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"viplog/core/lease"
)

// World is a state of a small world. Worlds are never changed in place.
type World interface {
	// Steps lists what may happen next.
	Steps() []Step
	// Describe writes the same for states that behave alike from here on.
	Describe(*lease.Canon)
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
	Depth     int      // steps to the farthest state, by the shortest way; 0 where that is not looked for
	Complete  bool     // every state was visited; else the limit was reached
	Violation string   // of the first state found, by a shortest way; "" for none
	Trace     []string // the steps to it
}

func (r Result) String() string {
	how := "all"
	if !r.Complete {
		how = "the first"
	}
	text := fmt.Sprintf("%s %d states, %d steps", how, r.States, r.Steps)
	if r.Depth > 0 {
		text += fmt.Sprintf(", depth %d", r.Depth)
	}
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
	canon := &lease.Canon{}
	seen := map[[16]byte]bool{key(canon, start): true}
	ways := []visited{{before: -1}}
	queue := []World{start}
	result := Result{States: 1, Violation: start.Violation()}
	for at := 0; at < len(queue) && result.Violation == ""; at++ {
		world := queue[at]
		queue[at] = nil
		for _, step := range world.Steps() {
			next := step.Do()
			result.Steps++
			key := key(canon, next)
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

// Visit visits every state, on all processors, depth first, so that it needs little memory but for what it has seen; up to a
// limit of states, or until the context ends. It gives no trace: Explore finds a shortest one.
func Visit(ctx context.Context, start World, limit int, progress func(Result)) Result {
	v := &visit{ctx: ctx, seen: map[[16]byte]struct{}{key(&lease.Canon{}, start): {}}, stack: []World{start}, limit: limit, progress: progress}
	v.grown = sync.NewCond(&v.lock)
	v.result = Result{States: 1, Violation: start.Violation()}
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(v.work)
	}
	workers.Wait()
	v.result.Complete = v.result.Violation == "" && !v.over()
	return v.result
}

// visit is shared by its workers. A world is expanded by one of them, since copying one writes to it.
type visit struct {
	ctx      context.Context
	lock     sync.Mutex
	grown    *sync.Cond
	seen     map[[16]byte]struct{}
	stack    []World
	working  int
	limit    int
	result   Result
	progress func(Result)
}

func (v *visit) work() {
	canon := &lease.Canon{}
	v.lock.Lock()
	defer v.lock.Unlock()
	for {
		for len(v.stack) == 0 && v.working > 0 && !v.over() {
			v.grown.Wait()
		}
		if len(v.stack) == 0 || v.over() {
			v.grown.Broadcast()
			return
		}
		world := v.stack[len(v.stack)-1]
		v.stack = v.stack[:len(v.stack)-1]
		v.working++
		v.lock.Unlock()
		v.expand(canon, world)
		v.lock.Lock()
		v.working--
		v.grown.Broadcast()
	}
}

func (v *visit) over() bool {
	return v.result.Violation != "" || v.result.States >= v.limit || v.ctx.Err() != nil
}

func (v *visit) expand(canon *lease.Canon, world World) {
	for _, step := range world.Steps() {
		next := step.Do()
		k := key(canon, next)
		v.lock.Lock()
		v.result.Steps++
		_, known := v.seen[k]
		if !known {
			v.seen[k] = struct{}{}
			v.result.States++
			if v.progress != nil && v.result.States%100_000 == 0 {
				v.progress(v.result)
			}
		}
		v.lock.Unlock()
		if known {
			continue
		}
		violation := next.Violation()
		v.lock.Lock()
		if violation != "" {
			v.result.Violation = violation
		}
		v.stack = append(v.stack, next)
		v.lock.Unlock()
	}
}

// key tells states apart: 128 bits of a hash, so that two of a billion states are taken for one in less than one of 10^20 cases.
func key(c *lease.Canon, w World) [16]byte {
	sum := sha256.Sum256(c.Encode(w.Describe))
	return [16]byte(sum[:16])
}

func trace(ways []visited) []string {
	var steps []string
	for at := len(ways) - 1; ways[at].before >= 0; at = ways[at].before {
		steps = append([]string{ways[at].step}, steps...)
	}
	return steps
}
