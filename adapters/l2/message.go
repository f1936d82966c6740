package l2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
)

// message is what a received frame says: that a MAC uses an address, or wants to, and which address it asks for.
type message struct {
	source mac        // of the frame
	to     mac        // of the frame
	used   netip.Addr // the address that the sender uses, announces or probes for; the zero Addr for none
	usedBy mac
	asked  netip.Addr // the address that it asks for; the zero Addr for none
	asker  netip.Addr // where it is to be answered; unspecified if it probes, and has no address yet
	reply  mac        // to whom a frame that answers it goes
}

// parseARP reads an Ethernet frame with ARP about IPv4. errMalformed: it is none.
func parseARP(b []byte) (message, error) {
	// Lengths are looked at before the library does: it takes any, and would make an IPv6 address of 16 bytes.
	if len(b) < etherHeader+28 || binary.BigEndian.Uint16(b[12:]) != etherTypeARP {
		return message{}, fmt.Errorf("%w: %d bytes are no ARP", errMalformed, len(b))
	}
	payload := b[etherHeader:]
	if binary.BigEndian.Uint64(payload)>>16 != 0x0001_0800_06_04 {
		return message{}, fmt.Errorf("%w: ARP for other hardware or another protocol: % x", errMalformed, payload[:6])
	}
	var p arp.Packet
	if err := p.UnmarshalBinary(payload); err != nil {
		return message{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	m := message{to: mac(b[0:6]), source: mac(b[6:12]), usedBy: mac(p.SenderHardwareAddr)}
	aboutNone := p.TargetIP.IsUnspecified() && p.Operation == arp.OperationRequest
	if !m.source.isStation() || !m.usedBy.isStation() || p.SenderIP.IsMulticast() || p.TargetIP.IsMulticast() || aboutNone {
		return message{}, fmt.Errorf("%w: ARP from %s at %s about %s", errMalformed, p.SenderIP, m.usedBy, p.TargetIP)
	}
	switch {
	case p.Operation != arp.OperationRequest && p.Operation != arp.OperationReply:
		return message{}, fmt.Errorf("%w: ARP operation %d", errMalformed, p.Operation)
	case !p.SenderIP.IsUnspecified():
		m.used = p.SenderIP
	case p.Operation == arp.OperationRequest:
		m.used = p.TargetIP
	}
	if p.Operation == arp.OperationRequest && p.SenderIP != p.TargetIP {
		m.asked, m.asker, m.reply = p.TargetIP, p.SenderIP, m.usedBy
	}
	return m, nil
}

// parseNDP reads an Ethernet frame with a neighbour solicitation or advertisement, and holds it against RFC 4861 sections 7.1.1 and
// 7.1.2. Messages behind extension headers are not read: nobody sends those. errMalformed: it is none.
func parseNDP(b []byte) (message, error) {
	if len(b) < etherHeader+ipv6Header+24 || binary.BigEndian.Uint16(b[12:]) != etherTypeIPv6 {
		return message{}, fmt.Errorf("%w: %d bytes are no neighbour discovery", errMalformed, len(b))
	}
	header := b[etherHeader:]
	length := int(binary.BigEndian.Uint16(header[4:]))
	if header[0]>>4 != 6 || header[6] != icmpv6 || header[7] != ndpHopLimit || length < 24 || len(header) < ipv6Header+length {
		return message{}, fmt.Errorf("%w: next header %d, hop limit %d, %d bytes", errMalformed, header[6], header[7], length)
	}
	source, destination := netip.AddrFrom16([16]byte(header[8:24])), netip.AddrFrom16([16]byte(header[24:40]))
	payload := header[ipv6Header : ipv6Header+length]
	if payload[1] != 0 || sumOf(source, destination, payload) != 0xffff {
		return message{}, fmt.Errorf("%w: code %d, or a wrong checksum", errMalformed, payload[1])
	}
	parsed, err := ndp.ParseMessage(payload)
	if err != nil {
		return message{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	m := message{to: mac(b[0:6]), source: mac(b[6:12])}
	if !m.source.isStation() { // an answer to it would go to many
		return message{}, fmt.Errorf("%w: from %s", errMalformed, m.source)
	}
	m.usedBy, m.reply = m.source, m.source
	switch p := parsed.(type) {
	case *ndp.NeighborAdvertisement:
		if p.TargetAddress.IsMulticast() || destination.IsMulticast() && p.Solicited {
			return message{}, fmt.Errorf("%w: advertisement of %s to %s", errMalformed, p.TargetAddress, destination)
		}
		m.used = p.TargetAddress
		if owner, found := linkLayer(p.Options, ndp.Target); found {
			m.usedBy = owner
		}
		return m, nil
	case *ndp.NeighborSolicitation:
		return m.solicits(p, source, destination)
	}
	return message{}, fmt.Errorf("%w: %T", errMalformed, parsed)
}

func (m message) solicits(p *ndp.NeighborSolicitation, source, destination netip.Addr) (message, error) {
	sender, named := linkLayer(p.Options, ndp.Source)
	probes := source.IsUnspecified()
	if p.TargetAddress.IsMulticast() || source.IsMulticast() || probes && (named || destination != solicitedNode(p.TargetAddress)) {
		return message{}, fmt.Errorf("%w: solicitation of %s from %s to %s", errMalformed, p.TargetAddress, source, destination)
	}
	m.asked, m.asker, m.used = p.TargetAddress, source, source
	if probes {
		m.used = p.TargetAddress
	}
	// Without the option, which checks of an entry may lack, the answer goes to where the frame came from.
	if named {
		m.usedBy, m.reply = sender, sender
	}
	return m, nil
}

// linkLayer finds a link-layer address of Ethernet among options.
func linkLayer(options []ndp.Option, direction ndp.Direction) (mac, bool) {
	for _, o := range options {
		if l, ok := o.(*ndp.LinkLayerAddress); ok && l.Direction == direction && len(l.Addr) == 6 {
			if a := mac(l.Addr); a.isStation() {
				return a, true
			}
		}
	}
	return mac{}, false
}

// sumOf is what ICMPv6's checksum complements: RFC 4443 section 2.3, with the pseudo-header of RFC 8200 section 8.1. With a right
// checksum in it all bits are set.
func sumOf(source, destination netip.Addr, payload []byte) uint16 {
	s, d := source.As16(), destination.As16()
	sum := uint32(icmpv6) + uint32(len(payload))
	for _, part := range [][]byte{s[:], d[:], payload} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
		if len(part)%2 == 1 {
			sum += uint32(part[len(part)-1]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// answer is the frame that answers a message.
func (m message) answer(from mac) []byte {
	switch {
	case m.asked.Is4():
		return arpReply(from, m.asked, m.reply, m.asker)
	case m.asker.IsUnspecified():
		return unsolicitedAdvertisement(from, m.asked)
	}
	return solicitedAdvertisement(from, m.asked, m.reply, m.asker)
}

var errMalformed = errors.New("l2: malformed")
