package explore

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
)

// ModelStep is a step of a world of ownership in the terms of a model that knows nothing of the production code: what it does there,
// and what the production machines do then.
type ModelStep struct {
	Name string   `json:"name"` // as Steps gives it
	Acts []string `json:"acts"` // see modelled

	Announces []bool `json:"announces"` // by node: under its lease
	Might     []bool `json:"might"`     // by node: it would, having heard all that is said and waited for a second; or it leaves
}

// WalkModel takes steps at random in a world of ownership, and says what they are in the model. It ends when the model's log
// is full.
func WalkModel(o OwnershipOptions, seed uint64, steps, slots int) (walk []ModelStep) {
	w := Ownership(o).(*ownership)
	m := modelled{
		slots: map[uint64]int{}, joins: map[uint64]int{}, votes: map[lease.Incarnation]int{},
		running: make([]lease.Incarnation, o.Nodes), applied: make([]uint64, o.Nodes),
	}
	m.follow(w, "")
	walk = append(walk, m.step("set-up", w))
	choose := rand.New(rand.NewPCG(seed, 0))
	for range steps {
		choices := w.Steps()
		if len(choices) == 0 {
			break
		}
		choice := choices[choose.IntN(len(choices))]
		w = choice.Do().(*ownership)
		m.follow(w, choice.Name)
		if m.last > slots {
			break
		}
		walk = append(walk, m.step(choice.Name, w))
	}
	return walk
}

// modelled is what of a world the model was told. Its log knows joins, failures, leavings and lists of nodes, each in a slot that counts
// from 1; an incarnation is the slot of its join. These are the acts:
//
//	append join NODE, append fail INCARNATION, append left INCARNATION, append list NODE,NODE…
//	start NODE INCARNATION SLOT   its process runs, and knows of no list before the slot
//	jump NODE SLOT                it goes on from a snapshot
//	apply NODE SLOT               it has acted upon the log up to the slot
//	crash NODE                    it acts no more
//	vote VOTER INCARNATION 0      its promise is over then
//	refuse INCARNATION            all promises to it are over
type modelled struct {
	acts    []string
	logged  uint64         // facts that the model knows
	slots   map[uint64]int // by sequence: the last one that the facts up to it take
	joins   map[uint64]int // by sequence: the slot of a join
	last    int
	list    []lease.Incarnation
	running []lease.Incarnation // by node; the zero one if none acts
	applied []uint64            // by node
	votes   map[lease.Incarnation]int
}

func (m *modelled) act(format string, args ...any) {
	m.acts = append(m.acts, fmt.Sprintf(format, args...))
}

func (m *modelled) step(name string, w *ownership) ModelStep {
	s := ModelStep{Name: name, Acts: m.acts}
	for i := range w.nodes {
		s.Announces = append(s.Announces, w.announces(i))
		s.Might = append(s.Might, w.might(i))
	}
	m.acts = nil
	return s
}

// follow tells the model what has happened since it was told last.
func (m *modelled) follow(w *ownership, name string) {
	runs := make([]lease.Incarnation, len(w.nodes))
	for i, n := range w.nodes {
		if n.machine == nil || n.machine.IsLeaving() && n.until <= n.now {
			continue
		}
		if me, running := n.machine.Incarnation(); running {
			runs[i] = me
		}
	}
	for i, was := range m.running {
		if was.Join > 0 && (runs[i] != was || strings.HasPrefix(name, fmt.Sprintf("n%d's agent crashes", i+1))) {
			m.apply(w, i, was) // one that leaves says how far it came, and is gone
			m.act("crash %d", i)
			m.running[i] = lease.Incarnation{}
		}
	}
	for _, b := range w.ballots {
		for v := m.votes[b.who]; v < b.votes; v++ {
			if v+1 == w.majority() {
				m.act("refuse %d", m.joins[b.who.Join])
			}
			m.act("vote %d %d 0", v, m.joins[b.who.Join])
		}
		m.votes[b.who] = b.votes
	}
	for ; m.logged < w.log.head(); m.logged++ {
		m.append(w)
	}
	for i, now := range runs {
		n := w.nodes[i]
		switch {
		case now.Join == 0:
			continue
		case m.running[i] != now:
			m.running[i], m.applied[i] = now, n.machine.Ledger().Sequence()
			m.act("start %d %d %d", i, m.joins[now.Join], m.slots[m.applied[i]])
		case strings.HasPrefix(name, fmt.Sprintf("n%d goes on from a snapshot", i+1)):
			m.applied[i] = n.machine.Ledger().Sequence()
			m.act("jump %d %d", i, m.slots[m.applied[i]])
		}
		m.apply(w, i, now)
	}
}

// apply tells how far a node's incarnation has said to have acted.
func (m *modelled) apply(w *ownership, i int, who lease.Incarnation) {
	if at := w.saidBy(who).Applied; at > m.applied[i] {
		m.applied[i] = at
		m.act("apply %d %d", i, m.slots[at])
	}
}

// append tells the model the next fact. What it does to the list beyond what the model does of itself is a list that follows.
func (m *modelled) append(w *ownership) {
	sequence := m.logged + 1
	slot := func(format string, args ...any) {
		m.last++
		m.act("append "+format, args...)
	}
	switch fact := w.log.events[m.logged].(type) {
	case event.NodeJoined:
		before := len(m.list)
		m.list = slices.DeleteFunc(slices.Clone(m.list), func(who lease.Incarnation) bool { return who.Node == fact.Address })
		if len(m.list) < before { // in the model a join puts the new incarnation in the place of the old one
			slot("list %s", nodesOf(m.list))
		}
		slot("join %d", nodeNumber(fact.Address))
		m.joins[sequence] = m.last
	case event.NodeFailed:
		slot("fail %d", m.joins[fact.Incarnation])
		m.out(fact.Incarnation)
	case event.NodeLeft:
		slot("left %d", m.joins[fact.Incarnation])
		m.out(fact.Incarnation)
	}
	if list := w.listAfter(sequence); !slices.Equal(list, m.list) || m.last == m.slots[m.logged] { // each fact takes a slot
		m.list = list
		slot("list %s", nodesOf(list))
	}
	m.slots[sequence] = m.last
}

func (m *modelled) out(join uint64) {
	m.list = slices.DeleteFunc(slices.Clone(m.list), func(who lease.Incarnation) bool { return who.Join == join })
}

func nodesOf(list []lease.Incarnation) string {
	var nodes []string
	for _, who := range list {
		nodes = append(nodes, fmt.Sprint(nodeNumber(who.Node)))
	}
	return strings.Join(nodes, ",")
}

func nodeNumber(a netip.Addr) int { return int(a.As4()[3]) - 1 }

// listAfter is the list of the address when a fact has been applied.
func (w *ownership) listAfter(sequence uint64) []lease.Incarnation {
	s := ledger.New(exploredLog)
	for _, e := range w.log.entries[:sequence] {
		s.ApplyEntry(e)
	}
	list, _ := s.List(exploredAddress)
	return slices.Clone(list)
}

func (w *ownership) saidBy(who lease.Incarnation) lease.Progress {
	for _, p := range w.said {
		if p.Who == who {
			return p
		}
	}
	return lease.Progress{}
}

func (w *ownership) announces(i int) bool {
	n := w.nodes[i]
	return n.machine != nil && n.answers && n.until > n.now && n.machine.LeasedUntil() > n.now
}

// might tells whether a node would announce, having heard all that is said and waited. One that leaves need not.
func (w *ownership) might(i int) bool {
	c := w.clone()
	if m := c.nodes[i].machine; m != nil && m.IsLeaving() {
		return true
	}
	for range 4 {
		if c.nodes[i].machine == nil {
			return false
		}
		if c.hasNews(i) {
			c.hear(i)
		}
		if c.nodes[i].machine != nil && c.nodes[i].machine.IsWaiting() && !c.nodes[i].machine.IsHandingOver() {
			c.wait(i)
		}
	}
	return c.announces(i)
}
