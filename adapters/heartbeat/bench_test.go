package heartbeat

import (
	"context"
	"crypto/ed25519"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"viplog/core/lease"
)

// benchSession is both ends of a session.
func benchSession(b *testing.B) (out, in *session) {
	b.Helper()
	var sides [2]pair
	for i, own := range []byte{1, 2} {
		private, err := exchangeKey(identity(own))
		if err != nil {
			b.Fatal(err)
		}
		if sides[i], err = pairOf("bench", identity(own), private, publicOf(identity(3-own))); err != nil {
			b.Fatal(err)
		}
	}
	first, second := newOffer(), newOffer()
	return newSession(sides[0], first, second, offer{}, time.Now()), newSession(sides[1], second, first, offer{}, time.Now())
}

// BenchmarkDatagram is what one renewal costs on either side, without the socket.
func BenchmarkDatagram(b *testing.B) {
	out, in := benchSession(b)
	var message any = renewal(1)
	b.Run("encode and seal", func(b *testing.B) {
		b.ReportAllocs()
		datagram, scratch := make([]byte, 0, MaxDatagram), [][]byte(nil)
		for b.Loop() {
			all, err := payloads(scratch[:0], message, 1)
			if err != nil {
				b.Fatal(err)
			}
			scratch = all
			datagram = out.sealData(datagram[:0], [senderSize]byte{}, all[0])
		}
		b.ReportMetric(float64(len(datagram)), "bytes")
	})
	b.Run("open and decode", func(b *testing.B) {
		b.ReportAllocs()
		payload, err := appendMessage(nil, message)
		if err != nil {
			b.Fatal(err)
		}
		datagram, plain, known := out.sealData(nil, [senderSize]byte{}, payload), make([]byte, 0, MaxDatagram), &names{}
		for b.Loop() {
			in.window = window{} // it is the same datagram each time
			payload, reason := in.openData(plain, datagram)
			if reason != received {
				b.Fatal(reason)
			}
			if _, err := decode(payload, known); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("keys of a new peer", func(b *testing.B) {
		b.ReportAllocs()
		private, err := exchangeKey(identity(1))
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			p, err := pairOf("bench", identity(1), private, publicOf(identity(2)))
			if err != nil {
				b.Fatal(err)
			}
			newPeer(p)
		}
	})
	b.Run("keys of a session", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			benchSessions = newSession(pair{"bench", publicOf(identity(1)), publicOf(identity(2)), make([]byte, 32)}, offer{1}, offer{2}, offer{}, time.Time{})
		}
	})
}

var benchSessions *session

// benchHost is a host whose voter answers each renewal, and whose node counts answers.
type benchHost struct {
	conn    *Conn
	peer    Peer
	serial  uint64
	answers *atomic.Int64
}

func (h *benchHost) Renewed(from ed25519.PublicKey, m lease.Renew) {
	h.serial++
	_ = h.conn.Send(from, lease.Answer{
		Log: m.Log, Voter: h.peer.Voters[0], To: m.From, Serial: h.serial, Number: m.Number, Set: m.Set, Granted: true,
	})
}
func (h *benchHost) Answered(ed25519.PublicKey, lease.Answer) { h.answers.Add(1) }
func (h *benchHost) Heard(ed25519.PublicKey, lease.Word)      {}
func (h *benchHost) Resigned(ed25519.PublicKey, lease.Resign) {}

func startBench(b *testing.B, number byte, answers *atomic.Int64) *benchHost {
	b.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	h := &benchHost{answers: answers, peer: Peer{
		Key: publicOf(identity(number)), Address: socket.LocalAddr().(*net.UDPAddr).AddrPort(),
		Node: netip.AddrFrom4([4]byte{10, 0, 0, number}), Voters: []string{string('a' + rune(number))},
	}}
	if h.conn, err = New(Config{PacketConn: socket, Identity: identity(number), Cluster: "bench", Handler: h}); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.conn.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		_ = socket.Close()
	})
	return h
}

// BenchmarkRound is one heartbeat of 128 nodes and 3 voters in one process, on loopback: 384 renewals and as many answers. At a heartbeat
// of 100 ms it happens ten times a second, on 131 hosts together.
func BenchmarkRound(b *testing.B) {
	const nodes, voters = 128, 3
	var answers atomic.Int64
	hosts := make([]*benchHost, nodes+voters)
	for i := range hosts {
		hosts[i] = startBench(b, byte(i+1), &answers)
	}
	all := func(of []*benchHost) (peers []Peer) {
		for _, h := range of {
			peers = append(peers, h.peer)
		}
		return peers
	}
	for i, h := range hosts {
		others := hosts[nodes:]
		if i >= nodes {
			others = hosts[:nodes]
		}
		if err := h.conn.SetPeers(all(others)); err != nil {
			b.Fatal(err)
		}
	}
	number := uint64(0)
	round := func() {
		number++
		answers.Store(0)
		for _, h := range hosts[:nodes] {
			m := renewal(number)
			m.From.Node = h.peer.Node
			for _, v := range hosts[nodes:] {
				if err := h.conn.Send(v.peer.Key, m); err != nil {
					b.Fatal(err)
				}
			}
		}
		for deadline := time.Now().Add(patience); answers.Load() < nodes*voters; time.Sleep(20 * time.Microsecond) {
			if time.Now().After(deadline) {
				b.Fatalf("%d of %d answers", answers.Load(), nodes*voters)
			}
		}
	}
	start := time.Now()
	round()
	b.Logf("the first round, with %d sessions to agree on: %s", nodes*voters, time.Since(start))
	b.ReportAllocs()
	for b.Loop() {
		round()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(2*nodes*voters), "ns/datagram")
}
