package ledger

import (
	"net/netip"

	"viplog/core/event"
)

// conflict is a report that a foreign MAC answers for an address (RFC 5227). It ends with the report of its end, or with
// the incarnation of the node that made it.
type conflict struct {
	addr netip.Addr
	node netip.Addr
	ifi  string
	mac  string
}

// String says so for a person.
func (c conflict) String() string { return "conflict: " + c.mac + " answers for it on " + c.ifi }

func (a conflict) less(b conflict) bool {
	if c := a.addr.Compare(b.addr); c != 0 {
		return c < 0
	}
	return a.node.Less(b.node)
}

// inConflict finds a report about an address.
func (s *State) inConflict(a netip.Addr) (found conflict, ok bool) {
	if s.conflicts.Len() == 0 {
		return conflict{}, false
	}
	s.conflicts.Ascend(conflict{addr: a}, func(c conflict) bool {
		found, ok = c, c.addr == a
		return false
	})
	return found, ok
}

// disputedOf counts the addresses of a pool that nobody gets because of a conflict.
func (s *State) disputedOf(p *pool) (n int) {
	last := netip.Addr{}
	s.conflicts.Scan(func(c conflict) bool {
		_, inUse := s.addressOf(c.addr)
		if c.addr != last && p.holds(c.addr) && !inUse && !s.isReserved(c.addr) && !p.isAvoided(c.addr) && !p.excluded.Contains(c.addr) {
			n++
		}
		last = c.addr
		return true
	})
	return n
}

// conflictSeen keeps an address that nobody uses from being given. One in use stays with its users: who is right is for a
// person to say.
func (f *fold) conflictSeen(e event.VIPConflictSeen) {
	n, ok := f.node(e.Node)
	if !ok || n.status != nodeJoined {
		f.reject("conflict over %s: %s has not joined", e.Address, f.describe(e.Node))
		return
	}
	c := conflict{addr: e.Address, node: e.Node, ifi: e.Interface, mac: e.MAC}
	if old, _ := f.conflicts.Get(c); old == c {
		return
	}
	f.conflicts.Set(c)
	f.uncool(c.addr)
	f.free.Take(c.addr)
	f.add(Change{Kind: Conflicted, Address: c.addr, Node: c.node, Reason: c.String()})
}

func (f *fold) conflictCleared(e event.VIPConflictCleared) {
	if f.endConflict(conflict{addr: e.Address, node: e.Node}, "reported it over") {
		f.serveQueue()
	}
}

// endConflict drops one report; false if there was none. With the last one the address is free again, if it may be given
// and nobody uses it.
func (f *fold) endConflict(c conflict, reason string) bool {
	if _, there := f.conflicts.Delete(c); !there {
		return false
	}
	f.add(Change{Kind: Undisputed, Address: c.addr, Node: c.node, Reason: f.describe(c.node) + " " + reason})
	if _, inUse := f.addressOf(c.addr); !inUse && f.isAllocatable(c.addr) {
		f.setFree(c.addr)
	}
	return true
}

// endConflictsOf drops the reports of a node whose incarnation ends. Who calls it serves the queue if there were any.
func (f *fold) endConflictsOf(n *node, reason string) (ended bool) {
	for _, c := range f.conflicts.Items() {
		if c.node == n.address {
			ended = f.endConflict(c, reason) || ended
		}
	}
	return ended
}
