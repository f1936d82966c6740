package explore

import (
	"sync"
	"sync/atomic"

	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/node"
)

// Most of a world is as it was in the world before, and in others that came of that one. Worlds share it, and copy what they
// are to change. Copying writes to what is copied, hence the locks.

// total is a ledger that several worlds share.
type total struct {
	ledger *ledger.State
	lock   sync.Mutex
	part   remembered
}

func (t *total) copied() *ledger.State {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.ledger.Clone()
}

func (t *total) described(c *lease.Canon) *lease.Part {
	return t.part.get(c, func(c *lease.Canon) { describeLedger(c, t.ledger) })
}

// process is a node's machine. Several worlds may share it.
type process struct {
	*node.Machine
	total *total // its ledger; several processes may share it
	lock  sync.Mutex
	part  remembered
}

func newProcess(identity node.Identity, timing lease.Timing, disk node.Disk) *process {
	m := node.New(identity, timing, exploredLog, disk)
	m.VerifyBy(isSignedVote)
	m.Ledger().FoldAs(exploredBinary)
	return &process{Machine: m, total: &total{ledger: m.Ledger()}}
}

// copied is a process for one world, with a ledger of its own or not.
func (p *process) copied(folds bool) *process {
	t := p.total
	if folds {
		t = &total{ledger: t.copied()}
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	return &process{Machine: p.CloneOn(t.ledger), total: t}
}

// mayWriteLedger tells whether an input needs a ledger of the process's own: to fold, or to begin to follow lists.
func (p *process) mayWriteLedger(in node.Input) bool {
	switch in.(type) {
	case node.Folded, node.Restored:
		return true
	}
	_, runs := p.Incarnation()
	return !runs
}

func (p *process) step(now lease.Instant, in node.Input) node.Ready {
	p.part.forget()
	sequence := p.total.ledger.Sequence()
	ready := p.Step(now, in)
	if s := p.Ledger(); s != p.total.ledger || s.Sequence() != sequence {
		p.total = &total{ledger: s}
	}
	return ready
}

func (p *process) described(c *lease.Canon) *lease.Part { return p.part.get(c, p.Describe) }

// remembered is a part of a description, which is written when it is first asked for.
type remembered struct{ part atomic.Pointer[lease.Part] }

func (r *remembered) get(c *lease.Canon, describe func(*lease.Canon)) *lease.Part {
	if known := r.part.Load(); known != nil {
		return known
	}
	part := c.Recorded(describe)
	r.part.Store(part)
	return part
}

func (r *remembered) forget() { r.part.Store(nil) }
