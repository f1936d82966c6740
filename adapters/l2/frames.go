package l2

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"

	"viplog/core/node"
)

// mac is an Ethernet address, comparable.
type mac [6]byte

var (
	broadcast = mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	nobody    = mac{}
	allNodes  = netip.MustParseAddr("ff02::1")
)

func (m mac) String() string { return net.HardwareAddr(m[:]).String() }

func (m mac) isMulticast() bool { return m[0]&1 == 1 }

// isStation tells whether it can be one interface's.
func (m mac) isStation() bool { return m != nobody && !m.isMulticast() }

const (
	etherTypeARP  = 0x0806
	etherTypeIPv6 = 0x86dd

	etherHeader = 14
	ipv6Header  = 40
	icmpv6      = 58
	ndpHopLimit = 255 // RFC 4861 section 7.1: nothing from behind a router has it

	solicitation  = 135
	advertisement = 136
)

// multicastMAC is where frames to an IPv6 group go: RFC 2464 section 7.
func multicastMAC(group netip.Addr) mac {
	a := group.As16()
	return mac{0x33, 0x33, a[12], a[13], a[14], a[15]}
}

// solicitedNode is an IPv6 address's group: RFC 4291 section 2.7.1.
func solicitedNode(a netip.Addr) netip.Addr {
	b := a.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 0x01, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

// frame puts an Ethernet header before a payload, and as many zeros behind it as Ethernet wants: a network card would pad too, a virtual one may not.
func frame(from, to mac, etherType ethernet.EtherType, payload []byte) []byte {
	b, err := (&ethernet.Frame{Destination: to[:], Source: from[:], EtherType: etherType, Payload: payload}).MarshalBinary()
	if err != nil {
		panic(fmt.Sprintf("l2: %v", err)) // of VLAN tags, and there is none
	}
	return b
}

// arpFrame is a frame with an ARP packet. Its sender is the MAC that sends it.
func arpFrame(operation arp.Operation, from, to mac, sender netip.Addr, targetMAC mac, target netip.Addr) []byte {
	p, err := arp.NewPacket(operation, from[:], sender, targetMAC[:], target)
	if err != nil {
		panic(fmt.Sprintf("l2: ARP about %s and %s: %v", sender, target, err)) // callers pass IPv4 addresses only
	}
	payload, err := p.MarshalBinary()
	if err != nil {
		panic(fmt.Sprintf("l2: ARP about %s and %s: %v", sender, target, err))
	}
	return frame(from, to, etherTypeARP, payload)
}

// arpReply answers who asked, and nobody else.
func arpReply(from mac, address netip.Addr, to mac, asker netip.Addr) []byte {
	return arpFrame(arp.OperationReply, from, to, address, to, asker)
}

// gratuitousRequest announces an address. Its target's MAC is zero: RFC 5227 section 2.3, form `req` of the measurements.
func gratuitousRequest(from mac, address netip.Addr) []byte {
	return arpFrame(arp.OperationRequest, from, broadcast, address, nobody, address)
}

// gratuitousReply announces an address to those that ignore requests. Its target's MAC is the sender's: RFC 5944 section 4.6. With
// the broadcast MAC there, as MetalLB has it, Linux takes it for an ordinary reply, and keeps an entry that is younger than a second.
func gratuitousReply(from mac, address netip.Addr) []byte {
	return arpFrame(arp.OperationReply, from, broadcast, address, from, address)
}

// arpProbe asks who has an address, and tells nobody anything: RFC 5227 section 2.1.1.
func arpProbe(from mac, address netip.Addr) []byte {
	return arpFrame(arp.OperationRequest, from, broadcast, netip.IPv4Unspecified(), nobody, address)
}

// form is a frame about an address. IPv4 is announced in two forms.
func form(kind node.FrameKind, from mac, address netip.Addr, second bool) []byte {
	switch {
	case kind == node.Probe && address.Is4():
		return arpProbe(from, address)
	case kind == node.Probe:
		return ndpProbe(from, address)
	case address.Is6():
		return unsolicitedAdvertisement(from, address)
	case second:
		return gratuitousReply(from, address)
	}
	return gratuitousRequest(from, address)
}

// ndpFrame is a frame with a message of neighbour discovery.
func ndpFrame(m ndp.Message, from, to mac, source, destination netip.Addr) []byte {
	message, err := ndp.MarshalMessageChecksum(m, source, destination)
	if err != nil {
		panic(fmt.Sprintf("l2: %T from %s to %s: %v", m, source, destination, err)) // made here, of IPv6 addresses
	}
	p := make([]byte, ipv6Header, ipv6Header+len(message))
	p[0] = 6 << 4
	binary.BigEndian.PutUint16(p[4:], uint16(len(message)))
	p[6], p[7] = icmpv6, ndpHopLimit
	s, d := source.As16(), destination.As16()
	copy(p[8:], s[:])
	copy(p[24:], d[:])
	return frame(from, to, etherTypeIPv6, append(p, message...))
}

func neighbourAdvertisement(address netip.Addr, owner mac, solicited bool) ndp.Message {
	return &ndp.NeighborAdvertisement{
		Solicited: solicited, Override: true, TargetAddress: address,
		Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: owner[:]}},
	}
}

// solicitedAdvertisement answers who asked. Override is set, as RFC 4861 section 7.2.4 wants of an owner; without it (as MetalLB
// answers) a neighbour that knows another MAC keeps that.
func solicitedAdvertisement(from mac, address netip.Addr, to mac, asker netip.Addr) []byte {
	return ndpFrame(neighbourAdvertisement(address, from, true), from, to, address, asker)
}

// unsolicitedAdvertisement announces an address to all nodes (RFC 4861 section 7.2.6). So one is answered that probes for it, which
// has no address to be answered at (section 7.2.4).
func unsolicitedAdvertisement(from mac, address netip.Addr) []byte {
	return ndpFrame(neighbourAdvertisement(address, from, false), from, multicastMAC(allNodes), address, allNodes)
}

// ndpProbe asks who has an address as one does that wants to have it: RFC 4862 section 5.4.2.
func ndpProbe(from mac, address netip.Addr) []byte {
	group := solicitedNode(address)
	return ndpFrame(&ndp.NeighborSolicitation{TargetAddress: address}, from, multicastMAC(group), netip.IPv6Unspecified(), group)
}
