package heartbeat

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"viplog/core/lease"
)

// Handler takes what peers say, each in turn and in Run's goroutine. From is the key of the host that said it; what the message says of
// its speaker was held against Peer. Neither may be changed. Votes inside were not checked: they have signatures of their own.
type Handler interface {
	Renewed(from ed25519.PublicKey, m lease.Renew)
	Answered(from ed25519.PublicKey, m lease.Answer)
	Heard(from ed25519.PublicKey, m lease.Word)
	Resigned(from ed25519.PublicKey, m lease.Resign)
}

// Config says who speaks, where, and to whom it is told.
type Config struct {
	PacketConn net.PacketConn     // of UDP. It stays the caller's to close, after Run has ended
	Identity   ed25519.PrivateKey // of this host
	Cluster    string             // hosts of other clusters are not heard, whatever their keys
	Handler    Handler
}

// readBuffer holds, in the socket, what comes while the process stands still: some seconds of 128 nodes' heartbeats. Linux gives no
// more than net.core.rmem_max.
const readBuffer = 4 << 20

// tickEvery is how often hellos are looked after. No message waits for it but one whose hello was lost.
const tickEvery = greetSoon

// Sessions are renewed after this time and this many datagrams. A datagram that is held back on its way is worth nothing once its
// session has ended.
const (
	renewAfter = 2 * time.Minute
	renewCount = 1 << 30
)

// Conn sends and receives the lease messages of one host. All methods may be called from any goroutine.
type Conn struct {
	socket   net.PacketConn
	fast     addrPortConn // the socket, if it needs no allocation for an address; else nil
	identity ed25519.PrivateKey
	private  *ecdh.PrivateKey
	cluster  string
	handler  Handler
	process  offer
	counts   counts
	running  atomic.Bool
	setting  sync.Mutex
	peers    atomic.Pointer[peers]

	renewAfter time.Duration
	renewCount uint64
}

type addrPortConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
}

// peers are looked up by every datagram, and never changed: SetPeers makes others.
type peers struct {
	bySender map[[senderSize]byte]*peer
	byKey    map[[ed25519.PublicKeySize]byte]*peer
}

// New takes a socket. Nothing is heard before Run.
func New(config Config) (*Conn, error) {
	switch {
	case config.PacketConn == nil || config.Handler == nil:
		return nil, fmt.Errorf("%w: a socket and a handler are needed", ErrConfig)
	case len(config.Identity) != ed25519.PrivateKeySize:
		return nil, fmt.Errorf("%w: %w: it has %d bytes", ErrConfig, ErrKey, len(config.Identity))
	case config.Cluster == "" || len(config.Cluster) > math.MaxUint16:
		return nil, fmt.Errorf("%w: a cluster's name has 1 to %d bytes, not %d", ErrConfig, math.MaxUint16, len(config.Cluster))
	}
	private, err := exchangeKey(config.Identity)
	if err != nil {
		return nil, err
	}
	c := &Conn{
		socket: config.PacketConn, identity: config.Identity, private: private, cluster: config.Cluster, handler: config.Handler,
		process: newOffer(), renewAfter: renewAfter, renewCount: renewCount,
	}
	c.fast, _ = config.PacketConn.(addrPortConn)
	c.peers.Store(&peers{})
	if socket, ok := config.PacketConn.(interface{ SetReadBuffer(bytes int) error }); ok {
		if err := socket.SetReadBuffer(readBuffer); err != nil {
			return nil, fmt.Errorf("heartbeat: the socket's buffer: %w", err)
		}
	}
	return c, nil
}

// SetPeers says who is heard from now on, all of them; this host may be one. A peer that stays keeps its sessions, also with another
// address. One that goes is not heard any more, but for a message that is being handed over at this moment. ErrKey, ErrPeer: one cannot
// be a peer, and nothing has changed.
func (c *Conn) SetPeers(all []Peer) error {
	c.setting.Lock()
	defer c.setting.Unlock()
	before := c.peers.Load()
	now := &peers{map[[senderSize]byte]*peer{}, map[[ed25519.PublicKeySize]byte]*peer{}}
	said := make([]*peer, 0, len(all))
	for _, one := range all {
		if len(one.Key) != ed25519.PublicKeySize {
			return fmt.Errorf("%w: %s: %w: it has %d bytes", ErrPeer, one.Address, ErrKey, len(one.Key))
		}
		key := [ed25519.PublicKeySize]byte(one.Key)
		p := before.byKey[key]
		if p == nil {
			secrets, err := pairOf(c.cluster, c.identity, c.private, slices.Clone(one.Key))
			if err != nil {
				return fmt.Errorf("%w: %s: %w", ErrPeer, one.Address, err)
			}
			p = newPeer(secrets)
		}
		switch {
		case !one.Address.IsValid() || one.Address.Port() == 0:
			return fmt.Errorf("%w: %s is no address", ErrPeer, one.Address)
		case now.byKey[key] != nil:
			return fmt.Errorf("%w: the key of %s stands twice", ErrPeer, one.Address)
		case now.bySender[p.idIn] != nil:
			return fmt.Errorf("%w: the key of %s has the hash of another", ErrPeer, one.Address)
		}
		now.byKey[key], now.bySender[p.idIn] = p, p
		said = append(said, p)
	}
	for i, p := range said {
		p.mu.Lock()
		p.said = all[i]
		p.said.Key, p.said.Voters = p.pair.peer, slices.Clone(all[i].Voters)
		p.said.Address = netip.AddrPortFrom(all[i].Address.Addr().Unmap(), all[i].Address.Port())
		p.mu.Unlock()
	}
	c.peers.Store(now)
	return nil
}

// Send sends a lease.Renew, Answer, Word or Resign. Without a session it asks for one, which takes a round trip, and keeps the message for
// up to a quarter of a second: the newest of each kind, set and incarnation, and four in all. That a message was sent or kept says nothing of whether
// it arrives. ErrUnknownPeer; ErrUnsendable: no datagram can carry it; else the socket's error.
func (c *Conn) Send(to ed25519.PublicKey, message any) error {
	if len(to) != ed25519.PublicKeySize {
		return ErrUnknownPeer
	}
	p := c.peers.Load().byKey[[ed25519.PublicKeySize]byte(to)]
	if p == nil {
		return ErrUnknownPeer
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.send(c, message, time.Now())
}

func (c *Conn) isOld(s *session, now time.Time) bool {
	return now.Sub(s.made) > c.renewAfter || s.sealed > c.renewCount
}

func (c *Conn) write(p *peer, datagram []byte) (err error) {
	if c.fast != nil {
		_, err = c.fast.WriteToUDPAddrPort(datagram, p.said.Address)
	} else {
		_, err = c.socket.WriteTo(datagram, net.UDPAddrFromAddrPort(p.said.Address))
	}
	if err != nil {
		c.counts.add(unwritten)
		return fmt.Errorf("heartbeat: send to %s: %w", p.said.Address, err)
	}
	return nil
}

// Run hears peers until the context ends, which is no error, or the socket fails. ErrRunning: it runs already.
func (c *Conn) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer c.running.Store(false)
	if err := c.socket.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { c.tick(ctx) })
	defer done.Wait()
	defer cancel()
	var datagram [MaxDatagram + 1]byte // one byte more shows that there was more
	for ctx.Err() == nil {
		n, err := c.read(datagram[:])
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("heartbeat: receive: %w", err)
		}
		c.receive(datagram[:n], time.Now())
	}
	return nil
}

func (c *Conn) read(b []byte) (n int, err error) {
	if c.fast != nil {
		n, _, err = c.fast.ReadFromUDPAddrPort(b)
	} else {
		n, _, err = c.socket.ReadFrom(b)
	}
	return n, err
}

// tick looks after hellos until the context ends, and then wakes who reads.
func (c *Conn) tick(ctx context.Context) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			_ = c.socket.SetReadDeadline(time.Unix(1, 0))
			return
		case now := <-ticker.C:
			for _, p := range c.peers.Load().byKey {
				p.tick(c, now)
			}
		}
	}
}

// receive takes a datagram. What is not heard changes nothing but the counts, and may be answered with a hello.
func (c *Conn) receive(datagram []byte, now time.Time) {
	switch size := len(datagram); {
	case size > MaxDatagram:
		c.counts.add(oversized)
		return
	case size < helloHead:
		c.counts.add(truncated)
		return
	case datagram[0] != sealVersion:
		c.counts.add(malformed)
		return
	}
	p := c.peers.Load().bySender[[senderSize]byte(datagram[2:])]
	if p == nil {
		c.counts.add(unknownSender)
		return
	}
	switch size := len(datagram); datagram[1] {
	case typeHello:
		switch {
		case size < helloSize:
			c.counts.add(truncated)
		case size > helloSize:
			c.counts.add(malformed)
		default:
			c.greetedBy(p, datagram, now)
		}
	case typeData:
		if size < dataHead+tagSize {
			c.counts.add(truncated)
			return
		}
		c.hand(p.pair.peer, p.hear(c, datagram, now))
	default:
		c.counts.add(malformed)
	}
}

func (c *Conn) greetedBy(p *peer, datagram []byte, now time.Time) {
	h, reason := openHello(p.helloIn, datagram)
	if reason != received {
		c.counts.add(reason)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heardHello(c, h, now)
}

// hand hands a message over; nil is none.
func (c *Conn) hand(from ed25519.PublicKey, message any) {
	switch m := message.(type) {
	case lease.Renew:
		c.handler.Renewed(from, m)
	case lease.Answer:
		c.handler.Answered(from, m)
	case lease.Word:
		c.handler.Heard(from, m)
	case lease.Resign:
		c.handler.Resigned(from, m)
	}
}

// What New, SetPeers and Run refuse.
var (
	ErrConfig  = errors.New("heartbeat: incomplete configuration")
	ErrPeer    = errors.New("heartbeat: no usable peer")
	ErrRunning = errors.New("heartbeat: it runs already")
)
