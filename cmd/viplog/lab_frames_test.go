//go:build linux

package main

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// frame says that a MAC has an address.
type frame struct {
	at  time.Time
	mac string
}

// watch notes ARP frames that say who has an address, as the client's interface hears them, until it is asked for them.
func (n *lan) watch(a netip.Addr) func() []frame {
	n.t.Helper()
	const all = unix.ETH_P_ARP
	var socket int
	n.client.Must(func() (err error) {
		socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all>>8|all&0xff<<8))
		if err == nil {
			err = unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
		}
		return err
	})
	var frames []frame
	var running sync.WaitGroup
	end := make(chan struct{})
	running.Go(func() {
		defer unix.Close(socket)
		b := make([]byte, 2048)
		for {
			select {
			case <-end:
				return
			default:
			}
			size, err := unix.Read(socket, b)
			if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
				return
			}
			const sender, protocol, length = 22, 28, 42
			if size < length || netip.AddrFrom4([4]byte(b[protocol:protocol+4])) != a {
				continue
			}
			frames = append(frames, frame{time.Now(), net.HardwareAddr(b[sender : sender+6]).String()})
		}
	})
	stop := sync.OnceFunc(func() {
		close(end)
		running.Wait()
	})
	n.t.Cleanup(stop)
	return func() []frame {
		stop()
		return frames
	}
}
