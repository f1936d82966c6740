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
	"viplog/sim/segment"
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
	members    []ledger.Voter // by the facts stored so far
	sets       map[uint64]int // sizes of voter sets, by their versions
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

type ballot struct {
	dead lease.Incarnation
	set  uint64
}

// view is what a client sees of an address.
type view struct {
	client *segment.Client
	addr   netip.Addr
}

type seen struct {
	answered time.Duration // when the last request that was answered was sent
	lost     int
	count    int
	darkest  time.Duration // the longest time between two answered requests
	by       segment.MAC
	dark     bool // the last request whose outcome is known was lost
}

func newAudit(w *World) *Audit {
	a := &Audit{
		world: w, announcers: map[netip.Addr][]*nodeProcess{}, standing: map[*nodeProcess]standing{},
		overlaps: map[netip.Addr]time.Duration{}, votes: map[ballot][]string{}, proven: map[lease.Incarnation]bool{},
		sets: map[uint64]int{}, views: map[view]*seen{}, ledger: ledger.New("none yet"),
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

// stored folds what the log stores. No address may move from a node that nothing has happened to.
func (a *Audit) stored(e log.Entry) {
	changes := a.ledger.ApplyEntry(e)
	a.countMembers()
	a.world.tell("log", trace.Note{Kind: trace.Appended, Sequence: e.Sequence, Text: e.Type + " " + e.Entity})
	for _, c := range changes {
		switch {
		case c.Kind == ledger.Rejected:
			a.world.tell("log", trace.Note{Kind: trace.Refused, Sequence: e.Sequence, Text: c.Reason})
		case c.Kind == ledger.Moved && c.From.IsValid():
			a.Moves++
			if _, _, runs := a.ledger.Running(c.From); runs && slices.Contains(unmoving, e.Type) {
				a.violate("moves", "%s moved from %s, which runs, by %s", c.Address, c.From, e.Type)
			}
		}
	}
}

func (a *Audit) countMembers() {
	var version uint64
	a.members, version = a.ledger.Voters()
	a.sets[version] = len(a.members)
}

// unmoving are the facts that move addresses only from a node that has gone.
var unmoving = []string{
	"viplog.NodeFailed.v1", "viplog.NodeLeft.v1", "viplog.ServiceDeleted.v1",
	"viplog.NodeUndrained.v1", "viplog.PoolAdded.v1", "viplog.VoterAdded.v1", "viplog.VoterRemoved.v1",
	"viplog.VotersSettled.v1",
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
	if leased && !before.leased || p.responder.until > now && before.until <= now {
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

// voted takes the votes that a voter sends. Proof of death and lease of one incarnation are never together.
func (a *Audit) voted(ready lease.VoterReady) {
	for _, answer := range ready.Answers {
		a.count(answer.Votes)
	}
	if ready.Word != nil {
		a.count(ready.Word.Votes)
	}
}

func (a *Audit) count(votes []lease.Vote) {
	for _, v := range votes {
		b := ballot{v.Dead, v.Set}
		if slices.Contains(a.votes[b], v.Voter) {
			continue
		}
		a.votes[b] = append(a.votes[b], v.Voter)
		if size := a.sets[v.Set]; size == 0 || 2*len(a.votes[b]) <= size || a.proven[v.Dead] {
			continue
		}
		a.proven[v.Dead] = true
		for _, h := range a.world.Hosts {
			p := h.node
			if p == nil || p.machine == nil || h.frozen {
				continue
			}
			if who, _ := p.machine.Incarnation(); who == v.Dead && p.machine.LeasedUntil() > h.now() {
				a.violate("lemma", "incarnation %d of %s is proven dead while it is leased", who.Join, h.Name)
			}
		}
	}
}

// outcome takes what became of a client's request.
func (a *Audit) outcome(client *segment.Client, o segment.Outcome) {
	key := view{client, o.Address}
	s := a.views[key]
	if s == nil {
		s = &seen{answered: -1}
		a.views[key] = s
		a.order = append(a.order, key)
	}
	s.count++
	if !o.Answered {
		s.lost++
		if !s.dark && s.answered >= 0 && o.Sent > s.answered {
			s.dark = true
			a.world.tell(client.Port().Name, trace.Note{Kind: trace.Dark, Address: o.Address, Gap: a.world.Now() - s.answered})
		}
		return
	}
	gap := time.Duration(0)
	if s.answered >= 0 {
		gap = o.Sent - s.answered
		s.darkest = max(s.darkest, gap)
	}
	if gap > tellDark || s.by != o.By {
		a.world.tell(client.Port().Name, trace.Note{Kind: trace.Served, Address: o.Address, By: a.nameOf(o.By), Gap: max(gap, 0)})
	}
	s.answered, s.by, s.dark = max(s.answered, o.Sent), o.By, false
}

// tellDark is how long an address must not have been answered to be worth a line.
const tellDark = 100 * time.Millisecond

func (a *Audit) nameOf(mac segment.MAC) string {
	for _, h := range a.world.Hosts {
		if h.port != nil && h.port.MAC == mac {
			return h.Name
		}
	}
	return mac.String()
}

// Darkest is the longest time between two answered requests of any client to an address, since the last Forget, and how many requests
// were lost.
func (a *Audit) Darkest(addr netip.Addr) (gap time.Duration, lost int) {
	for _, key := range a.order {
		if key.addr == addr {
			gap, lost = max(gap, a.views[key].darkest), lost+a.views[key].lost
		}
	}
	return gap, lost
}

// Forget begins to count anew.
func (a *Audit) Forget() { a.views, a.order = map[view]*seen{}, nil }

// Converged says what is not as it should be when all is healed: every replica at the log's head with one digest, every
// address with a list announced by its owner and nobody else, nothing waited for.
func (a *Audit) Converged() string {
	head := a.ledger.Sequence()
	digest := a.ledger.Digest()
	for _, h := range a.world.Hosts {
		for _, r := range h.replicas() {
			switch {
			case r.ledger == nil:
				return r.name + " follows no log"
			case r.ledger.Sequence() != head:
				return fmt.Sprintf("%s has folded %d of %d facts", r.name, r.ledger.Sequence(), head)
			case r.ledger.Digest() != digest:
				a.violate("replay", "%s at %d has another ledger than the log", r.name, head)
				return r.name + " has another ledger"
			}
		}
		if p := h.node; p != nil && p.machine != nil {
			if n := p.machine.Waits(); n > 0 {
				return fmt.Sprintf("%s waits for %d", h.Name, n)
			}
		}
	}
	problem := ""
	a.ledger.EachList(func(addr netip.Addr, list []lease.Incarnation) {
		switch {
		case problem != "" || len(list) == 0:
		case len(a.announcers[addr]) != 1:
			problem = fmt.Sprintf("%s is announced by %d nodes", addr, len(a.announcers[addr]))
		default:
			p := a.announcers[addr][0]
			if who, _ := p.machine.Incarnation(); who != list[0] || !p.answers(addr) || p.machine.LeasedUntil() <= p.host.now() {
				problem = fmt.Sprintf("%s is announced by incarnation %d of %s, not by %d", addr, who.Join, p.host.Name, list[0].Join)
			}
		}
	})
	return problem
}

// CheckReplay restores the reference from its snapshot and compares.
func (a *Audit) CheckReplay() {
	restored, err := ledger.Restore(a.ledger.Snapshot())
	if err != nil || restored.Digest() != a.ledger.Digest() {
		a.violate("replay", "the ledger restored from its snapshot at %d is another: %v", a.ledger.Sequence(), err)
	}
}

// replica is a process's ledger; nil while it follows no log.
type replica struct {
	name   string
	ledger *ledger.State
}

// replicas are those on a host.
func (h *Host) replicas() (all []replica) {
	if p := h.node; p != nil {
		r := replica{name: "node/" + h.Name}
		if p.machine != nil {
			r.ledger = p.machine.Ledger()
		}
		all = append(all, r)
	}
	if p := h.voter; p != nil {
		r := replica{name: "voter/" + h.Name}
		if p.machine != nil {
			r.ledger = p.machine.Ledger
		}
		all = append(all, r)
	}
	if p := h.controller; p != nil {
		r := replica{name: "control/" + h.Name}
		if p.machine != nil {
			r.ledger = p.machine.Ledger
		}
		all = append(all, r)
	}
	return all
}
