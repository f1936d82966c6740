package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"viplog/core/trace"
	"viplog/sim/segment"
)

// What a scenario needs to see of a world.

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

// Leased tells whether its node holds a lease now.
func (h *Host) Leased() bool {
	return h.node != nil && h.node.machine != nil && h.node.machine.LeasedUntil() > h.now()
}

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

// Voters are the hosts of the set in force by all facts stored so far, in order; a voter whose disk is lost goes by its ID.
func (w *World) Voters() (all []string) {
	members, _ := w.Ledger().Voters()
	for _, v := range members {
		if h := w.voterHost(v.ID); h != nil {
			all = append(all, h.Name)
		} else {
			all = append(all, v.ID)
		}
	}
	slices.Sort(all)
	return all
}

// Tell adds to the trace.
func (w *World) Tell(actor string, n trace.Note) { w.tell(actor, n) }

// Settled says what is not at rest: Converged, all that the operator wishes is stored, and every agent that runs holds a
// lease.
func (w *World) Settled() string {
	if n := len(w.operator.facts); n > 0 {
		return fmt.Sprintf("the operator has %d facts to append", n)
	}
	for _, h := range w.Hosts {
		switch p := h.node; {
		case p == nil || h.undeclared:
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
