package node

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/event/eventtest"
	"viplog/core/lease"
	"viplog/core/trace"
)

// plane is a node under a lease with a data plane, and the log that it folds.
type plane struct {
	*testing.T
	machine *Machine
	now     lease.Instant
	facts   []event.Event // after those of joinedEntries
	stored  int
	me      lease.Incarnation
	notes   []trace.Note
	propose []event.Event // the newest
}

// planed is such a node; two others have joined.
func planed(t *testing.T, dataPlane DataPlane) *plane {
	t.Helper()
	entries, first := joinedEntries(t)
	p := &plane{T: t, now: lease.Instant(time.Hour), stored: len(entries), me: first}
	p.machine = New(Identity{Address: first.Node, Name: "lb-1", MachineID: "machine-0", Boot: "this boot", Start: "again"}, lease.Default, testLog, Disk{
		Log: testLog, Boot: "this boot", Incarnations: []lease.Incarnation{first}, JoinedAt: p.now,
	})
	p.step(Linked{Interfaces: eventtest.Joined(0, "first").Interfaces})
	p.step(dataPlane)
	p.step(Folded{Entries: entries})
	p.step(HeadRead{Last: uint64(len(entries))})
	p.pass(time.Second)
	return p
}

func (p *plane) step(in Input) {
	ready := p.machine.Step(p.now, in)
	p.notes = append(p.notes, ready.Notes...)
	if ready.Propose != nil {
		p.propose = ready.Propose
	}
	for _, r := range ready.Renewals {
		p.step(Answered{grant(p.me, r, uint64(p.stored))})
	}
}

// pass lets time pass, under leases.
func (p *plane) pass(d time.Duration) {
	for end := p.now.Add(d); p.now < end; {
		p.now = p.now.Add(10 * time.Millisecond)
		p.step(Woken{})
	}
}

// store stores facts, which the node reads at once, and gives the sequence of the last one.
func (p *plane) store(facts ...event.Event) uint64 {
	p.Helper()
	p.facts = append(p.facts, facts...)
	entries, _ := joinedEntries(p.T, p.facts...)
	fresh := entries[p.stored:]
	p.stored = len(entries)
	p.step(Folded{Entries: slices.Clone(fresh)})
	return uint64(p.stored)
}

// own stores Services until the node owns an address more, and gives the address and the fact that gave it.
func (p *plane) own(source string) (addr netip.Addr, fact uint64) {
	p.Helper()
	for range 3 {
		s := eventtest.Service(len(p.facts), 0)
		s.Source = source
		fact = p.store(s)
		p.machine.ledger.EachList(func(a netip.Addr, list []lease.Incarnation) {
			if _, version := p.machine.ledger.List(a); version == fact && list[0] == p.me {
				addr = a
			}
		})
		if addr.IsValid() {
			return addr, fact
		}
	}
	p.Fatal("of three addresses it owns none")
	return addr, 0
}

func (p *plane) announces(a netip.Addr) bool {
	v, has := p.machine.vip(a)
	return has && v.stage == announcing
}

// noted is the last note of a kind about an address.
func (p *plane) noted(kind trace.Kind, a netip.Addr) (found trace.Note) {
	for _, n := range p.notes {
		if n.Kind == kind && n.Address == a {
			found = n
		}
	}
	return found
}

func TestANewAddressWaitsForTheDataPlane(t *testing.T) {
	p := planed(t, ServesThrough(1))
	a, fact := p.own(event.SourceKubernetes)
	p.pass(3 * time.Second)
	if p.announces(a) || p.noted(trace.Waits, a).Sequence != fact {
		t.Fatalf("announced: %t; %+v", p.announces(a), p.notes)
	}
	p.step(DataPlane{IPv4: fact - 1, IPv6: ServesAll})
	if p.announces(a) {
		t.Fatal("it is announced when an earlier one is served, or all of the other family")
	}
	p.step(ServesThrough(fact))
	if !p.announces(a) {
		t.Fatal("it is not announced at once when it is served")
	}
	if n := p.noted(trace.Announced, a); n.Gap < 2*time.Second || n.Gap > 3*time.Second || n.Text != "its data plane serves it" {
		t.Errorf("it is not said for how long it waited: %+v", n)
	}
	p.step(ServesThrough(1)) // another log, or a controller that starts
	if p.pass(time.Second); !p.announces(a) {
		t.Error("it is given up when the data plane is told to be behind")
	}
}

func TestAWaitForTheDataPlaneIsBounded(t *testing.T) {
	p := planed(t, ServesThrough(1))
	a, _ := p.own(event.SourceKubernetes)
	for range 3 {
		p.pass(3 * time.Second)
	}
	if p.announces(a) {
		t.Fatal("it is announced after 9 s")
	}
	if p.pass(2 * time.Second); !p.announces(a) {
		t.Fatal("it is not announced after 11 s")
	}
	if n := p.noted(trace.Announced, a); n.Gap != dataPlanePatience || n.Text != "its data plane is waited for no longer" {
		t.Errorf("it is not said that it was waited for in vain: %+v", n)
	}
}

func TestWhatWaitsForNoDataPlane(t *testing.T) {
	for name, own := range map[string]func(p *plane) netip.Addr{
		"a Service that no status shows": func(p *plane) netip.Addr {
			a, _ := p.own("manifests")
			return a
		},
		"an address that another node had": func(p *plane) netip.Addr {
			for {
				fact := p.store(kubernetes(len(p.facts)))
				var addr netip.Addr
				p.machine.ledger.EachList(func(a netip.Addr, list []lease.Incarnation) {
					if _, version := p.machine.ledger.List(a); version == fact && list[0] != p.me && list[1] == p.me {
						addr = a
					}
				})
				if addr.IsValid() {
					list, _ := p.machine.ledger.List(addr)
					p.store(event.NodeDrained{Address: list[0].Node})
					return addr
				}
			}
		},
		"an address that nobody could announce for a while": func(p *plane) netip.Addr {
			p.step(ServesThrough(100))
			a, _ := p.own(event.SourceKubernetes)
			p.pass(2 * time.Second)
			var all []event.Event
			for i := range 3 {
				all = append(all, event.NodeDrained{Address: eventtest.NodeAddress(i)})
			}
			p.store(all...)
			p.pass(2 * time.Second)
			if p.announces(a) {
				p.Fatal("a drained node announces it")
			}
			p.step(ServesThrough(1))
			p.store(event.NodeUndrained{Address: p.me.Node})
			return a
		},
		"an address of a dead data plane": func(p *plane) netip.Addr {
			p.step(DataPlane{State: DataPlaneDead})
			p.store(event.NodeDrained{Address: eventtest.NodeAddress(1)}, event.NodeDrained{Address: eventtest.NodeAddress(2)})
			a, _ := p.own(event.SourceKubernetes)
			return a
		},
	} {
		p := planed(t, ServesThrough(1))
		if a := own(p); !a.IsValid() {
			t.Fatalf("%s: there is none", name)
		} else if p.pass(time.Second); !p.announces(a) {
			t.Errorf("%s waits: %+v", name, p.notes)
		}
	}
}

func kubernetes(number int) event.ServiceApplied {
	s := eventtest.Service(number, 0)
	s.Source = event.SourceKubernetes
	return s
}

func TestANodeJoinsWhenItsDataPlaneHasServed(t *testing.T) {
	entries, first := joinedEntries(t)
	now := lease.Instant(time.Hour)
	for boot, resumes := range map[string]bool{"this boot": true, "another boot": false} {
		m := New(Identity{Address: first.Node, Name: "lb-1", MachineID: "machine-0", Boot: "this boot", Start: "again"}, lease.Default, testLog, Disk{
			Log: testLog, Boot: boot, Incarnations: []lease.Incarnation{first}, JoinedAt: now,
		})
		m.Step(now, Linked{})
		m.Step(now, DataPlane{State: DataPlaneStarting})
		m.Step(now, Folded{Entries: entries})
		ready := m.Step(now, HeadRead{Last: uint64(len(entries))})
		if _, runs := m.Incarnation(); runs != resumes {
			t.Errorf("%s: it goes on: %t", boot, runs)
		}
		if !resumes && (len(ready.Renewals) > 0 || len(ready.Notes) != 1 || ready.Notes[0].Kind != trace.Waits) {
			t.Errorf("it does not wait: %+v", ready)
		}
		if ready = m.Step(now.Add(time.Second), DataPlane{}); !resumes && len(ready.Renewals) == 0 {
			t.Error("it does not ask the voters when its data plane serves")
		}
	}
}

// named are the interfaces of the fact that the node would have stored now; -1 for none.
func (p *plane) named() int {
	for _, e := range p.propose {
		if changed, is := e.(event.NodeChanged); is {
			return len(changed.Interfaces)
		}
	}
	return -1
}

func TestANodeWithADeadDataPlaneIsNoCandidate(t *testing.T) {
	p := planed(t, ServesThrough(ServesAll))
	a, _ := p.own("manifests")
	p.pass(time.Second)
	p.step(DataPlane{State: DataPlaneDead})
	if p.named() != 0 || !p.announces(a) {
		t.Fatalf("it proposes %+v; it announces on: %t", p.propose, p.announces(a))
	}
	p.store(p.propose...)
	if p.pass(2 * time.Second); p.announces(a) || p.named() >= 0 {
		t.Errorf("others own it, and it announces: %t; it proposes %+v", p.announces(a), p.propose)
	}
	p.step(ServesThrough(ServesAll))
	if p.named() != 1 {
		t.Errorf("its data plane is back, and it proposes %+v", p.propose)
	}
}

func TestTheLastCandidateStaysAlthoughItsDataPlaneIsDead(t *testing.T) {
	nobody := func(i int) event.NodeChanged {
		return event.NodeChanged{Address: eventtest.NodeAddress(i), Incarnation: 4 + uint64(i), Interfaces: []event.Interface{}}
	}
	p := planed(t, ServesThrough(ServesAll))
	if p.me.Join != nobody(0).Incarnation {
		t.Fatalf("it has joined at %d", p.me.Join)
	}
	p.store(nobody(1), event.NodeDrained{Address: eventtest.NodeAddress(2)})
	p.step(DataPlane{State: DataPlaneDead})
	if p.named() == 0 || p.noted(trace.Candidate, netip.Addr{}).Text == "" {
		t.Errorf("nobody else is a candidate: %+v", p.propose)
	}
	p.store(event.NodeUndrained{Address: eventtest.NodeAddress(2)})
	if p.named() == 0 {
		t.Error("it withdraws when another is back, which may do the same")
	}

	// Two that withdraw at once are both candidates again.
	p = planed(t, ServesThrough(ServesAll))
	p.store(event.NodeDrained{Address: eventtest.NodeAddress(2)})
	p.step(DataPlane{State: DataPlaneDead})
	if p.named() != 0 {
		t.Fatalf("another is a candidate: %+v", p.propose)
	}
	p.store(nobody(1))
	p.store(nobody(0)) // its own word was on its way
	if p.named() != 1 {
		t.Errorf("nobody is left, and it proposes %+v", p.propose)
	}
}
