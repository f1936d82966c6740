//go:build linux

package l2

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"viplog/core/lease"
	"viplog/core/node"
	"viplog/fixtures/lab"
)

func TestAKernelResolvesAnAddressAndTalksToIt(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "10.0.0.1/24", "fd00::1/64")
	n.host.Change("lo", netlink.LinkSetUp)
	n.host.Must(func() error { return lab.SetSysctl("net/ipv4/conf/all/arp_ignore", "1") }) // the kernel's own answers would do too
	n.host.Addresses("lo", vip4.String()+"/32", vip6.String()+"/128")
	n.serve(vip4, vip6)
	for _, a := range []netip.Addr{vip4, vip6} {
		resolves(t, s.client, a, n.host.MAC("eth0").String())
		var server, client *net.UDPConn
		at := net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 4000))
		n.host.Must(func() (err error) { server, err = net.ListenUDP(udp(a), at); return err })
		s.client.Must(func() (err error) { client, err = net.DialUDP(udp(a), nil, at); return err })
		go func() {
			b := make([]byte, 10)
			k, who, err := server.ReadFromUDP(b)
			if err == nil {
				_, _ = server.WriteToUDP(b[:k], who)
			}
		}()
		_ = client.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, err := client.Write([]byte("hello"))
		b := make([]byte, 10)
		k, err2 := client.Read(b)
		if err != nil || err2 != nil || string(b[:k]) != "hello" {
			t.Errorf("%s: %v, %v, %q", a, err, err2, b[:k])
		}
		_, _ = server.Close(), client.Close()
	}
	if c := n.Counts(); c.Replies < 2 || c.Unsent+c.Malformed != 0 {
		t.Errorf("%+v", c)
	}
}

func TestQuestionsOfAllKindsAreAnsweredToWhoAsked(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "10.0.0.1/24", "fd00::1/64")
	n.serve(vip4, vip6)
	c := newTester(t, s.client, "eth0")
	me := mac(n.host.MAC("eth0"))
	asker4, asker6, group := client4.Next(), client6.Next(), solicitedNode(vip6)
	plainNS := &ndp.NeighborSolicitation{TargetAddress: vip6}
	for _, q := range []struct {
		name     string
		question []byte
		a        netip.Addr
		want     []byte
	}{
		{"broadcast request", c.question(vip4), vip4, arpReply(me, vip4, c.mac, asker4)},
		{
			"unicast request, to check an entry", arpFrame(arp.OperationRequest, c.mac, me, asker4, nobody, vip4),
			vip4, arpReply(me, vip4, c.mac, asker4),
		},
		{"probe for IPv4", arpProbe(c.mac, vip4), vip4, arpReply(me, vip4, c.mac, netip.IPv4Unspecified())},
		{"multicast solicitation", c.question(vip6), vip6, solicitedAdvertisement(me, vip6, c.mac, asker6)},
		{
			"multicast solicitation without its sender's MAC", ndpFrame(plainNS, c.mac, multicastMAC(group), asker6, group),
			vip6, solicitedAdvertisement(me, vip6, c.mac, asker6),
		},
		{
			"unicast solicitation, to check an entry", ndpFrame(plainNS, c.mac, me, asker6, vip6),
			vip6, solicitedAdvertisement(me, vip6, c.mac, asker6),
		},
		{"probe for IPv6", ndpProbe(c.mac, vip6), vip6, unsolicitedAdvertisement(me, vip6)},
	} {
		t.Run(q.name, func(t *testing.T) {
			c.t = t
			if got := c.answers(q.question, q.a); string(got) != string(q.want) {
				t.Errorf("answered:\n% x\nwanted:\n% x", got, q.want)
			}
		})
	}
}

func TestWhatIsNotServedIsNotAnswered(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "10.0.0.1/24", "fd00::1/64")
	s.network.Attach(n.host, "eth1")
	eventually(t, "eth1 is up", func() bool { i, _ := n.interfaceNamed("eth1"); return i.Up })
	c := newTester(t, s.client, "eth0")
	n.serve(other4, other6)
	for _, f := range []struct{ a, other netip.Addr }{{vip4, other4}, {vip6, other6}} {
		c.silent(c.question(f.a), f.a, n, f.other) // before it is started
		n.serve(f.a)
		from := c.answers(c.question(f.a), f.a)
		// eth1 is on the same segment, and has heard the question too.
		if mac(from[6:12]) != mac(n.host.MAC("eth0")) {
			t.Errorf("answered from %s", mac(from[6:12]))
		}
		if b := c.next(50*time.Millisecond, isAnswer(f.a)); b != nil {
			t.Errorf("answered twice: % x", b)
		}
		n.Serve([]netip.Addr{f.a}, nil, n.anHour())
		c.silent(c.question(f.a), f.a, n, f.other)
	}
	n.serve(vip4, vip6)
	n.Serve(nil, nil, n.config.Now().Add(time.Minute))
	c.answers(c.question(vip4), vip4)
	n.late.Store(int64(time.Minute)) // and nothing else happens
	c.silent(c.question(vip4), vip4, n, other4)
	c.silent(c.question(vip6), vip6, n, other6)
	n.announce(vip4)
	refused := node.Frame{Kind: node.Announce, Address: vip4, Interface: "eth0"}
	eventually(t, "the announcement is refused", func() bool { return len(n.reports(refused)) == 1 })
	if c.next(50*time.Millisecond, func(b []byte) bool { m, err := parseARP(b); return err == nil && m.used == vip4 }) != nil {
		t.Error("an announcement after Until")
	}
	n.Serve(nil, nil, lease.Never)
	c.answers(c.question(vip4), vip4)
}

// The kernel gives a socket on eth0 what was sent to eth0.100 too, without the tag.
func TestAQuestionInAVLANIsAnsweredThereOnly(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "10.0.0.1/24", "fd00::1/64")
	for _, h := range []*lab.Host{s.client, n.host} {
		err := h.Do(func() error {
			l, err := netlink.LinkByName("eth0")
			if err != nil {
				return err
			}
			v := &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "eth0.100", ParentIndex: l.Attrs().Index}, VlanId: 100}
			if err := netlink.LinkAdd(v); err != nil {
				return err
			}
			return netlink.LinkSetUp(v)
		})
		if errors.Is(err, unix.EOPNOTSUPP) {
			t.Skip("skipped: needs a kernel with VLANs (8021q), which nobody can install for a test")
		} else if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the VLAN is up", func() bool { i, _ := n.interfaceNamed("eth0.100"); return i.Up })
	n.serve(vip4, vip6, other4, other6)
	untagged, inside := newTester(t, s.client, "eth0"), newTester(t, s.client, "eth0.100")
	for _, f := range []struct{ a, other netip.Addr }{{vip4, other4}, {vip6, other6}} {
		n.Serve(nil, []node.Served{{Address: f.a, Interfaces: []string{"eth0"}}}, n.anHour())
		inside.send(inside.question(f.a))
		untagged.silent(untagged.use(f.other, untagged.mac), f.a, n, f.other)
		n.Serve(nil, []node.Served{{Address: f.a, Interfaces: []string{"eth0.100"}}}, n.anHour())
		n.changedGroupsDone()
		inside.answers(inside.question(f.a), f.a)
		untagged.silent(untagged.question(f.a), f.a, n, f.other)
	}
}

// A frame of a VLAN that the node has no interface for is given to sockets as well, without its tag, as one for another host.
func TestAQuestionInAVLANThatNobodyHasIsNotAnswered(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "10.0.0.1/24", "fd00::1/64")
	n.serve(vip4, vip6, other4, other6)
	c := newTester(t, s.client, "eth0")
	for _, f := range []struct{ a, other netip.Addr }{{vip4, other4}, {vip6, other6}} {
		c.silent(tagged(c.question(f.a), 100), f.a, n, f.other)
	}
}

// tagged puts a frame into a VLAN: IEEE 802.1Q.
func tagged(b []byte, id byte) []byte {
	return slices.Concat(b[:12], []byte{0x81, 0, 0, id}, b[12:])
}

func TestAnInterfaceWithoutAddressesServesAndAnnounces(t *testing.T) {
	s := newSegment(t)
	h := s.Host("node")
	h.Must(func() error { return lab.SetSysctl("net/ipv6/conf/default/addr_gen_mode", "1") }) // no link-local address
	s.network.Attach(h, "eth0")
	n := startAgent(t, h)
	n.serve(vip4, vip6)
	c := newTester(t, s.client, "eth0")
	for _, a := range []netip.Addr{vip4, vip6} {
		resolves(t, s.client, a, h.MAC("eth0").String())
		n.announce(a)
		if c.next(20*time.Second, isAnswer(a)) == nil {
			t.Errorf("%s is not announced", a)
		}
		frame := node.Frame{Kind: node.Announce, Address: a, Interface: "eth0"}
		eventually(t, "it is reported", func() bool { r := n.reports(frame); return len(r) == 1 && r[0] == nil })
	}
}

// What Ready promises of Stop: when it is taken, no answer is under way.
func TestNoAnswerIsUnderWayWhenServeHasStopped(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node")
	c := newTester(t, s.client, "eth0")
	done := make(chan struct{})
	asking := make(chan struct{})
	go func() {
		defer close(asking)
		question := c.question(vip4)
		for {
			select {
			case <-done:
				return
			default:
				_, _ = c.conn.WriteTo(question, &packet.Addr{HardwareAddr: question[:6]}) // a full queue is as good
			}
		}
	}()
	for range 200 {
		n.serve(vip4)
		before := n.Counts().Replies
		eventually(t, "questions are answered", func() bool { return n.Counts().Replies > before+10 })
		n.Serve([]netip.Addr{vip4}, nil, lease.Never)
		stopped := n.counts[replies].Load() // at once: Counts asks sockets too
		time.Sleep(2 * time.Millisecond)
		if now := n.Counts().Replies; now != stopped {
			t.Fatalf("%d answers after Serve has returned", now-stopped)
		}
	}
	close(done)
	<-asking
}
