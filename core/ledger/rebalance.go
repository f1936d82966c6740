package ledger

import (
	"fmt"
	"slices"

	"viplog/core/event"
)

// RebalanceAfter is how long, in nanoseconds of ledger time, the rebalance after a start from nothing waits for nodes
// that have not joined.
const RebalanceAfter = 30_000_000_000

// RebalanceDue tells whether the one rebalance after a start from nothing is asked for now: lists had run empty, a node
// is back, and all declared nodes that announce have joined or RebalanceAfter has passed.
func (s *State) RebalanceDue(nowNanos int64) bool {
	if !s.starved || s.refilled == 0 {
		return false
	}
	if nowNanos-s.refilled >= RebalanceAfter {
		return true
	}
	all := true
	s.nodes.Scan(func(n *node) bool {
		all = n.role != s.announcingRole() || n.drained || n.status == nodeJoined
		return all
	})
	return all
}

// rebalanceRequested evens out the number of addresses per node, always from the node with the most to the one with
// the least that may take one of them, until none would gain. Standbys of a moved address are chosen anew.
func (f *fold) rebalanceRequested(e event.RebalanceRequested) {
	f.starved, f.refilled = false, 0
	moves := 0
	for f.moveOne() {
		moves++
	}
	f.add(Change{Kind: Balanced, Reason: fmt.Sprintf("asked for by %s, %d addresses moved", e.Reason, moves)})
}

// moveOne does the one move that helps most, false if none helps.
func (f *fold) moveOne() bool {
	var nodes []*node
	f.nodes.Scan(func(n *node) bool {
		nodes = append(nodes, n)
		return true
	})
	slices.SortStableFunc(nodes, func(a, b *node) int { return b.owned - a.owned })
	for _, donor := range nodes {
		for i := len(nodes) - 1; i >= 0 && nodes[i].owned+1 < donor.owned; i-- {
			if a, ok := f.movable(donor, nodes[i]); ok {
				f.moveTo(a, nodes[i])
				return true
			}
		}
	}
	return false
}

// movable finds an address of the donor that the recipient may announce, rather one whose first standby it is, if one
// of the first lookAhead addresses is such.
func (f *fold) movable(donor, recipient *node) (*address, bool) {
	const lookAhead = 32
	var first *address
	seen := 0
	f.stands.Ascend(standing{node: donor.address}, func(at standing) bool {
		if at.node != donor.address {
			return false
		}
		a, _ := f.addressOf(at.addr)
		if a.list[0].Node != donor.address {
			return true
		}
		if ok, _ := f.isCandidate(recipient, a); !ok {
			return true
		}
		if first == nil {
			first = a
		}
		seen++
		if len(a.list) > 1 && a.list[1].Node == recipient.address {
			first = a
			return false
		}
		return seen < lookAhead
	})
	return first, first != nil
}

func (f *fold) moveTo(a *address, n *node) {
	head := []Member{{Node: n.address, Incarnation: n.incarnation}}
	f.setList(a, f.complete(a, head), "rebalance")
}
