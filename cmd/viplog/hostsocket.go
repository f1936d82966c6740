package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// unwaitingSocket is a UDP socket on which whoever sends never waits. The one of the standard library waits while its buffer is full, as it is
// behind an interface that sends nothing: a machine would wait with it, and with it those that are reached by other interfaces.
type unwaitingSocket struct {
	*net.UDPConn
	raw  syscall.RawConn
	isV4 bool // it is one of IPv4, not of IPv6 with mapped addresses
}

func unwaiting(socket *net.UDPConn) (*unwaitingSocket, error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	family := 0
	control := raw.Control(func(fd uintptr) { family, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN) })
	return &unwaitingSocket{UDPConn: socket, raw: raw, isV4: family == unix.AF_INET}, errors.Join(control, err)
}

// WriteToUDPAddrPort sends a datagram at once, or not at all.
func (s *unwaitingSocket) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	var where unix.Sockaddr
	switch address := to.Addr(); {
	case s.isV4 && !address.Unmap().Is4():
		return 0, fmt.Errorf("%s is no address of IPv4", address)
	case s.isV4:
		where = &unix.SockaddrInet4{Port: int(to.Port()), Addr: address.Unmap().As4()}
	default:
		where = &unix.SockaddrInet6{Port: int(to.Port()), Addr: address.As16()}
	}
	var sent error
	err := s.raw.Write(func(fd uintptr) bool {
		sent = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT, where)
		return true // also if it would have had to wait
	})
	if err = errors.Join(err, sent); err != nil {
		return 0, err
	}
	return len(b), nil
}
