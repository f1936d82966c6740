//go:build linux

package probe

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// datagrams asks an echo server by UDP, from one socket: to a load balancer all of it is one flow.
type datagrams struct {
	*requests
	probe *probe
	conn  *net.UDPConn
	raw   syscall.RawConn
	run   uint64 // which probe a datagram is of
}

// A datagram is the number of the run and that of the request, eight bytes each.
const datagramSize = 16

// sendBuffer holds what waits in the kernel for a resolution, so that sending does not fail in the meantime.
const sendBuffer = 4 << 20

func (p *probe) openUDP() error {
	network := "udp4" // Go looks at the namespace of its first thread to see whether there is IPv6 when both would do
	if p.Address.Is6() {
		network = "udp6"
	}
	conn, err := net.DialUDP(network, nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.Address, p.Port)))
	if err != nil {
		return err
	}
	d := &datagrams{requests: newRequests("udp", p.count()), probe: p, conn: conn, run: rand.Uint64()}
	p.senders = append(p.senders, d)
	if d.raw, err = conn.SyscallConn(); err != nil {
		return err
	}
	err = d.raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer) // as far as it may
		}
	})
	if err != nil {
		return err
	}
	p.readers.Go(d.read)
	return nil
}

func (d *datagrams) all() []*requests { return []*requests{d.requests} }

func (d *datagrams) close() { _ = d.conn.Close() }

func (d *datagrams) send(int) {
	var b [datagramSize]byte
	n := d.requests.send(d.probe.elapsed())
	binary.BigEndian.PutUint64(b[:], d.run)
	binary.BigEndian.PutUint64(b[8:], uint64(n))
	// An error may be the answer to an earlier datagram (ICMP), told instead of sending this one.
	for range 3 {
		err := sendNow(d.raw, b[:], nil)
		if err == nil {
			return
		}
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EPERM) || errors.Is(err, net.ErrClosed) {
			d.fail(d.probe.elapsed(), err.Error())
			return
		}
		d.note(d.probe.elapsed(), err.Error())
	}
	d.fail(d.probe.elapsed(), "not sent")
}

// sendNow gives a frame or a datagram to the kernel. It never waits.
func sendNow(raw syscall.RawConn, b []byte, to unix.Sockaddr) error {
	var sent error
	err := raw.Write(func(fd uintptr) bool {
		if to == nil {
			_, sent = unix.SendmsgN(int(fd), b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		} else {
			sent = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT, to)
		}
		return true
	})
	if err != nil {
		return err
	}
	return sent
}

func (d *datagrams) read() {
	b := make([]byte, 2048)
	for {
		n, err := d.conn.Read(b)
		at := d.probe.elapsed()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			d.note(at, errno(err))
		case n == datagramSize && binary.BigEndian.Uint64(b) == d.run:
			d.answer(int(binary.BigEndian.Uint64(b[8:])), at)
		}
	}
}

// errno is what the kernel has said, without addresses and ports, so that equal ones are counted as one.
func errno(err error) string {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number.Error()
	}
	return err.Error()
}
