package clusterfile

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
)

// maxPools leaves room for the other facts of a file in one atomic batch of the log, which has at most 1,000.
const maxPools = 900

// poolIndex answers which range holds an address: ranges by their start, and beside each the highest end up to it.
type poolIndex struct {
	ranges []poolRange
	ends   []netip.Addr
}

func (c *config) poolIndex() poolIndex {
	index := poolIndex{ranges: c.ranges()}
	slices.SortStableFunc(index.ranges, func(a, b poolRange) int { return a.v.From().Compare(b.v.From()) })
	for i, r := range index.ranges {
		end := r.v.To()
		if i > 0 && end.Less(index.ends[i-1]) {
			end = index.ends[i-1]
		}
		index.ends = append(index.ends, end)
	}
	return index
}

// find walks down from the last range that starts at or before the address; where no ranges overlap, that is one step.
func (p poolIndex) find(a netip.Addr) (poolRange, bool) {
	after, _ := slices.BinarySearchFunc(p.ranges, a, func(r poolRange, a netip.Addr) int {
		if r.v.From().Compare(a) <= 0 {
			return -1
		}
		return 1
	})
	for i := after - 1; i >= 0 && !p.ends[i].Less(a); i-- {
		if p.ranges[i].v.Contains(a) {
			return p.ranges[i], true
		}
	}
	return poolRange{}, false
}

// ruleV3: controlPlaneVIP lies in no pool, for a Service could be given it; ingressVIP lies in a pool, from which its
// Service gets it; an admin cluster has neither ingressVIP nor pools.
func ruleV3(c *config) []finding {
	var found []finding
	pools, cp, ingress := c.poolIndex(), c.cluster.controlPlaneVIP, c.cluster.ingressVIP
	if r, in := pools.find(cp.v); cp.ok && in {
		found = append(found, cp.bad("must lie in no pool, but lies in %s", r.describe()))
	}
	if cp.ok && ingress.ok && cp.v == ingress.v {
		found = append(found, ingress.bad("is also controlPlaneVIP; each needs an address of its own"))
	}
	if c.cluster.clusterType.v == clusterAdmin {
		if ingress.set {
			found = append(found, ingress.forbidden("not allowed in admin clusters"))
		}
		if c.cluster.poolsListed > 0 {
			found = append(found, c.cluster.poolsAt.forbidden("not allowed in admin clusters"))
		}
		return found
	}
	needsPool := ingress.ok && c.cluster.mode.v == ModeBundled && !c.cluster.poolsInDoubt
	if _, in := pools.find(ingress.v); needsPool && !in {
		if len(pools.ranges) == 0 {
			found = append(found, ingress.bad("must lie in a pool, and addressPools has none"))
		} else {
			found = append(found, ingress.bad("must lie in a pool, and lies in none"))
		}
	}
	return found
}

// ruleV4: ranges do not overlap, within a pool and across pools, and hold neither a node's address nor a gateway: the
// address would be answered by two hosts. What lies in the subnet is ruleV4Subnets.
func ruleV4(c *config) []finding {
	found := overlaps(c.ranges())
	pools := c.poolIndex()
	for _, n := range c.nodes() {
		for _, a := range n.addresses() {
			if r, in := pools.find(a.v); in {
				found = append(found, a.bad("a node's address must lie in no pool, but lies in %s", r.describe()))
			}
		}
	}
	if c.settings == nil {
		return found
	}
	for _, s := range c.settings.subnets {
		if r, in := pools.find(s.gateway.v); s.gateway.ok && in {
			found = append(found, s.gateway.bad("a gateway must lie in no pool, but lies in %s", r.describe()))
		}
	}
	return found
}

// overlaps sweeps the ranges from the lowest address up, holding against each the one that reaches highest so far, and
// blames the later of two in the file.
func overlaps(ranges []poolRange) []finding {
	order := make([]int, len(ranges))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(ranges[a].v.From().Compare(ranges[b].v.From()), cmp.Compare(a, b))
	})
	var found []finding
	highest := -1
	for _, i := range order {
		if highest >= 0 && ranges[i].v.Overlaps(ranges[highest].v) {
			later, earlier := ranges[max(i, highest)], ranges[min(i, highest)]
			found = append(found, later.bad("overlaps %s", earlier.describe()))
		}
		if highest < 0 || ranges[highest].v.To().Less(ranges[i].v.To()) {
			highest = i
		}
	}
	return found
}

// rulePoolNames: a pool's name occurs once, and the pools fit in one batch of facts.
func rulePoolNames(c *config) []finding {
	var found []finding
	if n := c.cluster.poolsListed; n > maxPools {
		found = append(found, c.cluster.poolsAt.invalid(strconv.Itoa(n), "pools, at most %d are allowed", maxPools))
	}
	names := map[string]bool{}
	for _, p := range c.cluster.pools {
		if !p.name.ok {
			continue
		}
		if names[p.name.v] {
			found = append(found, p.name.duplicate(p.name.v))
		}
		names[p.name.v] = true
	}
	return found
}
