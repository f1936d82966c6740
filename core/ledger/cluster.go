package ledger

import (
	"fmt"

	"viplog/core/event"
)

// clusterConfigured takes a new declaration. What GDCV holds immutable and the ledger stands on (the cluster's name,
// the ingressVIP once given) is refused here too, for a fact that did not come through `viplog apply`.
func (f *fold) clusterConfigured(e event.ClusterConfigured) {
	if old := f.cluster; old != nil {
		switch {
		case old.Name != e.Name:
			f.reject("cluster %s: the log is that of cluster %s", e.Name, old.Name)
			return
		case old.IngressVIP.IsValid() && old.IngressVIP != e.IngressVIP:
			f.reject("cluster %s: ingressVIP %s is immutable", e.Name, old.IngressVIP)
			return
		}
	}
	f.cluster, f.announcing = &e, announcingRoleOf(e)
	f.add(Change{Kind: Configured, Reason: "cluster " + e.Name})
	f.declareNodes(e.Nodes)
	f.openPools() // the ingressVIP is kept from everyone but the ingress Service; who has it already keeps it
	f.serveQueue()
}

// declareNodes adds and drops nodes. A node that is dropped leaves all lists, all at once; which nodes announce may turn
// for all nodes, when a load-balancer node pool appears.
func (f *fold) declareNodes(declared []event.DeclaredNode) {
	roles := map[string]string{}
	for _, d := range declared {
		roles[d.Address.String()] = d.Role
		old, known := f.node(d.Address)
		switch {
		case !known:
			f.nodes.set(f.newNode(d.Address, d.Role))
			f.add(Change{Kind: NodeChanged, Node: d.Address, Reason: "declared in pool " + d.Role})
		case old.role != d.Role:
			f.nodes.edit(old, func(n *node) { n.role = d.Role })
		}
	}
	var gone []*node
	for _, n := range f.nodes.rows {
		if _, still := roles[n.address.String()]; !still {
			gone = append(gone, f.nodes.edit(n, func(n *node) { n.role = "" }))
		}
	}
	f.reviewAll("the cluster file changed who may announce it")
	for _, n := range gone {
		if n.status == nodeJoined {
			f.linger(n)
		}
		f.endConflictsOf(n, "is no longer declared")
		f.nodes.remove(n)
		f.add(Change{Kind: NodeChanged, Node: n.address, Reason: "no longer declared"})
	}
}

// announcingRole is the pool that announces addresses: the load-balancer nodes where there are any, else the
// control-plane nodes.
func (s *State) announcingRole() string { return s.announcing }

func announcingRoleOf(e event.ClusterConfigured) string {
	for _, d := range e.Nodes {
		if d.Role == event.RoleLoadBalancer {
			return event.RoleLoadBalancer
		}
	}
	return event.RoleControlPlane
}

// frontendAssigned remembers what a controller has chosen. That of nodes which no longer are is harmless.
func (f *fold) frontendAssigned(e event.FrontendAssigned) {
	f.front = &e
	f.add(Change{Kind: Configured, Reason: fmt.Sprintf("router id %d for the control plane's VIP", e.RouterID)})
}

func (f *fold) settingsChanged(e event.SettingsChanged) {
	f.options = e
	f.add(Change{Kind: Configured, Reason: "settings"})
	f.openPools()
	f.reviewAll("the settings changed who may announce it")
	f.serveQueue()
}
