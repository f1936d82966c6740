package clusterfile

import (
	"net/netip"
	"slices"
	"strconv"

	"go4.org/netipx"

	"viplog/core/event"
	"viplog/core/suggest"
)

// ruleV4Subnets: every VIP, every range and every load-balancer node lies in a declared subnet; a gratuitous ARP does
// not cross a router. It needs Settings.subnets, for the cluster file says no mask, and matters in layer 2 only.
func ruleV4Subnets(c *config) []finding {
	subnets := c.subnets()
	if len(subnets) == 0 || !c.cluster.layer2() {
		return nil
	}
	inside := func(from, to netip.Addr) bool {
		return slices.ContainsFunc(subnets, func(p netip.Prefix) bool { return p.Contains(from) && p.Contains(to) })
	}
	const reason = "must lie in one of Settings.subnets, and lies in none"
	var found []finding
	addresses := []value[netip.Addr]{c.cluster.controlPlaneVIP, c.cluster.ingressVIP}
	for _, n := range c.balancingNodes() {
		addresses = append(addresses, n.identity())
	}
	for _, a := range addresses {
		if a.ok && !inside(a.v, a.v) {
			found = append(found, a.bad(reason))
		}
	}
	for _, r := range c.ranges() {
		if !inside(r.v.From(), r.v.To()) {
			found = append(found, r.bad(reason))
		}
	}
	return found
}

// balancingNodes are the nodes that may hold a VIP. With load-balancer separation the control-plane nodes keep
// controlPlaneVIP for themselves.
func (c *config) balancingNodes() []declaredNode {
	nodes := c.cluster.balancers()
	if c.cluster.hasLoadBalancerPool && c.cluster.controlPlaneMode.v == ModeBundled {
		nodes = append(slices.Clone(c.cluster.controlPlane), nodes...)
	}
	return nodes
}

// subnets gives the declared prefixes, or none while one of them is unreadable.
func (c *config) subnets() []netip.Prefix {
	if c.settings == nil {
		return nil
	}
	var all []netip.Prefix
	for _, s := range c.settings.subnets {
		if !s.prefix.ok {
			return nil
		}
		all = append(all, s.prefix.v)
	}
	return all
}

// ruleGateways: subnets are apart from each other, and each gateway lies in its own and is nobody else.
func ruleGateways(c *config) []finding {
	if c.settings == nil {
		return nil
	}
	hosts := map[netip.Addr]string{}
	for _, n := range c.nodes() {
		for _, a := range n.addresses() {
			hosts[a.v] = "the address of a node"
		}
	}
	if vip := c.cluster.controlPlaneVIP; vip.ok {
		hosts[vip.v] = "controlPlaneVIP"
	}
	var found []finding
	for i, s := range c.settings.subnets {
		for _, other := range c.settings.subnets[:min(i, maxSubnets)] {
			if s.prefix.ok && other.prefix.ok && s.prefix.v.Overlaps(other.prefix.v) {
				found = append(found, s.prefix.bad("overlaps %s of %s", quote(other.prefix.text), other.prefix.path))
				break
			}
		}
		if !s.gateway.ok {
			continue
		}
		if s.prefix.ok && !s.prefix.v.Contains(s.gateway.v) {
			found = append(found, s.gateway.bad("must lie in the subnet's prefix %s", quote(s.prefix.text)))
		}
		if owner, taken := hosts[s.gateway.v]; taken {
			found = append(found, s.gateway.bad("is also %s", owner))
		}
	}
	if n := len(c.settings.subnets); n > maxSubnets {
		found = append(found, c.settings.child("subnets").invalid(strconv.Itoa(n), "subnets, at most %d are allowed", maxSubnets))
	}
	return found
}

// maxSubnets is more segments than a node has interfaces.
const maxSubnets = 128

// ruleVoters: voters are declared nodes, each once, and their number is odd: one more voter than an odd number raises
// the majority without surviving one more failure.
func ruleVoters(c *config) []finding {
	if c.settings == nil || len(c.settings.voters) == 0 {
		return nil
	}
	var found []finding
	if n := len(c.settings.voters); n%2 == 0 || n > event.MaxVoters {
		found = append(found, c.settings.child("voters").invalid(strconv.Itoa(n),
			"the number of voters must be odd and at most %d; 3 survive the loss of one", event.MaxVoters))
	}
	declared := map[netip.Addr]bool{}
	for _, n := range append(slices.Clone(c.cluster.controlPlane), c.cluster.loadBalancer...) {
		declared[n.identity().v] = true
	}
	seen := map[netip.Addr]bool{}
	for _, v := range c.settings.voters {
		switch {
		case !v.ok:
		case seen[v.v]:
			found = append(found, v.duplicate(v.text))
		case !declared[v.v]:
			found = append(found, v.bad("must be a declared control-plane or load-balancer node: its k8sIP where it has one, else its address"))
		}
		seen[v.v] = true
	}
	return found
}

// rulePoolSettings: settings refine pools that exist, each once, and exclude only what the pool has.
func rulePoolSettings(c *config) []finding {
	if c.settings == nil {
		return nil
	}
	sets := map[string]*netipx.IPSet{}
	var names []string
	for _, p := range c.cluster.pools {
		if p.name.ok && sets[p.name.v] == nil {
			sets[p.name.v] = p.set()
			names = append(names, p.name.v)
		}
	}
	var found []finding
	seen := map[string]bool{}
	for _, p := range c.settings.pools {
		if !p.name.ok {
			continue
		}
		if seen[p.name.v] {
			found = append(found, p.name.duplicate(p.name.v))
		}
		seen[p.name.v] = true
		set := sets[p.name.v]
		if set == nil {
			found = append(found, p.name.bad("no such pool in spec.loadBalancer.addressPools%s", didYouMean(p.name.v, names)))
			continue
		}
		for _, r := range p.exclude {
			if r.ok && !set.ContainsRange(r.v) {
				found = append(found, r.bad("must lie inside the ranges of pool %s", quote(p.name.v)))
			}
		}
	}
	return found
}

func didYouMean(name string, known []string) string {
	if close := suggest.Nearest(name, known); close != "" {
		return "; did you mean " + quote(close) + "?"
	}
	return ""
}

func (p poolSpec) set() *netipx.IPSet {
	var builder netipx.IPSetBuilder
	for _, r := range p.addresses {
		if r.ok {
			builder.AddRange(r.v)
		}
	}
	set, err := builder.IPSet()
	if err != nil { // only an invalid range can do that, and those are left out
		return new(netipx.IPSet)
	}
	return set
}
