package sim

import (
	"fmt"
	"time"

	"viplog/core/trace"
	"viplog/sim/segment"
)

// Cut loses what a host sends to another, one way.
func (w *World) Cut(from, to *Host) {
	w.tell(from.Name, trace.Note{Kind: trace.Fault, Text: "is not heard by " + to.Name})
	w.network.cut(from, to)
}

// Mend ends a Cut.
func (w *World) Mend(from, to *Host) {
	w.tell(from.Name, trace.Note{Kind: trace.Heal, Text: "is heard by " + to.Name})
	w.network.mend(from, to)
}

// Isolate cuts a host from all others and from the log; its interface stays on the segment.
func (w *World) Isolate(h *Host) {
	for _, other := range w.Hosts {
		if other != h {
			w.network.cut(h, other)
			w.network.cut(other, h)
		}
	}
	w.tell(h.Name, trace.Note{Kind: trace.Fault, Text: "is cut off from voters and log"})
	w.CutLog(h)
}

// Rejoin ends Isolate.
func (w *World) Rejoin(h *Host) {
	w.tell(h.Name, trace.Note{Kind: trace.Heal, Text: "reaches voters and log"})
	for _, other := range w.Hosts {
		w.network.mend(h, other)
		w.network.mend(other, h)
	}
	w.MendLog(h)
}

// LoseDatagrams loses one of so many datagrams between hosts; 0 ends it.
func (w *World) LoseDatagrams(oneIn int) {
	w.fault("network", fmt.Sprintf("loses one datagram in %d", oneIn))
	w.network.LoseOneIn = oneIn
}

// DoubleDatagrams lets one of so many datagrams arrive twice; 0 ends it.
func (w *World) DoubleDatagrams(oneIn int) {
	w.fault("network", fmt.Sprintf("doubles one datagram in %d", oneIn))
	w.network.TwiceIn = oneIn
}

// Slow lets what a host sends to another take that much longer; 0 ends it.
func (w *World) Slow(from, to *Host, d time.Duration) {
	w.fault(from.Name, fmt.Sprintf("is heard by %s %v later", to.Name, d))
	w.network.slow(from, to, d)
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

// CutFrames loses frames between a host and the segment, without a sign of it at the host; 0 ends it.
func (w *World) CutFrames(h *Host, d segment.Direction) {
	which := map[segment.Direction]string{0: "no frames", segment.Sent: "the frames that it sends", segment.Received: "the frames to it", segment.Both: "all frames"}[d]
	w.fault(h.Name, "its link loses "+which)
	h.port.Cut(d)
}

// StallFrames lets the frames that a host's agent sends leave it that much later: the one that was under way when its process was
// kept from running. 0 ends it.
func (w *World) StallFrames(h *Host, d time.Duration) {
	w.fault(h.Name, fmt.Sprintf("what its agent sends leaves it %v later", d))
	h.stall = d
}

// Heal ends every cut, loss and hindrance of network, segment and log. Hosts and processes stay as they are.
func (w *World) Heal() {
	w.tell("world", trace.Note{Kind: trace.Heal, Text: "all links"})
	w.network.cuts, w.network.slowed = nil, nil
	w.network.LoseOneIn, w.network.TwiceIn = 0, 0
	w.Segment.Heal()
	for _, h := range w.Hosts {
		if h.port != nil {
			h.port.Cut(0)
			h.port.LoseOneIn(0)
			h.stall = 0
			if h.up {
				h.port.SetCarrier(true)
			}
		}
	}
	for _, h := range w.Hosts {
		h.diskDelay = 0
	}
	w.Stream.Calm()
}

// Repair heals all there is to heal: links, power, processes. What frozen processes and voters' disks went through stays.
func (w *World) Repair() {
	w.Heal()
	for _, h := range w.Hosts {
		if h.clone {
			w.PowerOff(h)
			continue
		}
		if h.undeclared {
			w.Declare(h, true)
		}
		w.PowerOn(h)
		w.StartAgent(h)
		w.StartVoter(h)
		if h.role.controller && h.controller == nil {
			h.startController()
		}
	}
}
