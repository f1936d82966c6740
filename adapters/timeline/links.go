package timeline

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"viplog/core/event"
	"viplog/core/trace"
)

// linker finds what each record rests on, from the data in records alone: a fact's sequence, an incarnation, an address, or
// that one actor did both at one time.
type linker struct {
	records  []trace.Record
	on       [][]int
	facts    map[uint64]int // records of appended facts, by their places
	votes    map[incarnation][]int
	voted    map[string]incarnation // the last one that was voted against, by its address as the log's entities have it
	stages   map[claim]int          // the last record of a node about an address
	answers  map[answerer]int       // the last announcement
	overlaps map[netip.Addr]int
	instants map[instant][]int
	failures map[incarnation]int // the fact that an incarnation is dead
}

type incarnation struct {
	node netip.Addr
	join uint64
}

type claim struct {
	actor string
	addr  netip.Addr
}

type answerer = claim

type instant struct {
	actor string
	at    time.Duration
}

func (m *model) links() [][]int {
	l := &linker{
		records: m.records, on: make([][]int, len(m.records)),
		facts: map[uint64]int{}, votes: map[incarnation][]int{}, voted: map[string]incarnation{}, stages: map[claim]int{},
		answers: map[answerer]int{}, overlaps: map[netip.Addr]int{}, instants: map[instant][]int{},
		failures: map[incarnation]int{},
	}
	for i, r := range l.records {
		l.restsOnFact(i, r)
		l.restsOnOthers(i, r)
		l.on[i] = append(l.on[i], m.healed[i]...)
		key := instant{r.Actor, r.At}
		l.instants[key] = append(l.instants[key], i)
	}
	for i, all := range l.on {
		slices.Sort(all)
		l.on[i] = slices.Compact(all)
	}
	return l.on
}

func (l *linker) link(i, on int) { l.on[i] = append(l.on[i], on) }

// restsOnFact links what a record says of a fact of the log. That of a death or a vote is where an incarnation joined, which
// is not why it died.
func (l *linker) restsOnFact(i int, r trace.Record) {
	if r.Sequence == 0 {
		return
	}
	switch r.Kind {
	case trace.Appended:
		l.facts[r.Sequence] = i
		entity, failed := strings.CutPrefix(r.Text, "viplog.NodeFailed.v1 failure.")
		if who, known := l.voted[entity]; failed && known {
			for _, vote := range l.votes[who] {
				l.link(i, vote)
			}
			l.failures[who] = i
		}
	case trace.Voted, trace.Dead:
	default:
		if fact, known := l.facts[r.Sequence]; known {
			l.link(i, fact)
		}
	}
}

// restsOnOthers links records with what led to them.
func (l *linker) restsOnOthers(i int, r trace.Record) {
	who := incarnation{r.Address, r.Sequence}
	switch r.Kind {
	case trace.Voted:
		l.votes[who] = append(l.votes[who], i)
		l.voted[event.EscapeToken(r.Address.String())] = who
	case trace.Dead:
		for _, vote := range l.votes[who] {
			l.link(i, vote)
		}
	case trace.Ended:
		l.endsBy(i, r)
	case trace.Probing, trace.Announced, trace.Demoted, trace.Stopped:
		l.stage(i, r)
	case trace.Down, trace.Left:
		l.sameInstant(i, r, trace.Fault, trace.Left)
		l.forget(r.Actor)
	case trace.LeaseLost, trace.Started:
		l.sameInstant(i, r, trace.Fault, trace.Heal)
	case trace.Served:
		if announced, known := l.answers[answerer{r.By, r.Address}]; known {
			l.link(i, announced)
		}
	case trace.Overlap:
		l.overlaps[r.Address] = i
		for _, name := range strings.Split(r.Text, " and ") {
			if announced, known := l.answers[answerer{name, r.Address}]; known {
				l.link(i, announced)
			}
		}
	case trace.Alone:
		if began, known := l.overlaps[r.Address]; known {
			l.link(i, began)
			delete(l.overlaps, r.Address)
		}
	default:
	}
}

// endsBy links the end of an incarnation with the fact that it is dead.
func (l *linker) endsBy(i int, r trace.Record) {
	joined, known := l.facts[r.Sequence]
	if !known {
		return
	}
	_, entity, _ := strings.Cut(l.records[joined].Text, " node.")
	who := l.voted[entity]
	if fact, known := l.failures[who]; known && who.join == r.Sequence {
		l.link(i, fact)
	}
}

// stage links a node's record of an address with the one before, and with what the node learned at that time.
func (l *linker) stage(i int, r trace.Record) {
	key := claim{r.Actor, r.Address}
	if before, known := l.stages[key]; known && r.Kind != trace.Probing {
		l.link(i, before)
	}
	l.stages[key] = i
	switch r.Kind {
	case trace.Announced:
		l.answers[key] = i
		l.sameInstant(i, r, trace.Dead, trace.Leased)
	case trace.Stopped:
		delete(l.stages, key)
		l.sameInstant(i, r, trace.LeaseLost, trace.Ended)
	default:
	}
}

// forget is for a process that has ended: the next one rests on nothing that it did.
func (l *linker) forget(actor string) {
	for key := range l.stages {
		if key.actor == actor {
			delete(l.stages, key)
		}
	}
}

// sameInstant links what one actor did at one time, if it is of these kinds.
func (l *linker) sameInstant(i int, r trace.Record, kinds ...trace.Kind) {
	for _, before := range l.instants[instant{r.Actor, r.At}] {
		if slices.Contains(kinds, l.records[before].Kind) {
			l.link(i, before)
		}
	}
}
