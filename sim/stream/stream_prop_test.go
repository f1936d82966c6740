package stream

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"viplog/core/log"
	"viplog/core/log/logtest"
	"viplog/sim/kernel"
)

// plan is what happens in a run: drawn before it, so that it can be run twice.
type plan struct {
	Seed     uint64
	Chances  Chances
	IDsFirst bool
	Clients  int
	Pace     int // each client appends that often, in milliseconds; 0: by deeds only
	Deeds    []deed
}

type deed struct {
	At     int // milliseconds
	Kind   string
	Client int
	For    int // milliseconds
}

var deedKinds = []string{
	"append", "append", "append", "append", "append anew", "batch", "leader gone", "cut", "heal", "lag", "hang", "reset",
	"crash", "purge", "lose request", "lose ack", "replace",
}

func drawPlan(t *rapid.T) plan {
	chance := func(name string) int { return rapid.SampledFrom([]int{0, 0, 2, 5, 20}).Draw(t, name) }
	kinds := deedKinds
	if rapid.Bool().Draw(t, "one log") {
		kinds = kinds[:len(kinds)-1]
	}
	deeds := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) deed {
		return deed{
			rapid.IntRange(0, 8000).Draw(t, "at"), rapid.SampledFrom(kinds).Draw(t, "kind"),
			rapid.IntRange(0, 3).Draw(t, "client"), rapid.SampledFrom([]int{1, 30, 400, 3000, 7000}).Draw(t, "for"),
		}
	}), 1, 60).Draw(t, "deeds")
	return plan{
		rapid.Uint64().Draw(t, "seed"),
		Chances{
			chance("loses request"), chance("loses ack"), chance("loses push"), chance("duplicates"), chance("stale"),
		},
		rapid.Bool().Draw(t, "ids first"), rapid.IntRange(1, 4).Draw(t, "clients"),
		rapid.SampledFrom([]int{0, 300, 60}).Draw(t, "pace"), deeds,
	}
}

// world is one run of a plan, and what each process and an all-seeing observer know.
type world struct {
	t       *rapid.T
	k       *kernel.Kernel
	s       *Stream
	procs   []*process
	trace   []string
	facts   int
	sent    map[string]int         // how often a fact was appended
	history map[string][]log.Entry // by the log's identity: all that was ever stored
}

type process struct {
	*world
	name   string
	life   int
	client *Client
	log    string // the identity of the log that is followed, as the observer knows it
	from   uint64 // folded after that, as after a snapshot
	folded []log.Entry
	last   *log.Fact // appended last
	guard  uint64
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%d ", w.k.Now())+fmt.Sprintf(format, args...))
}

// observe keeps what is stored before it is purged or replaced.
func (w *world) observe() {
	head := w.s.Head()
	kept := w.history[head.ID]
	for _, entry := range w.s.Entries() {
		if entry.Sequence > uint64(len(kept)) {
			kept = append(kept, entry)
		}
	}
	w.history[head.ID] = kept
}

func (p *process) start() {
	p.life++
	p.client = p.s.Connect(p.name)
	p.follow(0)
}

// follow starts from a snapshot where there is one, as a replica does.
func (p *process) follow(after uint64) {
	life := p.life
	p.log, p.from, p.folded = p.s.Head().ID, after, nil
	p.client.Follow(after, func(entry log.Entry) {
		if life != p.life {
			p.t.Fatalf("%s: a dead process was called", p.name)
		}
		if want := p.from + uint64(len(p.folded)) + 1; entry.Sequence != want {
			p.t.Fatalf("%s got %d, not %d", p.name, entry.Sequence, want)
		}
		p.note("%s folds %d %s", p.name, entry.Sequence, entry.ID)
		p.folded = append(p.folded, entry)
	}, func(err error) {
		p.note("%s ends: %v", p.name, err)
		switch {
		case errors.Is(err, log.ErrPurged):
			p.follow(p.s.Head().First - 1)
		case errors.Is(err, log.ErrOtherLog) && p.log != p.s.Head().ID:
			p.follow(0)
		case errors.Is(err, log.ErrOtherLog) && p.s.Chances.OneInStale > 0:
			p.follow(p.from) // the head was too low four times, by chance
		default:
			p.t.Fatalf("%s: following ended with %v", p.name, err)
		}
	})
}

func (p *process) append(wait time.Duration) {
	entity := fmt.Sprintf("pool.%d", p.facts%3)
	fact := logtest.NewFact(entity, p.facts)
	p.facts++
	p.client.LastOf(entity, func(last uint64, err error) {
		if err == nil {
			p.last, p.guard = &fact, last
			p.send(fact, last, wait)
		}
	})
}

func (p *process) send(fact log.Fact, last uint64, wait time.Duration) {
	judge := p.judge([]log.Fact{fact})
	p.client.Append(fact, last, wait, judge)
}

func (p *process) batch(wait time.Duration) {
	var facts []log.Fact
	for range 4 {
		facts = append(facts, logtest.NewFact(fmt.Sprintf("pool.%d", p.facts%3), p.facts))
		p.facts++
	}
	p.client.Head(func(head log.Head, err error) {
		if err == nil {
			p.client.AppendBatch(facts, head.Last, wait, p.judge(facts))
		}
	})
}

// judge holds an answer against what is stored.
func (p *process) judge(facts []log.Fact) func(uint64, error) {
	begun, life, answered := p.s.Head().ID, p.life, false
	p.sent[facts[0].ID]++
	return func(sequence uint64, err error) {
		p.note("%s: %s is at %d: %v", p.name, facts[0].ID, sequence, err)
		if answered || life != p.life {
			p.t.Fatalf("%s: answered twice, or after its death", p.name)
		}
		answered = true
		id := p.s.Head().ID
		if id != begun {
			return // what was stored went with its log
		}
		p.observe()
		switch {
		case err == nil:
			for i, fact := range facts {
				at := sequence - uint64(len(facts)-1-i)
				if kept := p.history[id]; at == 0 || at > uint64(len(kept)) || kept[at-1].ID != fact.ID {
					p.t.Fatalf("%s: %s is not at %d", p.name, fact.ID, at)
				}
			}
		case errors.Is(err, log.ErrConflict):
			p.neverStored(id, facts[0].ID)
		case !errors.Is(err, log.ErrUnknown) && !errors.Is(err, ErrNoLeader):
			p.t.Fatalf("%s: %v", p.name, err)
		case errors.Is(err, ErrNoLeader) && p.sent[facts[0].ID] == 1: // else another append of it may be open
			p.neverStored(id, facts[0].ID)
		}
	}
}

// neverStored looks now and at the world's end. What was purged by now nobody can know of: a fact that was stored, and
// appended again after its purge, is refused.
func (p *process) neverStored(id, fact string) {
	first, sent := p.s.Head().First, p.sent[fact]
	look := func() {
		if p.sent[fact] != sent {
			return // it may be stored by a later append
		}
		p.observe()
		for _, entry := range p.history[id] {
			if entry.ID == fact && entry.Sequence >= first {
				p.t.Fatalf("%s: %s was refused and is stored at %d", p.name, fact, entry.Sequence)
			}
		}
	}
	look()
	p.k.At(time.Hour, kernel.Func(look))
}

func (w *world) do(d deed) {
	p := w.procs[d.Client%len(w.procs)]
	wait := time.Duration(d.For) * time.Millisecond
	w.note("%s %s %v", d.Kind, p.name, wait)
	switch d.Kind {
	case "append":
		p.append(wait)
	case "append anew":
		if p.last != nil {
			p.send(*p.last, p.guard, wait)
		}
	case "batch":
		p.batch(wait)
	case "leader gone":
		w.s.LeaderGone(wait)
	case "cut":
		w.s.Cut(p.name)
	case "heal":
		w.s.Heal(p.name)
	case "lag":
		w.s.Lag(p.name, wait)
	case "hang":
		w.s.Hang(p.name, wait)
	case "reset":
		w.s.Reset(p.name)
	case "crash":
		p.client.Close()
		p.start()
	case "purge":
		w.observe()
		head := w.s.Head()
		w.s.Purge(head.First + (head.Last+1-head.First)/2)
	case "lose request":
		w.s.LoseNextRequest()
	case "lose ack":
		w.s.LoseNextAck()
	case "replace":
		w.observe()
		w.s.Replace()
	}
}

func (p plan) run(t *rapid.T) []string {
	k := kernel.New(kernel.NewSeeded(p.Seed))
	w := &world{t: t, k: k, s: New(k), history: map[string][]log.Entry{}, sent: map[string]int{}}
	w.s.Chances, w.s.IDsFirst = p.Chances, p.IDsFirst
	for i := range p.Clients {
		proc := &process{world: w, name: fmt.Sprintf("p%d", i)}
		w.procs = append(w.procs, proc)
		proc.start()
	}
	for _, d := range p.Deeds {
		k.At(time.Duration(d.At)*time.Millisecond, kernel.Func(func() { w.do(d) }))
	}
	for at := p.Pace; at > 0 && at < 9000; at += p.Pace {
		k.At(time.Duration(at)*time.Millisecond, kernel.Func(func() { w.do(deed{at, "append", at / p.Pace, 3000}) }))
	}
	k.RunUntil(10 * time.Second)
	w.note("calm")
	w.s.Calm()
	k.RunUntil(30 * time.Second)
	w.check()
	for k.Step() {
		if k.Now() > 2*time.Hour {
			t.Fatal("the world does not come to rest")
		}
	}
	return w.trace
}

// check is for the time after healing.
func (w *world) check() {
	w.observe()
	stored := w.history[w.s.Head().ID]
	for _, p := range w.procs {
		want := stored[min(p.from, uint64(len(stored))):]
		if !slices.EqualFunc(p.folded, want, sameEntry) {
			w.t.Fatalf("%s folded %d entries after %d, not %d", p.name, len(p.folded), p.from, len(want))
		}
	}
	for id, entries := range w.history {
		seen := map[string]bool{}
		for _, entry := range entries {
			if seen[entry.ID] {
				w.t.Fatalf("%s is stored twice in %s", entry.ID, id)
			}
			seen[entry.ID] = true
		}
	}
}

func sameEntry(a, b log.Entry) bool {
	return a.Sequence == b.Sequence && a.ID == b.ID && a.Time.Equal(b.Time)
}

// Whatever happens, an append that succeeded is stored once, a refused one is not, and when all is well again every
// follower has the log. The same seed gives the same events.
func TestPromisesHoldUnderFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		first := p.run(t)
		if again := p.run(t); !slices.Equal(first, again) {
			t.Fatalf("two runs of one seed differ:\n%q\n%q", first, again)
		}
	})
}
