package clusterfile

import (
	"net/netip"
	"strconv"

	"viplog/core/event"
)

// maxControlPlane is the largest etcd cluster that its authors advise.
const maxControlPlane = 7

// ruleV5: a node's address belongs to one node of one pool, whichever of its two fields holds it.
func ruleV5(c *config) []finding {
	var found []finding
	seen := map[netip.Addr]bool{}
	for _, n := range c.nodes() {
		for _, a := range n.addresses() {
			if seen[a.v] {
				found = append(found, a.duplicate(a.text))
			}
			seen[a.v] = true
		}
	}
	for _, vip := range []value[netip.Addr]{c.cluster.controlPlaneVIP, c.cluster.ingressVIP} {
		if vip.ok && seen[vip.v] {
			found = append(found, vip.bad("is a node's address; a virtual address belongs to no host"))
		}
	}
	return found
}

// ruleNodeCounts: an odd control plane, because an even number of etcd members survives no more failures than one
// fewer does, and viplog's limit on the nodes that a cluster fact declares.
func ruleNodeCounts(c *config) []finding {
	var found []finding
	if n := len(c.cluster.controlPlane); n > 0 && (n%2 == 0 || n > maxControlPlane) {
		found = append(found, c.cluster.controlPlaneAt.invalid(strconv.Itoa(n),
			"the number of control-plane nodes must be odd, 1 or 3 and at most %d, so that etcd keeps a majority", maxControlPlane))
	}
	if n := len(c.cluster.controlPlane) + len(c.cluster.loadBalancer); n > event.MaxNodes {
		at := c.cluster.controlPlaneAt
		if c.cluster.hasLoadBalancerPool {
			at = c.cluster.loadBalancerAt.child("nodePoolSpec").child("nodes")
		}
		found = append(found, at.invalid(strconv.Itoa(n), "control-plane and load-balancer nodes, at most %d are allowed", event.MaxNodes))
	}
	return found
}

// ruleNames: the documents belong together.
func ruleNames(c *config) []finding {
	var found []finding
	namespace := c.cluster.namespace
	if namespace.ok && len(c.namespaces) > 0 {
		declared := false
		for _, n := range c.namespaces {
			declared = declared || !n.ok || n.v == namespace.v
		}
		if !declared {
			found = append(found, namespace.bad("must be the name of the Namespace document, %s", quote(c.namespaces[0].v)))
		}
	}
	names := map[string]bool{}
	for _, p := range c.nodePools {
		if p.clusterName.ok && c.cluster.name.ok && p.clusterName.v != c.cluster.name.v {
			found = append(found, p.clusterName.bad("must be the name of the Cluster document, %s", quote(c.cluster.name.v)))
		}
		if p.namespace.ok && namespace.ok && p.namespace.v != namespace.v {
			found = append(found, p.namespace.bad("must be the namespace of the Cluster document, %s", quote(namespace.v)))
		}
		if !p.name.ok {
			continue
		}
		if names[p.name.v] {
			found = append(found, p.name.duplicate(p.name.v))
		}
		names[p.name.v] = true
		if name := c.cluster.name; name.ok && (p.name.v == name.v || p.name.v == name.v+"-lb") {
			found = append(found, p.name.bad("is the name of the pool that the Cluster document makes by itself; choose another"))
		}
	}
	return found
}
