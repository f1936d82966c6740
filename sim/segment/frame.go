package segment

import (
	"fmt"
	"net/netip"
)

// Kind is what a frame carries.
type Kind uint8

const (
	// Request is ARP's (RFC 826).
	Request Kind = iota + 1
	// Reply is ARP's.
	Reply
	// Solicitation is NDP's (RFC 4861 section 4.3).
	Solicitation
	// Advertisement is NDP's (RFC 4861 section 4.4).
	Advertisement
	// Packet is a client's IP request to an address.
	Packet
	// Answer is the IP answer to a Packet.
	Answer
)

var kindNames = [...]string{"", "request", "reply", "solicitation", "advertisement", "packet", "answer"}

func (k Kind) String() string { return kindNames[k] }

// Frame is what goes over the wire. In ARP the four fields are SHA, SPA, THA and TPA. In NDP, Target is the address
// asked for or advertised, TargetMAC the target's option, Sender the source of the IP header and SenderMAC the source's option.
type Frame struct {
	Destination, Source MAC // of the Ethernet header
	SenderMAC           MAC
	TargetMAC           MAC
	Sender              netip.Addr
	Target              netip.Addr
	Number              int // of a Packet, and of its Answer
	Kind                Kind
	Solicited, Override bool // of an Advertisement
}

func (f Frame) String() string {
	s := fmt.Sprintf("%s %s > %s: %s (%s) to %s (%s)", f.Kind, f.Source, f.Destination, f.Sender, f.SenderMAC, f.Target, f.TargetMAC)
	switch f.Kind {
	case Advertisement:
		return fmt.Sprintf("%s S=%t O=%t", s, f.Solicited, f.Override)
	case Packet, Answer:
		return fmt.Sprintf("%s number %d", s, f.Number)
	default:
		return s
	}
}

// GratuitousRequest announces an IPv4 address; the target's MAC is unused (RFC 5944 section 4.6, RFC 5227 section 2.3).
func GratuitousRequest(addr netip.Addr, mac MAC) Frame {
	return Frame{Kind: Request, Destination: Broadcast, Source: mac, Sender: addr, SenderMAC: mac, Target: addr}
}

// GratuitousRequestBroadcast is the request that keepalived sends, its target MAC the broadcast one.
func GratuitousRequestBroadcast(addr netip.Addr, mac MAC) Frame {
	f := GratuitousRequest(addr, mac)
	f.TargetMAC = Broadcast
	return f
}

// GratuitousReply announces an IPv4 address; the target's MAC is the sender's (RFC 5944 section 4.6).
func GratuitousReply(addr netip.Addr, mac MAC) Frame {
	f := GratuitousRequest(addr, mac)
	f.Kind, f.TargetMAC = Reply, mac
	return f
}

// GratuitousReplyBroadcast is the reply that MetalLB and OpenELB send, its target MAC the broadcast one. Linux does not
// count it as gratuitous: an entry updated less than LOCKTIME ago ignores it.
func GratuitousReplyBroadcast(addr netip.Addr, mac MAC) Frame {
	f := GratuitousRequest(addr, mac)
	f.Kind, f.TargetMAC = Reply, Broadcast
	return f
}

// Probe asks whether an IPv4 address is in use, without claiming it: its sender is 0.0.0.0 (RFC 5227 section 2.1.1).
func Probe(addr netip.Addr, mac MAC) Frame {
	return Frame{Kind: Request, Destination: Broadcast, Source: mac, Sender: netip.IPv4Unspecified(), SenderMAC: mac, Target: addr}
}

// UnsolicitedAdvertisement announces an IPv6 address to all nodes, S=0, O=1 (RFC 4861 section 7.2.6).
func UnsolicitedAdvertisement(addr netip.Addr, mac MAC) Frame {
	return Frame{Kind: Advertisement, Destination: AllNodes, Source: mac, Sender: addr, Target: addr, TargetMAC: mac, Override: true}
}

// DuplicateSolicitation asks whether an IPv6 address is in use: its source is :: and it has no option (RFC 4862 section 5.4.2).
func DuplicateSolicitation(addr netip.Addr, mac MAC) Frame {
	return Frame{
		Kind: Solicitation, Destination: SolicitedNode(addr), Source: mac, Sender: netip.IPv6Unspecified(), Target: addr,
	}
}

// Ask asks who has an address: an ARP request, or a neighbour solicitation with its option.
func Ask(target, sender netip.Addr, mac MAC) Frame {
	f := Frame{Source: mac, Sender: sender, SenderMAC: mac, Target: target}
	if target.Is4() {
		f.Kind, f.Destination = Request, Broadcast
	} else {
		f.Kind, f.Destination = Solicitation, SolicitedNode(target)
	}
	return f
}

// AnswerFor is the answer of the MAC that has the address asked for: to a Request a Reply to the asker alone, which
// answers a probe too (RFC 5227 section 2.1.1); to a Solicitation an Advertisement, to all nodes if it came from ::
// (RFC 4861 section 7.2.4); to a Packet its Answer. False for any other frame.
func AnswerFor(f Frame, mac MAC) (Frame, bool) {
	answer := Frame{Destination: f.Source, Source: mac, Sender: f.Target, SenderMAC: mac, Target: f.Sender, TargetMAC: f.SenderMAC}
	switch f.Kind {
	case Request:
		answer.Kind = Reply
	case Solicitation:
		answer.Kind, answer.SenderMAC = Advertisement, 0
		answer.Target, answer.TargetMAC = f.Target, mac
		answer.Solicited, answer.Override = true, true
		if f.Sender.IsUnspecified() {
			answer.Solicited, answer.Destination = false, AllNodes
		}
	case Packet:
		answer.Kind, answer.Number = Answer, f.Number
	default:
		return Frame{}, false
	}
	return answer, true
}

// Gratuitous tells whether Linux takes a frame of ARP for gratuitous: SPA = TPA, and in a reply THA = SHA as well
// (arp_is_garp; measured).
func (f *Frame) Gratuitous() bool {
	return f.Sender == f.Target && (f.Kind == Request || f.Kind == Reply && f.TargetMAC == f.SenderMAC)
}
