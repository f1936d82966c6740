package explore

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/node"
)

// ownership is a world of nodes, a log and one address. Time stands still: a node holds its lease until it is down, as the
// lemma allows at worst, and a voter may vote against whoever is down. What a node says is known at once, and heard whenever it
// may be: that is every delay, loss and order, since what is heard only ever adds up.
type ownership struct {
	options OwnershipOptions
	log     factLog
	facts   []string // those after the set-up
	nodes   []ownedNode
	said    []lease.Progress // by incarnation
	voted   []lease.Incarnation
	crashes int
}

type ownedNode struct {
	machine  *node.Machine // nil: down
	disk     node.Disk
	now      lease.Instant
	wake     lease.Instant
	boots    int
	answers  bool
	until    lease.Instant
	proposed []event.Event
	heard    []lease.Progress // what of said, and how many votes, it was told
	votes    int
	serial   uint64
}

// OwnershipOptions is the size of a world of ownership.
type OwnershipOptions struct {
	Nodes     int
	Facts     int  // after the set-up
	Crashes   int  // in all
	Snapshots bool // a node may go on from a snapshot
	Leaves    bool // a node may leave
	Repeats   bool // a NodeJoined whose answer was lost may be stored again
}

const ownershipLog = "explored"

var (
	exploredAddress = netip.AddrFrom4([4]byte{192, 0, 2, 1})
	exploredVoter   = func() ed25519.PrivateKey {
		seed := sha256.Sum256([]byte("the voter of explored worlds"))
		return ed25519.NewKeyFromSeed(seed[:])
	}()
	exploredSet    = uint64(3) // the sequence of its VoterAdded
	exploredTiming = lease.Default
)

func exploredNode(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}) }

// Ownership is a world in which never two nodes announce an address, and in which at rest the owner does.
func Ownership(o OwnershipOptions) World {
	w := &ownership{options: o, nodes: make([]ownedNode, o.Nodes), log: newFactLog(ownershipLog)}
	cluster := event.ClusterConfigured{
		Name: "explored", ClusterType: "user", ControlPlaneLBPort: 443, ControlPlaneVIP: netip.AddrFrom4([4]byte{10, 0, 0, 250}),
		ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/20")},
	}
	for i := range o.Nodes {
		cluster.Nodes = append(cluster.Nodes, event.DeclaredNode{Address: exploredNode(i), Role: event.RoleLoadBalancer})
	}
	w.store(cluster)
	w.store(event.PoolAdded{Pool: event.Pool{Name: "pool", Addresses: []string{exploredAddress.String() + "/32"}}})
	w.store(event.VoterAdded{ID: "v", Address: exploredNode(0), Key: exploredVoter.Public().(ed25519.PublicKey)})
	for i := range o.Nodes {
		w.start(i, true)
		w.storeProposal(i)
		w.rest()
	}
	w.store(exploredService())
	w.rest()
	w.facts = nil
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

func exploredService() event.Event {
	return event.ServiceApplied{
		Namespace: "default", Name: "web", Source: "explore", UID: "1", Families: []string{event.FamilyIPv4},
		FamilyPolicy: event.SingleStack, TrafficPolicy: event.TrafficCluster,
	}
}

func (w *ownership) store(e event.Event) {
	w.facts = append(slices.Clip(w.facts), string(w.log.store(e).Data))
}

// start starts a node's process: it folds what the log holds, and is heard.
func (w *ownership) start(i int, boots bool) {
	n := &w.nodes[i]
	if boots {
		n.boots++
	}
	identity := node.Identity{
		Address: exploredNode(i), Name: fmt.Sprint("n", i+1), MachineID: fmt.Sprint("m", i), Rules: ledger.RulesKnown,
		Boot: fmt.Sprint(n.boots), Start: fmt.Sprint("after ", w.log.head()),
	}
	if n.now == 0 {
		n.now = lease.Instant(time.Hour)
	}
	n.machine = node.New(identity, exploredTiming, ownershipLog, n.disk)
	n.machine.VerifyBy(isSignedByExplored)
	n.heard, n.votes, n.proposed = nil, 0, nil
	w.step(i, node.Linked{Interfaces: []event.Interface{{
		Name: "eth0", MAC: fmt.Sprintf("02:00:00:00:00:%02x", i+1), Up: true,
		Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24")},
	}}})
	w.step(i, node.Folded{Entries: w.log.entries})
	w.step(i, node.HeadRead{Last: w.log.head()})
}

// step lets a node's machine do something, and what follows at once: its messages arrive, and it is granted what it asks for
// unless it was voted dead.
func (w *ownership) step(i int, in node.Input) {
	n := &w.nodes[i]
	inputs := []node.Input{in}
	for len(inputs) > 0 {
		ready := n.machine.Step(n.now, inputs[0])
		inputs = inputs[1:]
		n.wake, n.until = ready.Wake, ready.Until
		if ready.Persist != nil {
			n.disk = *ready.Persist
		}
		if slices.Contains(ready.Stop, exploredAddress) {
			n.answers = false
		}
		if slices.ContainsFunc(ready.Start, func(s node.Served) bool { return s.Address == exploredAddress }) {
			n.answers = true
		}
		if ready.Propose != nil {
			n.proposed = ready.Propose
		}
		if ready.Left {
			w.down(i)
			return
		}
		for _, r := range ready.Renewals {
			m := r.Renew
			n.serial++
			answer := lease.Answer{
				Log: ownershipLog, Voter: r.Voter, To: m.From, Serial: n.serial, Number: m.Number, Set: m.Set,
				Granted: m.From.Join > 0 && !slices.Contains(w.voted, m.From),
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
	said := slices.Clone(w.said)
	i, found := slices.BinarySearchFunc(said, m.From, func(p lease.Progress, who lease.Incarnation) int { return p.Who.Compare(who) })
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
	return runs && (n.votes < len(w.voted) || !slices.Equal(n.heard, w.said))
}

// hear tells a node all that the others have said, and the votes.
func (w *ownership) hear(i int) {
	n := &w.nodes[i]
	me, _ := n.machine.Incarnation()
	n.heard, n.votes = w.said, len(w.voted)
	n.serial++
	answer := lease.Answer{Log: ownershipLog, Voter: "v", To: me, Serial: n.serial, Progress: w.said}
	for _, who := range w.voted {
		answer.Votes = append(answer.Votes, lease.Vote{Voter: "v", Set: exploredSet, Dead: who, Signature: signedByExplored(who)})
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

// signedByExplored signs once and remembers it: worlds sign the same votes again and again.
func signedByExplored(who lease.Incarnation) []byte {
	if known, ok := exploredSignatures.Load(who); ok {
		return known.([]byte)
	}
	signature := ed25519.Sign(exploredVoter, event.VoteMessage(ownershipLog, who.Node, who.Join, exploredSet))
	exploredSignatures.Store(who, signature)
	return signature
}

var exploredSignatures sync.Map // by incarnation

// isSignedByExplored compares with what the voter signs; checking the signature costs more than all else.
func isSignedByExplored(v lease.Vote) bool {
	return v.Set == exploredSet && bytes.Equal(v.Signature, signedByExplored(v.Dead))
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
	c.voted = slices.Clip(w.voted)
	c.log = w.log.copied()
	for i := range c.nodes {
		if c.nodes[i].machine != nil {
			c.nodes[i].machine = c.nodes[i].machine.Clone()
		}
	}
	return &c
}

// Canonical implements World. Of the log only what somebody has not folded yet counts, and what the rest adds up to.
func (w *ownership) Canonical() []byte {
	base := w.slowest()
	return lease.Encode(func(c *lease.Canon) {
		describeLedger(c, base)
		for at := base.Sequence(); at < w.log.head(); at++ {
			c.Sequence(at + 1)
			c.Text(w.log.entries[at].Type)
			c.Text(w.log.entries[at].Entity)
			describeFact(c, w.log.events[at])
		}
		c.Number(uint64(len(w.facts)))
		c.Number(uint64(w.crashes))
		for _, p := range w.said {
			c.Incarnation(p.Who)
			c.Sequence(p.Folded)
			c.Sequence(p.Applied)
		}
		for _, who := range w.voted {
			c.Sequence(who.Join)
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
				c.Flag(w.isStored(n.proposed[0]))
			}
			n.machine.Describe(c)
		}
	})
}

// slowest is the ledger of the node that has folded least.
func (w *ownership) slowest() *ledger.State {
	var slowest *ledger.State
	for _, n := range w.nodes {
		if n.machine != nil && (slowest == nil || n.machine.Ledger().Sequence() < slowest.Sequence()) {
			slowest = n.machine.Ledger()
		}
	}
	if slowest == nil {
		return w.log.ledger
	}
	return slowest
}

// describeLedger writes what of a ledger decides what later facts do to the list.
func describeLedger(c *lease.Canon, s *ledger.State) {
	list, version := s.List(exploredAddress)
	c.Sequence(s.Sequence())
	c.Sequence(version)
	c.Number(uint64(len(list)))
	for _, who := range list {
		c.Incarnation(who)
	}
	for _, n := range s.Nodes() {
		c.Flag(n.Joined)
		c.Flag(n.Drained)
		c.Flag(len(s.InterfacesOf(n.Address)) > 0)
		c.Sequence(n.Incarnation)
	}
	for _, who := range s.Live() {
		c.Incarnation(who)
	}
	_, there := s.ServiceSpec(ledger.ServiceKey{Namespace: "default", Name: "web"})
	c.Flag(there)
}

// describeFact writes which incarnation a fact is about, where that is not its own sequence.
func describeFact(c *lease.Canon, e event.Event) {
	switch fact := e.(type) {
	case event.NodeFailed:
		c.Sequence(fact.Incarnation)
	case event.NodeLeft:
		c.Sequence(fact.Incarnation)
	case event.NodeChanged:
		c.Sequence(fact.Incarnation)
		c.Number(uint64(len(fact.Interfaces)))
	}
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
	if announcing > 1 {
		return "two nodes announce the address"
	}
	if atRest && announcing == 0 {
		list, _ := s.List(exploredAddress)
		undecided := func(who lease.Incarnation) bool { return !w.runs(who) && !slices.Contains(w.voted, who) }
		if slices.ContainsFunc(list, w.runs) && !slices.ContainsFunc(s.Live(), undecided) {
			return "nobody announces the address, although everyone has folded and heard everything"
		}
	}
	return ""
}
