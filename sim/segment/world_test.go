package segment

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"viplog/sim/kernel"
)

const (
	clientMAC MAC = 0x0200000000c0
	oldMAC    MAC = 0x020000000001
	newMAC    MAC = 0x020000000002
	otherMAC  MAC = 0x020000000003
)

var (
	vip      = netip.MustParseAddr("10.0.0.100")
	vip6     = netip.MustParseAddr("fd00::100")
	clientV4 = netip.MustParseAddr("10.0.0.200")
	clientV6 = netip.MustParseAddr("fd00::200")
)

// world is a segment with a client and two nodes, of which the old one has the VIPs.
type world struct {
	*testing.T
	k        *kernel.Kernel
	s        *Segment
	client   *Client
	old, new *node
	outcomes []Outcome
}

// node stands in for a node of ours: it answers for what it owns.
type node struct {
	port  *Port
	owns  []netip.Addr
	heard []Frame
}

func newNode(s *Segment, name string, mac MAC, owns ...netip.Addr) *node {
	n := &node{owns: owns}
	n.port = s.Attach(&Port{Name: name, MAC: mac, Receive: func(f Frame) {
		n.heard = append(n.heard, f)
		if !slices.Contains(n.owns, f.Target) || f.Sender == f.Target {
			return
		}
		if answer, ok := AnswerFor(f, mac); ok {
			n.port.Send(answer)
		}
	}})
	return n
}

func (n *node) count(kind Kind) int {
	count := 0
	for _, f := range n.heard {
		if f.Kind == kind {
			count++
		}
	}
	return count
}

func newWorld(t *testing.T, o ClientOptions) *world {
	k := kernel.New(kernel.NewSeeded(1))
	w := &world{T: t, k: k, s: New(k, Options{})}
	w.client = NewClient(w.s, "client", clientMAC, clientV4, clientV6, o)
	w.client.Report = func(o Outcome) { w.outcomes = append(w.outcomes, o) }
	w.old = newNode(w.s, "old", oldMAC, vip, vip6)
	w.new = newNode(w.s, "new", newMAC)
	return w
}

func (w *world) run(d time.Duration) { w.k.RunUntil(w.k.Now() + d) }

func (w *world) takeOver() { w.old.owns, w.new.owns = nil, []netip.Addr{vip, vip6} }

// resolve makes the client's entry, with the MAC of the node that owns the address.
func (w *world) resolve(addr netip.Addr) {
	w.client.Request(addr)
	w.run(10 * time.Millisecond)
}

func (w *world) want(addr netip.Addr, state State, mac MAC) {
	w.Helper()
	gotState, gotMAC := w.client.Neighbour(addr)
	if gotState != state || state.valid() && gotMAC != mac {
		w.Fatalf("at %s the client has %s as %s %s, not %s %s", w.k.Now(), addr, gotState, gotMAC, state, mac)
	}
}

func (w *world) lost() int {
	lost := 0
	for _, o := range w.outcomes {
		if !o.Answered {
			lost++
		}
	}
	return lost
}
