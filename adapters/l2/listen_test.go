//go:build linux

package l2

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// Whatever another host sends is heard, also what the responder's own sockets do not read; and without it nothing is.
func TestWhetherAnotherHostIsHeardIsToldOnce(t *testing.T) {
	s := newSegment(t)
	n := s.node(t, "node", "10.0.0.1/24")
	n.serve(vip4)
	var client *net.UDPConn
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.1:4000"))
	s.client.Must(func() (err error) { client, err = net.DialUDP("udp4", nil, to); return err })
	defer client.Close()
	packets := func() {
		for range 3 {
			_, _ = client.Write([]byte("hello"))
		}
		time.Sleep(50 * time.Millisecond) // they have come, and the answers of the kernel have gone
	}
	packets()
	n.Listen()
	time.Sleep(50 * time.Millisecond)
	packets()
	before := n.listened.Load()
	n.Listen()
	eventually(t, "packets were heard", func() bool { return n.listened.Load() == before+1 })
	packets()
	if got := n.listened.Load(); got != before+1 {
		t.Errorf("nobody asked, and it was told %d times", got-before)
	}
}
