//go:build linux

package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// way is how the kernel of the calling thread's namespace reaches an address.
type way struct {
	link    netlink.Link
	nextHop netip.Addr // the address itself, or the gateway to it
}

// wayTo looks at the routes, or takes an interface by its name, on which the address is then.
func wayTo(a netip.Addr, name string) (way, error) {
	if name != "" {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return way{}, fmt.Errorf("%w %s: interface %s: %w", ErrUnreachable, a, name, err)
		}
		return way{l, a}, nil
	}
	routes, err := netlink.RouteGet(net.IP(a.AsSlice()))
	if err != nil || len(routes) == 0 {
		return way{}, fmt.Errorf("%w %s: %w", ErrUnreachable, a, err)
	}
	l, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return way{}, fmt.Errorf("%w %s: %w", ErrUnreachable, a, err)
	}
	hop := a
	if gateway, ok := netip.AddrFromSlice(routes[0].Gw); ok {
		hop = gateway.Unmap()
	}
	return way{l, hop}, nil
}

// source is an address of the interface to ask from: one of whose subnet the other is, else any.
func (w way) source(a netip.Addr) (netip.Addr, error) {
	family := netlink.FAMILY_V4
	if a.Is6() {
		family = netlink.FAMILY_V6
	}
	all, err := netlink.AddrList(w.link, family)
	if err != nil {
		return netip.Addr{}, err
	}
	found := netip.Addr{}
	for _, own := range all {
		ip, ok := netip.AddrFromSlice(own.IP)
		if !ok {
			continue
		}
		bits, _ := own.Mask.Size()
		if prefix, err := ip.Unmap().Prefix(bits); err == nil && prefix.Contains(a) {
			return ip.Unmap(), nil
		}
		found = ip.Unmap()
	}
	if !found.IsValid() {
		return found, fmt.Errorf("%w %s: %s has no address of its family to ask from", ErrUnreachable, a, w.link.Attrs().Name)
	}
	return found, nil
}

// neighbour deletes an entry of the kernel's neighbour cache.
type neighbour struct {
	link     int
	hop      netip.Addr
	every    time.Duration
	last     time.Duration
	resolved bool // the entry had an answer already when it was looked at last
	calls    map[int]*nl.SocketHandle
}

// newNeighbour deletes the entry once, to see whether it may.
func newNeighbour(w way, every time.Duration) (*neighbour, error) {
	if w.link.Attrs().Flags&net.FlagLoopback != 0 {
		return nil, fmt.Errorf("%w %s: it is this host's own, which nobody resolves", ErrUnreachable, w.nextHop)
	}
	socket, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	n := &neighbour{
		link: w.link.Attrs().Index, hop: w.nextHop, every: every,
		calls: map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: socket}},
	}
	if _, err := n.call(unix.RTM_DELNEIGH, unix.NLM_F_ACK); errors.Is(named(err), ErrPermission) {
		n.close()
		return nil, named(err)
	}
	return n, nil
}

// call has the kernel do something about the entry (rtnetlink(7)).
func (n *neighbour) call(what, flags int) ([][]byte, error) {
	about := &netlink.Ndmsg{Family: unix.AF_INET, Index: uint32(n.link)}
	if n.hop.Is6() {
		about.Family = unix.AF_INET6
	}
	r := nl.NewNetlinkRequest(what, flags)
	r.Sockets = n.calls
	r.AddData(about)
	r.AddData(nl.NewRtAttr(netlink.NDA_DST, n.hop.AsSlice()))
	return r.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNEIGH)
}

// forget deletes the entry when it is time and nothing waits in it: the kernel would throw that away, and no client does. That there is no
// entry is as good. Unanswered says that a request of the probe has no answer yet.
func (n *neighbour) forget(now time.Duration, unanswered bool) {
	if now-n.last < n.every {
		return
	}
	n.last = now
	if found, err := n.call(unix.RTM_GETNEIGH, 0); err == nil && len(found) > 0 {
		if entry, err := netlink.NeighDeserialize(found[0]); err == nil && n.mayHoldRequests(entry.State, unanswered) {
			return
		}
	}
	n.resolved = false
	_, _ = n.call(unix.RTM_DELNEIGH, unix.NLM_F_ACK)
}

// mayHoldRequests tells whether requests may wait in the entry, whose state (NUD_…) is given each time that it is looked at. They do until
// somebody has answered, and for a moment after: the kernel takes the entry for resolved before it sends them (__neigh_update). They are
// gone when nothing is unanswered, and when the entry was resolved a spacing ago already.
func (n *neighbour) mayHoldRequests(state int, unanswered bool) bool {
	before := n.resolved
	n.resolved = state != netlink.NUD_INCOMPLETE
	return !n.resolved || unanswered && !before
}

func (n *neighbour) close() { n.calls[unix.NETLINK_ROUTE].Close() }
