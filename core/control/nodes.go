package control

import (
	"net/netip"
	"slices"
	"strings"

	"viplog/core/event"
	"viplog/core/ledger"
)

// NodeFacts are what Kubernetes says of declared nodes and the ledger does not hold. A Node that is gone keeps what was said of it
// last: the cluster file says which nodes there are, and a host may answer for addresses without a kubelet.
//
// All labels are kept, not only those that a rule looks at: a rule that is added later finds them in the ledger, where it
// would otherwise empty every list until they came. They change when somebody changes them. What turns by itself is left out: of
// conditions all but the one that rules look at, of taints those that Kubernetes makes of conditions. So a kubelet that
// is slow, or an API server that does not hear it, moves nothing, unless the settings name such a taint.
func NodeFacts(s *ledger.State, nodes []Node) (facts []event.Event) {
	said := map[netip.Addr]bool{}
	for _, n := range nodes {
		declared := declaredOf(s, n.Addresses)
		if !declared.Address.IsValid() || said[declared.Address] {
			continue
		}
		said[declared.Address] = true
		e := event.NodeLabelled{
			Address: declared.Address, Labels: sortedLabels(n.Labels),
			Taints:     only(n.Taints, func(taint string) bool { return taintMatters(s, taint) }),
			Conditions: only(n.Conditions, func(name string) bool { return name == conditionNetworkUnavailable }),
		}
		if old, _ := s.Labelled(e.Address); !sameFact(old, e) {
			facts = append(facts, e)
		}
	}
	return facts
}

const conditionNetworkUnavailable = "NetworkUnavailable"

// taintsOfConditions are set and removed by Kubernetes' node controller as conditions turn.
var taintsOfConditions = []string{
	"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", "node.kubernetes.io/network-unavailable",
	"node.kubernetes.io/memory-pressure", "node.kubernetes.io/disk-pressure", "node.kubernetes.io/pid-pressure",
}

func taintMatters(s *ledger.State, taint string) bool {
	key, _, _ := strings.Cut(taint, ":")
	key, _, _ = strings.Cut(key, "=")
	named := s.Settings().ExcludeTaints
	return !slices.Contains(taintsOfConditions, key) || slices.Contains(named, key) || slices.Contains(named, taint)
}

// only sorts what is kept of a list; nil for nothing.
func only(all []string, keep func(string) bool) (kept []string) {
	for _, one := range all {
		if keep(one) {
			kept = append(kept, one)
		}
	}
	slices.Sort(kept)
	return slices.Compact(kept)
}

// declaredOf finds the declared node that has one of some addresses; a zero one where there is none.
func declaredOf(s *ledger.State, addresses []netip.Addr) ledger.NodeIdentity {
	for _, a := range addresses {
		if s.IsDeclared(a) {
			n, _ := s.NodeNamed(a.String())
			return n
		}
	}
	return ledger.NodeIdentity{}
}

// LabelLoadBalancerNode marks load-balancer nodes, with the value "true", as GDCV does.
const LabelLoadBalancerNode = "baremetal.cluster.gke.io/lbnode"

// NodeLabel is a change of a Node's label.
type NodeLabel struct {
	Node string
	Set  bool // to "true"; else it is to be removed
}

// NodeLabels are the labels LabelLoadBalancerNode that nodes lack or have too many: the nodes that announce have it, which are those of
// the control plane where no others are declared. Before the first cluster file there are none.
func NodeLabels(s *ledger.State, nodes []Node) (changes []NodeLabel) {
	if _, configured := s.Cluster(); !configured {
		return nil
	}
	for _, n := range nodes {
		value, has := n.Labels[LabelLoadBalancerNode]
		is := declaredOf(s, n.Addresses).Announces
		switch {
		case is && value != "true":
			changes = append(changes, NodeLabel{n.Name, true})
		case !is && has:
			changes = append(changes, NodeLabel{n.Name, false})
		}
	}
	return changes
}
