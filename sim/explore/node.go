package explore

import (
	"fmt"
	"net/netip"
	"slices"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/node"
)

// runningNode is a node's process, its responder and its disk.
type runningNode struct {
	machine  *process // nil: down
	shared   bool     // other worlds have the same process
	folds    bool     // else other processes have its ledger
	disk     node.Disk
	wake     lease.Instant
	until    lease.Instant // the responder answers till then
	boots    int
	answers  bool
	proposed []event.Event
	record   event.Record // of the first that is proposed
}

// perform does what of Ready concerns the node alone.
func (n *runningNode) perform(ready node.Ready) node.Ready {
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
		n.proposed, n.record = ready.Propose, event.Record{}
		if len(n.proposed) > 0 {
			n.record = encoded(n.proposed[0])
		}
	}
	return ready
}

// start starts the process.
func (n *runningNode) start(identity node.Identity, timing lease.Timing) {
	n.machine, n.shared, n.folds = newProcess(identity, timing, n.disk), false, true
}

// step lets a node's machine do something. Before that it becomes the node's own; its ledger does if it may be written to.
func (n *runningNode) step(now lease.Instant, in node.Input) node.Ready {
	folds := n.machine.mayWriteLedger(in)
	if n.shared || folds && !n.folds {
		n.machine, n.shared, n.folds = n.machine.copied(folds), false, folds
	}
	return n.perform(n.machine.step(now, in))
}

// describe writes how it goes on, but how its lease stands in time.
func (n *runningNode) describe(c *lease.Canon, l *factLog) {
	c.Flag(n.machine != nil)
	c.Number(uint64(len(n.disk.Incarnations)))
	for _, who := range n.disk.Incarnations {
		c.Sequence(who.Join)
	}
	if n.machine == nil {
		return
	}
	c.Flag(n.answers)
	c.Number(uint64(len(n.proposed)))
	if len(n.proposed) > 0 {
		c.Flag(l.holds(n.record))
	}
	c.Part(n.machine.described(c))
}

// exploredIdentity is that of a node's process which starts when the log holds so many facts.
func exploredIdentity(i, boots int, head uint64) node.Identity {
	return node.Identity{
		Address: exploredNode(i), Name: fmt.Sprint("n", i+1), MachineID: fmt.Sprint("m", i), Rules: ledger.RulesKnown,
		Boot: fmt.Sprint(boots), Start: fmt.Sprint("after ", head),
	}
}

func exploredInterfaces(i int) []event.Interface {
	return []event.Interface{{
		Name: "eth0", MAC: fmt.Sprintf("02:00:00:00:00:%02x", i+1), Up: true,
		Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24")},
	}}
}
