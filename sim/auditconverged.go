package sim

import (
	"fmt"
	"net/netip"

	"viplog/core/lease"
	"viplog/core/ledger"
)

// Converged says what is not as it should be when all is healed: every replica at the log's head with one digest, every
// address with a list announced by its owner and nobody else, nothing waited for, and no change of voters under way.
func (a *Audit) Converged() string {
	head := a.ledger.Sequence()
	digest := a.ledger.Digest()
	if _, version := a.ledger.FormerVoters(); version > 0 {
		return "a change of voters is not settled"
	}
	for _, h := range a.world.Hosts {
		for _, r := range h.replicas() {
			switch {
			case r.ledger == nil:
				return r.name + " follows no log"
			case r.ledger.Sequence() != head:
				return fmt.Sprintf("%s has folded %d of %d facts", r.name, r.ledger.Sequence(), head)
			case r.ledger.Digest() != digest:
				if r.name == "node/"+h.Name && h.isWrong {
					return r.name + " has read a fact wrong"
				}
				a.violate("replay", "%s at %d has another ledger than the log", r.name, head)
				return r.name + " has another ledger"
			}
		}
		if p := h.node; p != nil && p.machine != nil {
			if n := p.machine.Waits(); n > 0 {
				return fmt.Sprintf("%s waits for %d", h.Name, n)
			}
		}
	}
	problem := ""
	a.ledger.EachList(func(addr netip.Addr, list []lease.Incarnation) {
		switch {
		case problem != "" || len(list) == 0:
		case len(a.announcers[addr]) != 1:
			problem = fmt.Sprintf("%s is announced by %d nodes", addr, len(a.announcers[addr]))
		default:
			p := a.announcers[addr][0]
			if who, _ := p.machine.Incarnation(); who != list[0] || !p.answers(addr) || p.machine.LeasedUntil() <= p.host.now() {
				problem = fmt.Sprintf("%s is announced by incarnation %d of %s, not by %d", addr, who.Join, p.host.Name, list[0].Join)
			}
		}
	})
	return problem
}

// CheckReplay restores the reference from its snapshot and compares.
func (a *Audit) CheckReplay() {
	restored, err := ledger.Restore(a.ledger.Snapshot())
	if err != nil || restored.Digest() != a.ledger.Digest() {
		a.violate("replay", "the ledger restored from its snapshot at %d is another: %v", a.ledger.Sequence(), err)
	}
}

// replica is a process's ledger; nil while it follows no log.
type replica struct {
	name   string
	ledger *ledger.State
}

// replicas are those on a host.
func (h *Host) replicas() (all []replica) {
	if p := h.node; p != nil {
		r := replica{name: "node/" + h.Name}
		if p.machine != nil {
			r.ledger = p.machine.Ledger()
		}
		all = append(all, r)
	}
	if p := h.voter; p != nil {
		r := replica{name: "voter/" + h.Name}
		if p.machine != nil {
			r.ledger = p.machine.Ledger
		}
		all = append(all, r)
	}
	if p := h.controller; p != nil {
		r := replica{name: "control/" + h.Name}
		if p.machine != nil {
			r.ledger = p.machine.Ledger
		}
		all = append(all, r)
	}
	return all
}
