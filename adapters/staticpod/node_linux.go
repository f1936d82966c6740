package staticpod

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
)

// System is the network namespace that the calling thread is in.
type System struct{}

// protocolVRRP is VRRP's number among the protocols of IP.
const protocolVRRP = 112

// SpeaksVRRP looks for raw sockets of VRRP. The kernel closes them with their process, however that ends.
func (System) SpeaksVRRP() (bool, error) {
	for _, file := range []string{"raw", "raw6"} {
		data, err := os.ReadFile("/proc/thread-self/net/" + file)
		if errors.Is(err, os.ErrNotExist) && file == "raw6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return false, err
		}
		if speaksVRRP(data) {
			return true, nil
		}
	}
	return false, nil
}

// speaksVRRP reads a table of raw sockets: their second field is an address and, where other sockets have a port, the protocol.
func speaksVRRP(table []byte) bool {
	for lines := bufio.NewScanner(bytes.NewReader(table)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		_, protocol, _ := strings.Cut(fields[1], ":")
		if n, err := strconv.ParseUint(protocol, 16, 16); err == nil && n == protocolVRRP {
			return true
		}
	}
	return false
}

// TakeOff leaves an address that has a subnet alone: Keepalived did not put it there.
func (System) TakeOff(vip netip.Addr) (interfaces []string, err error) {
	links, err := whole(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("staticpod: interfaces: %w", err)
	}
	for _, l := range links {
		addresses, failed := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_ALL) })
		err = errors.Join(err, failed)
		for _, a := range addresses {
			if p, ok := prefixOf(a); !ok || p != netip.PrefixFrom(vip, vip.BitLen()) {
				continue
			}
			if failed := netlink.AddrDel(l, &a); failed != nil {
				err = errors.Join(err, fmt.Errorf("staticpod: take %s off %s: %w", vip, l.Attrs().Name, failed))
				continue
			}
			interfaces = append(interfaces, l.Attrs().Name)
		}
	}
	return interfaces, err
}

// Find gives what a node knows of itself: which interface holds its address, and with which subnet.
func Find(address netip.Addr) (Local, error) {
	links, err := whole(netlink.LinkList)
	if err != nil {
		return Local{}, fmt.Errorf("staticpod: interfaces: %w", err)
	}
	for _, l := range links {
		addresses, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_ALL) })
		if err != nil {
			return Local{}, fmt.Errorf("staticpod: addresses of %s: %w", l.Attrs().Name, err)
		}
		for _, a := range addresses {
			if p, ok := prefixOf(a); ok && p.Addr() == address {
				return Local{Address: address, Interface: l.Attrs().Name, PrefixBits: p.Bits()}, nil
			}
		}
	}
	return Local{}, fmt.Errorf("%w: none holds %s", ErrInterface, address)
}

func prefixOf(a netlink.Addr) (netip.Prefix, bool) {
	ip, ok := netip.AddrFromSlice(a.IP)
	bits, _ := a.Mask.Size()
	return netip.PrefixFrom(ip.Unmap(), bits), ok
}

// whole reads a list again that has changed while it was read.
func whole[T any](list func() ([]T, error)) (all []T, err error) {
	for range 5 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}
