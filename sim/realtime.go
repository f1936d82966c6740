package sim

import (
	"net/netip"
	"time"

	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/sim/segment"
)

// What a world needs that goes on in real time on a real log: hosts that come later, a past that it did not see, and a look
// at its replicas. The clock and the goroutines of such a world are its driver's.

// AddHost adds a host without power.
func (w *World) AddHost(spec HostSpec) *Host {
	w.addHost(spec)
	return w.Hosts[len(w.Hosts)-1]
}

// AddClient adds a host that sends requests; of a family whose address is the zero Addr it sends none.
func (w *World) AddClient(name string, mac segment.MAC, v4, v6 netip.Addr) *segment.Client {
	client := segment.NewClient(w.Segment, name, mac, v4, v6, segment.Linux())
	client.Report = func(o segment.Outcome) { w.Audit.outcome(client, o) }
	w.Clients = append(w.Clients, client)
	return client
}

// GoOn is for a world that has just been made, on a log that earlier worlds have written to, in which every incarnation is
// out at the head. So votes of then count no more, and no voter acts before it has folded that head. Processes are counted
// from the epoch on, so that no start is told by the name of an earlier one.
func (w *World) GoOn(head log.Head) {
	for _, h := range w.Hosts {
		h.starts = int(w.options.Epoch.UnixMilli())
		h.voterDisk = lease.VoterDisk{Voter: h.voterDisk.Voter, Log: head.ID, Since: head.Last}
	}
}

// SetMAC gives a host's interface another MAC, before it has sent anything.
func (h *Host) SetMAC(mac segment.MAC) { h.port.MAC = mac }

// NodeLedger is a copy of what the node's agent has folded, and whether its incarnation runs; nil if no agent follows the
// log.
func (h *Host) NodeLedger() (s *ledger.State, joined bool) {
	if h.node == nil || h.node.machine == nil {
		return nil, false
	}
	_, joined = h.node.machine.Incarnation()
	return h.node.machine.Ledger().Clone(), joined
}

// HostOf finds a host by its address; nil if there is none.
func (w *World) HostOf(a netip.Addr) *Host { return w.hostOf(a) }

// Served tells which host answered the last request to an address that was answered, and when that was sent; nil if none was
// since the last Forget.
func (a *Audit) Served(addr netip.Addr) (by *Host, sent time.Duration) {
	sent = -1
	for _, key := range a.order {
		s := a.views[key]
		if key.addr != addr || s.answered <= sent {
			continue
		}
		for _, h := range a.world.Hosts {
			if h.port != nil && h.port.MAC == s.by {
				by, sent = h, s.answered
			}
		}
	}
	return by, sent
}
