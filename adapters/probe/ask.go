//go:build linux

package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// asking asks who has the address, by a packet socket.
type asking struct {
	*answers
	probe *probe
	me    mac
	frame []byte
	to    *unix.SockaddrLinklayer
	conn  *packet.Conn
	raw   syscall.RawConn
	ended chan struct{}
}

// readBuffer holds some 5,000 answers, for a prober that stands still.
const readBuffer = 4 << 20

func (p *probe) openARP(w way) error {
	at := w.link.Attrs()
	switch {
	case len(at.HardwareAddr) != 6 || at.Flags&net.FlagLoopback != 0:
		return fmt.Errorf("%w: %s has no Ethernet on which somebody could be asked", ErrUnreachable, at.Name)
	case w.nextHop != p.Address:
		return fmt.Errorf("%w: it is behind the gateway %s, and ARP asks on a link only; name one by its interface", ErrUnreachable, w.nextHop)
	}
	source, err := w.source(p.Address)
	if err != nil {
		return err
	}
	a := &asking{probe: p, me: mac(at.HardwareAddr), ended: make(chan struct{})}
	name, etherType := "arp", uint16(etherTypeARP)
	if p.Address.Is6() {
		name, etherType = "ndp", etherTypeIPv6
	}
	if a.frame, err = question(a.me, source, p.Address); err != nil {
		return err
	}
	a.answers = newAnswers(newRequests(name, p.count()), p.Spacing)
	a.to = &unix.SockaddrLinklayer{Protocol: networkOrder(etherType), Ifindex: at.Index, Halen: 6}
	copy(a.to.Addr[:], a.frame[:6])
	filter, err := toThis(at.Index, p.Address.Is6())
	if err != nil {
		return err
	}
	a.conn, err = packet.Listen(&net.Interface{Index: at.Index, Name: at.Name}, packet.Raw, int(etherType), &packet.Config{Filter: filter})
	if err != nil {
		return err
	}
	p.senders, p.asking = append(p.senders, a), a
	if a.raw, err = a.conn.SyscallConn(); err != nil {
		return err
	}
	err = a.raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, readBuffer) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, readBuffer) // as far as it may
		}
	})
	if err != nil {
		return err
	}
	p.readers.Go(a.read)
	return nil
}

// toThis lets frames pass that were sent to this interface: Linux gives a packet socket those of VLANs on it too. Of IPv6 it
// lets neighbour advertisements pass only, so that the prober does not read all traffic.
func toThis(index int, ipv6 bool) ([]bpf.RawInstruction, error) {
	const whole, nothing = 0x40000, 0
	type check struct {
		load bpf.Instruction
		is   bpf.JumpTest
		than uint32
	}
	checks := []check{
		{bpf.LoadExtension{Num: bpf.ExtInterfaceIndex}, bpf.JumpEqual, uint32(index)},
		{bpf.LoadExtension{Num: bpf.ExtType}, bpf.JumpLessOrEqual, unix.PACKET_MULTICAST},
	}
	if ipv6 {
		checks = append(checks, check{bpf.LoadAbsolute{Off: etherHeader + 6, Size: 1}, bpf.JumpEqual, icmpv6},
			check{bpf.LoadAbsolute{Off: etherHeader + ipv6Header, Size: 1}, bpf.JumpEqual, advertisement})
	}
	var program []bpf.Instruction
	for i, c := range checks {
		program = append(program, c.load, bpf.JumpIf{Cond: c.is, Val: c.than, SkipFalse: uint8(2*(len(checks)-1-i) + 1)})
	}
	return bpf.Assemble(append(program, bpf.RetConstant{Val: whole}, bpf.RetConstant{Val: nothing}))
}

func networkOrder(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}

func (a *asking) all() []*requests { return []*requests{a.requests} }

func (a *asking) send(int) {
	a.requests.send(a.probe.elapsed())
	if err := sendNow(a.raw, a.frame, a.to); err != nil {
		a.fail(a.probe.elapsed(), errno(err))
	}
}

func (a *asking) read() {
	b := make([]byte, 2048)
	for {
		n, _, err := a.conn.ReadFrom(b)
		at := a.probe.elapsed()
		select {
		case <-a.ended:
			return
		default:
		}
		switch {
		case errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.EINTR): // the link is down, and may come back
			a.note(at, errno(err))
		case err != nil:
			a.note(at, errno(err))
			return
		default:
			by, answers, ok := heard(b[:n], a.me, a.probe.Address)
			switch {
			case ok && answers:
				a.take(by, at)
			case ok:
				a.hear(by)
			}
		}
	}
}

func (a *asking) close() {
	select {
	case <-a.ended:
	default:
		close(a.ended)
		_ = a.conn.Close()
	}
}
