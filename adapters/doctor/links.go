//go:build linux

package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// link is a network interface with its addresses.
type link struct {
	netlink.LinkAttrs
	kind     string // device, veth, bond, bridge, vlan, …
	prefixes []netip.Prefix
}

// readLinks are those of the calling thread's namespace.
func readLinks() (all []link, err error) {
	links, err := whole(netlink.LinkList)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		addresses, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_ALL) })
		if err != nil {
			return nil, err
		}
		one := link{LinkAttrs: *l.Attrs(), kind: l.Type()}
		for _, a := range addresses {
			ip, ok := netip.AddrFromSlice(a.IP)
			bits, _ := a.Mask.Size()
			if ok {
				one.prefixes = append(one.prefixes, netip.PrefixFrom(ip.Unmap(), bits))
			}
		}
		all = append(all, one)
	}
	return all, nil
}

// whole reads a list of the kernel's again that has changed while it was read.
func whole[T any](list func() ([]T, error)) (all []T, err error) {
	for range 5 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

// has finds the prefix of an address that is the link's own.
func (l link) has(a netip.Addr) (netip.Prefix, bool) {
	i := slices.IndexFunc(l.prefixes, func(p netip.Prefix) bool { return p.Addr() == a })
	if i < 0 {
		return netip.Prefix{}, false
	}
	return l.prefixes[i], true
}

// carries tells whether it has an IPv4 address that others can reach.
func (l link) carries() bool {
	return slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool {
		return p.Addr().Is4() && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() && p.Bits() < 32
	})
}

// addresses counts those that are not of the link alone.
func (l link) addresses() (n int) {
	for _, p := range l.prefixes {
		if !p.Addr().IsLinkLocalUnicast() {
			n++
		}
	}
	return n
}

func holderOf(all []link, a netip.Addr) (link, bool) {
	i := slices.IndexFunc(all, func(l link) bool { _, has := l.has(a); return has })
	if !a.IsValid() || i < 0 {
		return link{}, false
	}
	return all[i], true
}

// chosen is the link that the checks look at: the one that was named, else the one that has the node's address.
func (f Facts) chosen() (l link, all []link, err error) {
	if all, err = readLinks(); err != nil {
		return l, nil, fmt.Errorf("the interfaces cannot be listed: %w", err)
	}
	if f.Interface != "" {
		i := slices.IndexFunc(all, func(l link) bool { return l.Name == f.Interface })
		if i < 0 {
			return l, all, fmt.Errorf("there is no interface %s", f.Interface)
		}
		return all[i], all, nil
	}
	if !f.Self.IsValid() {
		return l, all, errors.New("which node this host is, and so which interface matters, is not known")
	}
	l, found := holderOf(all, f.Self)
	if !found {
		return l, all, fmt.Errorf("no interface has the node's address %s", f.Self)
	}
	return l, all, nil
}

// nameIt is what to do where the interface is not known.
const nameIt = "name it with --interface, or the node with --node"

// own finds the address of a link to ask from: the node's, else one whose subnet has the other.
func (f Facts) own(l link, other netip.Addr) (netip.Addr, bool) {
	if _, has := l.has(f.Self); has && f.Self.Is4() == other.Is4() {
		return f.Self, true
	}
	for _, p := range l.prefixes {
		if p.Contains(other) {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}
