package sim

import (
	"fmt"
	"time"

	"viplog/core/trace"
)

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
