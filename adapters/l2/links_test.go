//go:build linux

package l2

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/node"
	"viplog/fixtures/lab"
)

func TestInterfacesAreToldFirstAndWheneverTheyChange(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "10.0.0.1/24", "fd00::1/64")
	want := event.Interface{
		Name: "eth0", MAC: n.host.MAC("eth0").String(), Up: true,
		Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("fd00::/64")},
	}
	same := func() bool {
		all := n.interfaces()
		return len(all) == 1 && all[0].Name == want.Name && all[0].MAC == want.MAC && all[0].Up == want.Up &&
			slices.Equal(all[0].Prefixes, want.Prefixes)
	}
	eventually(t, "eth0 as it is", same)
	n.host.Addresses("eth0", "10.0.7.1/24", "10.0.7.2/24")
	want.Prefixes = slices.Insert(want.Prefixes, 1, netip.MustParsePrefix("10.0.7.0/24"))
	eventually(t, "another prefix, once", same)
	s.network.Cut(n.host, "eth0")
	want.Up = false
	eventually(t, "no carrier", same)
	s.network.Mend(n.host, "eth0")
	want.Up = true
	eventually(t, "a carrier", same)
	n.host.Add(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "cali12345"}})
	n.host.Change("eth0", func(l netlink.Link) error { return netlink.LinkSetHardwareAddr(l, net.HardwareAddr{2, 0, 0, 0, 9, 9}) })
	want.MAC = "02:00:00:00:09:09"
	eventually(t, "another MAC, and nothing of a container's link", same)
}

func TestAChangeOfTheMACIsFollowed(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "10.0.0.1/24", "fd00::1/64")
	n.serve(vip4, vip6)
	c := newTester(t, s.client, "eth0")
	changed := net.HardwareAddr{2, 0, 0, 0, 9, 9}
	n.host.Change("eth0", func(l netlink.Link) error { return netlink.LinkSetHardwareAddr(l, changed) })
	eventually(t, "it is told", func() bool { i, _ := n.interfaceNamed("eth0"); return i.MAC == changed.String() })
	for _, a := range []netip.Addr{vip4, vip6} {
		if b := c.answers(c.question(a), a); string(b[6:12]) != string(changed) {
			t.Errorf("%s is answered for from %s", a, mac(b[6:12]))
		}
		resolves(t, s.client, a, changed.String())
	}
}

// The first defect of MetalLB in the facts: it goes deaf for IPv6.
func TestAfterALinkWasDownItsGroupsAreJoinedAndAddressesAnswer(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "10.0.0.1/24", "fd00::1/64")
	n.serve(vip4, vip6)
	up := func() bool { i, _ := n.interfaceNamed("eth0"); return i.Up }
	change := func(how func(netlink.Link) error) { n.host.Change("eth0", how) }
	mtu := func(n int) func(netlink.Link) error {
		return func(l netlink.Link) error { return netlink.LinkSetMTU(l, n) }
	}
	for _, trouble := range []struct {
		name    string
		down    func()
		isDown  func() bool
		mend    func()
		forgive bool
	}{
		{"down", func() { change(netlink.LinkSetDown) }, func() bool { return !up() }, func() { change(netlink.LinkSetUp) }, false},
		{"cut", func() { s.network.Cut(n.host, "eth0") }, func() bool { return !up() }, func() { s.network.Mend(n.host, "eth0") }, false},
		{"down and up at once", func() { change(netlink.LinkSetDown); change(netlink.LinkSetUp) }, up, func() {}, false},
		{
			"an MTU without IPv6", func() { change(mtu(1200)) },
			func() bool { return len(n.host.Groups("eth0")) == 0 }, func() { change(mtu(1500)) }, true,
		},
		{"the same at once", func() { change(mtu(1200)); change(mtu(1500)) }, up, func() {}, true},
	} {
		t.Run(trouble.name, func(t *testing.T) {
			trouble.down()
			eventually(t, "it is noticed", trouble.isDown)
			trouble.mend()
			eventually(t, "it is mended", up)
			eventually(t, "the group is joined", func() bool { return slices.Contains(n.host.Groups("eth0"), solicitedNode(vip6)) })
			for _, a := range []netip.Addr{vip4, vip6} {
				forgetNeighbours(s.client)
				resolves(t, s.client, a, n.host.MAC("eth0").String())
			}
			if trouble.forgive {
				n.forgive()
			}
		})
	}
}

func TestAnInterfaceOfTheSameNameServesAgain(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "10.0.0.1/24", "fd00::1/64")
	n.serve(vip4, vip6)
	before := n.host.MAC("eth0").String()
	n.host.Change("eth0", netlink.LinkDel)
	s.network.Attach(n.host, "eth0", "10.0.0.1/24", "fd00::1/64")
	now := n.host.MAC("eth0").String()
	if before == now {
		t.Fatal("the interface is the same")
	}
	for _, a := range []netip.Addr{vip4, vip6} {
		resolves(t, s.client, a, now)
	}
	n.host.Change("eth0", func(l netlink.Link) error { return netlink.LinkSetDown(l) })
	n.host.Change("eth0", func(l netlink.Link) error { return netlink.LinkSetName(l, "lan") })
	n.host.Change("lan", netlink.LinkSetUp)
	eventually(t, "the new name is told", func() bool { i, _ := n.interfaceNamed("lan"); return i.Up })
	c := newTester(t, s.client, "eth0")
	if c.send(c.question(vip4)); c.next(50*time.Millisecond, isAnswer(vip4)) != nil {
		t.Error("an address of eth0 is answered for on another interface")
	}
	n.Serve(nil, []node.Served{{Address: vip4, Interfaces: []string{"lan"}}}, n.anHour())
	c.answers(c.question(vip4), vip4)
}

func TestMembersOfABridgeAreNotServedAndTheBridgeIs(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node")
	n.serve(vip4, vip6)
	n.host.Add(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "lan0", HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 9, 9}}})
	n.host.Change("eth0", func(l netlink.Link) error {
		br, err := netlink.LinkByName("lan0")
		if err != nil {
			return err
		}
		return netlink.LinkSetMaster(l, br)
	})
	eventually(t, "only the bridge is told", func() bool {
		all := n.interfaces()
		return len(all) == 1 && all[0].Name == "lan0" && all[0].Up
	})
	n.Serve(nil, []node.Served{{Address: vip4, Interfaces: []string{"lan0"}}, {Address: vip6, Interfaces: []string{"lan0"}}}, n.anHour())
	n.joins("lan0", vip6)
	for _, a := range []netip.Addr{vip4, vip6} {
		resolves(t, s.client, a, "02:00:00:00:09:09")
	}
}

// A socket that is full says so once, and what did not fit is lost: all is to be looked at again.
func TestWhatTheKernelCouldNotSayIsLookedFor(t *testing.T) {
	h := lab.New(t).Host("node")
	var bell *doorbell
	h.Must(func() (err error) {
		if bell, err = newDoorbell(); err != nil {
			return err
		}
		return bell.socket.SetReceiveBufferSize(4096, true)
	})
	for range 100 { // and nobody listens
		h.Change("lo", netlink.LinkSetUp)
		h.Change("lo", netlink.LinkSetDown)
	}
	ended := make(chan error, 1)
	go func() { ended <- bell.listen() }()
	eventually(t, "it is known that something was lost", func() bool { return bell.collect().all })
	h.Add(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}})
	eventually(t, "it goes on", func() bool { return len(bell.collect().touched) > 0 })
	bell.close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestTenThousandGroupsAreJoined(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "fd00::1/64")
	const many = 10_000
	begin := time.Now()
	n.serve(addresses(netip.MustParseAddr("fd00::1:0"), many)...)
	eventually(t, "all are joined", func() bool { return len(n.host.Groups("eth0")) >= many })
	took := time.Since(begin)
	n.Serve(addresses(netip.MustParseAddr("fd00::1:0"), many), nil, n.anHour())
	eventually(t, "all are left", func() bool { return len(n.host.Groups("eth0")) < 10 })
	t.Logf("%d groups joined in %v", many, took.Round(time.Millisecond))
}

// Joining takes the kernel seconds, for which a link must not be followed late.
func TestALinkIsFollowedWhileGroupsAreJoined(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "fd00::1/64")
	const many = 10_000
	var start []node.Served
	for _, a := range addresses(netip.MustParseAddr("fd00::1:0"), many) {
		start = append(start, node.Served{Address: a, Interfaces: []string{"eth0"}})
	}
	n.Serve(nil, start, n.anHour())
	eventually(t, "joining has begun", func() bool { return len(n.host.Groups("eth0")) > 100 })
	changed := net.HardwareAddr{2, 0, 0, 0, 9, 9}
	begin := time.Now()
	n.host.Change("eth0", func(l netlink.Link) error { return netlink.LinkSetHardwareAddr(l, changed) })
	eventually(t, "it is told", func() bool { i, _ := n.interfaceNamed("eth0"); return i.MAC == changed.String() })
	took := time.Since(begin)
	if joined := len(n.host.Groups("eth0")); joined >= many {
		t.Errorf("%d groups were joined first", joined)
	}
	t.Logf("the MAC is told after %v", took.Round(time.Millisecond))
}

// What a socket has no room for is tried again, although nothing of a link changes.
func TestGroupsThatCouldNotBeJoinedAreTriedAgain(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "fd00::1/64")
	room := func(bytes string) error {
		return n.host.Do(func() error { return lab.SetSysctl("net/core/optmem_max", bytes) })
	}
	if err := room("1"); errors.Is(err, os.ErrNotExist) {
		t.Skip("skipped: needs Linux 6.9, where net.core.optmem_max is a namespace's")
	} else if err != nil {
		t.Fatal(err)
	}
	n.Serve(nil, []node.Served{{Address: vip6, Interfaces: []string{"eth0"}}}, n.anHour())
	var troubles []error
	eventually(t, "it is told", func() bool { troubles = append(troubles, n.forgive()...); return len(troubles) > 0 })
	t.Log(troubles[0])
	time.Sleep(time.Second) // what the kernel says late of a new interface has been heard
	if err := room("131072"); err != nil {
		t.Fatal(err)
	}
	n.joins("eth0", vip6)
	n.forgive()
}

// A link that was in another namespace comes back with the same index, and the sockets of before hear nothing of it.
func TestALinkThatWasAwayWithTheSameIndexServesAgain(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "10.0.0.1/24", "fd00::1/64")
	elsewhere := s.Host("elsewhere")
	n.serve(vip4, vip6)
	index := func() (index int) {
		n.host.Change("eth0", func(l netlink.Link) error { index = l.Attrs().Index; return nil })
		return index
	}
	before := index()
	for range 3 {
		elsewhere.Take("eth0", n.host)
		n.host.Take("eth0", elsewhere)
		if now := index(); now != before {
			t.Fatalf("its index was %d and is %d: the test shows nothing", before, now)
		}
		n.host.Change("eth0", netlink.LinkSetUp)
		for _, a := range []netip.Addr{vip4, vip6} {
			forgetNeighbours(s.client)
			resolves(t, s.client, a, n.host.MAC("eth0").String())
		}
	}
}

func addresses(a netip.Addr, n int) (all []netip.Addr) {
	for range n {
		all = append(all, a)
		a = a.Next()
	}
	return all
}

func TestWithoutThePermissionTheErrorNamesIt(t *testing.T) {
	h := lab.New(t).Host("node")
	h.Add(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}})
	r, err := New(Config{Handler: &agent{}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	h.Go(func() {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var has [2]unix.CapUserData
		if err := unix.Capget(&header, &has[0]); err != nil {
			ended <- err
			return
		}
		has[0].Effective &^= 1 << unix.CAP_NET_RAW
		if err := unix.Capset(&header, &has[0]); err != nil { // of this thread only
			ended <- err
			return
		}
		ended <- r.Run(context.Background())
	})
	if err := <-ended; !errors.Is(err, ErrPermission) || !errors.Is(err, unix.EPERM) {
		t.Error(err)
	} else {
		t.Log(err)
	}
}

func TestNothingIsLeftWhenRunHasEnded(t *testing.T) {
	s := newSegment(t)
	h := s.Host("node")
	s.network.Attach(h, "eth0", "10.0.0.1/24", "fd00::1/64")
	startAgent(t, h).stop() // what the runtime opens once is open
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	n := startAgent(t, h)
	n.serve(vip4, vip6)
	n.announce(vip4)
	resolves(t, s.client, vip6, h.MAC("eth0").String())
	n.stop()
	eventually(t, "goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
	if left := openFiles(t); left > files {
		t.Errorf("%d files are open, %d were", left, files)
	}
	if slices.Contains(h.Groups("eth0"), solicitedNode(vip6)) {
		t.Error("the group is not left")
	}
	n.Serve([]netip.Addr{vip4}, nil, lease.Never) // harmless
	n.announce(vip6)
}

func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func FuzzLinkMessage(f *testing.F) {
	f.Add(uint16(unix.RTM_NEWLINK), make([]byte, unix.SizeofIfInfomsg))
	f.Add(uint16(unix.RTM_DELLINK), make([]byte, unix.SizeofIfInfomsg-1))
	f.Fuzz(func(t *testing.T, kind uint16, data []byte) {
		index, flags, ok := parseLinkMessage(kind, data)
		about := kind == unix.RTM_NEWLINK || kind == unix.RTM_DELLINK
		if want := about && len(data) >= unix.SizeofIfInfomsg && data[0] == unix.AF_UNSPEC; ok != want {
			t.Errorf("%d, % x: %t", kind, data, ok)
		}
		if ok && (index != int(int32(binary.NativeEndian.Uint32(data[4:]))) || flags != binary.NativeEndian.Uint32(data[8:])) {
			t.Errorf("%d, % x: %d, %x", kind, data, index, flags)
		}
	})
}
