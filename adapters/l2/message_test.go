package l2

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"

	"viplog/core/node"
)

var (
	ours, theirs = mac{2, 0, 0, 0, 0, 1}, mac{2, 0, 0, 0, 0, 2}
	at4, at6     = netip.MustParseAddr("10.0.0.100"), netip.MustParseAddr("fd00::100")
	from4, from6 = netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("fe80::9")
)

// The bytes are written out from RFC 826, RFC 5227, RFC 5944 section 4.6, and RFC 4861 sections 4.3 and 4.4.
func TestFramesAreThoseOfTheRFCs(t *testing.T) {
	const (
		arpHeader = "0806 0001 0800 06 04"
		// Version 6, 32 bytes of ICMPv6, hop limit 255; the address; all nodes.
		toAll    = "3333 0000 0001 020000000001 86dd 60000000 0020 3a ff fd000000000000000000000000000100 ff020000000000000000000000000001"
		targeted = "fd000000000000000000000000000100 02 01 020000000001"
	)
	for _, c := range []struct {
		name string
		got  []byte
		want string // without padding and without ICMPv6's checksum, which parseNDP checks
	}{
		{"gratuitous request", gratuitousRequest(ours, at4), "ffffffffffff 020000000001" + arpHeader + "0001 020000000001 0a000064 000000000000 0a000064"},
		{"gratuitous reply", gratuitousReply(ours, at4), "ffffffffffff 020000000001" + arpHeader + "0002 020000000001 0a000064 020000000001 0a000064"},
		{"ARP probe", arpProbe(ours, at4), "ffffffffffff 020000000001" + arpHeader + "0001 020000000001 00000000 000000000000 0a000064"},
		{"ARP reply", arpReply(ours, at4, theirs, from4), "020000000002 020000000001" + arpHeader + "0002 020000000001 0a000064 020000000002 0a000009"},
		{"unsolicited advertisement", unsolicitedAdvertisement(ours, at6), toAll + "88 00 .... 20000000" + targeted},
		{
			"solicited advertisement", solicitedAdvertisement(ours, at6, theirs, from6),
			"020000000002 020000000001 86dd 60000000 0020 3a ff fd000000000000000000000000000100 fe800000000000000000000000000009" +
				"88 00 .... 60000000" + targeted,
		},
		{
			"probe for IPv6", ndpProbe(ours, at6),
			"3333 ff00 0100 020000000001 86dd 60000000 0018 3a ff 00000000000000000000000000000000 ff0200000000000000000001ff000100" +
				"87 00 .... 00000000 fd000000000000000000000000000100",
		},
	} {
		got, want := hex.EncodeToString(c.got), strings.ReplaceAll(c.want, " ", "")
		if i := strings.Index(want, "...."); i >= 0 {
			want = want[:i] + got[i:i+4] + want[i+4:]
		}
		want += strings.Repeat("00", max(0, 60-len(want)/2))
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, want)
		}
	}
}

func TestWhatAFrameSays(t *testing.T) {
	group := solicitedNode(at6)
	sourced := &ndp.NeighborSolicitation{TargetAddress: at6, Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: theirs[:]}}}
	relay := mac{2, 0, 0, 0, 0, 3} // sends frames, and is not who they speak of
	nobody6, none := netip.IPv6Unspecified(), netip.Addr{}
	for _, c := range []struct {
		name  string
		frame []byte
		want  message
	}{
		{
			"request", arpFrame(arp.OperationRequest, theirs, broadcast, from4, nobody, at4),
			message{source: theirs, to: broadcast, used: from4, usedBy: theirs, asked: at4, asker: from4, reply: theirs},
		},
		{"ARP probe", arpProbe(theirs, at4), message{
			source: theirs, to: broadcast, used: at4, usedBy: theirs, asked: at4, asker: netip.IPv4Unspecified(), reply: theirs,
		}},
		{"gratuitous request", gratuitousRequest(theirs, at4), message{source: theirs, to: broadcast, used: at4, usedBy: theirs}},
		{"gratuitous reply", gratuitousReply(theirs, at4), message{source: theirs, to: broadcast, used: at4, usedBy: theirs}},
		{"reply", arpReply(theirs, at4, ours, from4), message{source: theirs, to: ours, used: at4, usedBy: theirs}},
		{"solicitation", ndpFrame(sourced, relay, multicastMAC(group), from6, group), message{
			source: relay, to: multicastMAC(group), used: from6, usedBy: theirs, asked: at6, asker: from6, reply: theirs,
		}},
		{
			"solicitation without its sender's MAC", ndpFrame(&ndp.NeighborSolicitation{TargetAddress: at6}, theirs, ours, from6, at6),
			message{source: theirs, to: ours, used: from6, usedBy: theirs, asked: at6, asker: from6, reply: theirs},
		},
		{"probe for IPv6", ndpProbe(theirs, at6), message{
			source: theirs, to: multicastMAC(group), used: at6, usedBy: theirs, asked: at6, asker: nobody6, reply: theirs,
		}},
		{"advertisement", ndpFrame(neighbourAdvertisement(at6, theirs, false), relay, multicastMAC(allNodes), at6, allNodes), message{
			source: relay, to: multicastMAC(allNodes), used: at6, usedBy: theirs, reply: relay, asked: none,
		}},
	} {
		got, err := parseEither(c.frame)
		if err != nil || got != c.want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", c.name, got, err, c.want)
		}
	}
}

func parseEither(b []byte) (message, error) {
	if m, err := parseARP(b); err == nil {
		return m, nil
	}
	return parseNDP(b)
}

func TestWhatIsNoMessageIsRefused(t *testing.T) {
	changed := func(b []byte, at int, to byte) []byte {
		b = bytes.Clone(b)
		b[at] = to
		return b
	}
	request, probe := arpFrame(arp.OperationRequest, theirs, broadcast, from4, nobody, at4), ndpProbe(theirs, at6)
	probeWith := &ndp.NeighborSolicitation{TargetAddress: at6, Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: theirs[:]}}}
	group, flood := solicitedNode(at6), mac{3, 0, 0, 0, 0, 1}
	for name, b := range map[string][]byte{
		"nothing":                           nil,
		"an ARP packet that is cut":         request[:etherHeader+27],
		"other hardware":                    changed(request, 15, 6),
		"MACs of 8 bytes":                   changed(request, 18, 8),
		"addresses of 16 bytes":             changed(request, 19, 16),
		"another operation":                 changed(request, 21, 3),
		"from a group's MAC":                changed(request, 22, 3),
		"a frame from a group's MAC":        changed(request, 6, 3),
		"about no address":                  arpFrame(arp.OperationRequest, theirs, broadcast, from4, nobody, netip.IPv4Unspecified()),
		"a solicitation that is cut":        probe[:len(probe)-1],
		"from behind a router":              changed(probe, 21, 254),
		"a wrong checksum":                  changed(probe, 57, probe[57]+1),
		"longer than its frame":             changed(probe, 19, 200),
		"a probe that names its MAC":        ndpFrame(probeWith, theirs, multicastMAC(group), netip.IPv6Unspecified(), group),
		"a probe to one":                    ndpFrame(&ndp.NeighborSolicitation{TargetAddress: at6}, theirs, ours, netip.IPv6Unspecified(), at6),
		"a group's solicitation":            ndpFrame(&ndp.NeighborSolicitation{TargetAddress: allNodes}, theirs, ours, from6, at6),
		"an advertisement of a group":       ndpFrame(neighbourAdvertisement(allNodes, theirs, false), theirs, ours, from6, at6),
		"an answer to one who is everybody": ndpFrame(neighbourAdvertisement(at6, theirs, true), theirs, multicastMAC(allNodes), from6, allNodes),
		"a solicitation from a group's MAC": ndpFrame(&ndp.NeighborSolicitation{TargetAddress: at6}, flood, ours, from6, at6),
		"an option without a length":        withOption(1, 0, 0, 0, 0, 0, 0, 0),
		"an option beyond the end":          withOption(1, 2, 0, 0, 0, 0, 0, 0),
		"half an option":                    withOption(1),
		"a router's message":                ndpFrame(&ndp.RouterAdvertisement{}, theirs, multicastMAC(allNodes), from6, allNodes),
	} {
		if m, err := parseEither(b); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// withOption is a solicitation that ends in these bytes, with the right length and checksum.
func withOption(option ...byte) []byte {
	b := append(ndpFrame(&ndp.NeighborSolicitation{TargetAddress: at6}, theirs, ours, from6, at6), option...)
	b[19] += byte(len(option))
	setSum(from6, at6, b[etherHeader+ipv6Header:])
	return b
}

// Who asks may say more than this package knows: RFC 4861 section 4.6.
func TestUnknownOptionsArePassedOver(t *testing.T) {
	nonce := withOption(14, 1, 1, 2, 3, 4, 5, 6) // RFC 3971, RFC 7527
	if m, err := parseNDP(nonce); err != nil || m.asked != at6 {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := parseNDP(withOption(253, 1, 1, 2, 3, 4, 5, 6)); err != nil || m.asked != at6 {
		t.Errorf("%+v, %v", m, err)
	}
}

func FuzzARP(f *testing.F) {
	for _, b := range [][]byte{gratuitousRequest(ours, at4), gratuitousReply(ours, at4), arpProbe(ours, at4), arpReply(ours, at4, theirs, from4)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { holds(t, b, parseARP) })
}

func FuzzNDP(f *testing.F) {
	for _, b := range [][]byte{unsolicitedAdvertisement(ours, at6), solicitedAdvertisement(ours, at6, theirs, from6), ndpProbe(ours, at6)} {
		f.Add(b[etherHeader+ipv6Header:], at6.AsSlice())
	}
	// What is changed would seldom have the right sum: header and checksum are put there.
	f.Fuzz(func(t *testing.T, payload, destination []byte) {
		to, ok := netip.AddrFromSlice(destination)
		if !ok || !to.Is6() || len(payload) < 24 || len(payload) > 1400 {
			return
		}
		b := ndpFrame(&ndp.RouterSolicitation{}, theirs, ours, from6, to)[:etherHeader+ipv6Header]
		b = append(b, payload...)
		b[18], b[19] = byte(len(payload)>>8), byte(len(payload))
		holds(t, b, parseNDP)
		setSum(from6, to, b[etherHeader+ipv6Header:])
		holds(t, b, parseNDP)
	})
}

// setSum puts the right checksum into an ICMPv6 message.
func setSum(source, destination netip.Addr, payload []byte) {
	payload[2], payload[3] = 0, 0
	sum := ^sumOf(source, destination, payload)
	payload[2], payload[3] = byte(sum>>8), byte(sum)
}

// holds looks at what everybody counts on who is given a message.
func holds(t *testing.T, b []byte, parse func([]byte) (message, error)) {
	m, err := parse(b)
	if err != nil {
		if m != (message{}) {
			t.Errorf("a message with an error: %+v", m)
		}
		return
	}
	if !m.source.isStation() || !m.usedBy.isStation() {
		t.Errorf("from whom? %+v", m)
	}
	if !m.asked.IsValid() {
		return
	}
	if m.asked.IsMulticast() || m.asked.Is4() != m.asker.Is4() || !m.reply.isStation() {
		t.Errorf("asked: %+v", m)
	}
	// Nobody holds the unspecified address, so that it is never answered for.
	if answered, err := parseEither(m.answer(ours)); !m.asked.IsUnspecified() && (err != nil || answered.used != m.asked) {
		t.Errorf("the answer to %+v: %+v, %v", m, answered, err)
	}
}

func TestFormsOfAFrame(t *testing.T) {
	for _, c := range []struct {
		kind   node.FrameKind
		a      netip.Addr
		second bool
		want   []byte
	}{
		{node.Announce, at4, false, gratuitousRequest(ours, at4)},
		{node.Announce, at4, true, gratuitousReply(ours, at4)},
		{node.Announce, at6, false, unsolicitedAdvertisement(ours, at6)},
		{node.Probe, at4, false, arpProbe(ours, at4)},
		{node.Probe, at6, false, ndpProbe(ours, at6)},
	} {
		if got := form(c.kind, ours, c.a, c.second); !bytes.Equal(got, c.want) {
			t.Errorf("%d %s: % x", c.kind, c.a, got)
		}
	}
}
