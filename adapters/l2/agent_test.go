//go:build linux

package l2

import (
	"context"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/node"
	"viplog/fixtures/lab"
)

// Addresses of the tests. The first two of each family are served.
var (
	vip4, vip6     = netip.MustParseAddr("10.0.0.100"), netip.MustParseAddr("fd00::100")
	other4, other6 = netip.MustParseAddr("10.0.0.101"), netip.MustParseAddr("fd00::101")
	free4, free6   = netip.MustParseAddr("10.0.0.102"), netip.MustParseAddr("fd00::102")
	client4        = netip.MustParseAddr("10.0.0.9")
	client6        = netip.MustParseAddr("fd00::9")
)

// agent is a Responder that runs in a host.
type agent struct {
	listened atomic.Int64
	*Responder
	t    *testing.T
	host *lab.Host
	late atomic.Int64 // added to the clock
	stop func()

	mu       sync.Mutex
	linked   [][]event.Interface
	heard    []node.Heard
	sent     map[node.Frame][]error
	troubles []error

	readEarly bool // there was a reader when interfaces were told first
}

// startAgent runs a Responder in a host until the test ends, and waits until it listens.
func startAgent(t *testing.T, h *lab.Host) *agent {
	t.Helper()
	a := &agent{t: t, host: h, sent: map[node.Frame][]error{}}
	r, err := New(Config{Handler: a, Now: func() lease.Instant { return Boottime().Add(time.Duration(a.late.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	a.Responder = r
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	h.Go(func() { ended <- r.Run(ctx) })
	a.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		a.stop()
		if a.mu.Lock(); len(a.troubles) > 0 {
			t.Errorf("troubles on %s: %v", h.Name, a.troubles)
		}
		a.mu.Unlock()
	})
	eventually(t, h.Name+" listens", func() bool { return a.interfaces() != nil })
	return a
}

func (a *agent) Linked(in node.Linked) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.linked == nil {
		time.Sleep(5 * time.Millisecond) // a goroutine that has not run yet does not show what it is
		all := make([]byte, 1<<20)
		a.readEarly = strings.Contains(string(all[:runtime.Stack(all, true)]), "(*port).read(")
	}
	a.linked = append(a.linked, in.Interfaces)
}

func (a *agent) Heard(in node.Heard) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard = append(a.heard, in)
}

func (a *agent) Sent(f node.Frame, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent[f] = append(a.sent[f], err)
}

func (a *agent) Listened() { a.listened.Add(1) }

func (a *agent) Troubled(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.troubles = append(a.troubles, err)
}

// forgive takes the troubles that there were.
func (a *agent) forgive() (troubles []error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	troubles, a.troubles = a.troubles, nil
	return troubles
}

// interfaces are those that were told last; nil before.
func (a *agent) interfaces() []event.Interface {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.linked) == 0 {
		return nil
	}
	return slices.Concat(a.linked[len(a.linked)-1], []event.Interface{})
}

func (a *agent) interfaceNamed(name string) (ifi event.Interface, found bool) {
	for _, i := range a.interfaces() {
		if i.Name == name {
			return i, true
		}
	}
	return ifi, false
}

func (a *agent) hasHeard(h node.Heard) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.heard, h)
}

func (a *agent) reports(f node.Frame) []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.sent[f])
}

// serve starts addresses on eth0, for longer than any test lasts.
func (a *agent) serve(addresses ...netip.Addr) {
	var start []node.Served
	for _, one := range addresses {
		start = append(start, node.Served{Address: one, Interfaces: []string{"eth0"}})
	}
	a.Serve(nil, start, a.anHour())
	a.joins("eth0", addresses...)
}

// joins waits until the kernel has an interface in the groups of all IPv6 addresses.
func (a *agent) joins(name string, addresses ...netip.Addr) {
	a.t.Helper()
	eventually(a.t, name+" is in all groups", func() bool {
		is := map[netip.Addr]bool{}
		for _, group := range a.host.Groups(name) {
			is[group] = true
		}
		return !slices.ContainsFunc(addresses, func(one netip.Addr) bool { return one.Is6() && !is[solicitedNode(one)] })
	})
}

func (a *agent) anHour() lease.Instant { return a.config.Now().Add(time.Hour) }

func (a *agent) announce(address netip.Addr) {
	a.Send([]node.Frame{{Kind: node.Announce, Address: address, Interface: "eth0"}})
}

// eventually waits, with a bound that only a broken program meets.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not so within 20 s: ", what)
		}
	}
}

// segment is a switch with a client and nodes.
type segment struct {
	*lab.Lab
	network *lab.Switch
	client  *lab.Host
}

func newSegment(t *testing.T) *segment {
	l := lab.New(t)
	s := &segment{Lab: l, network: l.Switch("switch"), client: l.Host("client")}
	s.network.Attach(s.client, "eth0", client4.String()+"/24", client6.String()+"/64")
	return s
}

func (s *segment) node(t *testing.T, name string, prefixes ...string) *agent {
	t.Helper()
	h := s.Host(name)
	s.network.Attach(h, "eth0", prefixes...)
	return startAgent(t, h)
}
