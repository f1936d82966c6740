package sim

import (
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/trace"
	"viplog/sim/segment"
)

// Host is one machine: a clock, a disk, an interface on the segment, and the processes that run on it.
type Host struct {
	Name    string
	Address netip.Addr

	world *World
	clock clock
	up    bool
	boots int

	port       *segment.Port // nil for a host that is not on the segment
	node       *nodeProcess  // nil: does not run
	voter      *voterProcess
	controller *controllerProcess
	role       roles
	prefixes   []netip.Prefix
	key        ed25519.PrivateKey
	public     ed25519.PublicKey // of key

	nodeDisk    nodeDisk
	voterDisk   lease.VoterDisk
	fresh       fresh
	disks       int // that its voter has lost
	starts      int // of node processes, to tell them apart
	voterStarts int
	frozen      bool              // its processes stand still
	declared    string            // the name that it joins by
	machineID   string            // of its operating system
	recorded    []event.Interface // its interfaces as a recorded log has them; nil: one
	resumes     bool              // its agent goes on as the incarnation that a past has
	stuck       bool              // it met rules that its programs do not know, and has said so
	stall       time.Duration     // what its agent sends leaves it that much later
	diskDelay   time.Duration     // more that a sync takes
	corrupt     bool              // the next fact that its agent folds is read wrong
	isWrong     bool              // its agent has read one wrong
	undeclared  bool              // by the cluster file
	dataPlane   *dataPlane        // nil: it serves every address at once
	clone       bool              // of a host with the same address and disk
	rules       uint64            // the highest number of rules that its programs know
}

type roles struct{ node, voter, controller bool }

// fresh says until when promises of another log may run, by the clock of a boot.
type fresh struct {
	boot  int
	until lease.Instant
}

// clock is a host's CLOCK_BOOTTIME: off by a constant, and fast or slow by at most one part in a hundred.
type clock struct {
	offset time.Duration
	rate   int64 // parts in ten thousand
}

const clockParts = 10_000

func (c clock) at(now time.Duration) lease.Instant {
	return lease.Instant(int64(c.offset) + int64(now)/clockParts*c.rate + int64(now)%clockParts*c.rate/clockParts)
}

// booted is the clock of a host that boots now: CLOCK_BOOTTIME counts from there.
func (c clock) booted(now time.Duration) clock {
	c.offset = time.Second - time.Duration(clock{rate: c.rate}.at(now))
	return c
}

// when is the first time at which the clock shows an instant, or a little later.
func (c clock) when(i lease.Instant) time.Duration {
	local := int64(i) - int64(c.offset)
	return time.Duration(local/c.rate*clockParts + (local%c.rate+1)*clockParts/c.rate + 1)
}

func (h *Host) now() lease.Instant { return h.clock.at(h.world.Now()) }

// boot names the host's running kernel.
func (h *Host) boot() string { return fmt.Sprint(h.machineID, "-boot-", h.boots) }

// binary is what the host's programs can do.
func (h *Host) binary() ledger.Binary {
	return ledger.Binary{Rules: h.rules, Verify: h.world.signatures.verify}
}

// reads tells whether the host's programs may fold a fact after what they have folded. If not they fold no further, hold what
// they have, and say so.
func (h *Host) reads(s *ledger.State, e log.Entry) bool {
	if s.Sequence()+1 != e.Sequence {
		return false // it is stuck at an earlier one
	}
	err := s.Readable(e)
	if err != nil && !h.stuck {
		h.stuck = true
		h.world.tell(h.Name, trace.Note{Kind: trace.Refused, Sequence: e.Sequence, Text: err.Error()})
	}
	return err == nil
}

// asRead is a fact as the host's agent reads it.
func (h *Host) asRead(e log.Entry) log.Entry {
	if h.corrupt {
		h.corrupt, h.isWrong = false, true
		h.world.fault(h.Name, fmt.Sprintf("reads fact %d wrong", e.Sequence))
		e.Data = []byte("{}")
	}
	return e
}

// wakeup is a process's timer: set again and again, mostly to later, it has one event in the kernel at a time.
type wakeup struct {
	host   *Host
	due    lease.Instant
	queued time.Duration // the event that is in the kernel, 0 for none
	wake   func()
	off    bool
}

func (w *wakeup) set(at lease.Instant) {
	w.due = at
	if at == lease.Never {
		return
	}
	if when := max(w.host.clock.when(at), w.host.world.Now()); w.queued == 0 || when < w.queued {
		w.queued = when
		w.host.world.At(when, w)
	}
}

// again queues the wakeup anew, by a clock that has changed.
func (w *wakeup) again() {
	w.queued = 0
	w.set(w.due)
}

// Happen implements kernel.Event.
func (w *wakeup) Happen() {
	if w.off || w.queued != w.host.world.Now() {
		return // another one was queued before it
	}
	w.queued = 0
	if w.due == lease.Never {
		return
	}
	if w.due > w.host.now() {
		w.set(w.due)
		return
	}
	w.wake()
}

// process is what the processes of a host have in common: it does one thing after the other.
type process struct {
	host  *Host
	name  string
	dead  bool
	inbox []func()

	saving func() // what its disk does
	next   func() // what it is to do after that
	timer  wakeup
}

// maxInbox bounds the datagrams and frames that wait for a process that is paused: a socket's buffer.
const maxInbox = 4096

// do does something now, or when the process is no longer paused.
func (p *process) do(what func()) {
	switch {
	case p.dead:
	case p.host.frozen:
		p.inbox = append(p.inbox, what)
	default:
		what()
	}
}

// hear is do for what is lost when too much waits already.
func (p *process) hear(what func()) {
	if len(p.inbox) < maxInbox {
		p.do(what)
	}
}

// idle tells whether the process does at once what it is to do.
func (p *process) idle() bool { return !p.dead && !p.host.frozen }

// resume does what has waited.
func (p *process) resume() {
	for len(p.inbox) > 0 && p.idle() {
		next := p.inbox[0]
		p.inbox = p.inbox[1:]
		next()
	}
}

// store makes something durable while the process goes on, and then what it was told to store meanwhile, the newest only. If the process
// dies before, it may be durable or not.
func (p *process) store(save, done func()) {
	if p.saving != nil {
		p.next = func() { p.store(save, done) }
		return
	}
	p.saving = save
	w := p.host.world
	w.After(w.between("disk/"+p.name, w.options.Disk)+p.host.diskDelay, func() {
		if p.dead {
			return
		}
		save()
		p.saving = nil
		if next := p.next; next != nil {
			p.next = nil
			next()
		}
		p.do(done)
	})
}

func (p *process) kill() {
	if p.saving != nil && p.host.world.Pick("disk/"+p.name, 2) == 1 {
		p.saving()
	}
	p.dead, p.timer.off, p.inbox = true, true, nil
}
