//go:build linux

package probe

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"viplog/fixtures/lab"
)

func TestEverythingIsAnsweredWhereNothingFails(t *testing.T) {
	w := newWorld(t)
	w.serve(w.nodes[0])
	for _, a := range []netip.Addr{vip4, vip6} {
		for _, cold := range []bool{false, true} {
			o := Options{Address: a, Protocols: Protocols(), For: time.Second, Cold: cold, Spacing: 10 * time.Millisecond}
			r := w.probing(t, o).whole()
			names := []string{"udp", "tcp", "connect", "arp"}
			if a.Is6() {
				names[3] = "ndp"
			}
			for _, name := range names {
				if s := r.stream(t, name); s.InTime != s.Sent || s.Sent == 0 {
					t.Errorf("%s, cold %v: %s: %+v", a, cold, name, s)
				}
			}
			if r.Connections.Opened != 1 || len(r.Holders) != 1 || len(r.Changes) != 0 || r.Interrupted {
				t.Errorf("%s, cold %v: %+v", a, cold, r)
			}
			if s := r.stream(t, "udp"); s.Sent+r.Skipped != 100 || r.Ended.Sub(r.Began) < 900*time.Millisecond {
				t.Errorf("%d sent, %d skipped, from %v to %v", s.Sent, r.Skipped, r.Began, r.Ended)
			}
		}
	}
}

// severed cuts the first node off for a time, and says how long that was at least and at most.
func (w *world) severed(t *testing.T, d time.Duration) (least, most time.Duration) {
	t.Helper()
	before := time.Now()
	w.network.Sever(w.nodes[0], "eth0")
	cut := time.Now()
	time.Sleep(d)
	least = time.Since(cut)
	w.network.Join(w.nodes[0], "eth0")
	return least, time.Since(before)
}

func TestALossIsAnOutageOfItsLength(t *testing.T) {
	w := newWorld(t)
	w.serve(w.nodes[0])
	p := w.probing(t, Options{Address: vip4, Protocols: []Protocol{UDP, ARP, TCP}, For: time.Minute})
	least, most := w.severed(t, 700*time.Millisecond)
	time.Sleep(1500 * time.Millisecond) // TCP sends again 0.2, 0.6 and 1.4 s after the first loss
	r := p.end()
	if !r.Interrupted {
		t.Error("nobody says that it was interrupted")
	}
	slack := r.Spacing + r.Stall
	for _, name := range []string{"udp", "arp"} {
		s := r.stream(t, name)
		// Answers to ARP have no numbers: one that is read so late that it counts for another request leaves its own lost, and is a duplicate.
		if s.OutageCount < 1 || s.OutageCount > 1+s.Duplicates || s.Late != 0 || s.Lost < int(least/slack) {
			t.Errorf("%s: %+v", name, s)
			continue
		}
		o := slices.MaxFunc(s.Outages, func(a, b Outage) int { return cmp.Compare(a.Gap, b.Gap) })
		if o.Open {
			t.Errorf("%s: it is not over: %+v", name, s)
		}
		// The first lost request was sent a spacing after the beginning at most, and the first that was answered a spacing after the end.
		if o.Gap < least-slack || o.Gap > most+slack || s.LongestGap != o.Gap || o.End.Sub(o.Begin) != o.Gap {
			t.Errorf("%s: severed for %v to %v, and the gap is %v", name, least, most, o.Gap)
		}
		if o.Silence < o.Gap || o.Silence != s.LongestSilence {
			t.Errorf("%s: silence %v, gap %v", name, o.Silence, o.Gap)
		}
	}
	// TCP has kept its lines: each is answered in time, and only the silence shows it.
	s := r.stream(t, "tcp")
	if s.OutageCount != 0 || s.Lost+s.Late != 0 || s.LongestSilence < least-slack || s.MaxLatency < least/2 {
		t.Errorf("tcp: %+v", s)
	}
	if c := r.Connections; c.Opened != 1 || c.Reset+c.TimedOut+c.Closed != 0 {
		t.Errorf("%+v", c)
	}
}

func TestWhatTCPSendsAgainAfterTheTimeoutIsLateAndNotLost(t *testing.T) {
	w := newWorld(t)
	w.serve(w.nodes[0])
	p := w.probing(t, Options{Address: vip4, Protocols: []Protocol{TCP}, For: time.Minute})
	w.severed(t, 2500*time.Millisecond) // so it is the fourth time, after 3 s, that arrives
	time.Sleep(1500 * time.Millisecond)
	r := p.end()
	s := r.stream(t, "tcp")
	if s.Late == 0 || s.Lost != 0 || s.OutageCount != 1 || s.MaxLatency <= Timeout || s.LongestSilence < 2*time.Second || r.Connections.Opened != 1 {
		t.Errorf("%+v, %+v", s, r.Connections)
	}
}

func TestWhatTheKernelKeepsForAResolutionIsLateAndNotLost(t *testing.T) {
	w := newWorld(t)
	w.client.Must(func() error { return lab.SetSysctl("net/ipv4/neigh/eth0/retrans_time_ms", "2300") })
	// At 5 ms the kernel would not keep all: 280 datagrams are the 212,992 bytes of net.ipv4.neigh.eth0.unres_qlen_bytes.
	p := w.probing(t, Options{Address: vip4, For: time.Minute, Spacing: 20 * time.Millisecond})
	time.Sleep(time.Second) // asked at 0 and, again, at 2.3 s
	w.serve(w.nodes[0])
	time.Sleep(2 * time.Second)
	s := p.end().stream(t, "udp")
	if s.Late == 0 || s.InTime == 0 || s.Lost != 0 || s.OutageCount != 1 || s.Outages[0].Late != s.Late || s.LongestSilence < Timeout {
		t.Errorf("%+v", s)
	}
}

func TestAChangeOfOwnersIsSeen(t *testing.T) {
	w := newWorld(t)
	w.serve(w.nodes[0])
	watcher := w.Host("watcher")
	w.network.Attach(watcher, "eth0", "10.0.0.60/24", "fd00::60/64")
	talks := w.probing(t, Options{Address: vip4, Protocols: []Protocol{UDP, TCP}, For: time.Minute})
	asks := probingFrom(t, watcher, Options{Address: vip4, Protocols: []Protocol{ARP}, For: time.Minute})
	asks6 := probingFrom(t, watcher, Options{Address: vip6, Protocols: []Protocol{ARP}, For: time.Minute})
	w.serve(w.nodes[1]) // both answer now
	time.Sleep(300 * time.Millisecond)
	take(w.nodes[0], vip4)
	take(w.nodes[0], vip6)
	w.client.Forget()
	time.Sleep(500 * time.Millisecond)
	for _, r := range []Result{asks.end(), asks6.end()} {
		if len(r.Holders) != 2 || len(r.Changes) != 1 {
			t.Fatalf("%+v", r)
		}
		first, second := w.nodes[0].MAC("eth0").String(), w.nodes[1].MAC("eth0").String()
		c := r.Changes[0]
		if r.Holders[0].MAC != first || r.Holders[1].MAC != second || c.From != first || c.To != second || c.Gap != 0 ||
			c.Overlap < 200*time.Millisecond || c.Overlap != r.Holders[0].Last.Sub(r.Holders[1].First) {
			t.Errorf("%+v, %+v", r.Holders, c)
		}
		if s := r.Streams[0]; s.Duplicates == 0 {
			t.Errorf("two have answered a question, and nobody says so: %+v", s)
		}
	}
	r := talks.end()
	if c := r.Connections; c.Reset != 1 || c.Opened != 2 || len(c.Endings) != 1 || c.Endings[0].How != "reset" || c.TimedOut+c.Closed != 0 {
		t.Errorf("%+v", c)
	}
	if s := r.stream(t, "tcp"); s.Lost == 0 || s.OutageCount == 0 || s.Outages[0].Open {
		t.Errorf("%+v", s)
	}
}

func TestAColdRequestNeedsAResolutionAndAWarmOneDoesNot(t *testing.T) {
	w := newWorld(t)
	w.serve(w.nodes[0])
	o := Options{Address: vip4, For: 300 * time.Millisecond}
	w.probing(t, o).whole()
	w.nodes[0].Must(func() error { return lab.SetSysctl("net/ipv4/conf/all/arp_ignore", "8") }) // answers nobody any more
	if s := w.probing(t, o).whole().Streams[0]; s.InTime != s.Sent {
		t.Errorf("warm: %+v", s)
	}
	o.Cold = true
	s := w.probing(t, o).whole().Streams[0]
	if s.InTime+s.Late != 0 || s.OutageCount != 1 || !s.Outages[0].Open {
		t.Errorf("cold: %+v", s)
	}
}

func TestWhatNobodyServesIsLostForAReason(t *testing.T) {
	w := newWorld(t)
	give(w.nodes[0], vip4) // without a server
	r := w.probing(t, Options{Address: vip4, Protocols: []Protocol{UDP, TCP}, For: 300 * time.Millisecond}).whole()
	for _, s := range r.Streams {
		if s.InTime != 0 || s.Lost != s.Sent || len(s.Troubles) == 0 || !strings.Contains(s.Troubles[0].What, "refused") {
			t.Errorf("%+v", s)
		}
	}
	if c := r.Connections; c.Opened != 0 || c.Failed == 0 {
		t.Errorf("%+v", c)
	}
}

func TestWhatCannotBeAskedIsRefused(t *testing.T) {
	w := newWorld(t)
	w.client.Change("lo", netlink.LinkSetUp)
	w.client.DefaultRoute(netip.MustParseAddr("10.0.0.1"))
	for _, c := range []struct {
		name, want string
		o          Options
	}{
		{"behind a gateway", "behind the gateway 10.0.0.1", Options{Address: netip.MustParseAddr("192.168.0.1"), Protocols: []Protocol{ARP}}},
		{"its own address by ARP", "lo has no Ethernet", Options{Address: netip.MustParseAddr("10.0.0.50"), Protocols: []Protocol{ARP}}},
		{"its own address, cold", "this host's own", Options{Address: netip.MustParseAddr("10.0.0.50"), Cold: true}},
		{"no such interface", "interface eth7", Options{Address: vip4, Protocols: []Protocol{ARP}, Interface: "eth7"}},
		{"no route", "no way to the address", Options{Address: netip.MustParseAddr("fd77::1"), Protocols: []Protocol{ARP}}},
	} {
		err := w.client.Do(func() error { _, err := Run(t.Context(), c.o); return err })
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
