package main

import (
	"net/netip"
	"testing"

	"viplog/core/frontend"
)

// Nobody says how long the subnet is: it is taken to be the smallest in which the VIP and the nodes can be hosts.
func TestTheSmallestSubnetHasNoHostAtItsEnds(t *testing.T) {
	for _, c := range []struct{ vip, node, want string }{
		{"10.0.0.7", "10.0.0.5", "10.0.0.0/28"},
		{"10.0.0.6", "10.0.0.5", "10.0.0.4/30"},
		{"10.0.0.71", "10.0.0.2", "10.0.0.0/25"},
	} {
		vip, node := netip.MustParseAddr(c.vip), netip.MustParseAddr(c.node)
		p := smallestPrefix(frontend.Plan{VIP: vip, Members: []frontend.Member{{Address: node, Priority: 1}}}, node)
		if p.String() != c.want {
			t.Errorf("VIP %s and node %s: %s, not %s", c.vip, c.node, p, c.want)
		}
	}
}
