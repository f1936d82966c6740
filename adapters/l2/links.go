//go:build linux

package l2

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"viplog/core/event"
)

// link is an interface as the kernel has it now.
type link struct {
	index    int
	name     string
	mac      mac
	up       bool
	prefixes []netip.Prefix
}

func (l link) describe() event.Interface {
	return event.Interface{Name: l.name, MAC: l.mac.String(), Up: l.up, Prefixes: l.prefixes}
}

// listLinks gives the links that can be served, sorted by name, and all MACs of this node's.
func listLinks(ignored func(string) bool) (links []link, own map[mac]bool, err error) {
	all, err := whole(netlink.LinkList)
	if err != nil {
		return nil, nil, fmt.Errorf("l2: list interfaces: %w", err)
	}
	addresses, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, nil, fmt.Errorf("l2: list addresses: %w", err)
	}
	kinds := map[int]string{}
	for _, l := range all {
		kinds[l.Attrs().Index] = l.Type()
	}
	own = map[mac]bool{}
	for _, l := range all {
		a := l.Attrs()
		if len(a.HardwareAddr) != 6 || a.Flags&net.FlagLoopback != 0 || ignored(a.Name) {
			continue
		}
		own[mac(a.HardwareAddr)] = true
		// A master has the frames of its members: a bond, a bridge, a team. That of a VRF has them only for routing.
		member := a.MasterIndex != 0 && kinds[a.MasterIndex] != "vrf"
		if member || a.EncapType != "ether" || a.RawFlags&unix.IFF_NOARP != 0 || a.Flags&net.FlagBroadcast == 0 {
			continue
		}
		links = append(links, link{
			index: a.Index, name: a.Name, mac: mac(a.HardwareAddr), prefixes: prefixesOf(a.Index, addresses),
			up: isUp(a.RawFlags),
		})
	}
	slices.SortFunc(links, func(a, b link) int { return cmp.Compare(a.name, b.name) })
	return links, own, nil
}

// isUp wants a link that is switched on and has a carrier.
func isUp(flags uint32) bool { return flags&unix.IFF_UP != 0 && flags&unix.IFF_RUNNING != 0 }

// prefixesOf gives a link's prefixes, sorted. Link-local ones of IPv6 are on every link and say nothing.
func prefixesOf(index int, addresses []netlink.Addr) (prefixes []netip.Prefix) {
	for _, a := range addresses {
		ip, ok := netip.AddrFromSlice(a.IP)
		bits, _ := a.Mask.Size()
		if a.LinkIndex != index || !ok || ip.Is6() && !ip.Is4In6() && ip.IsLinkLocalUnicast() {
			continue
		}
		if p := netip.PrefixFrom(ip.Unmap(), bits); p.IsValid() {
			prefixes = append(prefixes, p.Masked())
		}
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	return slices.Compact(prefixes)
}

// whole asks again when something changed while the kernel told.
func whole[T any](list func() ([]T, error)) (all []T, err error) {
	for range 10 {
		all, err = list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, err
}

// changes are the links about which the kernel has said something.
type changes struct {
	all     bool         // something may have been missed
	touched map[int]bool // by index
	flapped map[int]bool // were down meanwhile
}

func newChanges() changes { return changes{touched: map[int]bool{}, flapped: map[int]bool{}} }

// doorbell collects what the kernel says about links and addresses. It is only the reason to list all.
type doorbell struct {
	mu     sync.Mutex
	heard  changes
	rung   chan struct{}
	socket *nl.NetlinkSocket
	closed atomic.Bool
}

// close ends listening.
func (d *doorbell) close() {
	d.closed.Store(true)
	d.socket.Close()
}

// newDoorbell must be called on a thread in the namespace that it is to listen in.
func newDoorbell() (*doorbell, error) {
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return nil, fmt.Errorf("l2: subscribe to changes of interfaces: %w", err)
	}
	return &doorbell{heard: newChanges(), rung: make(chan struct{}, 1), socket: socket}, nil
}

// collect gives what was heard since the last time.
func (d *doorbell) collect() changes {
	d.mu.Lock()
	defer d.mu.Unlock()
	heard := d.heard
	d.heard = newChanges()
	return heard
}

// note changes what was heard.
func (d *doorbell) note(what func(*changes)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	what(&d.heard)
}

func (d *doorbell) ring() {
	select {
	case d.rung <- struct{}{}:
	default:
	}
}

// listen rings until the socket is closed.
func (d *doorbell) listen() error {
	for {
		messages, _, err := d.socket.Receive()
		switch {
		case d.closed.Load():
			return nil
		case errors.Is(err, unix.ENOBUFS): // more was said than the socket holds
			d.note(func(c *changes) { c.all = true })
			d.ring()
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("l2: listen for changes of interfaces: %w", err)
		default:
			d.note(func(c *changes) { c.take(messages) })
			d.ring()
		}
	}
}

// take remembers what the state that is listed later may not show any more.
func (c *changes) take(messages []syscall.NetlinkMessage) {
	for _, m := range messages {
		index, flags, ok := parseLinkMessage(m.Header.Type, m.Data)
		if !ok {
			continue
		}
		c.touched[index] = true
		if !isUp(flags) {
			c.flapped[index] = true
		}
	}
}

// parseLinkMessage reads the fixed part of a message about a link. Those of bridges about their ports are of another family.
func parseLinkMessage(kind uint16, data []byte) (index int, flags uint32, ok bool) {
	if kind != unix.RTM_NEWLINK && kind != unix.RTM_DELLINK || len(data) < unix.SizeofIfInfomsg {
		return 0, 0, false
	}
	m := nl.DeserializeIfInfomsg(slices.Clone(data[:unix.SizeofIfInfomsg]))
	return int(m.Index), m.Flags, m.Family == unix.AF_UNSPEC
}
