package ledger

import (
	"fmt"
	"net/netip"
	"slices"

	"viplog/core/event"
)

// An incarnation is out when the log says that it left or failed. A join of its node, or the cluster file that drops the
// node, ends it in all lists and does not put it out: the process may still run somewhere, and announce. Until it is out
// the ownership protocol counts on it.

// Live lists the incarnations that are not out, by node and join: those that run, and those that linger.
func (s *State) Live() []Incarnation {
	all := slices.Clone(s.lingering)
	for _, n := range s.nodes.rows {
		if n.status == nodeJoined {
			all = append(all, Incarnation{n.address, n.incarnation})
		}
	}
	slices.SortFunc(all, Incarnation.Compare)
	return all
}

func (f *fold) linger(n *node) {
	who := Incarnation{n.address, n.incarnation}
	i, _ := slices.BinarySearchFunc(f.lingering, who, Incarnation.Compare)
	f.lingering = slices.Insert(slices.Clone(f.lingering), i, who)
}

func (s *State) isLingering(who Incarnation) bool {
	_, found := slices.BinarySearchFunc(s.lingering, who, Incarnation.Compare)
	return found
}

func (f *fold) putOut(who Incarnation, reason string) {
	f.lingering = slices.DeleteFunc(slices.Clone(f.lingering), func(m Incarnation) bool { return m == who })
	f.add(Change{Kind: NodeChanged, Node: who.Node, Reason: fmt.Sprintf("its older incarnation %d %s", who.Join, reason)})
}

// Running is a node's incarnation that runs, and its start id; false if none runs.
func (s *State) Running(a netip.Addr) (who Incarnation, startID string, runs bool) {
	n, ok := s.node(a)
	if !ok || n.status != nodeJoined {
		return Incarnation{}, "", false
	}
	return Incarnation{a, n.incarnation}, n.startID, true
}

// IsDeclared tells whether the cluster file has a node of this address.
func (s *State) IsDeclared(a netip.Addr) bool {
	_, is := s.node(a)
	return is
}

// InterfacesOf are a node's interfaces by its last word.
func (s *State) InterfacesOf(a netip.Addr) []event.Interface {
	n, ok := s.node(a)
	if !ok {
		return nil
	}
	return n.interfaces
}

// RulesOf is the highest number of rules that a node has said to know.
func (s *State) RulesOf(a netip.Addr) uint64 {
	n, ok := s.node(a)
	if !ok {
		return 0
	}
	return n.rules
}

// NodeOfMAC finds the node that has an interface with a MAC.
func (s *State) NodeOfMAC(mac string) (netip.Addr, bool) {
	for _, n := range s.nodes.rows {
		if slices.ContainsFunc(n.interfaces, func(i event.Interface) bool { return i.MAC == mac }) {
			return n.address, true
		}
	}
	return netip.Addr{}, false
}

// HasConflict tells whether a node has reported a conflict over an address that it has not taken back.
func (s *State) HasConflict(a, reporter netip.Addr) bool {
	_, found := s.conflicts.Get(conflict{addr: a, node: reporter})
	return found
}

// ConflictsOf lists the addresses over which a node has reported conflicts that it has not taken back.
func (s *State) ConflictsOf(reporter netip.Addr) (all []netip.Addr) {
	s.conflicts.Scan(func(c conflict) bool {
		if c.node == reporter {
			all = append(all, c.addr)
		}
		return true
	})
	return all
}
