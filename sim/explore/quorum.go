package explore

import (
	"slices"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/log"
	"viplog/core/node"
)

// quorum is a world of whole nodes with one address, under leases that real voters grant. Between two steps nothing is on its
// way: a step is a fact, a node's folding, a crash, or that two leases long some of the links between nodes and voters carry
// and the others do not. Voters fold at once, and always hear each other and some node: what they do not hear keeps them from
// voting.
type quorum struct {
	options   QuorumOptions
	now       lease.Instant
	log       factLog
	facts     int // after the set-up
	nodes     []runningNode
	voters    []runningVoter
	crashes   int
	restarts  int
	violation string
	carries   []uint // by node, while time passes: a bit for each voter
	due       []func()
}

// QuorumOptions is the size of a world with voters.
type QuorumOptions struct {
	Nodes    int
	Voters   int
	Facts    int // after the set-up
	Crashes  int // of nodes, in all
	Restarts int // of voters, in all
}

// quorumTiming lets all that waits for a second end with a step.
var quorumTiming = lease.Timing{Heartbeat: 250 * time.Millisecond, Lease: 500 * time.Millisecond}

// Quorum is a world in which never two leased nodes announce the address, no incarnation is leased and proven dead, and at rest
// the first of the list announces.
func Quorum(o QuorumOptions) World {
	w := &quorum{options: o, now: lease.Instant(time.Hour), log: newFactLog(exploredLog), nodes: make([]runningNode, o.Nodes)}
	for i := range o.Voters {
		w.voters = append(w.voters, newRunningVoter(voterName(i)))
		w.startVoter(i)
	}
	w.store(exploredCluster(o.Nodes))
	w.store(exploredPool())
	for i, v := range w.voters {
		w.store(exploredVoter(v.id))
		if i > 0 {
			w.store(event.VotersSettled{Set: w.log.head()})
		}
	}
	all := slices.Repeat([]uint{1<<o.Voters - 1}, o.Nodes)
	for i := range w.nodes {
		w.startNode(i, true)
		w.pass(all)
		w.store(w.nodes[i].proposed[0])
		w.foldAll()
		w.pass(all)
	}
	w.store(exploredService())
	w.foldAll()
	w.pass(all)
	w.pass(all)
	w.facts = 0
	return w
}

func (w *quorum) foldAll() {
	for i := range w.nodes {
		for w.nodes[i].machine != nil && w.folds(i) {
			w.foldNext(i)
		}
	}
}

func (w *quorum) folds(i int) bool { return w.nodes[i].machine.Ledger().Sequence() < w.log.head() }

func (w *quorum) foldNext(i int) {
	at := w.nodes[i].machine.Ledger().Sequence()
	w.tell(i, node.Folded{Entries: w.log.entries[at : at+1]})
}

// store appends a fact, and the voters fold it.
func (w *quorum) store(e event.Event) {
	entry := w.log.store(e)
	w.facts++
	for i := range w.voters {
		w.voterDid(i, w.voters[i].fold(w.now, []log.Entry{entry}))
	}
	w.deliver()
}

func (w *quorum) startVoter(i int) {
	v := &w.voters[i]
	v.start(quorumTiming, w.now, w.restarts)
	w.voterDid(i, v.fold(w.now, w.log.entries))
	w.deliver()
}

func (w *quorum) startNode(i int, boots bool) {
	n := &w.nodes[i]
	if boots {
		n.boots++
	}
	n.start(exploredIdentity(i, n.boots, w.log.head()), quorumTiming)
	w.tell(i, node.Linked{Interfaces: exploredInterfaces(i)})
	w.tell(i, node.Folded{Entries: w.log.entries})
}

// tell gives an input to a node's machine, and delivers what follows at once.
func (w *quorum) tell(i int, in node.Input) {
	w.step(i, in)
	w.deliver()
}

func (w *quorum) step(i int, in node.Input) {
	n := &w.nodes[i]
	if n.machine == nil {
		return
	}
	ready := n.step(w.now, in)
	for _, r := range ready.Renewals {
		if v, carries := w.link(i, r.Voter); carries {
			w.due = append(w.due, func() { w.voterDid(v, w.voters[v].machine.Renewed(w.now, r.Renew)) })
		}
	}
	for _, r := range ready.Resigns {
		for v := range w.voters {
			if _, carries := w.link(i, w.voters[v].id); carries {
				w.due = append(w.due, func() { w.voterDid(v, w.voters[v].machine.Resigned(w.now, r)) })
			}
		}
	}
	if ready.ReadHead {
		w.due = append(w.due, func() { w.step(i, node.HeadRead{Last: w.log.head()}) })
	}
}

func (w *quorum) link(node int, voter string) (v int, carries bool) {
	v = int(voter[0] - 'A')
	return v, w.carries != nil && w.carries[node]>>v&1 == 1
}

func (w *quorum) voterDid(v int, ready lease.VoterReady) {
	voter := &w.voters[v]
	voter.wake = ready.Wake
	for _, a := range ready.Answers {
		for i := range w.nodes {
			if _, carries := w.link(i, voter.id); carries && exploredNode(i) == a.To.Node {
				w.due = append(w.due, func() { w.step(i, node.Answered{Answer: a}) })
			}
		}
	}
	if ready.Word != nil {
		for other := range w.voters {
			if other != v {
				w.due = append(w.due, func() { w.voterDid(other, w.voters[other].machine.Heard(w.now, *ready.Word)) })
			}
		}
	}
	if ready.Persist != nil {
		voter.disk = *ready.Persist
		w.voterDid(v, voter.machine.Persisted(w.now, voter.disk))
	}
}

// deliver lets everything that is on its way arrive.
func (w *quorum) deliver() {
	w.check()
	for len(w.due) > 0 {
		next := w.due[0]
		w.due = w.due[1:]
		next()
		w.check()
	}
	w.due = nil
}

// pass lets two leases pass while links carry.
func (w *quorum) pass(links []uint) {
	w.carries = links
	for end := w.now.Add(2 * quorumTiming.Lease); w.now < end; {
		next := end
		for _, v := range w.voters {
			next = min(next, v.wake)
		}
		for _, n := range w.nodes {
			if n.machine != nil {
				next = min(next, n.wake)
			}
		}
		w.now = max(next, w.now+1)
		for i := range w.voters {
			v := &w.voters[i]
			other := lease.Renew{Log: exploredLog, From: lease.Incarnation{Node: exploredNode(8)}}
			w.voterDid(i, v.machine.Renewed(w.now, other))
			if v.wake <= w.now {
				w.voterDid(i, v.machine.Wake(w.now))
			}
		}
		w.deliver()
		for i := range w.nodes {
			if w.nodes[i].machine != nil && (w.nodes[i].wake <= w.now || w.now == end) {
				w.tell(i, node.Woken{})
			}
		}
	}
	w.carries = nil
}

// check looks for what must never be.
func (w *quorum) check() {
	announcing := 0
	for _, n := range w.nodes {
		if n.machine == nil || n.machine.LeasedUntil() <= w.now {
			continue
		}
		if n.answers && n.until > w.now {
			announcing++
		}
		if me, runs := n.machine.Incarnation(); runs && w.isProvenDead(me) {
			w.violation = "an incarnation is leased and proven dead"
		}
	}
	if announcing > 1 {
		w.violation = "two nodes announce the address"
	}
}

func (w *quorum) isProvenDead(who lease.Incarnation) bool {
	votes := 0
	for _, v := range w.voters {
		if slices.Contains(v.disk.Dead, who) {
			votes++
		}
	}
	return 2*votes > len(w.voters)
}

func (w *quorum) clone() *quorum {
	c := *w
	c.nodes, c.voters = slices.Clone(w.nodes), slices.Clone(w.voters)
	for i := range c.nodes {
		c.nodes[i].shared = true
	}
	for i := range c.voters {
		c.voters[i] = c.voters[i].copied()
	}
	return &c
}

// Describe implements World.
func (w *quorum) Describe(c *lease.Canon) {
	base := w.log.total
	for i := range w.nodes {
		if m := w.nodes[i].machine; m != nil && m.Ledger().Sequence() < base.ledger.Sequence() {
			base = m.total
		}
	}
	w.log.describe(c, base)
	c.Number(uint64(w.facts))
	c.Number(uint64(w.crashes))
	c.Number(uint64(w.restarts))
	for _, v := range w.voters {
		v.machine.Describe(c, w.now)
	}
	for i := range w.nodes {
		n := &w.nodes[i]
		if n.describe(c, &w.log); n.machine != nil {
			n.machine.DescribeLease(c)
		}
	}
}

// Violation implements World.
func (w *quorum) Violation() string { return w.violation }
