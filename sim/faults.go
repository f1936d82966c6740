package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/node"
	"viplog/core/trace"
)

// powerOn boots a host and starts its processes.
func (w *World) powerOn(h *Host) {
	h.up = true
	h.boots++
	if h.boots > 1 {
		h.clock = h.clock.booted(w.Now())
	}
	h.frozen = false
	if h.resumes {
		h.nodeDisk.Boot, h.resumes = h.boot(), false
	}
	if h.hasVoter() {
		h.startVoter()
	}
	if h.role.controller {
		h.startController()
	}
	if h.role.node {
		h.port.SetCarrier(true)
		h.startNode()
	}
}

// PowerOff takes a host's power: nothing of it goes on, and its disk is what it was.
func (w *World) PowerOff(h *Host) {
	w.tell(h.Name, trace.Note{Kind: trace.Fault, Text: "loses power"})
	h.stopNode()
	h.stopVoter()
	h.stopController()
	h.up = false
	if h.port != nil {
		h.port.SetCarrier(false)
	}
}

// PowerOn gives it back.
func (w *World) PowerOn(h *Host) {
	if !h.up {
		w.tell(h.Name, trace.Note{Kind: trace.Heal, Text: "has power"})
		w.powerOn(h)
	}
}

// CrashAgent ends the node's process, not its host: what the kernel does goes on.
func (w *World) CrashAgent(h *Host) {
	if h.node != nil {
		w.tell(h.Name, trace.Note{Kind: trace.Fault, Text: "its agent crashes"})
		h.stopNode()
	}
}

// StartAgent starts it again.
func (w *World) StartAgent(h *Host) {
	if h.up && h.role.node && h.node == nil {
		h.startNode()
	}
}

// CrashVoter ends the voter's process.
func (w *World) CrashVoter(h *Host) {
	if h.voter != nil {
		w.tell(h.Name, trace.Note{Kind: trace.Fault, Text: "its voter crashes"})
		h.stopVoter()
	}
}

// StartVoter starts it again.
func (w *World) StartVoter(h *Host) {
	if h.up && h.hasVoter() && h.voter == nil {
		h.startVoter()
	}
}

// Leave asks the node's agent to hand over and end.
func (w *World) Leave(h *Host) {
	if p := h.node; p != nil {
		w.tell(h.Name, trace.Note{Kind: trace.Fault, Text: "is asked to leave"})
		p.do(func() { p.step(node.Leaving{}) })
	}
}

// Freeze stops a host's processes for a while; its kernel goes on, and so do clocks.
func (w *World) Freeze(h *Host, d time.Duration) {
	w.tell(h.Name, trace.Note{Kind: trace.Fault, Text: "its processes stand still for " + d.String()})
	h.frozen = true
	w.After(d, func() {
		h.frozen = false
		w.thaw(h)
	})
}

func (w *World) thaw(h *Host) {
	if p := h.node; p != nil {
		w.Audit.look(p)
		p.resume()
	}
	if p := h.voter; p != nil {
		p.resume()
	}
	if p := h.controller; p != nil {
		p.resume()
	}
}

// Suspend stops a host as Freeze does, and its clocks with it, as some hypervisors do: that is beyond what is promised, because
// a lease is a time.
func (w *World) Suspend(h *Host, d time.Duration) {
	w.fault(h.Name, "is suspended for "+d.String()+", and its clock stands still")
	w.Broken = append(w.Broken, "the clock of "+h.Name+" stood still while it was suspended")
	h.frozen = true
	before := h.now()
	w.After(d, func() {
		h.clock.offset -= h.now().Since(before)
		h.frozen = false
		w.thaw(h)
	})
}

// SetRate lets a host's clocks run fast or slow from now on, by parts in ten thousand.
func (w *World) SetRate(h *Host, parts int64) {
	w.fault(h.Name, fmt.Sprintf("its clocks run at %+d in 10,000", parts))
	now := h.now()
	h.clock = clock{rate: clockParts + parts}
	h.clock.offset = now.Since(h.now())
	for _, p := range h.timers() {
		p.again()
	}
}

// timers are those of the host's processes.
func (h *Host) timers() (all []*wakeup) {
	if h.node != nil {
		all = append(all, &h.node.timer)
	}
	if h.voter != nil {
		all = append(all, &h.voter.timer)
	}
	if h.controller != nil {
		all = append(all, &h.controller.timer)
	}
	return all
}

// SlowDisk lets each sync of a host take that much longer; 0 ends it.
func (w *World) SlowDisk(h *Host, d time.Duration) {
	w.fault(h.Name, "its disk needs "+d.String()+" more for a sync")
	h.diskDelay = d
}

// Clone starts a copy of a host, as when a virtual machine is restored from a copy while it runs: the same address, identity and
// disk, another kernel and another MAC.
func (w *World) Clone(h *Host) *Host {
	c := w.AddHost(HostSpec{Name: h.Name + "-clone", Address: h.Address, Node: true, Prefixes: h.prefixes, Key: h.key})
	w.fault(c.Name, "starts with the address and disk of "+h.Name)
	c.clone, c.declared, c.machineID, c.boots, c.nodeDisk = true, h.declared, h.machineID, h.boots, h.nodeDisk
	w.powerOn(c)
	return c
}

// Upgrade gives a host programs that know rules up to a number, and starts its processes anew, one after the other.
func (w *World) Upgrade(h *Host, rules uint64) {
	w.tell(h.Name, trace.Note{Kind: trace.Fault, Text: fmt.Sprintf("gets programs that know rules up to %d", rules)})
	h.rules, h.stuck = rules, false
	if h.node != nil {
		h.stopNode()
		h.startNode()
	}
	if h.voter != nil {
		h.stopVoter()
		h.startVoter()
	}
	if h.controller != nil {
		h.stopController()
		h.startController()
	}
}

// SetVoter says whether a host is to have a voter; controllers walk there, one change at a time. One that is no longer to be one
// goes on until it is removed.
func (w *World) SetVoter(h *Host, is bool) {
	switch {
	case is && h.voter == nil && !h.hasVoter():
		w.fault(h.Name, "is to have a voter")
		h.disks++
		h.voterDisk = lease.VoterDisk{Voter: fmt.Sprintf("voter-%s-%d", h.Name, h.disks)}
		h.role.voter = true
		if h.up {
			h.startVoter()
		}
	case is:
		w.fault(h.Name, "is to have a voter")
		h.role.voter = true
	default:
		w.fault(h.Name, "is to have no voter")
		h.role.voter = false
	}
}

// ReplaceVoter takes the disk of a host's voter: it is another voter then, which takes the place of the one before. It does nothing while an
// earlier change is under way: voters that lose their disks faster than they are replaced are beyond what is promised.
func (w *World) ReplaceVoter(h *Host) {
	members := w.Audit.members
	if _, before := w.Ledger().FormerVoters(); before != 0 || len(members) != len(w.voters()) || len(members) < 3 {
		return
	}
	for _, v := range w.voters() {
		if !slices.ContainsFunc(members, func(m ledger.Voter) bool { return m.ID == v.ID }) {
			return
		}
	}
	w.fault(h.Name, "its voter loses its disk")
	h.stopVoter()
	h.disks++
	h.voterDisk = lease.VoterDisk{Voter: fmt.Sprintf("voter-%s-%d", h.Name, h.disks)}
	if h.up {
		h.startVoter()
	}
}

// hasVoter tells whether a voter is to run on the host: one that is to be none any more goes on until it is removed, because until
// then its word counts.
func (h *Host) hasVoter() bool {
	return h.role.voter || h.voterDisk.Voter != "" && h.isMember()
}

// wanted are the voters that a controller walks to: those that there are to be, and of those that are none yet only who is there and
// heard. One that was added while it is away would be counted and never answer.
func (w *World) wanted(controller *Host) []ledger.Voter {
	all := make([]ledger.Voter, 0, len(w.Hosts))
	for _, h := range w.Hosts {
		if h.role.voter && (h.isMember() || h.voter != nil && h.up && !h.frozen && !slices.Contains(w.network.cuts, cut{h, controller})) {
			all = append(all, h.asVoter())
		}
	}
	return all
}

// voters are those that there are to be.
func (w *World) voters() (all []ledger.Voter) {
	for _, h := range w.Hosts {
		if h.role.voter {
			all = append(all, h.asVoter())
		}
	}
	return all
}

// isMember tells whether the host's voter counts, by the facts stored so far.
func (h *Host) isMember() bool {
	return slices.ContainsFunc(h.world.Audit.members, func(m ledger.Voter) bool { return m.ID == h.voterDisk.Voter })
}

func (h *Host) asVoter() ledger.Voter {
	return ledger.Voter{ID: h.voterDisk.Voter, Address: h.Address, Key: h.public}
}

func (w *World) fault(actor, what string) { w.tell(actor, trace.Note{Kind: trace.Fault, Text: what}) }

func (w *World) voterHost(id string) *Host {
	for _, h := range w.Hosts {
		if h.voterDisk.Voter == id {
			return h
		}
	}
	return nil
}

func (w *World) hostOf(a netip.Addr) *Host {
	for _, h := range w.Hosts {
		if h.Address == a {
			return h
		}
	}
	return nil
}

func (h *Host) hearAnswer(a lease.Answer) {
	p := h.node
	switch {
	case p == nil || p.machine == nil:
	case p.idle():
		p.step(node.Answered{Answer: a})
	default:
		p.hear(func() { p.step(node.Answered{Answer: a}) })
	}
}

func contains(all []lease.Incarnation, who lease.Incarnation) bool { return slices.Contains(all, who) }
