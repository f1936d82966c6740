package probe

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
)

const (
	etherTypeARP  = 0x0806
	etherTypeIPv6 = 0x86dd

	etherHeader = 14
	ipv6Header  = 40
	icmpv6      = 58
	hopLimit    = 255 // RFC 4861 section 7.1

	advertisement = 136
)

// question asks who has an address, from one that the asker has: a question from nobody would be a probe (RFC 5227), which
// tells an owner that somebody else wants the address.
func question(from mac, source, address netip.Addr) ([]byte, error) {
	if address.Is4() {
		p, err := arp.NewPacket(arp.OperationRequest, from[:], source, make([]byte, 6), address)
		if err != nil {
			return nil, fmt.Errorf("ask for %s from %s: %w", address, source, err)
		}
		payload, err := p.MarshalBinary()
		if err != nil {
			return nil, err
		}
		return (&ethernet.Frame{Destination: ethernet.Broadcast, Source: from[:], EtherType: etherTypeARP, Payload: payload}).MarshalBinary()
	}
	t := address.As16()
	group := netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 0x01, 12: 0xff, 13: t[13], 14: t[14], 15: t[15]}) // RFC 4291 section 2.7.1
	message, err := ndp.MarshalMessageChecksum(&ndp.NeighborSolicitation{TargetAddress: address, Options: []ndp.Option{
		&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: from[:]},
	}}, source, group)
	if err != nil {
		return nil, fmt.Errorf("ask for %s from %s: %w", address, source, err)
	}
	p := make([]byte, ipv6Header, ipv6Header+len(message))
	p[0] = 6 << 4
	binary.BigEndian.PutUint16(p[4:], uint16(len(message)))
	p[6], p[7] = icmpv6, hopLimit
	s, g := source.As16(), group.As16()
	copy(p[8:], s[:])
	copy(p[24:], g[:])
	to := mac{0x33, 0x33, g[12], g[13], g[14], g[15]} // RFC 2464 section 7
	return (&ethernet.Frame{Destination: to[:], Source: from[:], EtherType: etherTypeIPv6, Payload: append(p, message...)}).MarshalBinary()
}

// heard reads a frame: which MAC says that it has the address, and whether it says so to one that has asked. false: the frame does not.
func heard(b []byte, me mac, address netip.Addr) (by mac, answers, ok bool) {
	if len(b) < etherHeader {
		return by, false, false
	}
	toMe := mac(b[:6]) == me
	payload := b[etherHeader:]
	switch binary.BigEndian.Uint16(b[12:]) {
	case etherTypeARP:
		if len(payload) < 28 || binary.BigEndian.Uint64(payload)>>16 != 0x0001_0800_06_04 {
			return by, false, false
		}
		operation := binary.BigEndian.Uint16(payload[6:])
		by = mac(payload[8:14])
		says := netip.AddrFrom4([4]byte(payload[14:18])) == address && by != me
		return by, toMe && operation == uint16(arp.OperationReply), says
	case etherTypeIPv6:
		if len(payload) < ipv6Header+24 || payload[6] != icmpv6 || payload[7] != hopLimit || payload[ipv6Header] != advertisement {
			return by, false, false
		}
		length := int(binary.BigEndian.Uint16(payload[4:]))
		if len(payload) < ipv6Header+length || length < 24 {
			return by, false, false
		}
		message, err := ndp.ParseMessage(payload[ipv6Header : ipv6Header+length])
		a, isAdvertisement := message.(*ndp.NeighborAdvertisement)
		if err != nil || !isAdvertisement || a.TargetAddress != address {
			return by, false, false
		}
		by = mac(b[6:12])
		for _, o := range a.Options {
			if l, is := o.(*ndp.LinkLayerAddress); is && l.Direction == ndp.Target && len(l.Addr) == 6 {
				by = mac(l.Addr)
			}
		}
		return by, toMe && a.Solicited, by != me
	}
	return by, false, false
}
