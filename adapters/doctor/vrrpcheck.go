//go:build linux

package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// checkVRRP listens for longer than a backup would wait for its master: three advertisements and the skew, which is less than a fourth (RFC 9568
// section 6.1).
func checkVRRP(ctx context.Context, h host, f Facts) []Finding {
	const id = "vrrp/heard"
	l, all, err := f.chosen()
	if err != nil {
		return []Finding{skipped(id, f.Interface, nameIt, "%v", err)}
	}
	wait := 4 * f.Advert
	said, err := h.listen(ctx, l, wait)
	if err != nil {
		return []Finding{skipped(id, l.Name, "run it as root", "VRRP cannot be listened to: %v", err)}
	}
	if ctx.Err() != nil {
		return []Finding{skipped(id, l.Name, again, interrupted)}
	}
	front := frontEnd{Facts: f, host: h, link: l, links: all, wait: wait}
	findings := []Finding{}
	for _, r := range said.routers {
		findings = append(findings, front.judgeRouter(r))
		if r.expected && !r.delivered && r.count > 1 && front.isOurs(r) { // one alone may be on its way
			findings = append(findings, wrong("vrrp/firewall", r.Source.String(), "accept IP protocol 112 from the nodes that carry the VIP",
				"its advertisements reach the interface %s, and this host's firewall drops them: Keepalived here would take the VIP as well", l.Name))
		}
	}
	if said.broken > 0 {
		findings = append(findings, doubtful("vrrp/broken", l.Name, "look for their sender: tcpdump -i "+l.Name+" -vv ip proto 112",
			"%d advertisements are broken (version, checksum or length)", said.broken))
	}
	return append(findings, front.judgeMasters(said)...)
}

// frontEnd is what the advertisements that were heard are held against.
type frontEnd struct {
	Facts
	host  host
	link  link
	links []link
	wait  time.Duration
}

// isOurs tells whether an advertisement is of the front end's virtual router: by its router id, or because a node that is to carry the VIP does.
func (f frontEnd) isOurs(r router) bool {
	if f.Plan == nil {
		return false
	}
	_, isMember := f.Plan.Member(r.Source)
	return r.RouterID == f.Plan.RouterID || isMember && slices.Contains(r.Addresses, f.Plan.VIP)
}

// judgeRouter looks at one that was heard.
func (f frontEnd) judgeRouter(r router) Finding {
	about := fmt.Sprintf("router id %d", r.RouterID)
	text := describe(r)
	if f.Plan == nil {
		return fine("vrrp/heard", about, "%s", text)
	}
	_, isMember := f.Plan.Member(r.Source)
	hasVIP := slices.Contains(r.Addresses, f.Plan.VIP)
	switch {
	case f.isOurs(r) && !isMember:
		return wrong("vrrp/router-id", about,
			"name it in settings.frontend.otherRouterIDs, so that this cluster gets another one, or give that virtual router another: no two on a segment "+
				"may have the same",
			"it is this cluster's, and a host uses it that carries no VIP of it: %s", text)
	case f.isOurs(r) && !hasVIP:
		return wrong("vrrp/addresses", about, "give all nodes that carry the VIP the same configuration",
			"a peer advertises other addresses than the VIP %s: %s", f.Plan.VIP, text)
	case hasVIP && !f.isOurs(r):
		return wrong("vrrp/vip", about, "end that virtual router, or take the VIP out of it",
			"another virtual router carries the control plane's VIP: %s", text)
	case f.isOurs(r) && f.Plan.RouterID != 0 && r.RouterID != f.Plan.RouterID:
		return doubtful("vrrp/vip", about,
			"end what carried the VIP before viplog, if it still runs; if the cluster remembers this router id, say so in settings.frontend.routerID",
			"a node carries the VIP by another router id than %d, which is the cluster file's: %s", f.Plan.RouterID, text)
	case f.isOurs(r):
		return fine("vrrp/heard", about, "the master is heard: %s", text)
	}
	return fine("vrrp/foreign", about, "another virtual router on the segment: %s", text)
}

func describe(r router) string {
	var addresses []string
	for _, a := range r.Addresses {
		addresses = append(addresses, a.String())
	}
	return fmt.Sprintf("%s, VRRPv%d, priority %d, each %s, for %s", r.Source, r.Version, r.Priority, r.Interval, strings.Join(addresses, ", "))
}

// judgeMasters looks at who is master, and at silence.
func (f frontEnd) judgeMasters(said heard) []Finding {
	const id = "vrrp/master"
	if f.Plan == nil {
		return []Finding{skipped(id, f.link.Name, "name the cluster's file (-f)",
			"whose router id and VIP are the cluster's is not known; %d virtual routers were heard in %s", len(said.routers), f.wait)}
	}
	var masters []string
	own := false
	for _, r := range said.routers {
		goesOn := r.Priority > 0 && said.until.Sub(r.last) < 2*max(r.Interval, f.Advert)
		if f.isOurs(r) && goesOn {
			masters = append(masters, r.Source.String())
			own = own || r.Source == f.Self
		}
	}
	about := f.Plan.VIP.String()
	takeOff := fmt.Sprintf("ip address del %s dev %s", netip.PrefixFrom(f.Plan.VIP, f.Plan.VIP.BitLen()), f.link.Name)
	_, runs := f.keepalived()
	switch {
	case f.holdsVIP() && !runs:
		return []Finding{wrong("vrrp/left-behind", about,
			takeOff+", and see why Keepalived did not: it leaves the VIP when it is killed",
			"the VIP is on this host, and no Keepalived runs here (masters that are heard: %s)", orNone(masters))}
	case f.holdsVIP() && !own && len(masters) > 0:
		return []Finding{wrong("vrrp/masters", about,
			"let IP protocol 112 leave this host, and come in; if Keepalived here says that it is backup, "+takeOff,
			"the VIP is on this host as well, whose Keepalived is not heard to advertise it; master is %s", strings.Join(masters, ", "))}
	case len(masters) > 1:
		return []Finding{wrong("vrrp/masters", about, "let IP protocol 112 pass between these hosts, in both directions (firewalls, switches)",
			"several are master at once, and clients change between them: %s", strings.Join(masters, ", "))}
	case len(masters) == 1:
		return []Finding{fine(id, about, "one master: %s", masters[0])}
	}
	return []Finding{f.judgeSilence()}
}

// judgeSilence tells whether it is right that no master is heard.
func (f frontEnd) judgeSilence() Finding {
	const id = "vrrp/master"
	about := f.Plan.VIP.String()
	pid, runs := f.keepalived()
	answers := isReachable(f.link, f.Plan.VIP)
	why := fmt.Sprintf("Keepalived runs here (pid %d)", pid)
	if !runs {
		why = fmt.Sprintf("a host answers for %s", f.Plan.VIP)
	}
	switch {
	case len(f.Plan.Members) < 2:
		return skipped(id, about, "", "one node carries the VIP, and advertises to nobody")
	case !f.carriesVIP():
		return skipped(id, about, "run it on a node that carries the VIP", "this host carries no VIP, and advertisements are sent to those that do")
	case runs || answers:
		return wrong("vrrp/silence", about, "let IP protocol 112 pass from node to node (firewalls, switches), and see that they are in one VLAN",
			"%s, and no advertisement was heard in %s, in which each backup becomes master too", why, f.wait)
	}
	return skipped(id, about, "run it again when the front end runs",
		"no advertisement was heard in %s, and no front end is seen: Keepalived does not run here", f.wait)
}

// keepalived is the process here, if there is one.
func (f frontEnd) keepalived() (pid int, runs bool) {
	for _, p := range f.host.inNamespace() {
		if p.name == "keepalived" {
			return p.pid, true
		}
	}
	return 0, false
}

// holdsVIP tells whether the VIP is on an interface of this host that others reach.
func (f frontEnd) holdsVIP() bool {
	return slices.ContainsFunc(f.links, func(l link) bool {
		_, has := l.has(f.Plan.VIP)
		return has && l.Flags&net.FlagLoopback == 0 && l.Name != ipvsLink
	})
}

func orNone(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}
