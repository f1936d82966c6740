//go:build linux

package doctor

import "context"

// checkInterface looks whether the node's address is on an interface, whose subnet has the VIP: one that is in no subnet of the segment is
// asked for by nobody.
func checkInterface(_ context.Context, _ host, f Facts) []Finding {
	if !f.Self.IsValid() {
		return []Finding{skipped("interface/address", "", "name the node with --node", "which node this host is, is not known")}
	}
	all, err := readLinks()
	if err != nil {
		return []Finding{skipped("interface/address", "", "let the process use netlink", "the interfaces cannot be listed: %v", err)}
	}
	l, found := holderOf(all, f.Self)
	switch {
	case !found:
		return []Finding{wrong("interface/address", f.Self.String(),
			"give the address to the interface on the cluster's network, or name another node with --node",
			"no interface has the node's address")}
	case f.Interface != "" && l.Name != f.Interface:
		return []Finding{wrong("interface/address", f.Interface, "name that interface, or move the address",
			"%s is on %s, not on %s", f.Self, l.Name, f.Interface)}
	}
	findings := []Finding{fine("interface/address", l.Name, "it has the node's address %s", f.Self)}
	if f.Plan != nil {
		findings = append(findings, f.judgeSubnet(l))
	}
	return findings
}

// judgeSubnet holds the VIP against the declared subnet, and where there is none against the interface's own, which is only a hint.
func (f Facts) judgeSubnet(l link) Finding {
	const id, do = "interface/subnet", "put the VIP and the nodes into one subnet (V4), or correct Settings.subnets"
	vip := f.Plan.VIP
	if s, declared := f.subnetOf(vip); declared {
		switch {
		case !s.Prefix.Contains(f.Self):
			return wrong(id, l.Name, do, "the VIP %s is in the declared subnet %s, and the node's address %s is not", vip, s.Prefix, f.Self)
		case s.Interface != "" && s.Interface != l.Name:
			return wrong(id, l.Name, "correct the subnet's interface in Settings.subnets", "the declared subnet %s is said to be on %s", s.Prefix, s.Interface)
		}
		return fine(id, l.Name, "the node and the VIP %s are in the declared subnet %s", vip, s.Prefix)
	}
	if len(f.Subnets) > 0 {
		return wrong(id, l.Name, do, "the VIP %s is in none of the declared subnets", vip)
	}
	prefix, _ := l.has(f.Self)
	if !prefix.Masked().Contains(vip) {
		return doubtful(id, l.Name, "declare the segment's subnet in Settings.subnets, or put the VIP into the node's",
			"the VIP %s is not in %s, the subnet of the node's address", vip, prefix.Masked())
	}
	return fine(id, l.Name, "the VIP %s is in %s, the subnet of the node's address", vip, prefix.Masked())
}
