package ledger

import (
	"fmt"
	"net/netip"

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
	case !hasAddress(e.Interfaces, e.Address, nil):
		f.reject("node %s: no interface of the node has a prefix that holds the address", e.Address)
		return
	}
	undisputed := false
	if n.status == nodeJoined {
		f.linger(n)
		undisputed = f.endIncarnation(n, nodeLeft, "restarted")
		n, _ = f.node(e.Address)
	}
	f.nodes.edit(n, func(n *node) {
		n.status, n.incarnation = nodeJoined, f.seq
		n.learn(func(f *nodeFacts) {
			f.name, f.startID, f.machineID, f.key, f.rules = e.Name, e.StartID, e.MachineID, e.Key, e.Rules
			f.interfaces = e.Interfaces
		})
	})
	if f.starved && f.refilled == 0 {
		f.refilled = f.time
	}
	f.add(Change{Kind: NodeChanged, Node: e.Address, Reason: "joined as " + e.Name})
	f.refillShort("joined")
	if undisputed {
		f.serveQueue()
	}
}

func (f *fold) nodeChanged(e event.NodeChanged) {
	n, ok := f.running(e.Address, e.Incarnation)
	if !ok {
		return
	}
	f.nodes.edit(n, func(n *node) {
		n.learn(func(f *nodeFacts) { f.interfaces, f.rules = e.Interfaces, max(f.rules, e.Rules) })
	})
	said, why := "interfaces changed", "has no interface for it"
	if len(e.Interfaces) == 0 { // a node that is about to leave names none, so that others take over while it still answers
		said, why = "names no interface: it is about to leave", "is about to leave"
	}
	f.add(Change{Kind: NodeChanged, Node: e.Address, Reason: said})
	n, _ = f.node(e.Address)
	f.reviewNode(n, why)
	f.refillShort("has an interface for it again")
}

func (f *fold) nodeLeft(e event.NodeLeft) {
	if who := (Incarnation{e.Address, e.Incarnation}); f.isLingering(who) {
		f.putOut(who, "left")
		return
	}
	if n, ok := f.running(e.Address, e.Incarnation); ok {
		f.leave(n, nodeLeft, "left")
	}
}

// nodeFailed takes a proof of death: valid votes of a majority of the voter set that is in force, or of the one before
// while the change is not settled.
func (f *fold) nodeFailed(e event.NodeFailed) {
	who := Incarnation{e.Address, e.Incarnation}
	old := f.isLingering(who)
	var n *node
	if !old {
		var runs bool
		if n, runs = f.running(e.Address, e.Incarnation); !runs {
			return
		}
	}
	if err := f.voters.checkProof(f.logID, e, f.Verify); err != nil {
		f.reject("node %s: not proven dead: %s", f.describe(e.Address), err)
		return
	}
	why := fmt.Sprintf("proven dead by %d votes", len(e.Votes))
	if old {
		f.putOut(who, why)
		return
	}
	f.leave(n, nodeFailed, why)
}

// leave ends an incarnation that no other one follows.
func (f *fold) leave(n *node, status nodeStatus, reason string) {
	if f.endIncarnation(n, status, reason) {
		f.serveQueue()
	}
}

// endIncarnation reports whether the end of its word about conflicts made addresses free.
func (f *fold) endIncarnation(n *node, status nodeStatus, reason string) (undisputed bool) {
	f.nodes.edit(n, func(n *node) { n.status = status })
	f.add(Change{Kind: NodeChanged, Node: n.address, Reason: reason})
	f.dropNode(n, reason)
	return f.endConflictsOf(n, reason)
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
	f.nodes.edit(n, func(n *node) { n.drained = drained })
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
	n, _ = f.node(a)
	f.reviewNode(n, "drained")
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

// nodeLabelled takes what Kubernetes says of a node. A node that it takes out of load balancing is no candidate.
func (f *fold) nodeLabelled(e event.NodeLabelled) {
	n, ok := f.node(e.Address)
	if !ok {
		f.reject("node %s: the cluster file does not declare it", e.Address)
		return
	}
	f.nodes.edit(n, func(n *node) {
		n.learn(func(f *nodeFacts) { f.labels, f.taints, f.conditions = e.Labels, e.Taints, e.Conditions })
	})
	f.add(Change{Kind: NodeChanged, Node: e.Address, Reason: "labels, taints or conditions changed"})
	n, _ = f.node(e.Address)
	f.reviewNode(n, "may no longer announce it")
	f.refillShort("may announce it again")
}
