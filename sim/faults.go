package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
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

// Leave asks the node's agent to hand over and end.
func (w *World) Leave(h *Host) {
	if p := h.node; p != nil {
		w.tell(h.Name, trace.Note{Kind: trace.Fault, Text: "is asked to leave"})
		p.do(func() { p.step(node.Leaving{}) })
	}
}

// Declare writes a node into the cluster file, or out of it: the operator applies the file. One that is out joins no more, and returns when it is in.
func (w *World) Declare(h *Host, is bool) {
	what := "the cluster file declares it no longer"
	if is {
		what = "the cluster file declares it again"
	}
	w.tell(h.Name, trace.Note{Kind: trace.Fault, Text: what})
	h.undeclared = !is
	cluster, _ := w.Ledger().Cluster()
	cluster.Nodes = slices.DeleteFunc(slices.Clone(cluster.Nodes), func(n event.DeclaredNode) bool {
		known := w.hostOf(n.Address)
		return known != nil && known.role.node
	})
	for _, h := range w.Hosts {
		if h.role.node && !h.clone && !h.undeclared {
			cluster.Nodes = append(cluster.Nodes, event.DeclaredNode{Address: h.Address, Role: event.RoleLoadBalancer})
		}
	}
	w.Append(cluster)
}

// IsDeclared tells whether the cluster file has the node, as the operator last wrote it.
func (h *Host) IsDeclared() bool { return !h.undeclared }

// SlowDisk lets each sync of a host take that much longer; 0 ends it.
func (w *World) SlowDisk(h *Host, d time.Duration) {
	w.fault(h.Name, "its disk needs "+d.String()+" more for a sync")
	h.diskDelay = d
}

// CorruptLedger lets a host's agent read the next fact wrong, as when a bit of its memory flips: what it announces by a wrong ledger is beyond
// what is promised, until it is found out.
func (w *World) CorruptLedger(h *Host) {
	h.corrupt = true
	w.Broken = append(w.Broken, h.Name+" has read a fact wrong")
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

func (w *World) fault(actor, what string) { w.tell(actor, trace.Note{Kind: trace.Fault, Text: what}) }

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
