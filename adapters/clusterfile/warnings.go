package clusterfile

import (
	"fmt"
)

// warn says what a cluster can be run with but should not be. It is for layer-2 clusters: for the others viplog does
// nothing, and says so in File.Notice.
func warn(c *config, out *collector) {
	balancer := c.cluster.loadBalancerAt
	if !c.cluster.hasLoadBalancerPool {
		out.warn(balancer.child("nodePoolSpec"),
			"is absent, so the control-plane nodes carry the load balancing; a pool of its own keeps traffic away from etcd")
	}
	if nodes := c.cluster.balancers(); len(nodes) == 1 {
		out.warn(nodes[0].place, "is the only load-balancer node: when it fails, every address is lost until it is back")
	}
	warnVoters(c, out)
	if len(c.subnets()) == 0 {
		at := balancer
		if c.settings != nil {
			at = c.settings.child("subnets")
		}
		out.warn(at, "the rule that all VIPs lie in the load-balancer nodes' subnet was not checked; declare it in Settings.subnets")
	}
	if c.cluster.clusterType.v != clusterAdmin && len(c.cluster.pools) == 0 {
		out.warn(c.cluster.poolsAt, "is absent, so no Service of type LoadBalancer gets an address")
	}
}

// warnVoters follows how voters are chosen: Settings.voters, else three hosts, else one.
func warnVoters(c *config, out *collector) {
	const fewestHosts = 3
	const text = "one voter alone decides that a node is dead: while its host is down, no address moves"
	hosts := len(c.cluster.controlPlane) + len(c.cluster.loadBalancer)
	switch {
	case c.settings != nil && len(c.settings.voters) == 1:
		out.warn(c.settings.child("voters"), text)
	case (c.settings == nil || len(c.settings.voters) == 0) && hosts < fewestHosts:
		out.warn(c.cluster.controlPlaneAt, fmt.Sprintf("%s; three voters need three hosts, the file declares %d", text, hosts))
	}
}
