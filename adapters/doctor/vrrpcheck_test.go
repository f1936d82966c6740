//go:build linux

package doctor

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/ethernet"
	"github.com/vishvananda/netlink"

	"viplog/core/frontend"
	"viplog/fixtures/lab"
)

const advert = 100 * time.Millisecond

// pair is two nodes at a switch, at self and peer.
func pair(t *testing.T) (s *lab.Switch, one, two *lab.Host) {
	t.Helper()
	l, s, one := node(t)
	two = l.Host("peer")
	s.Attach(two, "eth0", peer.String()+"/24")
	return s, one, two
}

// keepalived runs in a host, by unicast if there are peers, and waits until it has had the time to be master.
func keepalived(t *testing.T, h *lab.Host, own netip.Addr, priority int, peers ...netip.Addr) {
	t.Helper()
	h.Keepalived(lab.VRRP{
		VIP: netip.PrefixFrom(vip, 32), Interface: "eth0", Advert: advert, Priority: priority, Unicast: peers, Own: own,
	})
}

// until waits for a condition of the lab.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not for 20 s: %s", what)
		}
	}
}

func TestTheMasterIsHeardByItselfAndByItsBackup(t *testing.T) {
	_, one, two := pair(t)
	keepalived(t, two, peer, 200, self)
	until(t, "the peer is master", func() bool { return two.Has(vip) })
	keepalived(t, one, self, 100, peer)
	time.Sleep(5 * advert)
	for at, address := range map[*lab.Host]netip.Addr{one: self, two: peer} {
		all := looked(t, at, Facts{Self: address, Plan: plan(), Advert: advert}, "vrrp")
		well(t, all)
		expect(t, all, "vrrp/heard", OK, "10.0.0.2, VRRPv3, priority 200, each 100ms, for 10.0.0.100")
		expect(t, all, "vrrp/master", OK, "one master: 10.0.0.2")
	}
	unknown := plan()
	unknown.RouterID = 0
	expect(t, looked(t, one, Facts{Self: self, Plan: unknown, Advert: advert}, "vrrp"), "vrrp/master", OK, "10.0.0.2")
	all := looked(t, one, Facts{Self: self, Advert: advert}, "vrrp")
	expect(t, all, "vrrp/heard", OK, "10.0.0.2")
	expect(t, all, "vrrp/master", Skipped, "1 virtual routers were heard")
}

func TestAFirewallThatDropsAdvertisementsIsFound(t *testing.T) {
	_, one, two := pair(t)
	keepalived(t, two, peer, 200, self)
	until(t, "the peer is master", func() bool { return two.Has(vip) })
	f := Facts{Self: self, Plan: plan(), Advert: advert}
	well(t, looked(t, one, f, "vrrp"))
	one.Block("meta l4proto 112")
	expect(t, looked(t, one, f, "vrrp"), "vrrp/firewall", Error, "this host's firewall drops them")

	keepalived(t, one, self, 100, peer) // and that is what comes of it
	until(t, "both are master", func() bool { return one.Has(vip) })
	all := looked(t, one, f, "vrrp")
	expect(t, all, "vrrp/firewall", Error, "")
	expect(t, all, "vrrp/masters", Error, "not heard to advertise it; master is 10.0.0.2") // its own are dropped as well
}

func TestAFirewallThatDropsMulticastIsFoundWhereTheGroupIsJoined(t *testing.T) {
	_, one, two := pair(t)
	keepalived(t, two, peer, 200)
	until(t, "the peer is master", func() bool { return two.Has(vip) })
	f := Facts{Self: self, Plan: plan(), Advert: advert}
	one.Block("meta l4proto 112")
	well(t, looked(t, one, f, "vrrp")) // nobody here is to hear it
	one.Block()
	keepalived(t, one, self, 100)
	until(t, "the backup listens", func() (joined bool) {
		one.Must(func() error { joined = thisHost().listensToVRRP("eth0"); return nil })
		return joined
	})
	well(t, looked(t, one, f, "vrrp"))
	one.Block("meta l4proto 112")
	expect(t, looked(t, one, f, "vrrp"), "vrrp/firewall", Error, "this host's firewall drops them")
}

func TestTwoMastersAreFound(t *testing.T) {
	s, one, two := pair(t)
	three, at3 := lab.New(t).Host("third"), netip.MustParseAddr("10.0.0.3")
	s.Attach(three, "eth0", at3.String()+"/24")
	keepalived(t, two, peer, 200, self)
	keepalived(t, three, at3, 150, self)
	until(t, "both are master", func() bool { return two.Has(vip) && three.Has(vip) })
	p := plan()
	p.Members = append(p.Members, frontend.Member{Address: at3, Priority: 234})
	expect(t, looked(t, one, Facts{Self: self, Plan: p, Advert: advert}, "vrrp"), "vrrp/masters", Error, "10.0.0.2, 10.0.0.3")

	all := looked(t, one, Facts{Self: self, Plan: plan(), Advert: advert}, "vrrp")
	expect(t, all, "vrrp/heard", OK, "10.0.0.2")
	expect(t, all, "vrrp/router-id", Error, "a host uses it that carries no VIP of it: 10.0.0.3")
}

func TestAStrangerThatCarriesTheVIPIsFound(t *testing.T) {
	_, one, two := pair(t)
	keepalived(t, two, peer, 200) // multicast
	until(t, "it is master", func() bool { return two.Has(vip) })
	p := plan()
	p.RouterID, p.Members[1].Address = 77, gate
	all := looked(t, one, Facts{Self: self, Plan: p, Advert: advert}, "vrrp")
	expect(t, all, "vrrp/vip", Error, "carries the control plane's VIP")
	p.RouterID = 51
	expect(t, looked(t, one, Facts{Self: self, Plan: p, Advert: advert}, "vrrp"), "vrrp/router-id", Error, "10.0.0.2, VRRPv3")
}

func TestOtherVirtualRoutersOnTheSegment(t *testing.T) {
	_, one, two := pair(t)
	keepalived(t, two, peer, 200) // multicast
	until(t, "it is master", func() bool { return two.Has(vip) })
	other := plan()
	other.RouterID = 77
	expect(t, looked(t, one, Facts{Self: self, Plan: other, Advert: advert}, "vrrp"), "vrrp/vip", Warning, "by another router id than 77")

	other.VIP = netip.MustParseAddr("10.0.0.101")
	all := looked(t, one, Facts{Self: self, Plan: other, Advert: advert}, "vrrp")
	well(t, all)
	expect(t, all, "vrrp/foreign", OK, "10.0.0.2, VRRPv3")

	other.RouterID = 51
	expect(t, looked(t, one, Facts{Self: self, Plan: other, Advert: advert}, "vrrp"), "vrrp/addresses", Error, "other addresses than the VIP 10.0.0.101")
}

// advertising sends advertisements from a host, each 20 ms, by what say gives for the time since it began.
func advertising(t *testing.T, h *lab.Host, say func(since time.Duration) []byte) {
	t.Helper()
	var w *wire
	h.Must(func() error {
		all, err := readLinks()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(l link) bool { return l.Name == "eth0" })
		w, err = thisHost().openWire(all[i], vrrpFilter())
		return err
	})
	began, ended := time.Now(), make(chan struct{})
	go func() {
		defer close(ended)
		for t.Context().Err() == nil {
			if err := w.send(say(time.Since(began)), nil); err != nil {
				t.Error(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	t.Cleanup(func() { <-ended; w.close() })
}

// spoken is a frame with a VRRPv2 advertisement of the VIP.
func spoken(source netip.Addr, routerID byte) []byte {
	v := vip.As4()
	message := append([]byte{2<<4 | advertisement, routerID, 100, 1, 0, 1, 0, 0}, v[:]...)
	binary.BigEndian.PutUint16(message[6:], checksum(message))
	from, to := source.As4(), vrrpGroup.As4()
	p := append([]byte{4<<4 | 5, 0, 0, byte(ipv4Header + len(message)), 0, 0, 0, 0, 255, vrrpProtocol, 0, 0}, append(from[:], to[:]...)...)
	binary.BigEndian.PutUint16(p[10:], checksum(p)) // a bridge that snoops drops groups' packets without one
	b, err := (&ethernet.Frame{
		Destination: vrrpGroups[0][:], Source: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EtherType: etherTypeIPv4, Payload: append(p, message...),
	}).MarshalBinary()
	if err != nil {
		panic(err) // of VLAN tags, and there is none
	}
	return b
}

func TestWhatIsSaidInAVLANIsNotTheInterfacesOwn(t *testing.T) {
	_, one, two := pair(t)
	tagged := spoken(peer, 9)
	tagged = append(append(append([]byte{}, tagged[:12]...), 0x81, 0, 0, 100), tagged[12:]...) // IEEE 802.1Q, VLAN 100
	plain := false
	advertising(t, two, func(time.Duration) []byte {
		if plain = !plain; plain {
			return spoken(peer, 8)
		}
		return tagged
	})
	all := looked(t, one, Facts{Self: self, Advert: advert}, "vrrp")
	expect(t, all, "vrrp/heard", OK, "10.0.0.2, VRRPv2, priority 100, each 1s, for 10.0.0.100")
	expect(t, all, "vrrp/master", Skipped, "1 virtual routers were heard")
	if all[0].About != "router id 8" {
		t.Errorf("%+v", all)
	}
}

func TestATakeOverIsNotTwoMasters(t *testing.T) {
	_, one, two := pair(t)
	p := plan()
	third := netip.MustParseAddr("10.0.0.3")
	p.Members = append(p.Members, frontend.Member{Address: third, Priority: 234})
	const each = time.Second // what they say
	advertising(t, two, func(since time.Duration) []byte {
		if since < each {
			return spoken(third, 51)
		}
		return spoken(peer, 51)
	})
	all := looked(t, one, Facts{Self: self, Plan: p, Advert: each}, "vrrp")
	expect(t, all, "vrrp/master", OK, "one master: 10.0.0.2")
	if len(all) != 3 || all[1].ID != "vrrp/heard" || !strings.HasPrefix(all[1].Seen, "the master is heard: 10.0.0.3") {
		t.Errorf("%+v", all)
	}
}

func TestBrokenAdvertisementsAreCounted(t *testing.T) {
	_, one, two := pair(t)
	broken := spoken(peer, 51)
	broken[etherHeader+ipv4Header+2]++ // the priority, and not the checksum
	advertising(t, two, func(time.Duration) []byte { return broken })
	expect(t, looked(t, one, Facts{Self: self, Plan: plan(), Advert: advert}, "vrrp"), "vrrp/broken", Warning, "advertisements are broken")
}

func TestSilenceIsWrongWhereAFrontEndRuns(t *testing.T) {
	_, one, two := pair(t)
	f := Facts{Self: self, Plan: plan(), Advert: advert}
	expect(t, looked(t, one, f, "vrrp"), "vrrp/master", Skipped, "no front end is seen")

	two.Addresses("eth0", vip.String()+"/32")
	one.Must(func() error { // it asks for the VIP, and knows it then
		c, err := net.Dial("udp", vip.String()+":9")
		if err == nil {
			_, err = c.Write([]byte("?"))
			_ = c.Close()
		}
		return err
	})
	until(t, "the VIP is known", func() bool { _, known := one.Neighbour(vip); return known })
	expect(t, looked(t, one, f, "vrrp"), "vrrp/silence", Error, "a host answers for 10.0.0.100")

	outside := Facts{Self: self, Plan: plan(), Advert: advert}
	outside.Plan.Members = []frontend.Member{{Address: peer, Priority: 254}, {Address: gate, Priority: 244}}
	expect(t, looked(t, one, outside, "vrrp"), "vrrp/master", Skipped, "carries no VIP")
	alone := Facts{Self: self, Plan: plan(), Advert: advert}
	alone.Plan.Members = alone.Plan.Members[:1]
	expect(t, looked(t, one, alone, "vrrp"), "vrrp/master", Skipped, "one node carries")
}

func TestAVIPThatAKilledKeepalivedLeftIsFound(t *testing.T) {
	_, one, two := pair(t)
	one.Addresses("eth0", vip.String()+"/32")
	f := Facts{Self: self, Plan: plan(), Advert: advert}
	expect(t, looked(t, one, f, "vrrp"), "vrrp/left-behind", Error, "no Keepalived runs here (masters that are heard: none)")
	keepalived(t, two, peer, 200, self)
	until(t, "the peer is master", func() bool { return two.Has(vip) })
	expect(t, looked(t, one, f, "vrrp"), "vrrp/left-behind", Error, "masters that are heard: 10.0.0.2")
	one.Change("eth0", func(l netlink.Link) error {
		a, err := netlink.ParseAddr(vip.String() + "/32")
		if err == nil {
			err = netlink.AddrDel(l, a)
		}
		return err
	})
	well(t, looked(t, one, f, "vrrp"))
}
