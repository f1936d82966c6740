package sim

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/node"
	"viplog/core/trace"
)

// Audit watches a world: what responders would answer and what is on the wire, not what machines mean to do.
type Audit struct {
	Violations []Violation
	Moves      int           // of addresses from one owner to another
	Overlap    time.Duration // for which an address had two announcers of which one held no lease, of all addresses

	world      *World
	ledger     *ledger.State // the fold of what the log holds
	announcers map[netip.Addr][]*nodeProcess
	standing   map[*nodeProcess]standing
	overlaps   map[netip.Addr]time.Duration // since when
	votes      map[ballot][]string
	proven     map[lease.Incarnation]bool
	members    []ledger.Voter  // by the facts stored so far
	counted    map[string]bool // voters that ever were members
	sets       map[uint64]int  // sizes of voter sets, by their versions
	views      map[view]*seen
	order      []view
}

// Violation is something that must never be.
type Violation struct {
	At      time.Duration
	Auditor string
	Text    string
}

func (v Violation) String() string {
	return fmt.Sprintf("%.6f %s: %s", v.At.Seconds(), v.Auditor, v.Text)
}

// standing is how a node stood at its last step.
type standing struct {
	leased bool
	until  lease.Instant
}

func newAudit(w *World) *Audit {
	a := &Audit{
		world: w, announcers: map[netip.Addr][]*nodeProcess{}, standing: map[*nodeProcess]standing{},
		overlaps: map[netip.Addr]time.Duration{}, votes: map[ballot][]string{}, proven: map[lease.Incarnation]bool{},
		sets: map[uint64]int{}, counted: map[string]bool{}, views: map[view]*seen{}, ledger: ledger.New("none yet"),
	}
	a.open()
	return a
}

// begin takes the ledger of a log that the world goes on from.
func (a *Audit) begin(s *ledger.State) {
	a.read(s)
	voters, version := s.FormerVoters()
	a.sets[version] = len(voters)
}

// read is the ledger that facts are folded into from now on.
func (a *Audit) read(s *ledger.State) {
	s.FoldAs(ledger.Binary{Rules: ledger.RulesKnown, Verify: a.world.signatures.verify})
	a.ledger = s
	a.countMembers()
}

// open follows the log, whichever it is. What the simulated one stores is seen at once.
func (a *Audit) open() {
	if s := a.world.Stream; s != nil {
		s.Watch(func(e log.Entry) {
			if id := s.Head().ID; a.ledger.LogID() != id {
				a.read(ledger.New(id))
			}
			a.stored(e)
		})
		return
	}
	c := a.world.log.Connect("audit")
	c.Head(func(head log.Head, err error) {
		if err != nil {
			a.open()
			return
		}
		a.read(ledger.New(head.ID))
		c.Follow(0, a.stored, func(error) { a.open() })
	})
}

func (a *Audit) violate(auditor, format string, args ...any) {
	v := Violation{a.world.Now(), auditor, fmt.Sprintf(format, args...)}
	a.Violations = append(a.Violations, v)
	a.world.tell("auditor", trace.Note{Kind: trace.Violated, Text: auditor + ": " + v.Text})
}

// responded looks at what a node's responder answers for after a step.
func (a *Audit) responded(p *nodeProcess, ready node.Ready) {
	for _, addr := range ready.Stop {
		a.announcers[addr] = slices.DeleteFunc(a.announcers[addr], func(q *nodeProcess) bool { return q == p })
		a.check(addr)
	}
	now := p.host.now()
	for _, s := range ready.Start {
		if !slices.Contains(a.announcers[s.Address], p) {
			a.announcers[s.Address] = append(a.announcers[s.Address], p)
		}
		a.check(s.Address)
	}
	before := a.standing[p]
	leased := p.machine.LeasedUntil() > now
	if leased && !before.leased || (p.responder.until > now) != (before.until > now) {
		a.look(p)
	}
	a.standing[p] = standing{leased, p.responder.until}
	if leased && len(a.proven) > 0 {
		if who, _ := p.machine.Incarnation(); a.proven[who] {
			a.violate("lemma", "incarnation %d of %s is proven dead and leased", who.Join, p.host.Name)
		}
	}
}

// framed looks at a frame that a node sends. One that only holds an address may ask for it, but draws nobody to itself.
func (a *Audit) framed(p *nodeProcess, f node.Frame) {
	if f.Kind == node.Announce && p.machine.LeasedUntil() <= p.host.now() {
		a.violate("hold", "%s announces %s without a lease", p.host.Name, f.Address)
	}
}

// look checks all addresses that a node answers for.
func (a *Audit) look(p *nodeProcess) {
	if p.machine == nil {
		return
	}
	for _, addr := range p.machine.Addresses() {
		a.check(addr)
	}
}

// stopped forgets a node's process.
func (a *Audit) stopped(p *nodeProcess) {
	for _, addr := range slices.SortedFunc(maps.Keys(p.responder.served), netip.Addr.Compare) {
		a.announcers[addr] = slices.DeleteFunc(a.announcers[addr], func(q *nodeProcess) bool { return q == p })
		a.check(addr)
	}
	delete(a.standing, p)
}

// check counts who would answer for an address now.
func (a *Audit) check(addr netip.Addr) {
	all := a.announcers[addr]
	var answering, leased []*nodeProcess
	if len(all) > 1 {
		for _, p := range all {
			if !p.answers(addr) {
				continue
			}
			answering = append(answering, p)
			if p.machine.LeasedUntil() > p.host.now() {
				leased = append(leased, p)
			}
		}
	}
	if len(leased) > 1 {
		a.violate("exclusive announcement", "%s and %s both answer for %s, both leased", leased[0].host.Name, leased[1].host.Name, addr)
	}
	since, overlaps := a.overlaps[addr]
	switch {
	case len(answering) > 1 && !overlaps:
		a.overlaps[addr] = a.world.Now()
		a.world.tell("auditor", trace.Note{Kind: trace.Overlap, Address: addr, Text: answering[0].host.Name + " and " + answering[1].host.Name})
	case len(answering) < 2 && overlaps:
		a.Overlap += a.world.Now() - since
		delete(a.overlaps, addr)
		a.world.tell("auditor", trace.Note{Kind: trace.Alone, Address: addr, Gap: a.world.Now() - since})
	}
}
