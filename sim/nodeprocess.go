package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/node"
	"viplog/core/trace"
	"viplog/sim/segment"
)

type nodeDisk = node.Disk

// nodeProcess is a node's agent: the machine, its responder and its connections.
type nodeProcess struct {
	process
	machine   *node.Machine
	responder responder
	listens   bool // for the next frame of another host
	log       LogClient
	proposer  *proposer
}

// responder answers for addresses while an instant has not passed.
type responder struct {
	served map[netip.Addr]bool
	until  lease.Instant
}

func (h *Host) startNode() {
	w := h.world
	h.starts++
	h.isWrong = false
	p := &nodeProcess{process: process{host: h, name: h.Name}, responder: responder{served: map[netip.Addr]bool{}}}
	p.timer = wakeup{host: h, wake: func() { p.do(func() { p.step(node.Woken{}) }) }}
	h.node = p
	p.log = w.log.Connect("node/" + h.Name)
	p.proposer = newProposer(w, p.log, fmt.Sprintf("node/%s/%d", h.Name, h.starts))
	p.proposer.drop = false
	w.tell(h.Name, trace.Note{Kind: trace.Started})
	p.open()
}

// open reads the log's identity and starts the machine on it.
func (p *nodeProcess) open() {
	p.log.Head(func(head log.Head, err error) {
		if p.dead {
			return
		}
		if err != nil {
			p.open()
			return
		}
		h := p.host
		identity := node.Identity{
			Address: h.Address, Name: h.declared, MachineID: h.machineID, Rules: h.rules,
			Boot: h.boot(), Start: fmt.Sprintf("%s-%d", h.Name, h.starts),
		}
		p.machine = node.New(identity, h.world.options.Timing, head.ID, h.nodeDisk)
		p.machine.DigestsEvery(h.world.options.Digests)
		p.machine.Ledger().FoldAs(h.binary())
		p.proposer.folded = foldedOf(p.ledger)
		p.do(func() { p.step(node.Linked{Interfaces: h.interfaces()}) })
		if h.dataPlane != nil {
			h.tellDataPlane()
		}
		p.follower().follow(h.world.snapshotFor(head))
	})
}

// ledger is the machine's; nil while there is no machine.
func (p *nodeProcess) ledger() *ledger.State {
	if p.machine == nil {
		return nil
	}
	return p.machine.Ledger()
}

func (p *nodeProcess) follower() follower {
	return follower{
		process: &p.process, log: p.log, ledger: p.ledger,
		restored: func(s *ledger.State) { p.step(node.Restored{Ledger: s}) },
		fold:     func(e log.Entry) { p.step(node.Folded{Entries: []log.Entry{p.host.asRead(e)}}) },
		replaced: func() {
			p.step(node.LogReplaced{})
			p.machine = nil
			p.open()
		},
	}
}

func (h *Host) interfaces() []event.Interface {
	if h.recorded != nil {
		all := slices.Clone(h.recorded)
		all[0].Up = h.port.Up()
		return all
	}
	return []event.Interface{{
		Name: "eth0", MAC: h.port.MAC.String(), Up: h.port.Up(),
		Prefixes: h.prefixes,
	}}
}

func (p *nodeProcess) step(in node.Input) {
	if p.machine == nil {
		return
	}
	ready := p.machine.Step(p.host.now(), in)
	if ready.Persist != nil {
		p.store(func() { p.host.nodeDisk = *ready.Persist }, func() {})
	}
	p.perform(ready)
}

// perform does what the machine says, in the order that node.Ready documents.
func (p *nodeProcess) perform(ready node.Ready) {
	w := p.host.world
	for _, n := range ready.Notes {
		w.tell(p.host.Name, n)
	}
	p.respond(ready)
	p.send(ready)
	for _, f := range ready.Frames {
		p.frame(f)
	}
	p.listens = p.listens || ready.Listen
	if ready.Propose != nil {
		p.proposer.replace(ready.Propose)
	} else if len(p.proposer.facts) > 0 {
		p.proposer.next()
	}
	if ready.ReadHead {
		p.readHead()
	}
	p.timer.set(ready.Wake)
	if ready.Digest != nil {
		p.digest(ready.Digest)
	}
	switch {
	case ready.Left:
		p.host.stopNode()
	case ready.Refold:
		p.host.stopNode()
		p.host.startNode()
	}
}

// digestTakes is how long the digest of a small ledger takes in the background.
const digestTakes = time.Millisecond

func (p *nodeProcess) digest(s *ledger.State) {
	machine := p.machine
	p.host.world.After(digestTakes, func() {
		p.do(func() {
			if p.machine == machine {
				p.step(node.Digested{Digest: lease.DigestOf(s)})
			}
		})
	})
}

func (p *nodeProcess) readHead() {
	p.log.Head(func(head log.Head, err error) {
		if err != nil {
			p.readHead()
			return
		}
		p.do(func() { p.step(node.HeadRead{Last: head.Last}) })
	})
}

// respond changes what the responder answers for.
func (p *nodeProcess) respond(ready node.Ready) {
	for _, a := range ready.Stop {
		delete(p.responder.served, a)
	}
	for _, s := range ready.Start {
		p.responder.served[s.Address] = true
	}
	p.responder.until = ready.Until
	p.host.world.Audit.responded(p, ready)
}

func (p *nodeProcess) send(ready node.Ready) {
	n := &p.host.world.network
	for _, r := range ready.Renewals {
		if to := p.host.world.voterHost(r.Voter); to != nil {
			d := n.take()
			d.what, d.renew = renewal, r.Renew
			n.send(p.host, to, d)
		}
	}
	for _, r := range ready.Resigns {
		for _, to := range p.host.world.Hosts {
			if to.hasVoter() {
				d := n.take()
				d.what, d.resign = resignation, r
				n.send(p.host, to, d)
			}
		}
	}
}

func (p *nodeProcess) frame(f node.Frame) {
	mac, port := p.host.port.MAC, p.host.port
	if p.responder.until <= p.host.now() && f.Kind == node.Announce {
		return
	}
	p.host.world.Audit.framed(p, f)
	for _, frame := range framesOf(f, mac) {
		if p.host.stall == 0 {
			port.Send(frame)
			continue
		}
		p.host.world.After(p.host.stall, func() { port.Send(frame) })
	}
}

// framesOf are the frames on the wire: a gratuitous ARP is sent in both forms.
func framesOf(f node.Frame, mac segment.MAC) []segment.Frame {
	switch {
	case f.Kind == node.Probe && f.Address.Is4():
		return []segment.Frame{segment.Probe(f.Address, mac)}
	case f.Kind == node.Probe:
		return []segment.Frame{segment.DuplicateSolicitation(f.Address, mac)}
	case f.Address.Is4():
		return []segment.Frame{segment.GratuitousRequest(f.Address, mac), segment.GratuitousReply(f.Address, mac)}
	default:
		return []segment.Frame{segment.UnsolicitedAdvertisement(f.Address, mac)}
	}
}

// answers tells whether the responder would answer for an address now.
func (p *nodeProcess) answers(a netip.Addr) bool {
	return !p.dead && !p.host.frozen && p.responder.served[a] && p.responder.until > p.host.now()
}

// receive takes a frame from the segment: the kernel forwards packets for any address, whoever announces it; the agent
// answers for what it serves and hears who else uses it.
func (h *Host) receive(f segment.Frame) {
	if !h.up {
		return
	}
	if p := h.node; p != nil && p.listens && f.Source != h.port.MAC {
		p.listens = false
		p.hear(func() { p.step(node.Listened{}) })
	}
	if f.Kind == segment.Packet {
		if answer, ok := segment.AnswerFor(f, h.port.MAC); ok && h.forwards(f.Target) {
			h.port.Send(answer)
		}
		return
	}
	p := h.node
	if p == nil || p.dead || p.machine == nil {
		return
	}
	if (f.Kind == segment.Request || f.Kind == segment.Solicitation) && f.Sender != f.Target && p.answers(f.Target) {
		if answer, ok := segment.AnswerFor(f, h.port.MAC); ok {
			h.port.Send(answer)
		}
	}
	used := f.Sender
	if f.Kind == segment.Advertisement {
		used = f.Target
	}
	if f.Source != h.port.MAC && p.machine.Has(used) {
		heard := node.Heard{Address: used, Interface: "eth0", MAC: f.Source.String()}
		p.hear(func() { p.step(heard) })
	}
}

// forwards tells whether the host's kube-proxy knows an address: it has those of all Services, unless it is late.
func (h *Host) forwards(a netip.Addr) bool {
	if h.dataPlane != nil {
		return h.dataPlane.serves[a]
	}
	_, version := h.world.Audit.ledger.List(a)
	return version > 0
}

func (h *Host) carrier(bool) {
	if p := h.node; p != nil {
		p.do(func() { p.step(node.Linked{Interfaces: h.interfaces()}) })
	}
}

func (h *Host) stopNode() {
	if p := h.node; p != nil {
		p.kill()
		p.proposer.dead = true
		p.log.Close()
		h.node = nil
		h.world.tell(h.Name, trace.Note{Kind: trace.Down})
		h.world.Audit.stopped(p)
	}
}
