package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"viplog/adapters/clusterfile"
	"viplog/core/event"
	"viplog/sim/segment"
)

// devName names a node of `viplog dev`: cp-1…, lb-1… in the order of the cluster file.
func devName(nodes []event.DeclaredNode, a netip.Addr) string {
	count := map[string]int{}
	for _, n := range nodes {
		count[n.Role]++
		if n.Address == a {
			short := map[string]string{event.RoleControlPlane: "cp", event.RoleLoadBalancer: "lb"}[n.Role]
			return fmt.Sprintf("%s-%d", short, count[n.Role])
		}
	}
	return a.String()
}

// devMAC is a locally administered MAC made of the last four bytes of an address.
func devMAC(a netip.Addr) segment.MAC {
	b := a.As16()
	return 0x02_00_00_00_00_00 | segment.MAC(binary.BigEndian.Uint32(b[12:]))
}

// devPrefixes are the subnets of every interface in `viplog dev`: those that Settings declares, else the smallest
// prefix per family that holds all nodes, VIPs and pools.
func devPrefixes(f *clusterfile.File) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, s := range f.Settings.Subnets {
		prefixes = append(prefixes, s.Prefix)
	}
	if len(prefixes) > 0 {
		return prefixes
	}
	return smallestPrefixes(declaredAddresses(f))
}

func declaredAddresses(f *clusterfile.File) []netip.Addr {
	var all []netip.Addr
	for _, n := range f.Cluster.Nodes {
		all = append(all, n.Address)
	}
	for _, vip := range []netip.Addr{f.Cluster.ControlPlaneVIP, f.Cluster.IngressVIP} {
		if vip.IsValid() {
			all = append(all, vip)
		}
	}
	for _, p := range f.Pools {
		for _, text := range p.Addresses {
			if r, err := event.ParseRange(text); err == nil {
				all = append(all, r.From(), r.To())
			}
		}
	}
	return all
}

// smallestPrefixes gives, for each family that occurs, the longest prefix that holds all its addresses.
func smallestPrefixes(addresses []netip.Addr) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, v4 := range []bool{true, false} {
		var common netip.Prefix
		for _, a := range addresses {
			if a.Is4() != v4 {
				continue
			}
			if !common.IsValid() {
				common = netip.PrefixFrom(a, a.BitLen())
			}
			for !common.Contains(a) {
				common = netip.PrefixFrom(common.Addr(), common.Bits()-1).Masked()
			}
		}
		if common.IsValid() {
			prefixes = append(prefixes, common)
		}
	}
	return prefixes
}
