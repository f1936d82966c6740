//go:build linux

package probe

import (
	"errors"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// connection is a TCP connection that is opened without waiting, on the thread that calls dial.
type connection struct {
	file *os.File
	raw  syscall.RawConn
}

// dial begins to open a connection.
func dial(to netip.AddrPort) (*connection, error) {
	family, remote := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(to.Port()), Addr: [4]byte(to.Addr().AsSlice()[:4])})
	if to.Addr().Is6() {
		family, remote = unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // TCP has it everywhere
	if err := unix.Connect(fd, remote); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return nil, err
	}
	c := &connection{file: os.NewFile(uintptr(fd), "tcp")}
	if c.raw, err = c.file.SyscallConn(); err != nil {
		_ = c.file.Close()
		return nil, err
	}
	return c, nil
}

// wait waits until the connection is there.
func (c *connection) wait(patience time.Duration) error {
	if err := c.file.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var told int
	var asking error
	err := c.raw.Write(func(fd uintptr) bool {
		// SO_ERROR is 0 too while a connection is being opened: only a peer's name says that it is there.
		if told, asking = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); asking != nil || told != 0 {
			return true
		}
		_, noPeer := unix.Getpeername(int(fd))
		return noPeer == nil
	})
	switch {
	case err != nil:
		return err
	case asking != nil:
		return asking
	case told != 0:
		return syscall.Errno(told)
	}
	return c.file.SetWriteDeadline(time.Time{})
}

func (c *connection) close() { _ = c.file.Close() }
