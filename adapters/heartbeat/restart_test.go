package heartbeat

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"viplog/core/lease"
)

// startStranger gives a way to send bytes to a host without waiting.
func startStranger(t *testing.T) (func(to *host, datagram []byte), error) {
	t.Helper()
	socket, err := net.ListenPacket("udp", anyPort)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = socket.Close() })
	return func(to *host, datagram []byte) {
		if _, err := socket.WriteTo(datagram, net.UDPAddrFromAddrPort(to.peer.Address)); err != nil {
			t.Error(err)
		}
	}, nil
}

// After a restart of one side the first message arrives, whoever says it, though nobody says anything else: it waits for a round trip
// of hellos, and not for the next heartbeat.
func TestARestartCostsOneRoundTrip(t *testing.T) {
	for name, fromNew := range map[string]bool{"the new process speaks first": true, "its peer speaks first": false} {
		t.Run(name, func(t *testing.T) {
			a, b := startPair(t)
			talk(t, a, b, 1)
			for number := uint64(2); number < 6; number++ {
				b = restart(t, b, 2)
				introduce(t, a, b)
				before := a.Counts().Greeted
				speaker, hearer := a, b
				if fromNew {
					speaker, hearer = b, a
				}
				speaker.send(t, hearer, speaker.says(number))
				hearer.hears(t, speaker, number)
				if n := a.Counts().Greeted + b.Counts().Greeted - before; n > 6 {
					t.Errorf("it took %d hellos", n)
				}
				talk(t, a, b, 10*number)
			}
		})
	}
}

func TestARestartOfBothSidesIsOverAtOnce(t *testing.T) {
	a, b := startPair(t)
	for number := range uint64(3) {
		talk(t, a, b, number)
		a, b = restart(t, a, 1), restart(t, b, 2)
		introduce(t, a, b)
	}
}

// Both ask for a session at the same time, over and over.
func TestBothMayBegin(t *testing.T) {
	for range 20 {
		a, b := startPair(t)
		var both sync.WaitGroup
		both.Go(func() { _ = a.Send(b.key, a.says(1)) })
		both.Go(func() { _ = b.Send(a.key, b.says(1)) })
		both.Wait()
		eventually(t, "both hear each other", func() bool { return a.times(b, 1) > 0 && b.times(a, 1) > 0 })
		talk(t, a, b, 2)
		a.stop()
		b.stop()
	}
}

// Sessions are renewed while messages are under way, and each is heard once.
func TestRenewedSessionsLoseNothing(t *testing.T) {
	for name, often := range map[string]func(*Conn){
		"by number": func(c *Conn) { c.renewCount = 20 },
		"by time":   func(c *Conn) { c.renewAfter = 30 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			const messages, window = 3000, 100
			a, b := startPair(t, often)
			talk(t, a, b, 1<<20)
			start := a.Counts()
			var both sync.WaitGroup
			for _, way := range []struct{ from, to *host }{{a, b}, {b, a}} {
				both.Go(func() {
					for n := range uint64(messages) {
						if err := way.from.Send(way.to.key, way.from.says(n+1)); err != nil {
							t.Error(err)
						}
						heard := func() bool { return way.to.Counts().Received+window > n }
						for deadline := time.Now().Add(patience); !heard() && time.Now().Before(deadline); {
							time.Sleep(100 * time.Microsecond)
						}
						if n%10 == 0 {
							time.Sleep(time.Millisecond)
						}
					}
				})
			}
			both.Wait()
			for _, h := range []*host{a, b} {
				eventually(t, "all is heard", func() bool { return h.Counts().Received >= messages+1 })
				seen := map[uint64]int{}
				for _, one := range h.heard.messages() {
					seen[one.message.(lease.Renew).Number]++
				}
				if len(seen) != messages+1 || len(h.heard.messages()) != messages+1 {
					t.Errorf("%d of %d messages were heard, %d times", len(seen), messages+1, len(h.heard.messages()))
				}
				if c := h.Counts(); refused(c) != c.Stale || c.Sessions-start.Sessions < 3 {
					t.Errorf("%+v", c)
				}
			}
			t.Logf("%d sessions, %d hellos", a.Counts().Sessions, a.Counts().Greeted)
		})
	}
}

// Any hello may be lost while a session is renewed: the one before goes on.
func TestLostHellosOfARenewalLoseNoMessage(t *testing.T) {
	a, b := startPair(t, func(c *Conn) { c.renewCount = 5 })
	talk(t, a, b, 1<<20)
	for _, h := range []*host{a, b} {
		h.hold(func(d []byte) bool { return isHello(d) && rand.IntN(3) == 0 })
	}
	deadline := time.Now().Add(patience)
	for n := uint64(1); n < 100 || a.Counts().Sessions < 4 && time.Now().Before(deadline); n++ {
		talk(t, a, b, n)
		time.Sleep(3 * time.Millisecond)
	}
	if c := a.Counts(); c.Sessions < 4 {
		t.Errorf("sessions were not renewed: %+v", c)
	}
}

// A host that has a new session says so until its peer knows, also if the peer is silent: else it would not use what it agreed on.
func TestThatASessionIsThereIsSaidAgain(t *testing.T) {
	a, b := startPair(t)
	talk(t, a, b, 1)
	p := a.peers.Load().byKey[[32]byte(b.key)]
	confirmed := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.sending == p.sessions[0] && !p.sending.confirmed.IsZero()
	}
	eventually(t, "both know of one session", confirmed)
	before, n := a.Counts().Sessions, 0
	a.hold(func(d []byte) bool {
		if isHello(d) {
			n++
		}
		return isHello(d) && n == 2 // the first asks for a session, the second says that it is there
	})
	p.mu.Lock()
	p.sending.sealed = renewCount + 1
	p.mu.Unlock()
	a.send(t, b, a.says(2))
	b.hears(t, a, 2)
	eventually(t, "it goes over", func() bool { return a.Counts().Sessions > before && confirmed() })
	if n := a.Counts().Sessions - before; n != 1 {
		t.Errorf("it took %d sessions, want 1", n)
	}
}
