package sim

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"viplog/core/control"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/trace"
)

// voterProcess is a voter and its connections.
type voterProcess struct {
	process
	machine *lease.VotingReplica
	log     LogClient
	doubted []lease.Incarnation
}

func (h *Host) startVoter() {
	p := &voterProcess{process: process{host: h, name: "voter/" + h.Name}}
	h.voter = p
	p.timer = wakeup{host: h, wake: func() {
		p.do(func() {
			if p.machine != nil {
				p.perform(p.machine.Wake(h.now()))
			}
		})
	}}
	p.log = h.world.log.Connect("voter/" + h.Name)
	p.open()
}

// open reads the log's identity and starts the machine on it. A voter that comes from another log forgets its votes, which
// count there only, and keeps out of everything for as long as its promises may last.
func (p *voterProcess) open() {
	h := p.host
	p.log.Head(func(head log.Head, err error) {
		switch {
		case p.dead:
			return
		case err != nil:
			p.open()
			return
		}
		fresh := h.isFresh(head.ID)
		if h.voterDisk.Log != head.ID {
			h.voterDisk = lease.VoterDisk{Voter: h.voterDisk.Voter, Log: head.ID}
		}
		h.voterStarts++
		sign := func(message []byte) []byte { return ed25519.Sign(h.key, message) }
		p.machine = lease.NewVotingReplica(h.voterDisk, h.world.options.Timing, sign, lease.VoterStart{
			Now: h.now(), Serial: uint64(h.voterStarts) << 32, Fresh: fresh,
		})
		p.machine.DigestsEvery(h.world.options.Digests)
		p.machine.Ledger.FoldAs(h.binary())
		p.do(func() { p.perform(p.machine.Wake(h.now())) })
		p.follower().follow(h.world.snapshotFor(head))
	})
}

// isFresh tells whether promises of another log may still run. A restart makes no difference to them, and of a boot before it is not known
// for how long they do.
func (h *Host) isFresh(log string) bool {
	came := h.voterDisk.Log != "" && h.voterDisk.Log != log
	if came || h.fresh.until > 0 && h.fresh.boot != h.boots {
		h.fresh = fresh{h.boots, h.now().Add(2 * h.world.options.Timing.Lease)}
	}
	return h.now() < h.fresh.until
}

func (p *voterProcess) ledger() *ledger.State {
	if p.machine == nil {
		return nil
	}
	return p.machine.Ledger
}

func (p *voterProcess) follower() follower {
	return follower{
		process: &p.process, log: p.log, ledger: p.ledger,
		restored: func(s *ledger.State) { p.perform(p.machine.Restored(p.host.now(), s)) },
		fold:     func(e log.Entry) { p.perform(p.machine.Folded(p.host.now(), []log.Entry{e})) },
		replaced: func() {
			p.machine = nil
			p.open()
		},
	}
}

func (p *voterProcess) perform(ready lease.VoterReady) {
	p.send(ready)
	if ready.Word != nil { // it sends words while it doubts
		p.doubt()
	}
	if ready.Digest != nil {
		p.digest(ready.Digest)
	}
	if disk := ready.Persist; disk != nil {
		p.store(func() { p.save(*disk) }, func() {
			if p.machine != nil {
				p.perform(p.machine.Persisted(p.host.now(), *disk))
			}
		})
	}
}

func (p *voterProcess) digest(s *ledger.State) {
	machine := p.machine
	p.host.world.After(digestTakes, func() {
		p.do(func() {
			if p.machine == machine {
				p.perform(machine.Digested(p.host.now(), lease.DigestOf(s)))
			}
		})
	})
}

// doubt says whose ledger is newly found to be another.
func (p *voterProcess) doubt() {
	doubted := p.machine.Doubted()
	for _, who := range doubted {
		if !contains(p.doubted, who) {
			p.host.world.tell("voter/"+p.host.Name, trace.Note{Kind: trace.Doubted, Address: who.Node, Sequence: who.Join})
		}
	}
	p.doubted = doubted
}

// save is what the disk does. A disk that was to be stored for a log that is no more is left.
func (p *voterProcess) save(disk lease.VoterDisk) {
	if disk.Log != p.host.voterDisk.Log {
		return
	}
	for _, who := range disk.Dead {
		if !contains(p.host.voterDisk.Dead, who) {
			p.host.world.tell("voter/"+p.host.Name, trace.Note{Kind: trace.Voted, Address: who.Node, Sequence: who.Join})
		}
	}
	p.host.voterDisk = disk
}

func (p *voterProcess) send(ready lease.VoterReady) {
	w, from := p.host.world, p.host
	w.Audit.voted(ready)
	for _, a := range ready.Answers {
		if to := w.network.at(a.To.Node); to != nil {
			d := w.network.take()
			d.what, d.answer = answer, a
			w.network.send(from, to, d)
		}
	}
	if ready.Word != nil {
		for _, to := range w.Hosts {
			if to.hasVoter() || to.role.controller {
				d := w.network.take()
				d.what, d.word = word, *ready.Word
				w.network.send(from, to, d)
			}
		}
	}
	p.timer.set(ready.Wake)
}

func (h *Host) stopVoter() {
	if p := h.voter; p != nil {
		p.kill()
		p.log.Close()
		h.voter = nil
	}
}

func (h *Host) hearRenewal(from *Host, m lease.Renew) {
	p := h.voter
	switch {
	case p == nil || p.machine == nil || from.Address != m.From.Node:
	case p.idle():
		p.perform(p.machine.Renewed(h.now(), m))
	default:
		p.hear(func() {
			if p.machine != nil {
				p.perform(p.machine.Renewed(h.now(), m))
			}
		})
	}
}

func (h *Host) hearResign(r lease.Resign) {
	if p := h.voter; p != nil && p.machine != nil {
		p.hear(func() {
			if p.machine != nil {
				p.perform(p.machine.Resigned(h.now(), r))
			}
		})
	}
}

func (h *Host) hearWord(w lease.Word) {
	if p := h.voter; p != nil && p.machine != nil && w.Voter != h.voterDisk.Voter {
		p.hear(func() {
			if p.machine != nil {
				p.perform(p.machine.Heard(h.now(), w))
			}
		})
	}
	if p := h.controller; p != nil && p.machine != nil {
		p.hear(func() {
			p.machine.Heard(w)
			p.act()
		})
	}
}

// controllerProcess is a controller and its connections.
type controllerProcess struct {
	process
	machine  *control.Controller
	log      LogClient
	proposer *proposer
}

func (h *Host) startController() {
	p := &controllerProcess{process: process{host: h, name: "control/" + h.Name}}
	h.controller = p
	h.starts++
	p.timer = wakeup{host: h, wake: func() { p.do(p.tick) }}
	p.log = h.world.log.Connect("control/" + h.Name)
	p.proposer = newProposer(h.world, p.log, fmt.Sprintf("control/%s/%d", h.Name, h.starts))
	p.proposer.drop = false
	p.open()
}

func (p *controllerProcess) open() {
	p.log.Head(func(head log.Head, err error) {
		switch {
		case p.dead:
			return
		case err != nil:
			p.open()
			return
		}
		p.machine = control.NewController(head.ID, head.Last)
		p.machine.Ledger.FoldAs(p.host.binary())
		p.proposer.folded = foldedOf(p.ledger)
		p.follower().follow(p.host.world.snapshotFor(head))
		p.do(p.tick)
	})
}

func (p *controllerProcess) ledger() *ledger.State {
	if p.machine == nil {
		return nil
	}
	return p.machine.Ledger
}

func (p *controllerProcess) follower() follower {
	return follower{
		process: &p.process, log: p.log, ledger: p.ledger,
		restored: func(s *ledger.State) { p.machine.Restored(s) },
		fold: func(e log.Entry) {
			p.machine.Folded([]log.Entry{e})
			p.act()
		},
		replaced: func() {
			p.machine = nil
			p.open()
		},
	}
}

// tick looks at what is due by time alone.
func (p *controllerProcess) tick() {
	p.act()
	p.timer.set(p.host.now().Add(time.Second))
}

func (p *controllerProcess) act() {
	if p.machine == nil {
		return
	}
	p.machine.Want(p.host.world.wanted(p.host))
	due := p.machine.Due(p.host.world.options.Epoch.Add(p.host.world.Now()).UnixNano())
	if len(due) > 0 || len(p.proposer.facts) > 0 {
		p.proposer.replace(due)
	}
}

func (h *Host) stopController() {
	if p := h.controller; p != nil {
		p.kill()
		p.proposer.dead = true
		p.log.Close()
		h.controller = nil
	}
}
