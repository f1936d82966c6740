package clusterfile

import (
	"net/netip"
	"strings"
)

// ruleV7: a control plane balanced from outside needs the rest to be so too.
func ruleV7(c *config) []finding {
	mode := c.cluster.controlPlaneMode
	if mode.v == ModeManual && c.cluster.mode.v == ModeBundled {
		return []finding{mode.bad("requires loadBalancer.mode manual")}
	}
	return nil
}

// ruleV8: in manual mode nothing of the bundled load balancer is declared. Pools of an admin cluster are ruleV3's.
func ruleV8(c *config) []finding {
	if c.cluster.mode.v != ModeManual {
		return nil
	}
	const reason = "only allowed in bundled mode"
	var found []finding
	if c.cluster.poolsListed > 0 && c.cluster.clusterType.v != clusterAdmin {
		found = append(found, c.cluster.poolsAt.forbidden(reason))
	}
	if c.cluster.hasLoadBalancerPool {
		found = append(found, c.cluster.loadBalancerAt.child("nodePoolSpec").forbidden(reason))
	}
	if t := c.cluster.lbType; t.v == TypeBGP {
		found = append(found, t.bad("requires mode bundled"))
	}
	return found
}

// ruleV9: the edge profile is for standalone clusters.
func ruleV9(c *config) []finding {
	if p := c.cluster.profile; p.v == profileEdge && c.cluster.clusterType.ok && c.cluster.clusterType.v != clusterStandalone {
		return []finding{p.bad("requires type standalone")}
	}
	return nil
}

// ruleV10: type bgp has its own network, a local ASN and a peer for every control-plane node; type layer2 has none of
// it.
func ruleV10(c *config) []finding {
	var found []finding
	s := c.cluster
	if s.lbType.v != TypeBGP {
		const reason = "only allowed with type bgp"
		if s.localASN.set {
			found = append(found, s.localASN.forbidden(reason))
		}
		if len(s.peers) > 0 {
			found = append(found, s.peersAt.forbidden(reason))
		}
		return found
	}
	switch network := s.advancedNetworking; {
	case !network.set:
		found = append(found, network.required("must be true for type bgp"))
	case network.ok && !network.v:
		found = append(found, network.bad("must be true for type bgp"))
	}
	if !s.localASN.set {
		found = append(found, s.localASN.required("for type bgp"))
	}
	if len(s.peers) == 0 {
		return append(found, s.peersAt.required("at least one peer for each control-plane node, for type bgp"))
	}
	return append(found, peersOfNodes(s)...)
}

func peersOfNodes(s *clusterSpec) []finding {
	var found []finding
	declared := map[netip.Addr]bool{}
	for _, n := range s.controlPlane {
		for _, a := range n.addresses() {
			declared[a.v] = true
		}
	}
	peered, peersWithAll := map[netip.Addr]bool{}, false
	for _, p := range s.peers {
		peersWithAll = peersWithAll || !p.hasNodes // a peer without a list
		for _, n := range p.controlPlaneNodes {
			if n.ok && !declared[n.v] {
				found = append(found, n.bad("is none of the control-plane nodes"))
			}
			if n.ok {
				peered[n.v] = true
			}
		}
	}
	var without []string
	for _, n := range s.controlPlane {
		if id := n.identity(); id.ok && !peered[id.v] && !(n.address.ok && peered[n.address.v]) {
			without = append(without, quote(id.text))
		}
	}
	if len(without) > 0 && !peersWithAll {
		found = append(found, s.peersAt.required("each control-plane node needs at least one peer; none has %s", strings.Join(without, ", ")))
	}
	return found
}
