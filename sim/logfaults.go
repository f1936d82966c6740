package sim

import (
	"fmt"
	"net/netip"
	"time"

	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/sim/stream"
)

// CutLog cuts a host's processes from the log.
func (w *World) CutLog(h *Host) {
	w.fault(h.Name, "does not reach the log")
	for _, name := range h.logClients() {
		w.Stream.Cut(name)
	}
}

// MendLog ends CutLog.
func (w *World) MendLog(h *Host) {
	for _, name := range h.logClients() {
		w.Stream.Heal(name)
	}
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

// BadLog lets one in so many of everything go wrong between clients and the log; 0 ends it.
func (w *World) BadLog(oneIn int) {
	w.fault("log", fmt.Sprintf("of all that goes to it and comes from it one in %d goes wrong", oneIn))
	w.Stream.Chances = stream.Chances{OneInLosesRequest: oneIn, OneInLosesAck: oneIn, OneInLosesPush: oneIn, OneInDuplicates: oneIn, OneInStale: oneIn}
}

// HoldAppends keeps facts of a kind, named as its event without the version, from being stored for a while.
func (w *World) HoldAppends(kind string, d time.Duration) {
	w.fault("log", fmt.Sprintf("stores no %s for %v", kind, d))
	w.Stream.HoldAppends("viplog."+kind+".", d)
}

// PurgeLog makes a snapshot at the head and drops all facts up to it: whoever has not folded them goes on from the snapshot.
func (w *World) PurgeLog() {
	w.snapshot = w.Ledger().Clone()
	w.fault("log", fmt.Sprintf("is purged up to %d", w.snapshot.Sequence()))
	w.Stream.Purge(w.snapshot.Sequence())
}

// snapshotFor is what a replica of a log begins with; nil: with the log's first fact.
func (w *World) snapshotFor(head log.Head) *ledger.State {
	if w.snapshot == nil || w.snapshot.LogID() != head.ID {
		return nil
	}
	return w.snapshot.Clone()
}

// ReplaceLog puts an empty log in the place of the one that is lost. The operator declares the cluster again, and the sources show
// their Services again, with the addresses that are in their statuses.
func (w *World) ReplaceLog() {
	w.fault("log", "is lost, and another one begins")
	services := restatement(w.Ledger())
	w.Stream.Replace()
	w.operator.replace(nil)
	w.declare()
	w.Append(services...)
}

// restatement is what sources show of the Services of a ledger.
func restatement(s *ledger.State) (facts []event.Event) {
	for _, v := range s.ServiceViews() {
		spec, _ := s.ServiceSpec(ledger.ServiceKey{Namespace: v.Namespace, Name: v.Name})
		spec.StatusAddresses = nil
		for _, a := range v.Addresses {
			spec.StatusAddresses = append(spec.StatusAddresses, netip.MustParseAddr(a))
		}
		facts = append(facts, spec)
	}
	return facts
}

// AppendUnknown stores a fact of a kind that no program of today knows.
func (w *World) AppendUnknown() {
	w.fault("log", "gets a fact of an unknown kind")
	w.log.Connect("stranger").Append(log.Fact{
		Record: event.Record{Type: "viplog.MoonRisen.v1", Entity: "moon.luna", Data: []byte(`{"full":true}`)}, ID: fmt.Sprint("stranger-", w.Now()), Source: "stranger",
	}, 0, appendPatience, func(uint64, error) {})
}

// logClients are the names of a host's connections to the log.
func (h *Host) logClients() (names []string) {
	if h.role.node {
		names = append(names, "node/"+h.Name)
	}
	if h.voterDisk.Voter != "" {
		names = append(names, "voter/"+h.Name)
	}
	if h.role.controller {
		names = append(names, "control/"+h.Name)
	}
	return names
}
