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

// A question is held against the clock as it is when it is answered, not as it was before the table could be had.
func TestAQuestionThatWaitedForTheTableIsNotAnsweredAfterUntil(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node")
	n.serve(vip4, other4)
	c := newTester(t, s.client, "eth0")
	for range 5 {
		before := n.Counts()
		n.table.mu.Lock()
		c.send(c.question(vip4))
		time.Sleep(10 * time.Millisecond) // it has been read by then, or waits in the socket, which is as good
		n.late.Add(int64(2 * time.Hour))
		n.table.mu.Unlock()
		c.silent(c.use(vip4, c.mac), vip4, n, other4)
		if now := n.Counts(); now.Requests != before.Requests {
			t.Fatal("it was answered after Until")
		}
		n.Serve(nil, nil, n.anHour())
	}
}

// What is heard before would reach a node's machine that knows no interface.
func TestInterfacesAreToldBeforeAnythingIsRead(t *testing.T) {
	if newSegment(t).node(t, "node").readEarly {
		t.Error("a socket was read first")
	}
}

// The kernel gives a socket on eth0 what came by it for an interface above it too: the frames of a VLAN (without the tag), and those of a
// macvlan that has eth0's own MAC. Kernels without VLANs show the same with the macvlan: it is one line of the filter that tells them apart.
func TestAQuestionToAnInterfaceAboveIsAnsweredThereOnly(t *testing.T) {
	for _, kind := range []struct {
		name  string
		above func(parent int) netlink.Link
		ask   func(c *tester, a netip.Addr, n *agent) (below, above []byte)
	}{
		{
			"VLAN",
			func(parent int) netlink.Link {
				return &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "above", ParentIndex: parent}, VlanId: 100}
			},
			func(c *tester, a netip.Addr, _ *agent) (below, above []byte) {
				return c.question(a), tagged(c.question(a), 100)
			},
		},
		{
			"macvlan",
			func(parent int) netlink.Link {
				return &netlink.Macvlan{
					LinkAttrs: netlink.LinkAttrs{Name: "above", ParentIndex: parent}, Mode: netlink.MACVLAN_MODE_PASSTHRU,
				}
			},
			// All that is sent to the MAC is the macvlan's, and what is sent to a group is both's.
			func(c *tester, a netip.Addr, n *agent) (below, above []byte) {
				return nil, c.check(a, mac(n.host.MAC("eth0")))
			},
		},
	} {
		t.Run(kind.name, func(t *testing.T) {
			s := newSegment(t)
			n := s.node(t, "node", "10.0.0.1/24", "fd00::1/64")
			err := n.host.Do(func() error {
				l, err := netlink.LinkByName("eth0")
				if err != nil {
					return err
				}
				above := kind.above(l.Attrs().Index)
				if err := netlink.LinkAdd(above); err != nil {
					return err
				}
				return netlink.LinkSetUp(above)
			})
			if errors.Is(err, unix.EOPNOTSUPP) {
				t.Skipf("skipped: this kernel has no %s", kind.name)
			} else if err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is up", func() bool { i, _ := n.interfaceNamed("above"); return i.Up })
			n.serve(other4, other6)
			c := newTester(t, s.client, "eth0")
			for _, f := range []struct{ a, other netip.Addr }{{vip4, other4}, {vip6, other6}} {
				below, above := kind.ask(c, f.a, n)
				n.serve(f.a)
				c.silent(above, f.a, n, f.other)
				n.Serve(nil, []node.Served{{Address: f.a, Interfaces: []string{"above"}}}, n.anHour())
				n.joins("above", f.a)
				replies := n.Counts().Replies
				c.send(above)
				eventually(t, "it is answered above", func() bool { return n.Counts().Replies == replies+1 })
				c.next(50*time.Millisecond, isAnswer(f.a))
				if below != nil {
					c.silent(below, f.a, n, f.other)
				}
			}
		})
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
		// A tag that has a priority only: IEEE 802.1Q section 6.9.1.
		c.answers(tagged(c.question(f.a), 0), f.a)
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
