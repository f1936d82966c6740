package sim

import (
	"net/netip"
	"time"

	"viplog/core/lease"
	"viplog/core/node"
	"viplog/core/trace"
)

// dataPlane is what a host's kernel forwards by, as far as the world follows it. A host without one forwards for every address at once.
type dataPlane struct {
	late    time.Duration // from a fact to when its address is forwarded for
	state   node.DataPlaneState
	through uint64              // the facts that it has seen
	serves  map[netip.Addr]bool // what the kernel forwards for, also when the data plane is dead
}

// LateDataPlane lets a node's data plane serve each address that long after the fact that gave it.
func (w *World) LateDataPlane(h *Host, late time.Duration) {
	w.fault(h.Name, "its data plane serves an address "+late.String()+" after its fact")
	w.setDataPlane(h, node.DataPlaneUp, late)
}

// StartDataPlane lets it stand as after a boot: it has served nothing yet.
func (w *World) StartDataPlane(h *Host) {
	w.fault(h.Name, "its data plane starts")
	w.setDataPlane(h, node.DataPlaneStarting, 0)
	h.dataPlane.serves = nil
}

// LoseDataPlane lets it be dead for long. The kernel forwards for what it forwarded for.
func (w *World) LoseDataPlane(h *Host) {
	w.fault(h.Name, "its data plane is dead")
	w.setDataPlane(h, node.DataPlaneDead, 0)
}

// HealDataPlane lets it serve every address at once.
func (w *World) HealDataPlane(h *Host) {
	w.tell(h.Name, trace.Note{Kind: trace.Heal, Text: "its data plane serves every address"})
	h.dataPlane = nil
	h.tellDataPlane()
}

func (w *World) setDataPlane(h *Host, state node.DataPlaneState, late time.Duration) {
	if h.dataPlane == nil {
		h.dataPlane = &dataPlane{}
		h.dataPlane.see(w, w.Ledger().Sequence())
	}
	h.dataPlane.state, h.dataPlane.late = state, late
	h.tellDataPlane()
}

// see lets a data plane serve what facts up to a sequence have given, and no longer what nobody uses.
func (d *dataPlane) see(w *World, through uint64) {
	d.through, d.serves = max(d.through, through), map[netip.Addr]bool{}
	w.Ledger().EachList(func(a netip.Addr, _ []lease.Incarnation) {
		if _, version := w.Ledger().List(a); version <= d.through {
			d.serves[a] = true
		}
	})
}

// showDataPlanes lets late data planes follow a fact.
func (w *World) showDataPlanes(sequence uint64) {
	for _, h := range w.Hosts {
		if d := h.dataPlane; d != nil {
			w.After(d.late, func() {
				if h.dataPlane == d && d.state == node.DataPlaneUp {
					d.see(w, sequence)
					h.tellDataPlane()
				}
			})
		}
	}
}

// tellDataPlane tells the node's agent, if it runs.
func (h *Host) tellDataPlane() {
	if p := h.node; p != nil {
		in := node.ServesThrough(node.ServesAll)
		if d := h.dataPlane; d != nil {
			in = node.ServesThrough(d.through)
			in.State = d.state
		}
		p.do(func() { p.step(in) })
	}
}
