package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"viplog/adapters/agent"
	"viplog/adapters/heartbeat"
	"viplog/adapters/identity"
	"viplog/core/lease"
)

// hostMail carries lease messages between the machines of this host and those of others. Within the host they take no wire.
type hostMail struct {
	identity  *identity.Identity
	directory *hostDirectory
	logger    *slog.Logger
	conn      *heartbeat.Conn
	socket    net.PacketConn

	node       *agent.Node // nil: no such role here
	voter      *agent.Voter
	controller *agent.Controller

	mu      sync.Mutex
	members map[string]agent.Members // by role: what each machine's ledger says

	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newHostMail(i *identity.Identity, d *hostDirectory, logger *slog.Logger) *hostMail {
	return &hostMail{identity: i, directory: d, logger: logger, members: map[string]agent.Members{}, cancel: func() {}}
}

// receiveBuffer holds what arrives while the process does not get to run: the heartbeats of 128 nodes for several leases.
const receiveBuffer = 1 << 20

// listen opens the socket, also before the interface has the address. Lease messages go before other traffic, as routing protocols'
// do (DSCP CS6, RFC 4594 section 3.2).
func (m *hostMail) listen(ctx context.Context) error {
	at := m.identity.Self.Heartbeat
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		control := c.Control(func(fd uintptr) { err = prepareSocket(int(fd), at.Addr()) })
		return errors.Join(control, err)
	}}
	socket, err := config.ListenPacket(ctx, "udp", at.String())
	if err != nil {
		return fmt.Errorf("listen for heartbeats on %s: %w", at, err)
	}
	if udp, ok := socket.(*net.UDPConn); ok {
		_ = udp.SetReadBuffer(receiveBuffer) // the kernel's limit may be less
	}
	m.socket = socket
	if udp, ok := socket.(*net.UDPConn); ok {
		if m.socket, err = unwaiting(udp); err != nil {
			return errors.Join(err, socket.Close())
		}
	}
	m.conn, err = heartbeat.New(heartbeat.Config{
		PacketConn: m.socket, Identity: m.identity.Private, Cluster: m.identity.Directory.Cluster, Handler: m,
	})
	return err
}

func prepareSocket(fd int, at netip.Addr) error {
	const cs6 = 48 << 2
	level, free, class := unix.IPPROTO_IP, unix.IP_FREEBIND, unix.IP_TOS
	if at.Is6() {
		level, free, class = unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, unix.IPV6_TCLASS
	}
	return errors.Join(
		unix.SetsockoptInt(fd, level, free, 1),
		unix.SetsockoptInt(fd, level, class, cs6),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, 6), // TC_PRIO_INTERACTIVE
	)
}

func (m *hostMail) start(ctx context.Context) error {
	if err := m.listen(ctx); err != nil {
		return err
	}
	m.setPeers()
	m.directory.follow(func(identity.Directory) error {
		m.setPeers()
		return nil
	})
	return nil
}

// begin hears others, for the machines that are set.
func (m *hostMail) begin(ctx context.Context) {
	ctx, m.cancel = context.WithCancel(ctx)
	m.running.Go(func() {
		for ctx.Err() == nil {
			if err := m.conn.Run(ctx); err != nil {
				m.logger.Error("heartbeats cannot be heard", "error", err)
				time.Sleep(100 * time.Millisecond) // the socket may recover
			}
		}
	})
}

func (m *hostMail) stop(context.Context) error {
	m.cancel()
	m.running.Wait()
	if m.socket != nil {
		return m.socket.Close()
	}
	return nil
}

// follow takes what a machine's ledger says of voters.
func (m *hostMail) follow(role string) func(agent.Members) {
	return func(members agent.Members) {
		m.mu.Lock()
		m.members[role] = members
		m.mu.Unlock()
		m.setPeers()
	}
}

func (m *hostMail) setPeers() {
	m.mu.Lock()
	defer m.mu.Unlock()
	var peers []heartbeat.Peer
	for _, h := range m.directory.current().Hosts {
		if h.Address == m.identity.Self.Address {
			continue
		}
		p := heartbeat.Peer{Key: h.Key, Address: h.Heartbeat}
		if h.Node {
			p.Node = h.Address
		}
		for _, members := range m.members {
			for _, id := range members.On(h.Address) {
				if !slices.Contains(p.Voters, id) {
					p.Voters = append(p.Voters, id)
				}
			}
		}
		slices.Sort(p.Voters)
		peers = append(peers, p)
	}
	if err := m.conn.SetPeers(peers); err != nil {
		m.logger.Error("the hosts of the cluster cannot be heard", "error", err)
	}
}

// send sends a message to a host. What cannot be sent is lost, as it may be on any network.
func (m *hostMail) send(to netip.Addr, message any) {
	if to == m.identity.Self.Address {
		m.deliver(message)
		return
	}
	if h, known := m.directory.current().Host(to); known {
		_ = m.conn.Send(h.Key, message) // counted
	}
}

// answer sends a voter's answer to a node.
func (m *hostMail) answer(to netip.Addr, a lease.Answer) { m.send(to, a) }

// say sends a voter's word to hosts and to all controllers.
func (m *hostMail) say(others []netip.Addr, w lease.Word) {
	for _, h := range m.directory.current().Hosts {
		if h.Controller || slices.Contains(others, h.Address) { // a voter's own host is none of the others
			m.send(h.Address, w)
		}
	}
}

func (m *hostMail) deliver(message any) {
	switch message := message.(type) {
	case lease.Renew:
		m.Renewed(nil, message)
	case lease.Answer:
		m.Answered(nil, message)
	case lease.Word:
		m.Heard(nil, message)
	case lease.Resign:
		m.Resigned(nil, message)
	}
}

// Renewed implements heartbeat.Handler.
func (m *hostMail) Renewed(_ ed25519.PublicKey, r lease.Renew) {
	if m.voter != nil {
		m.voter.Renewed(r)
	}
}

// Answered implements heartbeat.Handler.
func (m *hostMail) Answered(_ ed25519.PublicKey, a lease.Answer) {
	if m.node != nil && a.To.Node == m.identity.Self.Address {
		m.node.Answered(a)
	}
}

// Heard implements heartbeat.Handler.
func (m *hostMail) Heard(_ ed25519.PublicKey, w lease.Word) {
	if m.voter != nil {
		m.voter.Heard(w)
	}
	if m.controller != nil {
		m.controller.Heard(w)
	}
}

// Resigned implements heartbeat.Handler.
func (m *hostMail) Resigned(_ ed25519.PublicKey, r lease.Resign) {
	if m.voter != nil {
		m.voter.Resigned(r)
	}
}
