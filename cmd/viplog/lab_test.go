//go:build linux

package main

import (
	"context"
	"net/netip"
	"reflect"
	"slices"
	"strings"
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
	port   string // the nodes' interface on the client's segment
}

const echoPort = 7

// as is the same for a subtest.
func (n *lan) as(t *testing.T) *lan {
	same := *n
	same.t = t
	return &same
}

// newLAN starts a cluster with so many Services, and waits until each address is answered for.
func newLAN(t *testing.T, services int, o lab.ClusterOptions) *lan {
	n := newQuietLAN(t, o)
	n.Services(services)
	families := 1
	if o.IPv6 {
		families = 2
	}
	n.begin(services * families)
	return n
}

// newQuietLAN is one in which nothing runs yet.
func newQuietLAN(t *testing.T, o lab.ClusterOptions) *lan {
	l := lab.New(t)
	s := l.Switch("switch")
	client := l.Host("client")
	s.Attach(client, "eth0", "10.0.0.200/16", "fd00::200/64")
	return &lan{Cluster: l.NewCluster(s, o), t: t, lab: l, net: s, client: client, port: "eth0"}
}

// begin starts the cluster with a back end behind every node, and waits until so many addresses are answered for.
func (n *lan) begin(addresses int) {
	n.t.Helper()
	n.beginOnly(addresses)
	for _, h := range n.Hosts {
		if h.IsNode {
			n.serve(h)
		}
	}
	for _, a := range n.vips {
		n.answering(a, 20*time.Second, nil)
	}
}

// beginOnly starts the cluster, and waits until so many addresses have owners that stay.
func (n *lan) beginOnly(addresses int) {
	n.t.Helper()
	n.Start()
	known := n.WaitReady(addresses)
	for began := time.Now(); ; { // a rebalance follows a start
		time.Sleep(time.Second)
		now := n.WaitReady(addresses)
		if reflect.DeepEqual(now, known) {
			break
		}
		if known = now; time.Since(began) > 20*time.Second {
			n.t.Fatalf("owners change and change: %v", known)
		}
	}
	for _, a := range known {
		n.vips = append(n.vips, a.Address)
	}
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
			if h.IsNode && !slices.Contains(but, h) && slices.ContainsFunc(result.Holders, func(held probe.Holder) bool { return held.MAC == h.MAC(n.port).String() }) {
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
		nodes, err := n.Try("get", "nodes")
		if err != nil {
			continue // the log may have no leader for a moment
		}
		for line := range strings.Lines(string(nodes)) {
			if fields := strings.Fields(line); len(fields) > 3 && fields[0] == h.Name && slices.Contains(fields, "joined") {
				return
			}
		}
	}
	n.t.Fatalf("after %s %s has not joined:\n%s", within, h.Name, n.Run("get", "nodes"))
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

// noneLost fails the test if a UDP request was lost, or answered late, and tells what became of all.
func noneLost(t *testing.T, r probe.Result) {
	t.Helper()
	tell(t, r)
	for _, s := range r.Streams {
		if s.Name == "udp" && (s.Lost+s.Late > 0 || s.InTime == 0) {
			t.Errorf("%s: %d lost and %d late of %d", s.Name, s.Lost, s.Late, s.Sent)
		}
	}
}

func tell(t *testing.T, r probe.Result) {
	t.Helper()
	for _, s := range r.Streams {
		t.Logf("%s: %d sent, %d in time, %d late, %d lost, silent for %s", s.Name, s.Sent, s.InTime, s.Late, s.Lost, s.LongestSilence)
	}
	for _, c := range r.Changes {
		t.Logf("%s to %s: gap %s, overlap %s", c.From, c.To, c.Gap, c.Overlap)
	}
}

// owns waits until a host owns an address by the log.
func (n *lan) owns(h *lab.ClusterHost, a netip.Addr, within time.Duration) {
	n.t.Helper()
	for began := time.Now(); n.Owner(a) != h; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > within {
			n.t.Fatalf("after %s %s does not own %s", within, h.Name, a)
		}
	}
}
