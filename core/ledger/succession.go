package ledger

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
)

// A succession list is the order in which nodes may announce an address: owner, first standby, second standby. This
// file keeps the lists and the indexes over them; setList is the only place that changes one.

// standing is one entry of the index from a node to the addresses in whose list it is.
type standing struct{ node, addr netip.Addr }

func (a standing) less(b standing) bool {
	if c := a.node.Compare(b.node); c != 0 {
		return c < 0
	}
	return a.addr.Less(b.addr)
}

// backers counts, by the nodes' slots and position, the addresses of one owner that each node backs. Positions are
// counted apart: with three nodes everyone backs everything, and only the first standby says where a death's load goes.
type backers []int32

const positions = ListLength - 1

// backedBy is how many addresses of an owner a node backs at a position, from 1.
func (n *node) backedBy(other *node, position int) int {
	if i := other.slot*positions + position - 1; i < len(n.backers) {
		return int(n.backers[i])
	}
	return 0
}

// setList replaces an address's list and says so if the owner changed.
func (f *fold) setList(a *address, list []Member, reason string) *address {
	if slices.Equal(a.list, list) {
		return a
	}
	f.index(a, -1)
	before := a.list
	a = f.addresses.edit(a, func(a *address) { a.list, a.version = list, f.seq })
	f.index(a, +1)
	if len(list) < ListLength {
		f.short.Set(a.addr)
	} else {
		f.short.Delete(a.addr)
	}
	switch {
	case len(list) == 0:
		f.add(Change{Kind: Unowned, Address: a.addr, From: before[0].Node, Reason: reason})
	case len(before) == 0:
		f.add(Change{Kind: Moved, Address: a.addr, Node: list[0].Node, Reason: reason})
	case before[0] != list[0]:
		f.add(Change{Kind: Moved, Address: a.addr, Node: list[0].Node, From: before[0].Node, Reason: reason})
	}
	return a
}

// index adds an address's list to the derived indexes, or takes it out.
func (s *State) index(a *address, by int) {
	for _, m := range a.list {
		if by > 0 {
			s.stands.Set(standing{m.Node, a.addr})
		} else {
			s.stands.Delete(standing{m.Node, a.addr})
		}
	}
	if len(a.list) == 0 {
		return
	}
	owner, ok := s.node(a.list[0].Node)
	if !ok {
		return // it is being dropped from the cluster
	}
	s.nodes.edit(owner, func(n *node) {
		n.owned += by
		counts := make(backers, max(len(n.backers), s.slots*positions))
		copy(counts, n.backers)
		for i, m := range a.list[1:] {
			if standby, ok := s.node(m.Node); ok {
				counts[standby.slot*positions+i] += int32(by)
			}
		}
		n.backers = counts
	})
}

// candidate is a node that may announce an address, and how much the announce rules prefer it.
type candidate struct {
	*node
	weight int
	rank   uint64 // 0 until it is needed to break a tie
}

func (c *candidate) rankFor(a netip.Addr) uint64 {
	if c.rank == 0 {
		c.rank = rank(c.address, a)
	}
	return c.rank
}

// candidates are the nodes that may announce an address, in the order of their addresses.
func (s *State) candidates(a *address) []candidate {
	all := make([]candidate, 0, len(s.nodes.rows))
	who := s.audienceOf(a)
	for _, n := range s.nodes.rows {
		if weight, why := s.judge(n, who); why == "" {
			all = append(all, candidate{node: n, weight: weight})
		}
	}
	return all
}

// next picks the node for the tail of a list, nil if no candidate is left: the one that the announce rules prefer most;
// among equals for an owner the one with the least (addresses owned, hash), for a standby the one with the least
// (addresses of this owner that it already backs at this position, addresses owned, hash). So the spread of arrivals is
// even, and a death scatters its load.
func (s *State) next(a *address, list []Member, candidates []candidate) *node {
	var best *candidate
	var bestBacked int
	var owner *node
	if len(list) > 0 {
		owner, _ = s.node(list[0].Node)
	}
	for i := range candidates {
		c := &candidates[i]
		if slices.ContainsFunc(list, func(m Member) bool { return m.Node == c.address }) {
			continue
		}
		backed := 0
		if owner != nil {
			backed = owner.backedBy(c.node, len(list))
		}
		if best != nil {
			order := cmp.Or(cmp.Compare(best.weight, c.weight), cmp.Compare(backed, bestBacked), cmp.Compare(c.owned, best.owned))
			if order == 0 {
				order = cmp.Compare(c.rankFor(a.addr), best.rankFor(a.addr))
			}
			if order >= 0 {
				continue
			}
		}
		best, bestBacked = c, backed
	}
	if best == nil {
		return nil
	}
	return best.node
}

// rank breaks ties: the first 8 bytes of SHA-256(node, 0, address), as text.
func rank(n, a netip.Addr) uint64 {
	var buffer [96]byte
	text := n.AppendTo(buffer[:0])
	text = a.AppendTo(append(text, 0))
	sum := sha256.Sum256(text)
	return binary.BigEndian.Uint64(sum[:8])
}

// complete gives a list with its tail filled from the candidates.
func (s *State) complete(a *address, list []Member) []Member {
	full := append(make([]Member, 0, ListLength), list...)
	candidates := s.candidates(a)
	for len(full) < ListLength {
		n := s.next(a, full, candidates)
		if n == nil {
			break
		}
		full = slices.Insert(full, s.entry(full, n), Member{Node: n.address, Incarnation: n.incarnation})
	}
	return full
}

// entry is the position at which a node enters a list: the tail; from rules 1 on the first standby's, if the node backs
// the owner there less often than the one that is.
func (s *State) entry(list []Member, n *node) int {
	if s.rules < rulesStandbyInsertion || len(list) < 2 {
		return len(list)
	}
	owner, _ := s.node(list[0].Node)
	standby, _ := s.node(list[1].Node)
	if owner.backedBy(n, 1) < owner.backedBy(standby, 1) {
		return 1
	}
	return len(list)
}

// refill completes one list at its tail.
func (f *fold) refill(addr netip.Addr, reason string) {
	a, ok := f.addressOf(addr)
	if !ok || len(a.list) == ListLength {
		return
	}
	f.noteShort(f.setList(a, f.complete(a, a.list), reason))
}

// noteShort remembers an address whose list is not full. One that no node at all could announce makes the ledger ask for
// a rebalance once nodes are back; one that only waits for an endpoint does not.
func (f *fold) noteShort(a *address) {
	if len(a.list) == ListLength {
		return
	}
	f.short.Set(a.addr)
	if len(a.list) == 0 && !f.starved && len(f.candidates(&address{addr: a.addr, pool: a.pool})) == 0 {
		f.starved, f.refilled = true, 0
	}
}

func (f *fold) refillShort(reason string) {
	var addrs []netip.Addr
	f.short.Scan(func(a netip.Addr) bool {
		addrs = append(addrs, a)
		return true
	})
	for _, a := range addrs {
		f.refill(a, reason)
	}
}

// reviewAddress drops the members of a list that are no longer candidates and refills it.
func (f *fold) reviewAddress(addr netip.Addr, reason string) {
	f.shrink(addr, reason)
	f.refill(addr, reasonLeastLoaded)
}

// reviewNode drops a node from the lists of addresses that it may no longer announce.
func (f *fold) reviewNode(n netip.Addr, reason string) {
	f.shrinkAll(f.standingsOf(n), f.describe(n)+" "+reason)
}

// reviewAllNodes reviews every list, when the pool that announces may be another.
func (f *fold) reviewAllNodes(reason string) {
	var addrs []netip.Addr
	f.addresses.scan(func(a *address) bool {
		addrs = append(addrs, a.addr)
		return true
	})
	f.shrinkAll(addrs, reason)
}

// dropNode takes a node's former incarnation out of every list: the first living standby is promoted, survivors keep
// their order, and only then are the tails refilled, by the loads after all promotions.
func (f *fold) dropNode(n netip.Addr, reason string) {
	addrs := f.standingsOf(n)
	why := f.describe(n) + " " + strings.TrimSpace(reason)
	for _, addr := range addrs {
		a, _ := f.addressOf(addr)
		f.setList(a, slices.DeleteFunc(slices.Clone(a.list), func(m Member) bool { return m.Node == n }), why)
	}
	for _, addr := range addrs {
		f.refill(addr, why)
	}
}

func (f *fold) shrinkAll(addrs []netip.Addr, reason string) {
	for _, a := range addrs {
		f.shrink(a, reason)
	}
	for _, a := range addrs {
		f.refill(a, reasonLeastLoaded)
	}
}

// reasonLeastLoaded is why an address without an owner gets this one.
const reasonLeastLoaded = "least loaded of the candidates"

func (f *fold) shrink(addr netip.Addr, reason string) {
	a, _ := f.addressOf(addr)
	kept := slices.DeleteFunc(slices.Clone(a.list), func(m Member) bool {
		n, ok := f.node(m.Node)
		if !ok {
			return true
		}
		candidate, _ := f.isCandidate(n, a)
		return !candidate
	})
	f.setList(a, kept, reason)
}

func (s *State) standingsOf(n netip.Addr) []netip.Addr {
	var addrs []netip.Addr
	s.stands.Ascend(standing{node: n}, func(at standing) bool {
		if at.node != n {
			return false
		}
		addrs = append(addrs, at.addr)
		return true
	})
	return addrs
}
