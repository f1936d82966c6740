//go:build linux

package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
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
	handle *netlink.Handle
	entry  netlink.Neigh
	every  time.Duration
	last   time.Duration
}

// newNeighbour deletes the entry once, to see whether it may.
func newNeighbour(w way, every time.Duration) (*neighbour, error) {
	if w.link.Attrs().Flags&net.FlagLoopback != 0 {
		return nil, fmt.Errorf("%w %s: it is this host's own, which nobody resolves", ErrUnreachable, w.nextHop)
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	family := netlink.FAMILY_V4
	if w.nextHop.Is6() {
		family = netlink.FAMILY_V6
	}
	n := &neighbour{
		handle: handle, every: every,
		entry: netlink.Neigh{LinkIndex: w.link.Attrs().Index, Family: family, IP: net.IP(w.nextHop.AsSlice())},
	}
	if err := named(handle.NeighDel(&n.entry)); errors.Is(err, ErrPermission) {
		n.close()
		return nil, err
	}
	return n, nil
}

// forget deletes the entry when it is time. That there is none is as good.
func (n *neighbour) forget(now time.Duration) {
	if now-n.last < n.every {
		return
	}
	n.last = now
	_ = n.handle.NeighDel(&n.entry)
}

func (n *neighbour) close() { n.handle.Close() }
