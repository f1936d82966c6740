//go:build linux

package l2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// port is an interface that is listened on: the sockets of one index, for as long as the kernel has a link with it.
type port struct {
	index    int
	arp, ndp *packet.Conn
	arpRaw   syscall.RawConn
	ndpRaw   syscall.RawConn
	identity atomic.Pointer[identity]
	groups   *groups
	failed   atomic.Bool // a reader has ended
	closed   atomic.Bool
	readers  sync.WaitGroup
}

// identity is what may change of a link that stays.
type identity struct {
	name string
	mac  mac
	up   bool
}

// openPort must be called on a thread in the namespace of the link.
func openPort(l link) (*port, error) {
	p := &port{index: l.index, groups: newGroups(l.index)}
	p.identity.Store(&identity{l.name, l.mac, l.up})
	var err error
	if p.arp, p.arpRaw, err = openSocket(l, etherTypeARP, arpFilter); err != nil {
		return nil, fmt.Errorf("listen for ARP on %s: %w", l.name, named(err))
	}
	if p.ndp, p.ndpRaw, err = openSocket(l, etherTypeIPv6, ndpFilter); err != nil {
		_ = p.arp.Close()
		return nil, fmt.Errorf("listen for neighbour discovery on %s: %w", l.name, named(err))
	}
	return p, nil
}

// named puts what would be right before an error that says only that something is not allowed.
func named(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w: %w", ErrPermission, err)
	}
	return err
}

func openSocket(l link, etherType int, filter func(int) ([]bpf.RawInstruction, error)) (*packet.Conn, syscall.RawConn, error) {
	program, err := filter(l.index)
	if err != nil {
		return nil, nil, err
	}
	conn, err := packet.Listen(&net.Interface{Index: l.index, Name: l.name}, packet.Raw, etherType, &packet.Config{Filter: program})
	if err != nil {
		return nil, nil, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(enlarge)
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return conn, raw, nil
}

// readBuffer holds some 5,000 questions, in the socket, for a process that stands still; Linux' own 208 KiB hold 270.
const readBuffer = 4 << 20

// enlarge gives a socket its buffer, as far as it may have it: beyond net.core.rmem_max only with CAP_NET_ADMIN.
func enlarge(fd uintptr) {
	if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, readBuffer) != nil {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, readBuffer)
	}
}

// lasts tells whether the kernel still has the link that the sockets were opened on, and both are read. Another link may have its index: one that
// was moved to another namespace comes back with the same.
func (p *port) lasts() bool {
	var at unix.Sockaddr
	err := p.arpRaw.Control(func(fd uintptr) { at, _ = unix.Getsockname(int(fd)) })
	bound, ok := at.(*unix.SockaddrLinklayer)
	return err == nil && ok && bound.Ifindex == p.index && !p.failed.Load()
}

// overflows counts the frames for which a port's sockets had no room since it was called last.
func (p *port) overflows() (frames uint64) {
	for _, conn := range []*packet.Conn{p.arp, p.ndp} {
		if s, err := conn.Stats(); err == nil { // an error: it is closed
			frames += uint64(s.Drops)
		}
	}
	return frames
}

// send gives a frame to the kernel. It never waits: packet.Conn would until there is room in the socket's buffer, and Serve with it.
func (p *port) send(b []byte) error {
	raw := p.arpRaw
	etherType := binary.BigEndian.Uint16(b[12:])
	if etherType == etherTypeIPv6 {
		raw = p.ndpRaw
	}
	to := unix.SockaddrLinklayer{Protocol: networkOrder(etherType), Ifindex: p.index, Halen: 6}
	copy(to.Addr[:], b[:6])
	var sent error
	err := raw.Write(func(fd uintptr) bool {
		sent = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT, &to)
		return true
	})
	if err == nil {
		err = sent
	}
	if err != nil {
		return fmt.Errorf("send on %s: %w", p.identity.Load().name, err)
	}
	return nil
}

func networkOrder(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}

// read hands frames over until the port is closed. A link that goes down says so once, and goes on when it is up again.
func (p *port) read(conn *packet.Conn, take func(frame []byte)) error {
	buffer := make([]byte, 2048)
	for {
		n, _, err := conn.ReadFrom(buffer)
		switch {
		case p.closed.Load():
			return nil
		case errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("read on %s: %w", p.identity.Load().name, err)
		default:
			take(buffer[:n])
		}
	}
}

// close ends the port, and waits for its readers.
func (p *port) close() {
	p.closed.Store(true)
	_ = p.arp.Close()
	_ = p.ndp.Close()
	p.groups.close()
	p.readers.Wait()
}
