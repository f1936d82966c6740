package ledger

import (
	"fmt"
	"net/netip"
	"slices"

	"viplog/core/event"
)

// nodeJoined starts a new incarnation. It ends the node's older entries in all lists; the new one goes to the tail of
// the lists that are short, so that a return moves nothing.
func (f *fold) nodeJoined(e event.NodeJoined) {
	n, ok := f.node(e.Address)
	switch {
	case !ok:
		f.reject("node %s: the cluster file does not declare it", e.Address)
		return
	case n.status == nodeJoined && n.startID == e.StartID:
		return // the same start, told again
	case n.status == nodeJoined && n.machineID != e.MachineID:
		f.reject("node %s: another machine (%s) runs under this address; let it leave first", e.Address, n.machineID)
		return
	case !hasAddress(e.Interfaces, e.Address):
		f.reject("node %s: no interface of the node has a prefix that holds the address", e.Address)
		return
	}
	if n.status == nodeJoined {
		f.endIncarnation(n, nodeLeft, "restarted")
		n, _ = f.node(e.Address)
	}
	edit(f.nodes, n, func(n *node) {
		n.status, n.incarnation = nodeJoined, f.seq
		n.name, n.startID, n.machineID, n.key, n.rules = e.Name, e.StartID, e.MachineID, e.Key, e.Rules
		n.interfaces = e.Interfaces
	})
	if f.starved && f.refilled == 0 {
		f.refilled = f.time
	}
	f.add(Change{Kind: NodeChanged, Node: e.Address, Reason: "joined as " + e.Name})
	f.refillShort("joined")
}

func (f *fold) nodeChanged(e event.NodeChanged) {
	n, ok := f.running(e.Address, e.Incarnation)
	if !ok {
		return
	}
	edit(f.nodes, n, func(n *node) { n.interfaces = e.Interfaces })
	f.add(Change{Kind: NodeChanged, Node: e.Address, Reason: "interfaces changed"})
	f.reviewNode(e.Address, "has no interface for it")
	f.refillShort("has an interface for it again")
}

func (f *fold) nodeLeft(e event.NodeLeft) {
	if n, ok := f.running(e.Address, e.Incarnation); ok {
		f.endIncarnation(n, nodeLeft, "left")
	}
}

// nodeFailed takes a proof of death: valid votes of a majority of the voter set that is in force, or of the one before
// while the change is not settled.
func (f *fold) nodeFailed(e event.NodeFailed) {
	n, ok := f.running(e.Address, e.Incarnation)
	if !ok {
		return
	}
	if err := f.voters.checkProof(f.logID, e); err != nil {
		f.reject("node %s: not proven dead: %s", f.describe(e.Address), err)
		return
	}
	f.endIncarnation(n, nodeFailed, fmt.Sprintf("proven dead by %d votes", len(e.Votes)))
}

func (f *fold) endIncarnation(n *node, status nodeStatus, reason string) {
	edit(f.nodes, n, func(n *node) { n.status = status })
	f.add(Change{Kind: NodeChanged, Node: n.address, Reason: reason})
	f.dropNode(n.address, reason)
}

func (f *fold) nodeDrained(a netip.Addr, drained bool, why string) {
	n, ok := f.node(a)
	switch {
	case !ok:
		f.reject("node %s: the cluster file does not declare it", a)
		return
	case n.drained == drained:
		return
	}
	edit(f.nodes, n, func(n *node) { n.drained = drained })
	reason := "drained"
	if why != "" {
		reason += ": " + why
	}
	if !drained {
		f.add(Change{Kind: NodeChanged, Node: a, Reason: "no longer drained"})
		f.refillShort("no longer drained")
		return
	}
	f.add(Change{Kind: NodeChanged, Node: a, Reason: reason})
	f.reviewNode(a, "drained")
}

// running finds a node whose running incarnation is the one that a fact names. A fact about an older one comes late
// and changes nothing; one about an incarnation that never was is rejected.
func (f *fold) running(a netip.Addr, incarnation uint64) (*node, bool) {
	n, ok := f.node(a)
	switch {
	case !ok:
		f.reject("node %s: the cluster file does not declare it", a)
		return nil, false
	case incarnation > n.incarnation:
		f.reject("node %s: incarnation %d never joined", f.describe(a), incarnation)
		return nil, false
	}
	return n, incarnation == n.incarnation && n.status == nodeJoined
}

// isCandidate tells whether a node may announce an address, and if not, why.
func (s *State) isCandidate(n *node, a *address) (bool, string) {
	switch {
	case n.role != s.announcingRole():
		return false, "does not announce addresses (" + n.role + ")"
	case n.status != nodeJoined:
		return false, "has " + notJoined[n.status]
	case n.drained:
		return false, "is drained"
	case !hasAddress(n.interfaces, a.addr):
		return false, "has no interface that is up in a subnet that holds it"
	}
	for _, key := range a.users {
		if v, ok := s.service(key); ok && v.spec.TrafficPolicy == event.TrafficLocal && !s.serves(n, key) {
			return false, "has no serving endpoint of " + key.String() + " (externalTrafficPolicy Local)"
		}
	}
	return true, ""
}

var notJoined = map[nodeStatus]string{nodeDeclared: "not joined yet", nodeLeft: "left", nodeFailed: "failed"}

func (s *State) serves(n *node, key ServiceKey) bool {
	e, ok := s.endpoints.Get(&endpoints{key: key})
	if !ok {
		return false
	}
	_, found := slices.BinarySearch(e.nodes, n.name)
	return found
}

// hasAddress tells whether an interface that is up has a prefix that holds the address.
func hasAddress(interfaces []event.Interface, a netip.Addr) bool {
	for _, ifi := range interfaces {
		if !ifi.Up {
			continue
		}
		for _, p := range ifi.Prefixes {
			if p.Contains(a) {
				return true
			}
		}
	}
	return false
}
