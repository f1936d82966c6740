package explore

import (
	"slices"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/node"
)

// ownership is a world of nodes, a log and one address. Time stands still: a node holds its lease until it is down or most
// voters have voted against it, as the lemma allows at worst. What a node says is known at once, and heard whenever it may be:
// that is every delay, loss and order, since what is heard only ever adds up.
type ownership struct {
	options OwnershipOptions
	log     factLog
	facts   int // after the set-up
	nodes   []ownedNode
	said    []lease.Progress // by incarnation
	ballots []ballot
	refused lease.Incarnation // whom nobody grants anything just now
	crashes int
}

// ballot is how many have voted against an incarnation. Which ones they are does not matter: votes are counted by incarnation.
type ballot struct {
	who   lease.Incarnation
	votes int
}

type ownedNode struct {
	runningNode
	now    lease.Instant
	heard  []lease.Progress // what of said, and how many votes, it was told
	votes  int
	serial uint64
}

// OwnershipOptions is the size of a world of ownership.
type OwnershipOptions struct {
	Nodes     int
	Voters    int  // at least 1
	Facts     int  // after the set-up
	Crashes   int  // in all
	Snapshots bool // a node may go on from a snapshot
	Leaves    bool // a node may leave
	Repeats   bool // a NodeJoined whose answer was lost may be stored again
}

// Ownership is a world in which never two nodes announce an address, and in which at rest the owner does.
func Ownership(o OwnershipOptions) World {
	w := &ownership{options: o, nodes: make([]ownedNode, o.Nodes), log: newFactLog(exploredLog)}
	w.store(exploredCluster(o.Nodes))
	w.store(exploredPool())
	for i := range o.Voters {
		w.store(exploredVoter(voterName(i)))
		if i > 0 {
			w.store(event.VotersSettled{Set: w.log.head()})
		}
	}
	for i := range o.Nodes {
		w.start(i, true)
		w.storeProposal(i)
		w.rest()
	}
	w.store(exploredService())
	w.rest()
	w.facts = 0
	return w
}

// rest lets everyone fold, hear and wait until nothing is left to do.
func (w *ownership) rest() {
	for range 100 {
		idle := true
		for i := range w.nodes {
			n := &w.nodes[i]
			switch {
			case n.machine == nil:
			case w.folds(i):
				w.foldNext(i)
				idle = false
			case w.hasNews(i):
				w.hear(i)
				idle = false
			case n.machine.IsWaiting():
				w.wait(i)
				idle = false
			}
		}
		if idle {
			return
		}
	}
	panic("explore: the set-up does not come to rest")
}

func (w *ownership) store(e event.Event) {
	w.log.store(e)
	w.facts++
}

// start starts a node's process: it folds what the log holds, and is heard.
func (w *ownership) start(i int, boots bool) {
	n := &w.nodes[i]
	if boots {
		n.boots++
	}
	if n.now == 0 {
		n.now = lease.Instant(time.Hour)
	}
	n.start(exploredIdentity(i, n.boots, w.log.head()), lease.Default)
	n.heard, n.votes, n.proposed = nil, 0, nil
	w.step(i, node.Linked{Interfaces: exploredInterfaces(i)})
	w.step(i, node.Folded{Entries: w.log.entries})
	w.step(i, node.HeadRead{Last: w.log.head()})
}

// step lets a node's machine do something, and what follows at once: its messages arrive, and it is granted what it asks for
// unless it was voted dead.
func (w *ownership) step(i int, in node.Input) {
	n := &w.nodes[i]
	inputs := []node.Input{in}
	for len(inputs) > 0 {
		ready := n.step(n.now, inputs[0])
		inputs = inputs[1:]
		if ready.ReadHead {
			inputs = append(inputs, node.HeadRead{Last: w.log.head()})
		}
		if ready.Left {
			w.down(i)
			return
		}
		for _, r := range ready.Renewals {
			m := r.Renew
			n.serial++
			answer := lease.Answer{
				Log: exploredLog, Voter: r.Voter, To: m.From, Serial: n.serial, Number: m.Number, Set: m.Set,
				Granted: m.From.Join > 0 && w.grants(r.Voter, m.From),
			}
			w.says(m)
			inputs = append(inputs, node.Answered{Answer: answer})
		}
	}
}

func (w *ownership) says(m lease.Renew) {
	if m.From.Join == 0 {
		return
	}
	i, found := slices.BinarySearchFunc(w.said, m.From, func(p lease.Progress, who lease.Incarnation) int { return p.Who.Compare(who) })
	if found && m.Folded <= w.said[i].Folded && m.Applied <= w.said[i].Applied {
		return
	}
	said := slices.Clone(w.said)
	if !found {
		said = slices.Insert(said, i, lease.Progress{Who: m.From})
	}
	said[i].Folded, said[i].Applied = max(said[i].Folded, m.Folded), max(said[i].Applied, m.Applied)
	w.said = said
}

func (w *ownership) down(i int) {
	n := &w.nodes[i]
	n.machine, n.answers, n.proposed, n.heard, n.votes = nil, false, nil, nil, 0
}

func (w *ownership) folds(i int) bool { return w.nodes[i].machine.Ledger().Sequence() < w.log.head() }

func (w *ownership) foldNext(i int) {
	at := w.nodes[i].machine.Ledger().Sequence()
	w.step(i, node.Folded{Entries: w.log.entries[at : at+1]})
}

func (w *ownership) hasNews(i int) bool {
	n := &w.nodes[i]
	_, runs := n.machine.Incarnation()
	return runs && (n.votes < w.votes() || !slices.Equal(n.heard, w.said))
}

// hear tells a node all that the others have said, and the votes.
func (w *ownership) hear(i int) {
	n := &w.nodes[i]
	me, _ := n.machine.Incarnation()
	n.heard, n.votes = w.said, w.votes()
	n.serial++
	answer := lease.Answer{Log: exploredLog, Voter: voterName(0), To: me, Serial: n.serial, Progress: w.said}
	for _, b := range w.ballots {
		answer.Votes = append(answer.Votes, w.signed(b)...)
	}
	w.step(i, node.Answered{Answer: answer})
}

// hearAtOnce lets every node hear what there is, but those that hand the address over: hearing can only let a node announce
// that may not yet, and end a hand-over. So a node that hears later, or in parts, announces no more than this one.
func (w *ownership) hearAtOnce() {
	for again := true; again; {
		again = false
		for i := range w.nodes {
			if w.nodes[i].machine != nil && w.hasNews(i) && !w.nodes[i].machine.IsHandingOver() {
				w.hear(i)
				again = true
			}
		}
	}
}

// votesOn counts the votes against an incarnation: those of A, of A and B, and so on.
func (w *ownership) votesOn(who lease.Incarnation) int {
	for _, b := range w.ballots {
		if b.who == who {
			return b.votes
		}
	}
	return 0
}

func (w *ownership) votes() (all int) {
	for _, b := range w.ballots {
		all += b.votes
	}
	return all
}

func (w *ownership) majority() int { return w.options.Voters/2 + 1 }

func (w *ownership) isDead(who lease.Incarnation) bool { return w.votesOn(who) >= w.majority() }

func (w *ownership) grants(voter string, who lease.Incarnation) bool {
	return who != w.refused && int(voter[0]-'A') >= w.votesOn(who)
}

func (w *ownership) vote(who lease.Incarnation, votes int) {
	w.ballots = slices.Clone(w.ballots) // other worlds share them
	for i, b := range w.ballots {
		if b.who == who {
			w.ballots[i].votes = votes
			return
		}
	}
	w.ballots = append(w.ballots, ballot{who, votes})
}

// signed are the votes of a ballot.
func (w *ownership) signed(b ballot) (all []lease.Vote) {
	_, set := w.log.ledger().Voters()
	for i := range b.votes {
		voter := voterName(i)
		all = append(all, lease.Vote{Voter: voter, Set: set, Dead: b.who, Signature: signedVote(voter, b.who, set)})
	}
	return all
}

// refuse lets an incarnation lose its lease: all voters refuse it for as long as that takes.
func (w *ownership) refuse(i int, who lease.Incarnation) {
	n := &w.nodes[i]
	w.refused = who
	for n.machine != nil && n.machine.LeasedUntil() > n.now {
		n.now = max(n.wake, n.now)
		w.step(i, node.Woken{})
	}
	w.refused = lease.Incarnation{}
}

// wait lets a second pass at a node: what it waits for by time alone is over then.
func (w *ownership) wait(i int) {
	n := &w.nodes[i]
	for end := n.now.Add(1100 * time.Millisecond); n.machine != nil && n.now < end; {
		n.now = max(min(n.wake, end), n.now)
		w.step(i, node.Woken{})
	}
}

func (w *ownership) storeProposal(i int) {
	w.store(w.nodes[i].proposed[0])
}

func (w *ownership) clone() *ownership {
	c := *w
	c.nodes = slices.Clone(w.nodes)
	for i := range c.nodes {
		c.nodes[i].shared = true
	}
	return &c
}

// Describe implements World. Of the log only what somebody has not folded yet counts, and what the rest adds up to.
func (w *ownership) Describe(c *lease.Canon) {
	if slowest := w.slowest(); slowest != nil {
		w.log.describe(c, slowest.total)
	} else {
		w.log.describe(c, w.log.total)
	}
	c.Number(uint64(w.facts))
	c.Number(uint64(w.crashes))
	for _, p := range w.said {
		c.Incarnation(p.Who)
		c.Sequence(p.Folded)
		c.Sequence(p.Applied)
	}
	for _, b := range w.ballots {
		c.Sequence(b.who.Join)
		c.Number(uint64(b.votes))
	}
	for i := range w.nodes {
		w.nodes[i].describe(c, &w.log)
	}
}

// slowest is the node's process that has folded least; nil if none runs.
func (w *ownership) slowest() *process {
	var slowest *process
	for i := range w.nodes {
		m := w.nodes[i].machine
		if m != nil && (slowest == nil || m.Ledger().Sequence() < slowest.Ledger().Sequence()) {
			slowest = m
		}
	}
	return slowest
}

// Violation implements World.
func (w *ownership) Violation() string {
	announcing, atRest, s := 0, true, (*ledger.State)(nil)
	for i, n := range w.nodes {
		if n.machine == nil {
			continue
		}
		if n.answers && n.until > n.now && n.machine.LeasedUntil() > n.now {
			announcing++
		}
		_, runs := n.machine.Incarnation()
		atRest = atRest && (runs || len(n.proposed) > 0) && !w.folds(i) && !w.hasNews(i) && !n.machine.IsWaiting() && !n.machine.IsLeaving()
		s = n.machine.Ledger()
	}
	atRest = atRest && s != nil
	for i, n := range w.nodes {
		if w.announces(i) && n.until > n.machine.LeasedUntil() {
			return "a responder may answer beyond its node's lease"
		}
	}
	if announcing > 1 {
		return "two nodes announce the address"
	}
	if atRest && announcing == 0 {
		list, _ := s.List(exploredAddress)
		undecided := func(who lease.Incarnation) bool { return !w.runs(who) && !w.isDead(who) }
		if slices.ContainsFunc(list, w.runs) && !slices.ContainsFunc(s.Live(), undecided) {
			return "nobody announces the address, although everyone has folded and heard everything"
		}
	}
	return ""
}
