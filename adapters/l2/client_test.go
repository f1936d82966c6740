//go:build linux

package l2

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"viplog/core/node"
	"viplog/fixtures/lab"
)

// tester is a station that sends frames of its own making, from a MAC that no kernel has, and looks at answers.
type tester struct {
	t     *testing.T
	mac   mac
	conn  *packet.Conn
	marks byte
}

// newTester opens an interface of a host. It sees all frames there, as a station with that MAC would and more.
func newTester(t *testing.T, h *lab.Host, name string) *tester {
	t.Helper()
	c := &tester{t: t, mac: mac{2, 0, 0, 0, 0xee, 1}}
	h.Change(name, func(l netlink.Link) (err error) {
		c.conn, err = packet.Listen(&net.Interface{Index: l.Attrs().Index}, packet.Raw, unix.ETH_P_ALL, nil)
		if err == nil {
			err = c.conn.SetPromiscuous(true)
		}
		return err
	})
	t.Cleanup(func() { _ = c.conn.Close() })
	return c
}

func (c *tester) send(b []byte) {
	c.t.Helper()
	if _, err := c.conn.WriteTo(b, &packet.Addr{HardwareAddr: b[:6]}); err != nil {
		c.t.Fatal(err)
	}
}

// next gives the next frame that was sent to the tester's MAC or a group, by somebody else, and that matches.
func (c *tester) next(within time.Duration, matches func([]byte) bool) []byte {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		c.t.Fatal(err)
	}
	b := make([]byte, 2048)
	for {
		n, _, err := c.conn.ReadFrom(b)
		if err != nil {
			return nil
		}
		if to := mac(b[:6]); n >= etherHeader && mac(b[6:12]) != c.mac && (to == c.mac || to.isMulticast()) && matches(b[:n]) {
			return b[:n]
		}
	}
}

// isAnswer tells whether a frame says who has an address.
func isAnswer(a netip.Addr) func([]byte) bool {
	return func(b []byte) bool {
		if a.Is4() {
			m, err := parseARP(b)
			return err == nil && m.used == a && binary.BigEndian.Uint16(b[20:]) == uint16(arp.OperationReply)
		}
		m, err := parseNDP(b)
		return err == nil && m.used == a && b[etherHeader+ipv6Header] == advertisement
	}
}

// question asks for an address as Linux does the first time.
func (c *tester) question(a netip.Addr) []byte {
	if a.Is4() {
		return arpFrame(arp.OperationRequest, c.mac, broadcast, client4.Next(), nobody, a)
	}
	group := solicitedNode(a)
	return ndpFrame(&ndp.NeighborSolicitation{TargetAddress: a, Options: []ndp.Option{
		&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: c.mac[:]},
	}}, c.mac, multicastMAC(group), client6.Next(), group)
}

// check asks the one that has an address whether it still has it.
func (c *tester) check(a netip.Addr, at mac) []byte {
	if a.Is4() {
		return arpFrame(arp.OperationRequest, c.mac, at, client4.Next(), nobody, a)
	}
	return ndpFrame(&ndp.NeighborSolicitation{TargetAddress: a}, c.mac, at, client6.Next(), a)
}

// answers sends a question, and gives the frame that answers.
func (c *tester) answers(question []byte, a netip.Addr) []byte {
	c.t.Helper()
	c.send(question)
	b := c.next(20*time.Second, isAnswer(a))
	if b == nil {
		c.t.Fatalf("nobody answers for %s", a)
	}
	return b
}

// silent sends a question, and looks that an agent does not answer it: an agent reads a socket's frames in order, so when it
// has heard a later one, of somebody else who uses an address that it watches, it has read the question.
func (c *tester) silent(question []byte, a netip.Addr, who *agent, watched ...netip.Addr) {
	c.t.Helper()
	c.send(question)
	for _, w := range watched {
		c.marks++
		by := mac{2, 0, 0, 0, 0xdd, c.marks}
		c.send(c.use(w, by))
		eventually(c.t, "the agent hears the mark", func() bool {
			return who.hasHeard(node.Heard{Address: w, Interface: "eth0", MAC: by.String()})
		})
	}
	if b := c.next(100*time.Millisecond, isAnswer(a)); b != nil {
		c.t.Errorf("%s is answered for: % x", a, b)
	}
}

// use is a frame of a MAC that uses an address.
func (c *tester) use(a netip.Addr, by mac) []byte {
	if a.Is4() {
		return gratuitousRequest(by, a)
	}
	return unsolicitedAdvertisement(by, a)
}

// resolves waits until a host's kernel, which is made to ask, knows an address by a MAC.
func resolves(t *testing.T, h *lab.Host, a netip.Addr, want string) {
	t.Helper()
	eventually(t, h.Name+" knows "+a.String()+" as "+want, func() bool {
		talk(t, h, a)
		entry, found := h.Neighbour(a)
		return found && entry.HardwareAddr.String() == want
	})
}

// talk sends a datagram to an address, so that the kernel asks for it.
func talk(t *testing.T, h *lab.Host, a netip.Addr) {
	t.Helper()
	h.Must(func() error {
		c, err := net.DialUDP(udp(a), nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9)))
		if err != nil {
			return err
		}
		defer c.Close()
		_, _ = c.Write([]byte("x")) // the datagram before may have been refused
		return nil
	})
}

// udp is the network of an address: Go would ask the test's own namespace whether there is IPv6.
func udp(a netip.Addr) string {
	if a.Is4() {
		return "udp4"
	}
	return "udp6"
}

// forgetNeighbours empties a host's caches.
func forgetNeighbours(h *lab.Host) {
	h.Must(func() error {
		all, err := netlink.NeighList(0, netlink.FAMILY_ALL)
		for _, n := range all {
			if n.State&netlink.NUD_NOARP == 0 {
				_ = netlink.NeighDel(&n) // some have gone by themselves
			}
		}
		return err
	})
}
