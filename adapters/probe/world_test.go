//go:build linux

package probe

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"viplog/fixtures/lab"
)

var (
	vip4 = netip.MustParseAddr("10.0.0.100")
	vip6 = netip.MustParseAddr("fd00::100")
)

// world is a client, and two nodes that serve the same addresses with an echo server each, if they have them.
type world struct {
	*lab.Lab
	network *lab.Switch
	client  *lab.Host
	nodes   [2]*lab.Host
}

func newWorld(t *testing.T) *world {
	t.Helper()
	l := lab.New(t)
	w := &world{Lab: l, network: l.Switch("switch"), client: l.Host("client")}
	w.network.Attach(w.client, "eth0", "10.0.0.50/24", "fd00::50/64")
	for i, at := range []string{"1", "2"} {
		n := l.Host("node" + at)
		w.nodes[i] = n
		w.network.Attach(n, "eth0", "10.0.0."+at+"/24", "fd00::"+at+"/64")
	}
	return w
}

// serve lets a node have both addresses, with echo servers on them.
func (w *world) serve(n *lab.Host) {
	n.Addresses("eth0", vip4.String()+"/24", vip6.String()+"/64")
	n.Echo(netip.AddrPortFrom(vip4, DefaultPort))
	n.Echo(netip.AddrPortFrom(vip6, DefaultPort))
}

// give gives a node an address, or takes it.
func give(n *lab.Host, a netip.Addr) { n.Addresses("eth0", a.String()+"/32") }

func take(n *lab.Host, a netip.Addr) {
	n.Change("eth0", func(l netlink.Link) error {
		all, err := netlink.AddrList(l, netlink.FAMILY_ALL)
		for _, own := range all {
			if ip, _ := netip.AddrFromSlice(own.IP); ip.Unmap() == a {
				return netlink.AddrDel(l, &own)
			}
		}
		return err
	})
}

// running is a probe of the client's that runs beside the test.
type running struct {
	t      *testing.T
	stop   context.CancelFunc
	result chan Result
}

// probing starts one and waits until something has been answered, if anything is to be.
func (w *world) probing(t *testing.T, o Options) *running {
	t.Helper()
	return probingFrom(t, w.client, o)
}

func probingFrom(t *testing.T, h *lab.Host, o Options) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, stop: cancel, result: make(chan Result, 1)}
	h.Go(func() {
		defer close(r.result)
		result, err := Run(ctx, o)
		if err != nil {
			t.Errorf("%+v: %v", o, err)
			return
		}
		r.result <- result
	})
	t.Cleanup(cancel)
	time.Sleep(300 * time.Millisecond)
	return r
}

// whole waits for the probe's own end, and gives what it found.
func (r *running) whole() Result {
	r.t.Helper()
	result, ok := <-r.result
	if !ok {
		r.t.FailNow()
	}
	return result
}

// end interrupts the probe and gives what it found.
func (r *running) end() Result {
	r.t.Helper()
	r.stop()
	return r.whole()
}

func (r Result) stream(t *testing.T, name string) Stream {
	t.Helper()
	for _, s := range r.Streams {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no stream %s in %+v", name, r)
	return Stream{}
}
