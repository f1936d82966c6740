package heartbeat

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"viplog/core/lease"
)

// patience bounds every wait. No test fails because something took time below it.
const patience = 20 * time.Second

// host is one Conn on a real socket of the loopback interface. What it sends is recorded, and can be held back.
type host struct {
	*Conn
	*tap
	key   ed25519.PublicKey
	peer  Peer // itself, to others
	heard inbox
	stop  func()
}

// inbox is a Handler that keeps what it is told.
type inbox struct {
	mu  sync.Mutex
	all []heardMessage
}

type heardMessage struct {
	from    ed25519.PublicKey
	message any
}

func (h *inbox) keep(from ed25519.PublicKey, m any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, heardMessage{from, m})
}

func (h *inbox) Renewed(from ed25519.PublicKey, m lease.Renew)   { h.keep(from, m) }
func (h *inbox) Answered(from ed25519.PublicKey, m lease.Answer) { h.keep(from, m) }
func (h *inbox) Heard(from ed25519.PublicKey, m lease.Word)      { h.keep(from, m) }
func (h *inbox) Resigned(from ed25519.PublicKey, m lease.Resign) { h.keep(from, m) }

func (h *inbox) messages() []heardMessage {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.all)
}

// tap records what is written to a socket.
type tap struct {
	net.PacketConn
	mu      sync.Mutex
	written [][]byte
	held    func(datagram []byte) bool // does not leave; nil: all leave
}

func (t *tap) WriteTo(b []byte, to net.Addr) (int, error) {
	t.mu.Lock()
	t.written = append(t.written, bytes.Clone(b))
	held := t.held != nil && t.held(b)
	t.mu.Unlock()
	if held {
		return len(b), nil
	}
	return t.PacketConn.WriteTo(b, to)
}

func (t *tap) hold(held func(datagram []byte) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = held
}

func (t *tap) record() [][]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.written)
}

// last is the newest datagram of a type that was written.
func (t *tap) last(kind byte) []byte {
	all := t.record()
	for _, b := range slices.Backward(all) {
		if b[1] == kind {
			return b
		}
	}
	return nil
}

func everything([]byte) bool { return true }

func isHello(b []byte) bool { return b[1] == typeHello }

// startHost starts a host: node 10.0.0.<id> and voter-<id>. A process that takes the place of another one has its address.
func startHost(t *testing.T, id byte, address string, change ...func(*Conn)) *host {
	t.Helper()
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{tap: &tap{PacketConn: socket}, key: publicOf(identity(id))}
	h.peer = Peer{
		Key: h.key, Address: socket.LocalAddr().(*net.UDPAddr).AddrPort(),
		Node: netip.AddrFrom4([4]byte{10, 0, 0, id}), Voters: []string{fmt.Sprintf("voter-%d", id)},
	}
	h.Conn, err = New(Config{PacketConn: h.tap, Identity: identity(id), Cluster: "test", Handler: &h.heard})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(h.Conn)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("Run goes on after its context has ended")
		}
		_ = socket.Close()
	})
	t.Cleanup(h.stop)
	return h
}

const anyPort = "127.0.0.1:0"

// startPair starts two hosts that know each other.
func startPair(t *testing.T, change ...func(*Conn)) (a, b *host) {
	t.Helper()
	a, b = startHost(t, 1, anyPort, change...), startHost(t, 2, anyPort, change...)
	introduce(t, a, b)
	return a, b
}

func introduce(t *testing.T, hosts ...*host) {
	t.Helper()
	for _, h := range hosts {
		var peers []Peer
		for _, other := range hosts {
			if other != h {
				peers = append(peers, other.peer)
			}
		}
		if err := h.SetPeers(peers); err != nil {
			t.Fatal(err)
		}
	}
}

// restart ends a host's process and starts another one in its place. introduce makes it known what its peers are.
func restart(t *testing.T, h *host, id byte) *host {
	t.Helper()
	h.stop()
	return startHost(t, id, h.peer.Address.String())
}

func (h *host) send(t *testing.T, to *host, m any) {
	t.Helper()
	if err := h.Send(to.key, m); err != nil {
		t.Fatal(err)
	}
}

// says makes a renewal of the host's node.
func (h *host) says(number uint64) lease.Renew {
	m := renewal(number)
	m.From.Node = h.peer.Node
	return m
}

// hears waits until a host was told a renewal's number by another one, and no more often than once.
func (h *host) hears(t *testing.T, from *host, number uint64) {
	t.Helper()
	eventually(t, fmt.Sprintf("renewal %d is heard: %+v", number, h.Counts()), func() bool { return h.times(from, number) > 0 })
	if n := h.times(from, number); n != 1 {
		t.Errorf("renewal %d was heard %d times", number, n)
	}
}

func (h *host) times(from *host, number uint64) (n int) {
	for _, one := range h.heard.messages() {
		if m, ok := one.message.(lease.Renew); ok && m.Number == number && one.from.Equal(from.key) {
			n++
		}
	}
	return n
}

// isOnlyWith tells whether all open sessions with a host are with its present process.
func (h *host) isOnlyWith(other *host) bool {
	p := h.peers.Load().byKey[[32]byte(other.key)]
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sessions) > 0 && !slices.ContainsFunc(p.sessions, func(s *session) bool { return s.process != other.process })
}

// talk lets two hosts hear each other, each a number.
func talk(t *testing.T, a, b *host, number uint64) {
	t.Helper()
	a.send(t, b, a.says(number))
	b.hears(t, a, number)
	b.send(t, a, b.says(number))
	a.hears(t, b, number)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after %s: %s", patience, what)
		}
	}
}

// inject sends bytes to a host from nowhere that it knows, and waits until it has counted them.
func inject(t *testing.T, to *host, datagrams ...[]byte) {
	t.Helper()
	stranger, err := net.Dial("udp", to.peer.Address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	for _, b := range datagrams {
		before := arrived(to.Counts())
		if _, err := stranger.Write(b); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the datagram is counted", func() bool { return arrived(to.Counts()) > before })
	}
}

// arrived counts datagrams that were heard or refused.
func arrived(c Counts) uint64 { return c.Received + refused(c) }

// refused counts datagrams that were not heard, but for hellos.
func refused(c Counts) uint64 {
	return c.UnknownSender + c.Forged + c.Truncated + c.Oversized + c.Replayed + c.Malformed + c.Impostor + c.NoSession + c.Stale
}
