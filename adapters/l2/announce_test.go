//go:build linux

package l2

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"viplog/core/lease"
	"viplog/core/node"
	"viplog/fixtures/lab"
)

func TestAnAnnouncementMovesAnEntryAtOnce(t *testing.T) {
	s := newSegment(t)
	var nodes [2]*agent
	for i := range nodes {
		nodes[i] = s.node(t, []string{"old", "new"}[i])
	}
	for _, a := range []netip.Addr{vip4, vip6} {
		owner := nodes[0]
		owner.serve(a)
		resolves(t, s.client, a, owner.host.MAC("eth0").String())
		for round := range 4 { // entries are younger than the second in which Linux keeps them against ordinary replies
			next := nodes[(round+1)%2]
			owner.Serve([]netip.Addr{a}, nil, owner.anHour())
			next.serve(a)
			begin := time.Now()
			next.announce(a)
			eventually(t, "the client knows the new owner", func() bool {
				entry, found := s.client.Neighbour(a)
				return found && entry.HardwareAddr.String() == next.host.MAC("eth0").String()
			})
			t.Logf("%s moved in %v", a, time.Since(begin).Round(10*time.Microsecond))
			owner = next
		}
	}
}

func TestBothFormsAreSentAndReported(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node")
	n.serve(vip4, vip6)
	c := newTester(t, s.client, "eth0")
	me := mac(n.host.MAC("eth0"))
	for _, want := range [][]byte{gratuitousRequest(me, vip4), gratuitousReply(me, vip4)} {
		n.announce(vip4)
		if c.next(20*time.Second, func(b []byte) bool { return slices.Equal(b, want) }) == nil {
			t.Errorf("not seen: % x", want)
		}
	}
	n.announce(vip6)
	if c.next(20*time.Second, func(b []byte) bool { return slices.Equal(b, unsolicitedAdvertisement(me, vip6)) }) == nil {
		t.Error("no unsolicited advertisement")
	}
	for frame, want := range map[node.Frame]error{
		{Kind: node.Announce, Address: vip4, Interface: "eth0"}:  nil,
		{Kind: node.Announce, Address: vip6, Interface: "eth0"}:  nil,
		{Kind: node.Announce, Address: free4, Interface: "eth0"}: ErrNotServed,
		{Kind: node.Announce, Address: vip4, Interface: "eth7"}:  ErrNoInterface,
	} {
		n.Send([]node.Frame{frame})
		eventually(t, "it is reported", func() bool { return len(n.reports(frame)) > 0 })
		if r := n.reports(frame); !errors.Is(r[0], want) {
			t.Errorf("%v: %v", frame, r)
		}
	}
	s.network.Cut(n.host, "eth0")
	eventually(t, "the cut is noticed", func() bool { i, _ := n.interfaceNamed("eth0"); return !i.Up })
	down := node.Frame{Kind: node.Announce, Address: vip4, Interface: "eth0"}
	before := len(n.reports(down))
	n.announce(vip4)
	eventually(t, "it is reported", func() bool { return len(n.reports(down)) > before })
	if r := n.reports(down); !errors.Is(r[before], ErrDown) {
		t.Error(r)
	}
	t.Log(n.reports(down)[before])
}

func TestWhoUsesAnAddressIsHeard(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "10.0.0.1/24", "fd00::1/64")
	s.network.Attach(n.host, "eth1") // on the same segment, and hears everything that eth0 says
	n.Serve(nil, nil, n.anHour())
	s.client.Addresses("eth0", free4.String()+"/32", free6.String()+"/128")
	foreign := s.client.MAC("eth0").String()
	for _, a := range []netip.Addr{free4, free6} {
		n.Send([]node.Frame{{Kind: node.Probe, Address: a, Interface: "eth0"}})
		want := node.Heard{Address: a, Interface: "eth0", MAC: foreign}
		eventually(t, "the owner answers the probe", func() bool { return n.hasHeard(want) })
	}
	n.Serve(nil, []node.Served{
		{Address: vip4, Interfaces: []string{"eth0", "eth1"}}, {Address: vip6, Interfaces: []string{"eth0", "eth1"}},
	}, n.anHour())
	n.joins("eth0", vip6)
	n.joins("eth1", vip6)
	for _, a := range []netip.Addr{vip4, vip6} {
		for _, ifi := range []string{"eth0", "eth1"} {
			n.Send([]node.Frame{{Kind: node.Announce, Address: a, Interface: ifi}, {Kind: node.Probe, Address: a, Interface: ifi}})
		}
	}
	eventually(t, "its own frames come back", func() bool { return n.Counts().Own >= 8 })
	c := newTester(t, s.client, "eth0")
	for i, frame := range [][]byte{
		c.use(vip4, mac{2, 0, 0, 0, 0xaa, 0}), c.use(vip6, mac{2, 0, 0, 0, 0xaa, 1}), // announced
		arpProbe(mac{2, 0, 0, 0, 0xaa, 2}, vip4), ndpProbe(mac{2, 0, 0, 0, 0xaa, 3}, vip6), // probed for
		arpReply(mac{2, 0, 0, 0, 0xaa, 4}, vip4, mac(n.host.MAC("eth0")), client4), // answered for
		solicitedAdvertisement(mac{2, 0, 0, 0, 0xaa, 5}, vip6, mac(n.host.MAC("eth0")), netip.MustParseAddr("fd00::1")),
	} {
		a := []netip.Addr{vip4, vip6}[i%2]
		c.send(frame)
		want := node.Heard{Address: a, Interface: "eth0", MAC: mac{2, 0, 0, 0, 0xaa, byte(i)}.String()}
		eventually(t, "it is heard: "+want.MAC, func() bool { return n.hasHeard(want) })
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range n.heard {
		if h.MAC != foreign && h.MAC[:14] != "02:00:00:00:aa" {
			t.Errorf("heard: %+v", h)
		}
	}
}

// A kernel that wants the address for itself finds out that it has an owner: RFC 4862 section 5.4.
func TestAKernelThatWantsAServedAddressIsRefused(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "fd00::1/64")
	n.serve(vip6)
	s.client.Must(func() error {
		return errors.Join(lab.SetSysctl("net/ipv6/conf/all/accept_dad", "1"), lab.SetSysctl("net/ipv6/conf/eth0/accept_dad", "1"))
	})
	s.client.Change("eth0", func(l netlink.Link) error {
		a, err := netlink.ParseAddr(vip6.String() + "/64")
		if err != nil {
			return err
		}
		return netlink.AddrAdd(l, a)
	})
	eventually(t, "its duplicate address detection fails", func() (failed bool) {
		s.client.Change("eth0", func(l netlink.Link) error {
			all, err := netlink.AddrList(l, netlink.FAMILY_V6)
			failed = slices.ContainsFunc(all, func(a netlink.Addr) bool {
				return a.IP.String() == vip6.String() && a.Flags&0x08 != 0 // IFA_F_DADFAILED
			})
			return err
		})
		return failed
	})
	if !n.hasHeard(node.Heard{Address: vip6, Interface: "eth0", MAC: s.client.MAC("eth0").String()}) {
		t.Error("the probe was not heard")
	}
}

func TestTenThousandAnnouncementsDelayNoAnswer(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node")
	c := newTester(t, s.client, "eth0")
	const many = 10_000
	all := addresses(netip.MustParseAddr("10.1.0.0"), many)
	begin := time.Now()
	n.serve(append(all, vip4)...)
	taken := time.Since(begin)
	quiet := roundTrips(c, 200, func() bool { return true })
	var frames []node.Frame
	for _, a := range all {
		frames = append(frames, node.Frame{Kind: node.Announce, Address: a, Interface: "eth0"})
	}
	begin = time.Now()
	n.Send(frames)
	var first time.Duration
	busy := roundTrips(c, 1_000_000, func() bool {
		sent := n.Counts().Announcements
		if sent >= many && first == 0 {
			first = time.Since(begin)
		}
		return sent < 2*many
	})
	done := time.Since(begin)
	if got := n.Counts(); got.Announcements != 2*many || got.Unsent != 0 {
		t.Errorf("%+v", got)
	}
	t.Logf("%d addresses taken in %v, told once in %v, in both forms in %v", many, taken.Round(time.Microsecond),
		first.Round(time.Millisecond), done.Round(time.Millisecond))
	t.Logf("an answer takes, median and most: %v %v; meanwhile (%d): %v %v",
		quiet[len(quiet)/2], quiet[len(quiet)-1], len(busy), busy[len(busy)/2], busy[len(busy)-1])
}

// roundTrips are times from a question to its answer, sorted.
func roundTrips(c *tester, most int, goOn func() bool) (all []time.Duration) {
	question := c.question(vip4)
	for len(all) == 0 || goOn() && len(all) < most {
		begin := time.Now()
		c.answers(question, vip4)
		all = append(all, time.Since(begin))
	}
	slices.Sort(all)
	return all
}

// Between the instants there is no timer: what waits is held against the clock.
func TestWhatWaitsWhenUntilPassesIsNotSent(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node")
	all := addresses(netip.MustParseAddr("10.1.0.0"), 1000)
	n.serve(all...)
	var frames []node.Frame
	for _, a := range all {
		frames = append(frames, node.Frame{Kind: node.Announce, Address: a, Interface: "eth0"})
	}
	n.Send(frames)
	n.Serve(nil, nil, 0)
	sent := n.Counts().Announcements
	eventually(t, "all has had its turn", func() bool {
		c := n.Counts()
		return c.Announcements+c.Unneeded >= uint64(len(all))
	})
	if c := n.Counts(); c.Announcements != sent {
		t.Errorf("%d were sent, then %d", sent, c.Announcements)
	}
	n.Serve(nil, nil, lease.Never)
}
