//go:build linux

package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// wire is a packet socket on an interface. Whoever uses it gives it a time to end.
type wire struct {
	conn    *packet.Conn
	me      mac
	askEach time.Duration
}

// openWire opens a socket that takes what a filter lets pass: also what this host sends, which only one for all protocols is given.
func (h host) openWire(l link, filter []bpf.Instruction) (*wire, error) {
	program, err := bpf.Assemble(filter)
	if err != nil {
		return nil, err
	}
	conn, err := packet.Listen(&net.Interface{Index: l.Index, Name: l.Name}, packet.Raw, unix.ETH_P_ALL, &packet.Config{Filter: program})
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, errors.New("packet sockets need root, or CAP_NET_RAW")
	}
	if err != nil {
		return nil, fmt.Errorf("a packet socket on %s: %w", l.Name, err)
	}
	w := &wire{conn: conn, askEach: h.askEach}
	copy(w.me[:], l.HardwareAddr)
	return w, nil
}

func (w *wire) close() { _ = w.conn.Close() }

// send sends a frame, unless it could not be made.
func (w *wire) send(b []byte, err error) error {
	if err != nil {
		return err
	}
	_, err = w.conn.WriteTo(b, &packet.Addr{HardwareAddr: b[:6]})
	return err
}

// receive hands frames over until take wants no more, so much time has passed or ctx ends.
func (w *wire) receive(ctx context.Context, wait time.Duration, take func(frame []byte) (more bool)) error {
	deadline := time.Now().Add(wait)
	if end, bounded := ctx.Deadline(); bounded && end.Before(deadline) {
		deadline = end
	}
	buffer := make([]byte, 2048)
	for ctx.Err() == nil {
		// In steps, so that an interrupt is noticed.
		step := time.Now().Add(receiveStep)
		if step.After(deadline) {
			step = deadline
		}
		if err := w.conn.SetReadDeadline(step); err != nil {
			return err
		}
		n, _, err := w.conn.ReadFrom(buffer)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if !time.Now().Before(deadline) {
				return nil
			}
		case err != nil:
			return err
		case !take(buffer[:n]):
			return nil
		}
	}
	return nil
}

const receiveStep = 200 * time.Millisecond

// joinGroup lets the card pass the frames of a group; no switch is told (packet(7), PACKET_MR_MULTICAST).
func (w *wire) joinGroup(index int, group mac) error {
	raw, err := w.conn.SyscallConn()
	if err != nil {
		return err
	}
	request := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_MULTICAST, Alen: 6}
	copy(request.Address[:], group[:])
	var joined error
	err = raw.Control(func(fd uintptr) {
		joined = unix.SetsockoptPacketMreq(int(fd), unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &request)
	})
	return errors.Join(err, joined)
}

const wholeFrame, nothing = 0x40000, 0

// untagged keeps out what belongs to a VLAN: a packet socket is given that of the interface below too. The last instruction takes nothing.
func untagged(program []bpf.Instruction) []bpf.Instruction {
	return append([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtVLANTagPresent},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: uint8(len(program) - 1)},
	}, program...)
}

// vrrpFilter lets VRRP of both families pass, received or sent.
func vrrpFilter() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherTypeIPv4, SkipFalse: 2},
		bpf.LoadAbsolute{Off: etherHeader + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: vrrpProtocol, SkipTrue: 3, SkipFalse: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherTypeIPv6, SkipFalse: 3},
		bpf.LoadAbsolute{Off: etherHeader + 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: vrrpProtocol, SkipFalse: 1},
		bpf.RetConstant{Val: wholeFrame},
		bpf.RetConstant{Val: nothing},
	}
}

// gatewayFilter lets ARP and ICMP pass that others send.
func gatewayFilter() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipTrue: 6},
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherTypeARP, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherTypeIPv4, SkipFalse: 3},
		bpf.LoadAbsolute{Off: etherHeader + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: icmp, SkipFalse: 1},
		bpf.RetConstant{Val: wholeFrame},
		bpf.RetConstant{Val: nothing},
	}
}
