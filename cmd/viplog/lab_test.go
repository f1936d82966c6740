//go:build linux

package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"viplog/adapters/probe"
	"viplog/fixtures/lab"
)

// lan is a cluster of viplog's own processes on one switch, a back end behind every node, and a client that asks.
type lan struct {
	*lab.Cluster
	t      *testing.T
	lab    *lab.Lab
	net    *lab.Switch
	client *lab.Host
	vips   []netip.Addr
}

const echoPort = 7

// newLAN starts a cluster with so many Services, and waits until each address is answered for.
func newLAN(t *testing.T, services int, o lab.ClusterOptions) *lan {
	l := lab.New(t)
	s := l.Switch("switch")
	client := l.Host("client")
	s.Attach(client, "eth0", "10.0.0.200/16", "fd00::200/64")
	n := &lan{Cluster: l.NewCluster(s, o), t: t, lab: l, net: s, client: client}
	n.Services(services)
	n.Start()
	families := 1
	if o.IPv6 {
		families = 2
	}
	for _, a := range n.WaitReady(services * families) {
		n.vips = append(n.vips, a.Address)
	}
	for _, h := range n.Hosts {
		if h.IsNode {
			n.serve(h)
		}
	}
	for _, a := range n.vips {
		n.answering(a, 20*time.Second, nil)
	}
	return n
}

// serve lets a node hand what comes for a VIP to a back end of its own.
func (n *lan) serve(h *lab.ClusterHost) {
	backend := netip.AddrPortFrom(h.Address, echoPort)
	h.Echo(backend)
	for _, a := range n.vips {
		if a.Is4() {
			h.Redirect(netip.AddrPortFrom(a, echoPort), backend)
			break // one table: the first address
		}
	}
}

// ask probes an address from the client while something is done half a second later, and until some time after that.
func (n *lan) ask(a netip.Addr, after time.Duration, do func(), protocols ...probe.Protocol) probe.Result {
	n.t.Helper()
	var result probe.Result
	var err error
	const before = 500 * time.Millisecond
	ctx, end := context.WithTimeout(n.t.Context(), 2*time.Minute)
	defer end()
	done := make(chan struct{})
	began := time.Now()
	n.client.Go(func() {
		defer close(done)
		result, err = probe.Run(ctx, probe.Options{Address: a, Protocols: protocols, Port: echoPort, For: time.Minute})
	})
	time.Sleep(before - time.Since(began))
	do()
	time.Sleep(after)
	end()
	<-done
	if err != nil {
		n.t.Fatal(err)
	}
	return result
}

// answering gives the host whose MAC answers for an address, as soon as one does which is none of some.
func (n *lan) answering(a netip.Addr, within time.Duration, but []*lab.ClusterHost) *lab.ClusterHost {
	n.t.Helper()
	for began := time.Now(); time.Since(began) < within; {
		result := n.once(a)
		for _, h := range n.Hosts {
			if h.IsNode && !slices.Contains(but, h) && slices.ContainsFunc(result.Holders, func(held probe.Holder) bool { return held.MAC == h.MAC("eth0").String() }) {
				return h
			}
		}
	}
	n.t.Fatalf("after %s nobody answers for %s", within, a)
	return nil
}

// once asks an address for a moment.
func (n *lan) once(a netip.Addr) (result probe.Result) {
	n.t.Helper()
	var err error
	done := make(chan struct{})
	n.client.Go(func() {
		defer close(done)
		result, err = probe.Run(n.t.Context(), probe.Options{Address: a, Protocols: []probe.Protocol{probe.ARP}, For: 50 * time.Millisecond})
	})
	<-done
	if err != nil {
		n.t.Fatal(err)
	}
	return result
}

// neverTwo fails the test if two MACs have answered at one time.
func neverTwo(t *testing.T, r probe.Result) {
	t.Helper()
	for _, c := range r.Changes {
		if c.Overlap > 0 {
			t.Errorf("%s and %s both answered for %s", c.From, c.To, c.Overlap)
		}
	}
}

func (n *lan) joined(h *lab.ClusterHost, within time.Duration) {
	n.t.Helper()
	for began := time.Now(); time.Since(began) < within; time.Sleep(100 * time.Millisecond) {
		for line := range strings.Lines(string(n.Run("get", "nodes"))) {
			if fields := strings.Fields(line); len(fields) > 3 && fields[0] == h.Name && slices.Contains(fields, "joined") {
				return
			}
		}
	}
	n.t.Fatalf("after %s %s has not joined:\n%s", within, h.Name, n.Run("get", "nodes"))
}

// An owner that is gone, in whatever way, is followed by the next one, and two never answer; when it is back nothing moves.
func TestAnAddressMovesAsItsOwnerGoesAndDoesNotMoveBack(t *testing.T) {
	n := newLAN(t, 3, lab.ClusterOptions{Nodes: 3, Controllers: 3})
	vip := n.vips[0]
	for _, fault := range []struct {
		name     string
		do, mend func(*lab.ClusterHost)
	}{
		{
			"its link is cut",
			func(h *lab.ClusterHost) { n.net.Cut(h.Host, "eth0") },
			func(h *lab.ClusterHost) { n.net.Mend(h.Host, "eth0") },
		},
		{
			"its link carries nothing and has its carrier",
			func(h *lab.ClusterHost) { n.net.Sever(h.Host, "eth0") },
			func(h *lab.ClusterHost) { n.net.Join(h.Host, "eth0") },
		},
		{
			"its process is killed",
			func(h *lab.ClusterHost) { h.Viplog.Kill() },
			func(h *lab.ClusterHost) { h.Start() },
		},
		{
			"its process stands still",
			func(h *lab.ClusterHost) { h.Viplog.Pause() },
			func(h *lab.ClusterHost) { h.Viplog.Continue() },
		},
	} {
		t.Run(fault.name, func(t *testing.T) {
			owner := n.answering(vip, 5*time.Second, nil)
			var next *lab.ClusterHost
			gone := n.ask(vip, 3*time.Second, func() { fault.do(owner) }, probe.ARP)
			next = n.answering(vip, 5*time.Second, []*lab.ClusterHost{owner})
			if len(gone.Changes) != 1 || gone.Changes[0].To != next.MAC("eth0").String() {
				t.Errorf("%s was followed by %+v", owner.Name, gone.Changes)
			}
			neverTwo(t, gone)
			t.Logf("%s after %s: silent for %s", fault.name, owner.Name, gone.Streams[0].LongestSilence)

			back := n.ask(vip, 3*time.Second, func() { fault.mend(owner) }, probe.ARP)
			if len(back.Changes) != 0 {
				t.Errorf("when %s was back: %+v", owner.Name, back.Changes)
			}
			n.joined(owner, 20*time.Second)
			if by := n.answering(vip, 5*time.Second, nil); by != next {
				t.Errorf("%s answers, and not %s", by.Name, next.Name)
			}
		})
	}
}

// Planned moves lose no request: each is answered within two seconds.
func TestPlannedMovesLoseNoRequest(t *testing.T) {
	n := newLAN(t, 3, lab.ClusterOptions{Nodes: 3})
	vip := n.vips[0]
	for _, move := range []struct {
		name string
		do   func(*lab.ClusterHost)
		then func(*lab.ClusterHost)
	}{
		{"a drain", func(h *lab.ClusterHost) { n.Run("drain", h.Name) }, func(h *lab.ClusterHost) { n.Run("undrain", h.Name) }},
		{"SIGTERM", func(h *lab.ClusterHost) {
			h.Viplog.Terminate()
			if err := h.Viplog.Wait(20 * time.Second); err != nil {
				t.Error(err)
			}
		}, func(h *lab.ClusterHost) { h.Start() }},
	} {
		t.Run(move.name, func(t *testing.T) {
			owner := n.answering(vip, 5*time.Second, nil)
			r := n.ask(vip, 3*time.Second, func() { move.do(owner) }, probe.UDP, probe.TCP, probe.ARP)
			if len(r.Changes) != 1 {
				t.Errorf("%+v", r.Changes)
			}
			neverTwo(t, r)
			for _, s := range r.Streams {
				t.Logf("%s: %d sent, %d in time, %d late, %d lost, silent for %s", s.Name, s.Sent, s.InTime, s.Late, s.Lost, s.LongestSilence)
				if s.Name == "udp" && s.Lost+s.Late > 0 {
					t.Errorf("%s: %d lost and %d late of %d", s.Name, s.Lost, s.Late, s.Sent)
				}
			}
			move.then(owner)
			n.joined(owner, 20*time.Second)
		})
	}
}

// Without controllers, and so without voters and a log, owners go on answering; when those are back, so are leases.
func TestOwnersGoOnWithoutControllers(t *testing.T) {
	n := newLAN(t, 3, lab.ClusterOptions{Nodes: 2, Controllers: 3})
	vip := n.vips[0]
	r := n.ask(vip, 5*time.Second, func() {
		for _, h := range n.Hosts[2:] {
			h.Viplog.Kill()
		}
	}, probe.ARP, probe.UDP)
	if len(r.Changes) > 0 || len(r.Holders) != 1 {
		t.Errorf("%+v", r.Holders)
	}
	for _, s := range r.Streams {
		if s.Lost+s.Late > 0 {
			t.Errorf("%s: %d lost and %d late of %d", s.Name, s.Lost, s.Late, s.Sent)
		}
	}
	for _, h := range n.Hosts[2:] {
		h.Start()
	}
	owner := n.answering(vip, 5*time.Second, nil)
	n.leased(owner, 2, 40*time.Second)
	n.net.Cut(owner.Host, "eth0")
	n.answering(vip, 10*time.Second, []*lab.ClusterHost{owner})
}

// leased waits until a host's log tells so many times that it got a lease.
func (n *lan) leased(h *lab.ClusterHost, times int, within time.Duration) {
	n.t.Helper()
	for began := time.Now(); time.Since(began) < within; time.Sleep(50 * time.Millisecond) {
		if strings.Count(h.Viplog.Said(), `"msg":"leased"`) >= times {
			return
		}
	}
	n.t.Fatalf("after %s %s has not got %d leases", within, h.Name, times)
}

// Two clusters whose pools overlap see each other's answers, and both say so.
func TestTwoClustersThatUseOneAddressBothReportIt(t *testing.T) {
	l := lab.New(t)
	s := l.Switch("switch")
	a := l.NewCluster(s, lab.ClusterOptions{Name: "one", Nodes: 3})
	b := l.NewCluster(s, lab.ClusterOptions{Name: "two", Nodes: 3, First: 21})
	for _, c := range []*lab.Cluster{a, b} {
		c.Services(1)
		c.Start()
	}
	for _, c := range []*lab.Cluster{a, b} {
		var reported []byte
		for began := time.Now(); !strings.Contains(string(reported), "answers for it on"); time.Sleep(200 * time.Millisecond) {
			if time.Since(began) > 60*time.Second {
				t.Fatalf("a minute later no conflict is told:\n%s", reported)
			}
			if out, err := c.Try("explain", "address", "10.0.64.1"); err == nil {
				reported = out
			}
		}
		fmt.Printf("%s", reported)
	}
}

// MetalLB's verified defects, each with a test here; its facts page says how they were seen.

// An address whose owner's interface is switched off moves, although the host is well otherwise (defect 6); and an IPv6 address is
// answered for after its owner's link was down (defect 1), also where the interface has another MAC by then (defect 8).
func TestLinksThatChange(t *testing.T) {
	n := newLAN(t, 2, lab.ClusterOptions{Nodes: 3, IPv6: true})
	i := slices.IndexFunc(n.vips, netip.Addr.Is6)
	vip := n.vips[i]
	owner := n.answering(vip, 5*time.Second, nil)
	n.net.Cut(owner.Host, "eth0")
	next := n.answering(vip, 10*time.Second, []*lab.ClusterHost{owner})
	n.net.Mend(owner.Host, "eth0")
	n.joined(owner, 20*time.Second)

	n.net.Cut(next.Host, "eth0")
	time.Sleep(100 * time.Millisecond) // shorter than a lease: the owner stays
	n.net.Mend(next.Host, "eth0")
	if by := n.answering(vip, 10*time.Second, nil); by != next {
		t.Logf("%s answers: the flap took longer than a lease", by.Name)
	}
	_ = syscall.SIGKILL
}
