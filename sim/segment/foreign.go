package segment

import (
	"net/netip"
	"slices"
)

// ForeignHost is a host that is not ours and uses addresses: it answers for them, and knows nothing of the log.
type ForeignHost struct {
	Serves bool // answers requests of clients too; else it has the address but not the service

	port  *Port
	addrs []netip.Addr
}

// NewForeignHost attaches a host that uses addresses. It announces nothing until it is told.
func NewForeignHost(s *Segment, name string, mac MAC, addrs ...netip.Addr) *ForeignHost {
	h := &ForeignHost{addrs: addrs}
	h.port = s.Attach(&Port{Name: name, MAC: mac, Receive: h.receive})
	return h
}

// Port is the host's port.
func (h *ForeignHost) Port() *Port { return h.port }

// Use makes the host use these addresses and no others.
func (h *ForeignHost) Use(addrs ...netip.Addr) { h.addrs = addrs }

// Announce sends a gratuitous frame for each address: a request for IPv4 (RFC 5227 section 2.3), an advertisement for IPv6.
func (h *ForeignHost) Announce() {
	for _, addr := range h.addrs {
		if addr.Is4() {
			h.port.Send(GratuitousRequest(addr, h.port.MAC))
		} else {
			h.port.Send(UnsolicitedAdvertisement(addr, h.port.MAC))
		}
	}
}

func (h *ForeignHost) receive(f Frame) {
	if !slices.Contains(h.addrs, f.Target) || f.Sender == f.Target || f.Kind == Packet && !h.Serves {
		return
	}
	if answer, ok := AnswerFor(f, h.port.MAC); ok {
		h.port.Send(answer)
	}
}
