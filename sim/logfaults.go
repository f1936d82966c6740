package sim

import (
	"fmt"
	"time"

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

// logClients are the names of a host's connections to the log.
func (h *Host) logClients() (names []string) {
	if h.role.node {
		names = append(names, "node/"+h.Name)
	}
	if h.role.voter {
		names = append(names, "voter/"+h.Name)
	}
	if h.role.controller {
		names = append(names, "control/"+h.Name)
	}
	return names
}
