package clusterfile

import (
	"fmt"
	"net/netip"
	"strconv"

	"go4.org/netipx"
)

func quote(text string) string { return strconv.Quote(text) }

// maxBlocks keeps rule V1, which compares every block with every address, cheap.
const maxBlocks = 64

// ruleV1: the blocks of Pods and Services overlap no node address, no VIP, no pool and not each other: the address
// would be answered inside the cluster and never leave the node.
func ruleV1(c *config) []finding {
	blocks := append(append([]value[netip.Prefix]{}, c.cluster.pods...), c.cluster.services...)
	if len(blocks) > maxBlocks {
		at := c.cluster.child("spec").child("clusterNetwork")
		return []finding{at.invalid(strconv.Itoa(len(blocks)), "blocks of Pods and Services, at most %d are allowed", maxBlocks)}
	}
	var found []finding
	for i, block := range blocks {
		if !block.ok {
			continue
		}
		for _, other := range blocks[:i] {
			if other.ok && other.v.Overlaps(block.v) {
				found = append(found, block.bad("overlaps %s of %s", quote(other.text), other.path))
			}
		}
		found = append(found, blockAgainstAddresses(c, block)...)
	}
	return found
}

// blockAgainstAddresses names the first of each kind only: a wrong mask hits all nodes at once.
func blockAgainstAddresses(c *config, block value[netip.Prefix]) []finding {
	var found []finding
	for _, vip := range []struct {
		name string
		at   value[netip.Addr]
	}{{"controlPlaneVIP", c.cluster.controlPlaneVIP}, {"ingressVIP", c.cluster.ingressVIP}} {
		if vip.at.ok && block.v.Contains(vip.at.v) {
			found = append(found, block.bad("overlaps %s %s", vip.name, quote(vip.at.text)))
		}
	}
	var first string
	hits := 0
	for _, n := range c.nodes() {
		for _, a := range n.addresses() {
			if block.v.Contains(a.v) {
				if hits++; hits == 1 {
					first = fmt.Sprintf("node %s of %s", quote(a.text), n.owner)
				}
			}
		}
	}
	if hits > 0 {
		found = append(found, block.bad("overlaps %s%s", first, andMore(hits-1)))
	}
	hits = 0
	for _, r := range c.ranges() {
		if r.v.Overlaps(netipx.RangeOfPrefix(block.v)) {
			if hits++; hits == 1 {
				first = r.describe()
			}
		}
	}
	if hits > 0 {
		found = append(found, block.bad("overlaps %s%s", first, andMore(hits-1)))
	}
	return found
}

func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// ruleV2: the masks of Pods and Services. GDCV gives bounds for IPv4 only; a second block may be IPv6.
func ruleV2(c *config) []finding {
	var found []finding
	check := func(blocks []value[netip.Prefix], least, most int) {
		for _, b := range blocks {
			if b.ok && b.v.Addr().Is4() && (b.v.Bits() < least || b.v.Bits() > most) {
				found = append(found, b.bad("mask must be between %d and %d", least, most))
			}
		}
	}
	check(c.cluster.pods, 8, 18)
	check(c.cluster.services, 12, 24)
	return found
}
