package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"viplog/core/trace"
	"viplog/sim/segment"
)

// What a scenario needs to see of a world and to do to it, beside what random trouble does.

// Up tells whether the host has power.
func (h *Host) Up() bool { return h.up }

// Frozen tells whether its processes stand still.
func (h *Host) Frozen() bool { return h.frozen }

// IsNode tells whether it is a load-balancer node.
func (h *Host) IsNode() bool { return h.role.node }

// IsVoter tells whether it is to have a voter.
func (h *Host) IsVoter() bool { return h.role.voter }

// AgentRuns tells whether the node's process runs.
func (h *Host) AgentRuns() bool { return h.node != nil }

// VoterRuns tells whether the voter's process runs.
func (h *Host) VoterRuns() bool { return h.voter != nil }

// VoterID names its voter; another disk is another voter.
func (h *Host) VoterID() string { return h.voterDisk.Voter }

// Port is its interface on the segment; nil if it has none.
func (h *Host) Port() *segment.Port { return h.port }

// Announces are the addresses that it would answer for now, in order.
func (h *Host) Announces() (all []netip.Addr) {
	if p := h.node; p != nil && p.machine != nil {
		for addr := range p.responder.served {
			if p.answers(addr) {
				all = append(all, addr)
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return all
}

// Owner is the node that owns an address by all facts stored so far; nil for none.
func (w *World) Owner(addr netip.Addr) *Host {
	if list, _ := w.Ledger().List(addr); len(list) > 0 {
		return w.hostOf(list[0].Node)
	}
	return nil
}

// Tell adds to the trace.
func (w *World) Tell(actor string, n trace.Note) { w.tell(actor, n) }

// LoseDatagrams loses one of so many datagrams between hosts; 0 ends it.
func (w *World) LoseDatagrams(oneIn int) {
	w.fault("network", fmt.Sprintf("loses one datagram in %d", oneIn))
	w.network.LoseOneIn = oneIn
}

// LeaderGone leaves the log without a leader for a while.
func (w *World) LeaderGone(d time.Duration) {
	w.fault("log", "has no leader for "+d.String())
	w.Stream.LeaderGone(d)
}

// HangLog lets a host's followers of the log get nothing for a while.
func (w *World) HangLog(h *Host, d time.Duration) {
	w.fault(h.Name, "its followers of the log hang for "+d.String())
	for _, name := range h.logClients() {
		w.Stream.Hang(name, d)
	}
}

// LagLog lets all that a host's followers of the log get come later; 0 ends it.
func (w *World) LagLog(h *Host, d time.Duration) {
	w.fault(h.Name, "its followers of the log lag by "+d.String())
	for _, name := range h.logClients() {
		w.Stream.Lag(name, d)
	}
}

// ResetLog breaks a host's connections to the log.
func (w *World) ResetLog(h *Host) {
	w.fault(h.Name, "its connections to the log are reset")
	for _, name := range h.logClients() {
		w.Stream.Reset(name)
	}
}

// Link gives or takes the carrier of a host's interface.
func (w *World) Link(h *Host, up bool) {
	if up {
		w.tell(h.Name, trace.Note{Kind: trace.Heal, Text: "its link is up"})
	} else {
		w.fault(h.Name, "its link is down")
	}
	h.port.SetCarrier(up)
}

// Settled says what is not at rest: Converged, all that the operator wishes is stored, and every agent that runs holds a
// lease.
func (w *World) Settled() string {
	if n := len(w.operator.facts); n > 0 {
		return fmt.Sprintf("the operator has %d facts to append", n)
	}
	for _, h := range w.Hosts {
		switch p := h.node; {
		case p == nil:
		case p.machine == nil:
			return h.Name + " follows no log"
		case p.machine.LeasedUntil() <= h.now():
			return h.Name + " holds no lease"
		}
	}
	return w.Audit.Converged()
}

// OverlapSoFar is Overlap with what goes on still.
func (a *Audit) OverlapSoFar() time.Duration {
	sum := a.Overlap
	for _, since := range a.overlaps {
		sum += a.world.Now() - since
	}
	return sum
}
