// Package agent runs the machines of one host in real time: that of a node (core/node), of a voter (core/lease) and of a
// controller (core/control). It gives them the time, the log, messages, frames and a disk, and does what they say, in the
// order that they document; it decides nothing itself. The simulator runs the same machines on the same terms.
//
// Each machine has a goroutine of its own, in which everything that concerns it happens, one thing after the other. Nothing
// there waits: the log, the disk and digests are asked in others. What a process is told while its log cannot be read yet is
// lost, as datagrams are.
package agent

import (
	"log/slog"
	"net/netip"

	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/trace"
)

// Host is what the processes of a host have in common.
type Host struct {
	Address netip.Addr // its declared one
	Log     log.Log
	Source  string               // who appends, like node/10.0.0.5
	Now     func() lease.Instant // CLOCK_BOOTTIME
	Logger  *slog.Logger
	Told    func(trace.Note) // what happened to the machine, in its goroutine; nil: nobody is told
	// Folded takes what the log says, from its head at the start on, whenever more was read. The ledger is to be read before it returns only; nil: nobody.
	Folded func(*ledger.State)
}

func (h *Host) folded(s *ledger.State) {
	if h.Folded != nil {
		h.Folded(s)
	}
}

func (h *Host) tell(n trace.Note) {
	if h.Told != nil {
		h.Told(n)
	}
}
