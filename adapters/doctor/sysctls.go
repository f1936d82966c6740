//go:build linux

package doctor

import (
	"context"
	"slices"
	"strings"

	"viplog/core/event"
)

// checkSysctls looks at settings that break something. Not among them: ip_nonlocal_bind, because HAProxy binds no VIP; promote_secondaries,
// because a VIP is a /32 of its own and nobody's secondary; arp_accept, which is the gateway's; arp_notify, because viplog announces itself.
func checkSysctls(_ context.Context, h host, f Facts) []Finding {
	l, all, err := f.chosen()
	if err != nil {
		return []Finding{skipped("sysctls/interface", f.Interface, nameIt, "%v", err)}
	}
	findings := slices.Concat(h.judgeARP(l), h.judgeForwarding(l), h.judgeReversePath(l, all, f), h.judgeIPv6(l, f))
	if len(findings) == 0 {
		return []Finding{fine("sysctls/interface", l.Name,
			"nothing is set that would break something (arp_ignore, drop_gratuitous_arp, forwarding, rp_filter, disable_ipv6, accept_ra)")}
	}
	return findings
}

// setting is what to do where a setting is wrong.
func setting(name, value string) string {
	return "sysctl -w " + name + "=" + value + ", and in /etc/sysctl.d"
}

// dotted is an interface's name as sysctl(8) has it: with / for its dots.
func dotted(link string) string { return strings.ReplaceAll(link, ".", "/") }

// judgeARP looks at settings by which the kernel does not answer for, or learn of, an address that is on an interface.
func (h host) judgeARP(l link) (all []Finding) {
	// arp_ignore() in net/ipv4/arp.c: 1 and 2 answer for what is on the interface, to who is in its subnet; 8 for nothing.
	if h.sysctlOf(l.Name, "arp_ignore") >= 8 {
		all = append(all, wrong("sysctls/arp-ignore", l.Name, setting("net.ipv4.conf."+dotted(l.Name)+".arp_ignore", "1")+" (and all: the greater one counts)",
			"arp_ignore is 8: the kernel answers for no address, not for the node's and not for the VIP when it is here"))
	}
	if h.sysctlOf(l.Name, "drop_gratuitous_arp") > 0 {
		all = append(all, doubtful("sysctls/drop-gratuitous-arp", l.Name, setting("net.ipv4.conf."+dotted(l.Name)+".drop_gratuitous_arp", "0")+" (and all)",
			"this host ignores gratuitous ARP: when the control plane's VIP moves, its own kubelet goes on talking to the dead node"))
	}
	return all
}

// judgeForwarding looks whether what comes for an address can go on to a pod.
func (h host) judgeForwarding(l link) []Finding {
	if forwards, known := h.sysctl("net/ipv4/conf/" + l.Name + "/forwarding"); known && forwards == 0 {
		return []Finding{doubtful("sysctls/forwarding", l.Name, setting("net.ipv4.ip_forward", "1"),
			"packets are not forwarded: what comes for a Service's address does not reach pods, which have addresses of their own")}
	}
	return nil
}

// judgeReversePath looks at strict reverse path filtering (RFC 3704): with several networks, a client that comes in by one and is routed by another
// is dropped without a trace.
func (h host) judgeReversePath(l link, all []link, f Facts) []Finding {
	if h.sysctlOf(l.Name, "rp_filter") != 1 {
		return nil
	}
	var networks []string
	for _, other := range all {
		if other.carries() && !f.Ignored(other.Name) {
			networks = append(networks, other.Name)
		}
	}
	if len(networks) < 2 {
		return nil
	}
	return []Finding{doubtful("sysctls/rp-filter", l.Name, setting("net.ipv4.conf."+dotted(l.Name)+".rp_filter", "2")+" (the greater of it and all counts)",
		"rp_filter is strict, and the host has several networks (%s): clients whose way back is another interface are dropped",
		strings.Join(networks, ", "))}
}

// judgeIPv6 looks at IPv6 where the cluster has such addresses.
func (h host) judgeIPv6(l link, f Facts) (all []Finding) {
	if !slices.ContainsFunc(f.Subnets, func(s event.Subnet) bool { return s.Prefix.Addr().Is6() }) && !f.Self.Is6() {
		return nil
	}
	conf := "net/ipv6/conf/" + l.Name + "/"
	disabled, known := h.sysctl(conf + "disable_ipv6")
	if !known || disabled != 0 {
		return []Finding{wrong("sysctls/disable-ipv6", l.Name,
			setting("net.ipv6.conf."+dotted(l.Name)+".disable_ipv6", "0")+"; the kernel must not be started with ipv6.disable=1",
			"IPv6 is switched off, and the cluster has a subnet of it")}
	}
	forwards, _ := h.sysctl("net/ipv6/conf/all/forwarding")
	accepts, _ := h.sysctl(conf + "accept_ra")
	if forwards == 0 {
		all = append(all, doubtful("sysctls/forwarding-ipv6", l.Name, setting("net.ipv6.conf.all.forwarding", "1"),
			"IPv6 packets are not forwarded: what comes for a Service's address does not reach pods"))
	}
	isAdvertised, err := hasAdvertisedRoute(l)
	switch {
	case forwards == 0 || accepts != 1:
	case err != nil:
		all = append(all, skipped("sysctls/accept-ra", l.Name, "let the process use netlink", "%v", err))
	case isAdvertised:
		all = append(all, doubtful("sysctls/accept-ra", l.Name, setting("net.ipv6.conf."+dotted(l.Name)+".accept_ra", "2")+", or a static route",
			"a host that forwards takes no router's advertisements with accept_ra=1, and its default route came by one: it will end"))
	}
	return all
}
