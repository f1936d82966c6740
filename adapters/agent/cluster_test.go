package agent

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/log/logtest"
	"viplog/core/node"
	"viplog/core/trace"
)

// cluster is hosts with all three roles, in this process: the machines, clocks and disks are real, the log is in memory, and
// links are function calls.
type cluster struct {
	t     *testing.T
	log   *awayLog
	hosts []*host
}

type host struct {
	cluster *cluster
	address netip.Addr
	folder  string
	key     ed25519.PrivateKey
	runs    atomic.Pointer[processes] // nil: none
	cut     atomic.Bool               // nothing leaves it, and nothing reaches it
	plane   node.DataPlane            // how its data plane stands when it starts; serves all if zero
}

// processes are those of a host, from a start to an end.
type processes struct {
	wire       *fakeWire
	node       *Node
	voter      *Voter
	controller *Controller
	stop       context.CancelFunc
	running    sync.WaitGroup
	nodeEnded  chan struct{}
}

var started = time.Now()

func testClock() lease.Instant { return lease.Instant(time.Hour + time.Since(started)) }

// fakeWire answers for what it was told, while it may.
type fakeWire struct {
	mu     sync.Mutex
	served map[netip.Addr]bool
	until  lease.Instant
	frames []node.Frame
}

func (w *fakeWire) Serve(stop []netip.Addr, start []node.Served, until lease.Instant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range stop {
		delete(w.served, a)
	}
	for _, s := range start {
		w.served[s.Address] = true
	}
	w.until = until
}

func (w *fakeWire) Send(frames []node.Frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frames = append(w.frames, frames...)
}

func (w *fakeWire) Listen() {}

func (w *fakeWire) answers(a netip.Addr) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.served[a] && testClock() < w.until
}

func newCluster(t *testing.T, profile string, hosts int) *cluster {
	c := &cluster{t: t, log: &awayLog{Log: logtest.NewMemory(time.Now)}}
	declared := event.ClusterConfigured{
		Name: "test", ClusterType: "user", ControlPlaneLBPort: 443, ControlPlaneVIP: netip.MustParseAddr("10.0.0.254"),
		ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/20")},
	}
	for i := range hosts {
		a := netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})
		declared.Nodes = append(declared.Nodes, event.DeclaredNode{Address: a, Role: event.RoleControlPlane})
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		c.hosts = append(c.hosts, &host{cluster: c, address: a, key: key, folder: t.TempDir()})
	}
	settings := event.DefaultSettings()
	settings.Profile = profile
	c.append(declared, settings,
		event.PoolAdded{Pool: event.Pool{Name: "pool", Addresses: []string{"10.0.0.100-10.0.0.120"}}})
	for _, h := range c.hosts {
		h.start()
	}
	return c
}

func (c *cluster) append(facts ...event.Event) {
	c.t.Helper()
	for _, e := range facts {
		record, err := event.Encode(e)
		if err != nil {
			c.t.Fatal(err)
		}
		ctx := c.t.Context()
		last, err := c.log.LastOf(ctx, record.Entity)
		if err == nil {
			_, err = c.log.Append(ctx, log.Fact{Record: record, ID: fmt.Sprint(record.Entity, last), Source: "test"}, last)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *cluster) state() *ledger.State {
	c.t.Helper()
	h := &Host{Log: c.log, Logger: slog.New(slog.DiscardHandler)}
	s, _, err := h.fold(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

func (c *cluster) host(a netip.Addr) *host {
	i := slices.IndexFunc(c.hosts, func(h *host) bool { return h.address == a })
	return c.hosts[i]
}

// until waits for something that is to come within a time, and gives how long it took.
func (c *cluster) until(what string, within time.Duration, holds func() bool) time.Duration {
	c.t.Helper()
	began := time.Now()
	for !holds() {
		if time.Since(began) > within {
			c.t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(began)
}

func (h *host) start() {
	t := h.cluster.t
	ctx, stop := context.WithCancel(context.Background())
	h.cut.Store(false)
	p := &processes{stop: stop, nodeEnded: make(chan struct{}), wire: &fakeWire{served: map[netip.Addr]bool{}}}
	logger := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("host", h.address)
	}
	base := Host{
		Told: func(n trace.Note) { logger.Info("told", "note", n) }, Address: h.address, Log: h.cluster.log, Source: "node/" + h.address.String(), Now: testClock, Logger: logger,
	}
	var err error
	p.voter, err = NewVoter(VoterConfig{
		Host: base, Folder: h.folder,
		Sign:    func(message []byte) []byte { return ed25519.Sign(h.key, message) },
		Members: func(Members) {},
		Answer:  func(to netip.Addr, m lease.Answer) { h.send(to, m) },
		Say: func(_ []netip.Addr, m lease.Word) {
			for _, other := range h.cluster.hosts {
				h.send(other.address, m)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.node = NewNode(NodeConfig{
		Host: base, Folder: h.folder, Wire: p.wire, Send: h.send, Members: func(Members) {},
		Identity: node.Identity{
			Address: h.address, Name: h.address.String(), MachineID: h.address.String(), Rules: ledger.RulesKnown, Boot: "boot",
			Start: fmt.Sprint(time.Now().UnixNano()),
		},
	})
	p.controller = NewController(ControllerConfig{Host: base, Members: func(Members) {}, Wanted: func(s *ledger.State) (all []ledger.Voter) {
		configured, _ := s.Cluster()
		for _, a := range control.VoterHosts(configured, s.Settings()) {
			other := h.cluster.host(a)
			if p := other.runs.Load(); p != nil {
				all = append(all, ledger.Voter{ID: p.voter.ID(), Address: a, Key: other.key.Public().(ed25519.PublicKey)})
			}
		}
		return all
	}})
	if h.plane != (node.DataPlane{}) {
		p.node.DataPlane(h.plane)
	}
	p.node.Linked(node.Linked{Interfaces: []event.Interface{{
		Name: "eth0", MAC: fmt.Sprintf("02:00:00:00:00:%02x", h.address.As4()[3]), Up: true,
		Prefixes: []netip.Prefix{netip.PrefixFrom(h.address, 24).Masked()},
	}}})
	run := func(f func(context.Context) error) {
		p.running.Go(func() {
			if err := f(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	run(p.voter.Run)
	run(p.controller.Run)
	run(func(ctx context.Context) error {
		defer close(p.nodeEnded)
		return p.node.Run(ctx)
	})
	h.runs.Store(p)
	t.Cleanup(h.kill)
}

// kill ends all processes of a host, as SIGKILL does: nobody is told.
func (h *host) kill() {
	if p := h.runs.Swap(nil); p != nil {
		p.stop()
		p.running.Wait()
	}
}

func (h *host) answers(a netip.Addr) bool {
	p := h.runs.Load()
	return p != nil && p.wire.answers(a)
}

func (h *host) send(to netip.Addr, message any) {
	other := h.cluster.host(to)
	p := other.runs.Load()
	if p == nil || h != other && (h.cut.Load() || other.cut.Load()) {
		return
	}
	switch m := message.(type) {
	case lease.Renew:
		p.voter.Renewed(m)
	case lease.Resign:
		p.voter.Resigned(m)
	case lease.Answer:
		p.node.Answered(m)
	case lease.Word:
		p.voter.Heard(m)
		p.controller.Heard(m)
	}
}
