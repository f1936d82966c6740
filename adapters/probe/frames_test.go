package probe

import (
	"net/netip"
	"testing"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
)

var (
	asker4, owned4 = netip.MustParseAddr("10.0.0.50"), netip.MustParseAddr("10.0.0.100")
	asker6, owned6 = netip.MustParseAddr("fd00::50"), netip.MustParseAddr("fd00::100")
)

var broadcast = mac(ethernet.Broadcast)

func frameOf(t *testing.T, to mac, etherType ethernet.EtherType, payload []byte) []byte {
	t.Helper()
	b, err := (&ethernet.Frame{Destination: to[:], Source: macB[:], EtherType: etherType, Payload: payload}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func arpOf(t *testing.T, operation arp.Operation, to mac, sender netip.Addr, target netip.Addr) []byte {
	t.Helper()
	p, err := arp.NewPacket(operation, macB[:], sender, to[:], target)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return frameOf(t, to, etherTypeARP, b)
}

func ndpOf(t *testing.T, a *ndp.NeighborAdvertisement, to mac) []byte {
	t.Helper()
	m, err := ndp.MarshalMessageChecksum(a, owned6, asker6)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, ipv6Header)
	p[0], p[5], p[6], p[7] = 6<<4, byte(len(m)), icmpv6, hopLimit
	return frameOf(t, to, etherTypeIPv6, append(p, m...))
}

func TestWhatFramesSay(t *testing.T) {
	third := mac{2, 0, 0, 0, 0, 9}
	question4, err4 := question(macB, asker4, owned4)
	question6, err6 := question(macB, asker6, owned6)
	if err4 != nil || err6 != nil {
		t.Fatal(err4, err6)
	}
	tll := []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: third[:]}}
	for _, c := range []struct {
		name        string
		frame       []byte
		a           netip.Addr
		by          mac
		answers, ok bool
	}{
		{"reply", arpOf(t, arp.OperationReply, macA, owned4, asker4), owned4, macB, true, true},
		{"reply about another address", arpOf(t, arp.OperationReply, macA, asker4, asker4), owned4, macB, false, false},
		{"gratuitous reply", arpOf(t, arp.OperationReply, broadcast, owned4, owned4), owned4, macB, false, true},
		{"gratuitous request", arpOf(t, arp.OperationRequest, broadcast, owned4, owned4), owned4, macB, false, true},
		{"somebody's question", question4, owned4, macB, false, false},
		{"advertisement", ndpOf(t, &ndp.NeighborAdvertisement{Solicited: true, TargetAddress: owned6}, macA), owned6, macB, true, true},
		{"advertisement for another MAC", ndpOf(t, &ndp.NeighborAdvertisement{Solicited: true, TargetAddress: owned6, Options: tll}, macA), owned6, third, true, true},
		{"unsolicited", ndpOf(t, &ndp.NeighborAdvertisement{TargetAddress: owned6}, mac{0x33, 0x33, 0, 0, 0, 1}), owned6, macB, false, true},
		{"unsolicited, to this host alone", ndpOf(t, &ndp.NeighborAdvertisement{TargetAddress: owned6}, macA), owned6, macB, false, true},
		{"advertisement to another host", ndpOf(t, &ndp.NeighborAdvertisement{Solicited: true, TargetAddress: owned6}, third), owned6, macB, false, true},
		{"about another address", ndpOf(t, &ndp.NeighborAdvertisement{Solicited: true, TargetAddress: asker6}, macA), owned6, macB, false, false},
		{"somebody's solicitation", question6, owned6, mac{}, false, false},
		{"nothing", nil, owned4, mac{}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			by, answers, ok := heard(c.frame, macA, c.a)
			if ok != c.ok || ok && (answers != c.answers || by != c.by) {
				t.Error(by, answers, ok)
			}
			if _, _, ok := heard(c.frame, macB, c.a); ok && c.by == macB {
				t.Error("its own frame is heard")
			}
		})
	}
}

func FuzzHeard(f *testing.F) {
	q, _ := question(macB, asker6, owned6)
	f.Add(q, false)
	f.Fuzz(func(t *testing.T, b []byte, four bool) {
		a := owned6
		if four {
			a = owned4
		}
		if by, _, ok := heard(b, macA, a); ok && by == macA {
			t.Error("its own frame is heard")
		}
	})
}
