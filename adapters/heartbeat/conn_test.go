package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"viplog/core/lease"
)

func TestAllMessagesGoBothWays(t *testing.T) {
	a, b := startPair(t)
	long := word(128, incarnation6) // goes in parts
	many := answer(40)              // goes as several answers
	for _, way := range []struct{ from, to *host }{{a, b}, {b, a}} {
		long.Voter, many.Voter = way.from.peer.Voters[0], way.from.peer.Voters[0]
		for _, v := range [][]lease.Vote{long.Votes, many.Votes} {
			for i := range v {
				v[i].Voter = way.from.peer.Voters[0]
			}
		}
		talk(t, way.from, way.to, 1000+uint64(way.from.peer.Address.Port()))
		resign := lease.Resign{Log: testLog, Who: lease.Incarnation{Node: way.from.peer.Node, Join: 7}}
		for _, m := range []any{resign, many, long} {
			way.from.send(t, way.to, m)
		}
		votes := 0
		eventually(t, "all is heard", func() bool {
			votes = 0
			seen := map[string]bool{}
			for _, one := range way.to.heard.messages() {
				switch m := one.message.(type) {
				case lease.Answer:
					votes += len(m.Votes)
				case lease.Word:
					seen["word"] = fmt.Sprint(m) == fmt.Sprint(long)
				case lease.Resign:
					seen["resign"] = m == resign
				}
			}
			return len(seen) == 2 && seen["word"] && seen["resign"] && votes >= len(many.Votes)
		})
		if votes != len(many.Votes) {
			t.Errorf("%d votes were heard of %d", votes, len(many.Votes))
		}
	}
	if c := a.Counts(); refused(c) > c.Stale {
		t.Errorf("something was refused: %+v", c)
	}
	for _, d := range append(a.record(), b.record()...) {
		if len(d) > MaxDatagram {
			t.Errorf("a datagram of %d bytes", len(d))
		}
	}
}

// Plain sockets, of both families and of one that serves both.
func TestEveryKindOfSocketCarriesMessages(t *testing.T) {
	for _, network := range []struct{ listen, peer string }{{"127.0.0.1:0", "127.0.0.1"}, {"[::1]:0", "::1"}, {"[::]:0", "127.0.0.1"}} {
		t.Run(network.listen, func(t *testing.T) {
			var hosts [2]*host
			for i := range hosts {
				socket, err := net.ListenPacket("udp", network.listen)
				if err != nil && os.Getenv("VIPLOG_REQUIRE") != "all" {
					t.Skip("skipped: needs IPv6 on the loopback interface: ", err)
				} else if err != nil {
					t.Fatal(err)
				}
				port := socket.LocalAddr().(*net.UDPAddr).AddrPort().Port()
				id := byte(i + 1)
				hosts[i] = &host{key: publicOf(identity(id)), peer: Peer{
					Key: publicOf(identity(id)), Node: incarnation(int(id)).Node, Address: netip.AddrPortFrom(netip.MustParseAddr(network.peer), port),
				}}
				hosts[i].Conn, err = New(Config{PacketConn: socket, Identity: identity(id), Cluster: "test", Handler: &hosts[i].heard})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan error, 1)
				go func() { ended <- hosts[i].Run(ctx) }()
				defer func() {
					cancel()
					if err := <-ended; err != nil {
						t.Error(err)
					}
					_ = socket.Close()
				}()
			}
			introduce(t, hosts[0], hosts[1])
			talk(t, hosts[0], hosts[1], 1)
			talk(t, hosts[0], hosts[1], 2)
		})
	}
}

// The first message waits for a round trip, and not for the next heartbeat.
func TestWhatIsSentBeforeThereIsASessionArrivesOnce(t *testing.T) {
	a, b := startPair(t)
	resign := lease.Resign{Who: lease.Incarnation{Node: a.peer.Node, Join: 7}}
	a.send(t, b, a.says(1))
	a.send(t, b, a.says(2)) // takes the place of the first, unless that has left
	a.send(t, b, resign)
	b.hears(t, a, 2)
	eventually(t, "the other kind is heard", func() bool {
		all := b.heard.messages()
		return len(all) > 0 && all[len(all)-1].message == any(resign)
	})
	if c := a.Counts(); c.Sent+c.Unsent != 3 {
		t.Errorf("%d messages were sent and %d not, want 3 together", c.Sent, c.Unsent)
	}
}

// A hello that is lost is said again before the next heartbeat.
func TestALostHelloIsSaidAgain(t *testing.T) {
	for _, lost := range []int{1, 2, 3} {
		t.Run(fmt.Sprint("hello ", lost), func(t *testing.T) {
			a, b := startPair(t)
			n := 0
			lose := func(d []byte) bool {
				if isHello(d) {
					n++
				}
				return isHello(d) && n == lost
			}
			if lost == 2 {
				b.hold(func(d []byte) bool { n++; return n == 1 })
			} else {
				a.hold(lose)
			}
			eventually(t, "something is heard", func() bool {
				a.send(t, b, a.says(1))
				b.send(t, a, b.says(1))
				time.Sleep(10 * time.Millisecond)
				return len(a.heard.messages()) > 0 && len(b.heard.messages()) > 0
			})
		})
	}
}

func TestWhatWaitsTooLongIsCounted(t *testing.T) {
	a, b := startPair(t)
	b.stop()
	a.send(t, b, a.says(1))
	eventually(t, "it is given up", func() bool { return a.Counts().Unsent == 1 })
	if c := a.Counts(); c.Greeted < 2 || c.Greeted > 8 {
		t.Errorf("%d hellos in %s, want a few", c.Greeted, keepFor)
	}
}

func TestAHostMayBeItsOwnPeer(t *testing.T) {
	a := startHost(t, 1, anyPort)
	if err := a.SetPeers([]Peer{a.peer}); err != nil {
		t.Fatal(err)
	}
	for number := range uint64(5) {
		a.send(t, a, a.says(number))
		a.hears(t, a, number)
	}
}

func TestAPeerThatIsTakenOutIsNotHeardAnyMore(t *testing.T) {
	a, b := startPair(t)
	talk(t, a, b, 1)
	if err := b.SetPeers(nil); err != nil {
		t.Fatal(err)
	}
	a.send(t, b, a.says(2))
	eventually(t, "it is refused", func() bool { return b.Counts().UnknownSender > 0 })
	if b.times(a, 2) > 0 {
		t.Error("it was heard")
	}
	if err := b.Send(a.key, b.says(2)); !errors.Is(err, ErrUnknownPeer) {
		t.Errorf("sending to it: %v", err)
	}
	if err := b.SetPeers([]Peer{a.peer}); err != nil { // comes back
		t.Fatal(err)
	}
	b.send(t, a, b.says(3))
	a.hears(t, b, 3)
	talk(t, a, b, 4)
}

func TestAPeerWithAnotherAddressKeepsItsSession(t *testing.T) {
	a, b := startPair(t)
	talk(t, a, b, 1)
	elsewhere, err := net.ListenPacket("udp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	moved := b.peer
	moved.Address = elsewhere.LocalAddr().(*net.UDPAddr).AddrPort()
	if err := a.SetPeers([]Peer{moved}); err != nil {
		t.Fatal(err)
	}
	a.send(t, b, a.says(2))
	var datagram [MaxDatagram]byte
	_ = elsewhere.SetReadDeadline(time.Now().Add(patience))
	n, _, err := elsewhere.ReadFrom(datagram[:])
	if err != nil {
		t.Fatal(err)
	}
	inject(t, b, datagram[:n])
	b.hears(t, a, 2)
}

func TestWhatIsNoPeerIsRefusedAndNothingChanges(t *testing.T) {
	a, b := startPair(t)
	talk(t, a, b, 1)
	good, weak, short, nowhere := b.peer, b.peer, b.peer, startHost(t, 3, anyPort).peer
	weak.Key = make([]byte, 32)
	short.Key = short.Key[:31]
	nowhere.Address = netip.AddrPort{}
	for why, peers := range map[string][]Peer{
		"bad point": {weak}, "31 bytes": {short}, "is no address": {nowhere}, "stands twice": {good, good},
	} {
		err := a.SetPeers(peers)
		if !errors.Is(err, ErrPeer) {
			t.Errorf("%s: %v", why, err)
		} else if !strings.Contains(err.Error(), why) {
			t.Logf("%s: %v", why, err)
		}
	}
	talk(t, a, b, 2)
}

func TestSendSaysWhatCannotBeSent(t *testing.T) {
	a, b := startPair(t)
	if err := a.Send(b.key, "text"); !errors.Is(err, ErrUnsendable) {
		t.Error(err)
	}
	if err := a.Send(a.key, a.says(1)); !errors.Is(err, ErrUnknownPeer) {
		t.Error(err)
	}
	if err := a.Send(nil, a.says(1)); !errors.Is(err, ErrUnknownPeer) {
		t.Error(err)
	}
	talk(t, a, b, 1)
}

func TestNewWantsAllThatItNeeds(t *testing.T) {
	socket, err := net.ListenPacket("udp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	good := Config{PacketConn: socket, Identity: identity(1), Cluster: "c", Handler: &inbox{}}
	for name, spoil := range map[string]func(*Config){
		"socket": func(c *Config) { c.PacketConn = nil }, "identity": func(c *Config) { c.Identity = nil },
		"cluster": func(c *Config) { c.Cluster = "" }, "handler": func(c *Config) { c.Handler = nil },
	} {
		bad := good
		if spoil(&bad); true {
			if _, err := New(bad); !errors.Is(err, ErrConfig) {
				t.Errorf("without %s: %v", name, err)
			}
		}
	}
}

func TestRunLeavesNothingBehindAndMayRunAgain(t *testing.T) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{PacketConn: socket, Identity: identity(1), Cluster: "c", Handler: &inbox{}})
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		eventually(t, "it runs", c.running.Load)
		if err := c.Run(ctx); !errors.Is(err, ErrRunning) {
			t.Errorf("run twice: %v", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "all goroutines are gone", func() bool { return runtime.NumGoroutine() <= before })
	_ = socket.Close()
	if err := c.Run(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("run on a closed socket: %v", err)
	}
}
