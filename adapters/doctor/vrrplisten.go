//go:build linux

package doctor

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
)

// router is a host that advertises a virtual router.
type router struct {
	Advert    // the last one
	count     int
	last      time.Time
	delivered bool // one has come through the host's firewall
	expected  bool // one should have: it was sent to this host, or to a group that it has joined
}

// heard is what was heard in a while.
type heard struct {
	routers []router // sorted by router id and source
	broken  int      // that no virtual router would heed
	until   time.Time
}

var vrrpGroups = []mac{{0x01, 0x00, 0x5e, 0, 0, 0x12}, {0x33, 0x33, 0, 0, 0, 0x12}} // of 224.0.0.18 and ff02::12

// listen hears advertisements, those that this host sends too. A packet socket hears what the host's firewall would drop; a raw socket hears what
// it passes; of IPv4 alone, so nothing of IPv6 is expected.
func (h host) listen(ctx context.Context, l link, wait time.Duration) (heard, error) {
	w, err := h.openWire(l, untagged(vrrpFilter()))
	if err != nil {
		return heard{}, err
	}
	defer w.close()
	for _, group := range vrrpGroups {
		if err := w.joinGroup(l.Index, group); err != nil {
			return heard{}, err
		}
	}
	behind, err := net.ListenPacket("ip4:112", "0.0.0.0")
	if err != nil {
		return heard{}, err
	}
	defer behind.Close()
	joined := h.listensToVRRP(l.Name)
	all := heard{}
	err = w.receive(ctx, wait, func(b []byte) bool {
		p, ok := parseIP(b)
		if !ok {
			return true
		}
		a, err := ParseAdvert(p.source, p.to, p.payload)
		if err != nil {
			all.broken++
			return true
		}
		_, isOwn := l.has(p.to)
		all.take(a, h.now(), p.source.Is4() && mac(b[6:12]) != w.me && (isOwn || joined && p.to.IsMulticast()))
		return true
	})
	all.deliver(behind)
	all.until = h.now()
	slices.SortFunc(all.routers, func(a, b router) int {
		return cmp.Or(cmp.Compare(a.RouterID, b.RouterID), a.Source.Compare(b.Source))
	})
	return all, err
}

func (a *heard) take(advert Advert, at time.Time, expected bool) {
	i := slices.IndexFunc(a.routers, func(r router) bool { return r.RouterID == advert.RouterID && r.Source == advert.Source })
	if i < 0 {
		i = len(a.routers)
		a.routers = append(a.routers, router{})
	}
	r := &a.routers[i]
	r.Advert, r.last, r.expected = advert, at, r.expected || expected
	r.count++
}

// deliver notes of whom the raw socket, which has kept all, has heard.
func (a *heard) deliver(behind net.PacketConn) {
	_ = behind.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	buffer := make([]byte, 2048)
	for {
		_, from, err := behind.ReadFrom(buffer)
		if err != nil {
			return
		}
		ip, ok := from.(*net.IPAddr)
		if !ok {
			continue
		}
		source, _ := netip.AddrFromSlice(ip.IP)
		for i := range a.routers {
			if a.routers[i].Source == source.Unmap() {
				a.routers[i].delivered = true
			}
		}
	}
}

// listensToVRRP tells whether the host is a member of 224.0.0.18 on an interface, as Keepalived makes it. /proc/net/igmp has lines of interfaces, and
// under each its groups in the machine's byte order.
func (h host) listensToVRRP(name string) bool {
	inside := false
	for row := range strings.Lines(textOf(h.proc, "thread-self/net/igmp")) {
		fields := strings.Fields(row)
		if len(fields) == 0 {
			continue
		}
		if !strings.HasPrefix(row, "\t") {
			inside = len(fields) > 1 && fields[1] == name
			continue
		}
		if group, err := parseHexAddress(fields[0]); inside && err == nil && group == vrrpGroup {
			return true
		}
	}
	return false
}

var vrrpGroup = netip.MustParseAddr("224.0.0.18")

// isReachable tells whether the kernel has lately talked to a neighbour (RFC 4861 section 7.3.2), without asking.
func isReachable(l link, a netip.Addr) bool {
	entries, _ := netlink.NeighList(l.Index, netlink.FAMILY_ALL)
	return slices.ContainsFunc(entries, func(n netlink.Neigh) bool {
		ip, ok := netip.AddrFromSlice(n.IP)
		return ok && ip.Unmap() == a && n.State&netlink.NUD_REACHABLE != 0
	})
}
