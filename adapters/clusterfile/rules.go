package clusterfile

import (
	"go4.org/netipx"
)

// config is everything that was read of a file; cluster is never nil where rules run.
type config struct {
	cluster    *clusterSpec
	nodePools  []nodePoolSpec
	namespaces []value[string]
	settings   *settingsSpec // nil without a Settings document
}

// rules is every rule that a file alone can decide, in the order of their numbers.
var rules = []func(*config) []finding{
	ruleV1, ruleV2, ruleV3, ruleV4, ruleV4Subnets, ruleV5, ruleV7, ruleV8, ruleV9, ruleV10,
	ruleNames, ruleNodeCounts, rulePoolNames, ruleGateways, ruleVoters, rulePoolSettings,
}

// ownedNode is a node with the pool that declares it, in words.
type ownedNode struct {
	declaredNode
	owner string
}

// nodes gives every declared node: control plane, load balancer, then the NodePools in file order.
func (c *config) nodes() []ownedNode {
	var all []ownedNode
	add := func(owner string, nodes []declaredNode) {
		for _, n := range nodes {
			all = append(all, ownedNode{n, owner})
		}
	}
	add("the control plane", c.cluster.controlPlane)
	add("the load balancer", c.cluster.loadBalancer)
	for _, p := range c.nodePools {
		add("node pool "+quote(p.name.v), p.nodes)
	}
	return all
}

// poolRange is one readable entry of a pool.
type poolRange struct {
	value[netipx.IPRange]
	pool string
}

func (r poolRange) describe() string {
	return "range " + quote(clip(r.text)) + " of pool " + quote(clip(r.pool))
}

func (c *config) ranges() []poolRange {
	var all []poolRange
	for _, p := range c.cluster.pools {
		for _, r := range p.addresses {
			if r.ok {
				all = append(all, poolRange{r, p.name.v})
			}
		}
	}
	return all
}
