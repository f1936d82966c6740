package explore

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
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
	nodes     []leasedNode
	voters    []runningVoter
	crashes   int
	restarts  int
	violation string
	carries   []uint // by node, while time passes: a bit for each voter
	due       []func()
}

type leasedNode struct {
	machine  *node.Machine // nil: down
	disk     node.Disk
	wake     lease.Instant
	until    lease.Instant
	boots    int
	answers  bool
	proposed []event.Event
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
	w := &quorum{options: o, now: lease.Instant(time.Hour), log: newFactLog(exploredLog), nodes: make([]leasedNode, o.Nodes)}
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
		w.voterDid(i, w.voters[i].machine.Folded(w.now, []log.Entry{entry}))
	}
	w.deliver()
}

func (w *quorum) startVoter(i int) {
	v := &w.voters[i]
	v.start(quorumTiming, w.now, w.restarts)
	w.voterDid(i, v.machine.Folded(w.now, w.log.entries))
	w.deliver()
}

func (w *quorum) startNode(i int, boots bool) {
	n := &w.nodes[i]
	if boots {
		n.boots++
	}
	n.machine = node.New(exploredIdentity(i, n.boots, w.log.head()), quorumTiming, exploredLog, n.disk)
	n.machine.VerifyBy(isSignedVote)
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
	ready := n.machine.Step(w.now, in)
	n.wake, n.until = ready.Wake, ready.Until
	if ready.Persist != nil {
		n.disk = *ready.Persist
	}
	n.answers = answersAfter(n.answers, ready)
	if ready.Propose != nil {
		n.proposed = ready.Propose
	}
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
	if ready.Persist != nil {
		voter.disk = *ready.Persist
	}
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
	c.nodes, c.voters, c.log = slices.Clone(w.nodes), slices.Clone(w.voters), w.log.copied()
	for i := range c.nodes {
		if c.nodes[i].machine != nil {
			c.nodes[i].machine = c.nodes[i].machine.Clone()
		}
	}
	for i := range c.voters {
		c.voters[i].machine = c.voters[i].machine.Clone()
	}
	return &c
}

// Steps implements World.
func (w *quorum) Steps() (steps []Step) {
	add := func(name string, do func(*quorum)) {
		steps = append(steps, Step{name, func() World {
			next := w.clone()
			do(next)
			return next
		}})
	}
	room := w.facts < w.options.Facts
	for i := range w.nodes {
		n, name := &w.nodes[i], fmt.Sprint("n", i+1)
		if n.machine == nil {
			add(name+" boots", func(w *quorum) { w.startNode(i, true) })
			continue
		}
		if w.folds(i) {
			add(fmt.Sprintf("%s folds %d", name, n.machine.Ledger().Sequence()+1), func(w *quorum) { w.foldNext(i) })
		}
		if len(n.proposed) > 0 && room && !w.log.holds(n.proposed[0]) {
			add("the log stores "+event.TypeOf(n.proposed[0])+" of "+name, func(w *quorum) { w.store(n.proposed[0]) })
		}
		if w.crashes < w.options.Crashes {
			w.addCrashes(add, i, name)
		}
	}
	for i, v := range w.voters {
		if w.restarts < w.options.Restarts {
			add(v.id+" restarts", func(w *quorum) {
				w.restarts++
				w.startVoter(i)
			})
		}
	}
	if room {
		for _, e := range w.operators() {
			add("the log stores "+event.TypeOf(e), func(w *quorum) { w.store(e) })
		}
	}
	w.addPeriods(add)
	return steps
}

func (w *quorum) addCrashes(add func(string, func(*quorum)), i int, name string) {
	crash := func(what string, then func(*quorum)) {
		add(name+what, func(w *quorum) {
			n := &w.nodes[i]
			w.crashes++
			n.machine, n.answers, n.proposed, n.wake = nil, false, nil, lease.Never
			then(w)
		})
	}
	crash(" loses power", func(*quorum) {})
	crash("'s agent crashes and restarts", func(w *quorum) { w.startNode(i, false) })
}

// operators are the facts that operators and controllers may append.
func (w *quorum) operators() (all []event.Event) {
	s := w.log.ledger
	for _, n := range s.Nodes() {
		switch {
		case !n.Joined:
		case n.Drained:
			all = append(all, event.NodeUndrained{Address: n.Address})
		default:
			all = append(all, event.NodeDrained{Address: n.Address})
		}
	}
	for _, who := range s.Live() {
		if w.isProvenDead(who) {
			set, version := s.Voters()
			failed := event.NodeFailed{Address: who.Node, Incarnation: who.Join, Set: version}
			for _, v := range set {
				if i := int(v.ID[0] - 'A'); slices.Contains(w.voters[i].disk.Dead, who) {
					failed.Votes = append(failed.Votes, event.Vote{Voter: v.ID, Signature: signedVote(v.ID, who, version)})
				}
			}
			all = append(all, failed)
		}
	}
	return append(all, w.log.toggleService())
}

// carrying are the links that may carry at one node: to none of the voters, the first of them, the first two and so on; or at
// every other node the last ones. Which voters they are does not matter otherwise, so that this is every choice for two nodes
// whose sets overlap as little or as much as they can.
func (w *quorum) carrying(i int) (choices []uint) {
	all := uint(1)<<len(w.voters) - 1
	for n := range len(w.voters) + 1 {
		first := uint(1)<<n - 1
		if i%2 == 1 {
			first = all &^ (all >> n)
		}
		choices = append(choices, first)
	}
	return choices
}

// addPeriods lets time pass with every choice of links.
func (w *quorum) addPeriods(add func(string, func(*quorum))) {
	choices := [][]uint{{}}
	for i, n := range w.nodes {
		var longer [][]uint
		for _, links := range choices {
			for _, carry := range w.carrying(i) {
				if n.machine != nil || carry == 0 {
					longer = append(longer, append(slices.Clone(links), carry))
				}
			}
		}
		choices = longer
	}
	for _, links := range choices {
		var name []string
		for i, carry := range links {
			who := ""
			for v := range w.voters {
				if carry>>v&1 == 1 {
					who += w.voters[v].id
				}
			}
			name = append(name, fmt.Sprintf("n%d and %q", i+1, who))
		}
		add("two leases long only "+strings.Join(name, ", ")+" hear each other", func(w *quorum) {
			w.pass(links)
			w.checkRest(links)
		})
	}
}

// checkRest tells whether the first of the list announces, when there is nothing left to do and all links carried.
func (w *quorum) checkRest(links []uint) {
	list, _ := w.log.ledger.List(exploredAddress)
	for i, n := range w.nodes {
		if links[i] != 1<<len(w.voters)-1 || n.machine == nil || w.folds(i) || n.machine.IsWaiting() {
			return
		}
		if _, runs := n.machine.Incarnation(); !runs {
			return
		}
	}
	for _, who := range w.log.ledger.Live() {
		if !slices.ContainsFunc(w.nodes, func(n leasedNode) bool { me, _ := n.machine.Incarnation(); return me == who }) {
			return // one that is gone, and not dead yet
		}
	}
	for i, n := range w.nodes {
		me, _ := n.machine.Incarnation()
		if first := len(list) > 0 && list[0] == me; first != n.answers {
			w.violation = fmt.Sprintf("at rest n%d is first: %t, and announces: %t", i+1, first, n.answers)
		}
	}
}

// Canonical implements World.
func (w *quorum) Canonical() []byte {
	base := w.log.ledger
	for _, n := range w.nodes {
		if n.machine != nil && n.machine.Ledger().Sequence() < base.Sequence() {
			base = n.machine.Ledger()
		}
	}
	return lease.Encode(func(c *lease.Canon) {
		w.log.describe(c, base)
		c.Number(uint64(w.facts))
		c.Number(uint64(w.crashes))
		c.Number(uint64(w.restarts))
		for _, v := range w.voters {
			v.machine.Describe(c, w.now)
		}
		for _, n := range w.nodes {
			c.Flag(n.machine != nil)
			c.Number(uint64(len(n.disk.Incarnations)))
			for _, who := range n.disk.Incarnations {
				c.Sequence(who.Join)
			}
			if n.machine == nil {
				continue
			}
			c.Flag(n.answers)
			c.Number(uint64(len(n.proposed)))
			if len(n.proposed) > 0 {
				c.Flag(w.log.holds(n.proposed[0]))
			}
			n.machine.Describe(c)
			n.machine.DescribeLease(c)
		}
	})
}

// Violation implements World.
func (w *quorum) Violation() string { return w.violation }

// answersAfter tells whether a node's responder answers for the address when it has done what its machine said.
func answersAfter(answered bool, ready node.Ready) bool {
	if slices.Contains(ready.Stop, exploredAddress) {
		answered = false
	}
	return answered || slices.ContainsFunc(ready.Start, func(s node.Served) bool { return s.Address == exploredAddress })
}

func exploredInterfaces(i int) []event.Interface {
	return []event.Interface{{
		Name: "eth0", MAC: fmt.Sprintf("02:00:00:00:00:%02x", i+1), Up: true,
		Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24")},
	}}
}
