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
// file keeps the lists and what is counted of them; count and setList go together.

// setList replaces an address's list and says so if the owner changed.
func (f *fold) setList(a *address, list []Incarnation, reason string) {
	f.recount(a.addr, a.list, list, reason)
	f.store(a, list)
}

// store replaces an address's list, which is counted already, and remembers one that is short. One that no node at all
// could announce makes the ledger ask for a rebalance once nodes are back; one that only waits for an endpoint does not.
func (f *fold) store(a *address, list []Incarnation) {
	if !slices.Equal(a.list, list) {
		f.track(ListChange{Address: a.addr, Before: a.list, After: list})
		a = f.addresses.edit(a, func(a *address) { a.list, a.version = list, f.seq })
	}
	f.noteShort(a)
}

func (f *fold) noteShort(a *address) {
	if len(a.list) == ListLength {
		f.short.Delete(a.addr)
		return
	}
	f.short.Set(a.addr)
	if len(a.list) == 0 && !f.starved && len(f.candidates(&address{addr: a.addr, pool: a.pool}, nil)) == 0 {
		f.starved, f.refilled = true, 0
	}
}

// recount replaces an address's list in the loads, and adds the Change that it makes to the owner.
func (f *fold) recount(a netip.Addr, before, list []Incarnation, reason string) {
	f.count(before, -1)
	f.count(list, +1)
	switch {
	case len(list) == 0 && len(before) > 0:
		f.add(Change{Kind: Unowned, Address: a, From: before[0].Node, Reason: reason})
	case len(list) == 0:
	case len(before) == 0:
		f.add(Change{Kind: Moved, Address: a, Node: list[0].Node, Reason: reason})
	case before[0] != list[0]:
		f.add(Change{Kind: Moved, Address: a, Node: list[0].Node, From: before[0].Node, Reason: reason})
	}
}

// count adds a list to the loads, or takes it out.
func (s *State) count(list []Incarnation, by int32) {
	var slots [ListLength]int
	for i, m := range list {
		n, ok := s.node(m.Node)
		if !ok {
			panic("ledger: a list names declared nodes: " + m.Node.String())
		}
		slots[i] = n.slot
	}
	s.loads.add(slots[:len(list)], by)
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

// candidates appends the nodes that may announce an address, in the order of their addresses.
func (s *State) candidates(a *address, all []candidate) []candidate {
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
func (s *State) next(a *address, list []Incarnation, candidates []candidate) *node {
	var best *candidate
	var bestBacked int
	var owner *node
	if len(list) > 0 {
		owner, _ = s.node(list[0].Node)
	}
	for i := range candidates {
		c := &candidates[i]
		if slices.ContainsFunc(list, func(m Incarnation) bool { return m.Node == c.address }) {
			continue
		}
		backed := 0
		if owner != nil {
			backed = s.loads.backed(owner.slot, c.slot, len(list))
		}
		if best != nil {
			order := cmp.Or(cmp.Compare(best.weight, c.weight), cmp.Compare(backed, bestBacked), cmp.Compare(s.owned(c.node), s.owned(best.node)))
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
func (f *fold) complete(a *address, list []Incarnation) []Incarnation {
	full := append(make([]Incarnation, 0, ListLength), list...)
	if f.scratch == nil {
		f.scratch = make([]candidate, 0, len(f.nodes.rows))
	}
	f.scratch = f.candidates(a, f.scratch[:0])
	for len(full) < ListLength {
		n := f.next(a, full, f.scratch)
		if n == nil {
			break
		}
		full = slices.Insert(full, f.entry(full, n), Incarnation{Node: n.address, Join: n.incarnation})
	}
	return full
}

// entry is the position at which a node enters a list: the tail; from rules 1 on the first standby's, if the node backs
// the owner there less often than the one that is.
func (s *State) entry(list []Incarnation, n *node) int {
	if s.rules < rulesStandbyInsertion || len(list) < 2 {
		return len(list)
	}
	owner, _ := s.node(list[0].Node)
	standby, _ := s.node(list[1].Node)
	if s.loads.backed(owner.slot, n.slot, 1) < s.loads.backed(owner.slot, standby.slot, 1) {
		return 1
	}
	return len(list)
}

// reasonLeastLoaded is why an address without an owner gets this one.
const reasonLeastLoaded = "least loaded of the candidates"

// review drops members from lists and refills them at their tails: the first living standby is promoted, survivors keep
// their order, and only when all are promoted are tails refilled, by the loads of then.
func (f *fold) review(addresses []*address, keeps func(*address, Incarnation) bool, dropped, refilled string) {
	survivors := make([][]Incarnation, len(addresses))
	for i, a := range addresses {
		survivors[i] = a.list
		if goes := func(m Incarnation) bool { return !keeps(a, m) }; slices.ContainsFunc(a.list, goes) {
			survivors[i] = slices.DeleteFunc(slices.Clone(a.list), goes)
			f.recount(a.addr, a.list, survivors[i], dropped)
		}
	}
	for i, a := range addresses {
		list := survivors[i]
		if len(list) < ListLength {
			list = f.complete(a, list)
			f.recount(a.addr, survivors[i], list, refilled)
		}
		f.store(a, list)
	}
}

// reasonPools is why a pool's fact changes who owns an address.
const reasonPools = "the pools changed who may announce it"

// reviewAddress drops the members of a list that are no longer candidates and refills it.
func (f *fold) reviewAddress(addr netip.Addr, reason string) {
	if a, ok := f.addressOf(addr); ok {
		f.review([]*address{a}, f.maySucceed, reason, reasonLeastLoaded)
	}
}

// reviewNode drops a node from the lists of addresses that it may no longer announce.
func (f *fold) reviewNode(n *node, reason string) {
	may := func(a *address, m Incarnation) bool {
		if m.Node != n.address {
			return true
		}
		candidate, _ := f.isCandidate(n, a)
		return candidate
	}
	f.review(f.listing(n), may, f.describe(n.address)+" "+reason, reasonLeastLoaded)
}

// reviewAll reviews every list, when the rules of who may announce may be others.
func (f *fold) reviewAll(reason string) {
	f.review(f.addresses.items(), f.maySucceed, reason, reasonLeastLoaded)
}

// dropNode takes a node's former incarnation out of every list.
func (f *fold) dropNode(n *node, reason string) {
	why := f.describe(n.address) + " " + strings.TrimSpace(reason)
	f.review(f.listing(n), func(_ *address, m Incarnation) bool { return m.Node != n.address }, why, why)
}

// refillShort completes the lists that are short, when nodes may have become candidates.
func (f *fold) refillShort(reason string) {
	addresses := make([]*address, 0, f.short.Len())
	f.short.Scan(func(addr netip.Addr) bool {
		a, _ := f.addressOf(addr)
		addresses = append(addresses, a)
		return true
	})
	f.review(addresses, func(*address, Incarnation) bool { return true }, "", reason)
}

// maySucceed tells whether a member may still announce an address.
func (s *State) maySucceed(a *address, m Incarnation) bool {
	n, ok := s.node(m.Node)
	if !ok {
		return false
	}
	candidate, _ := s.isCandidate(n, a)
	return candidate
}

// listing finds the addresses in whose list a node is. It looks at all: an index would cost every allocation more than it
// saves when, rarely, something happens to a node.
func (s *State) listing(n *node) []*address {
	var found []*address
	s.addresses.scan(func(a *address) bool {
		if slices.ContainsFunc(a.list, func(m Incarnation) bool { return m.Node == n.address }) {
			found = append(found, a)
		}
		return true
	})
	return found
}
