package sim

import (
	"fmt"
	"slices"

	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/trace"
)

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

// SetVoter says whether a host is to have a voter; controllers walk there, one change at a time. One that is no longer to be one
// goes on until it is removed. None is to go while another has lost its disk and is not replaced: a set with a dead voter is not settled before
// an operator declares it off.
func (w *World) SetVoter(h *Host, is bool) {
	switch {
	case !is && slices.ContainsFunc(w.Audit.members, func(m ledger.Voter) bool { return w.voterHost(m.ID) == nil }):
	case is && h.voter == nil && !h.hasVoter():
		w.fault(h.Name, "is to have a voter")
		if h.voterDisk.Voter == "" || w.Audit.counted[h.voterDisk.Voter] { // else the fact that adds it may be under way
			h.disks++
			h.voterDisk = lease.VoterDisk{Voter: fmt.Sprintf("voter-%s-%d", h.Name, h.disks)}
		}
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

func (w *World) voterHost(id string) *Host {
	for _, h := range w.Hosts {
		if h.voterDisk.Voter == id {
			return h
		}
	}
	return nil
}

// isMember tells whether the host's voter counts, by the facts stored so far.
func (h *Host) isMember() bool {
	return slices.ContainsFunc(h.world.Audit.members, func(m ledger.Voter) bool { return m.ID == h.voterDisk.Voter })
}

func (h *Host) asVoter() ledger.Voter {
	return ledger.Voter{ID: h.voterDisk.Voter, Address: h.Address, Key: h.public}
}
