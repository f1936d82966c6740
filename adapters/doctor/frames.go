//go:build linux

package doctor

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
)

// mac is an Ethernet address, comparable.
type mac [6]byte

var broadcast = mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func (m mac) String() string { return net.HardwareAddr(m[:]).String() }

const (
	etherTypeIPv4 = 0x0800
	etherTypeARP  = 0x0806
	etherTypeIPv6 = 0x86dd

	etherHeader = 14
	ipv4Header  = 20
	ipv6Header  = 40

	icmp        = 1
	echoRequest = 8
	echoReply   = 0
)

func arpFrame(operation arp.Operation, from, to mac, sender netip.Addr, targetMAC mac, target netip.Addr) ([]byte, error) {
	p, err := arp.NewPacket(operation, from[:], sender, targetMAC[:], target)
	if err != nil {
		return nil, fmt.Errorf("ARP about %s and %s: %w", sender, target, err)
	}
	payload, err := p.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return (&ethernet.Frame{Destination: to[:], Source: from[:], EtherType: etherTypeARP, Payload: payload}).MarshalBinary()
}

// question asks for an address; with an unspecified sender it is a probe, which tells nobody anything (RFC 5227 section 2.1.1).
func question(from mac, sender, address netip.Addr) ([]byte, error) {
	return arpFrame(arp.OperationRequest, from, broadcast, sender, mac{}, address)
}

// announcement is one of the two forms of gratuitous ARP that package l2 sends.
func announcement(from mac, address netip.Addr, second bool) ([]byte, error) {
	if second {
		return arpFrame(arp.OperationReply, from, broadcast, address, from, address)
	}
	return arpFrame(arp.OperationRequest, from, broadcast, address, mac{}, address)
}

// heardARP is what an ARP frame says.
type heardARP struct {
	from           mac // of the frame
	isRequest      bool
	senderMAC      mac
	sender, target netip.Addr
}

// parseARP reads ARP about IPv4; false: it is none.
func parseARP(b []byte) (h heardARP, ok bool) {
	if len(b) < etherHeader+28 || binary.BigEndian.Uint16(b[12:]) != etherTypeARP || binary.BigEndian.Uint64(b[etherHeader:])>>16 != 0x0001_0800_06_04 {
		return h, false
	}
	p := b[etherHeader:]
	return heardARP{
		from: mac(b[6:12]), isRequest: binary.BigEndian.Uint16(p[6:]) == uint16(arp.OperationRequest), senderMAC: mac(p[8:14]),
		sender: netip.AddrFrom4([4]byte(p[14:18])), target: netip.AddrFrom4([4]byte(p[24:28])),
	}, true
}

// echo is an ICMP echo request or reply (RFC 792) in a frame.
type echo struct {
	kind            byte
	from, to        mac
	source, address netip.Addr
	id, sequence    uint16
}

const echoHops = 64

// bytes makes the frame of an echo.
func (e echo) bytes() ([]byte, error) {
	message := make([]byte, 8, 16)
	message[0] = e.kind
	binary.BigEndian.PutUint16(message[4:], e.id)
	binary.BigEndian.PutUint16(message[6:], e.sequence)
	message = append(message, "viplog?!"...)
	binary.BigEndian.PutUint16(message[2:], checksum(message))

	header := make([]byte, ipv4Header)
	header[0] = 4<<4 | ipv4Header/4
	binary.BigEndian.PutUint16(header[2:], uint16(ipv4Header+len(message)))
	header[8], header[9] = echoHops, icmp
	source, address := e.source.As4(), e.address.As4()
	copy(header[12:], source[:])
	copy(header[16:], address[:])
	binary.BigEndian.PutUint16(header[10:], checksum(header))
	return (&ethernet.Frame{Destination: e.to[:], Source: e.from[:], EtherType: etherTypeIPv4, Payload: append(header, message...)}).MarshalBinary()
}

// parseEcho reads one; false: it is none.
func parseEcho(b []byte) (e echo, ok bool) {
	p, ok := parseIP(b)
	if !ok || p.protocol != icmp || !p.source.Is4() || len(p.payload) < 8 || p.payload[1] != 0 {
		return e, false
	}
	return echo{
		kind: p.payload[0], to: mac(b[0:6]), from: mac(b[6:12]), source: p.source, address: p.to,
		id: binary.BigEndian.Uint16(p.payload[4:]), sequence: binary.BigEndian.Uint16(p.payload[6:]),
	}, true
}

// ipPacket is what a frame carries, of either family.
type ipPacket struct {
	source, to netip.Addr
	protocol   byte
	payload    []byte
}

// parseIP reads a packet that is whole, without IPv6 extension headers; false: it is none.
func parseIP(b []byte) (p ipPacket, ok bool) {
	if len(b) < etherHeader+ipv4Header {
		return p, false
	}
	ip := b[etherHeader:]
	switch binary.BigEndian.Uint16(b[12:]) {
	case etherTypeIPv4:
		header, length := int(ip[0]&0xf)*4, int(binary.BigEndian.Uint16(ip[2:]))
		const fragment = 0x3fff // an offset, or more to come
		if ip[0]>>4 != 4 || header < ipv4Header || length < header || length > len(ip) || binary.BigEndian.Uint16(ip[6:])&fragment != 0 {
			return p, false
		}
		return ipPacket{netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20])), ip[9], ip[header:length]}, true
	case etherTypeIPv6:
		if len(ip) < ipv6Header || ip[0]>>4 != 6 {
			return p, false
		}
		length := int(binary.BigEndian.Uint16(ip[4:]))
		if ipv6Header+length > len(ip) {
			return p, false
		}
		return ipPacket{netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40])), ip[6], ip[ipv6Header : ipv6Header+length]}, true
	}
	return p, false
}
