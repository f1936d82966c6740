package node

import (
	"slices"
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/event/eventtest"
	"viplog/core/lease"
	"viplog/core/log"
)

// leased is a node that announces an address, under a lease of the one voter.
func leased(t *testing.T) (m *Machine, now lease.Instant) {
	t.Helper()
	now = lease.Instant(time.Hour)
	var services []event.Event
	for i := range 3 { // each node owns one
		services = append(services, eventtest.Service(i, 0))
	}
	entries, first := joinedEntries(t, services...)
	m = New(Identity{Address: first.Node, Name: "lb-1", MachineID: "machine-0", Boot: "this boot", Start: "again"}, lease.Default, testLog, Disk{
		Log: testLog, Boot: "this boot", Incarnations: []lease.Incarnation{first}, JoinedAt: now,
	})
	m.Step(now, Linked{Interfaces: eventtest.Joined(0, "first").Interfaces})
	m.Step(now, Folded{Entries: entries})
	m.Step(now, HeadRead{Last: uint64(len(entries))})
	for range 20 { // others say how far they are, and nobody objects to the address
		now = now.Add(lease.Default.Heartbeat / 2)
		for _, r := range m.Step(now, Woken{}).Renewals {
			m.Step(now, Answered{grant(first, r, uint64(len(entries)))})
		}
	}
	if ready := m.Step(now, Woken{}); m.vips.Len() != 1 || ready.Until <= now {
		t.Fatalf("it announces %d addresses until %v", m.vips.Len(), ready.Until)
	}
	return m, now
}

func grant(to lease.Incarnation, r lease.Renewal, folded uint64) lease.Answer {
	a := lease.Answer{Log: testLog, Voter: r.Voter, To: to, Number: r.Renew.Number, Set: r.Renew.Set, Granted: true}
	for i := range 2 {
		who := lease.Incarnation{Node: eventtest.NodeAddress(1 + i), Join: to.Join + 1 + uint64(i)}
		a.Progress = append(a.Progress, lease.Progress{Who: who, Folded: folded, Applied: folded})
	}
	return a
}

// A process that stood still finds what came meanwhile in its sockets, in any order: of it nothing is a sign that the node is heard now, and so it
// answers nobody before it has heard and asked anew. One that ran all the while, and whose voters alone are gone, holds what it has.
func TestWhatHasWaitedIsNoSignThatANodeIsHeard(t *testing.T) {
	for _, waited := range []struct {
		name  string
		input Input
	}{
		{"a voter's answer", Answered{lease.Answer{Log: testLog, Voter: "v1", To: lease.Incarnation{Node: eventtest.NodeAddress(0), Join: 4}}}},
		{"a frame", Listened{}},
		{"a fact", Folded{Entries: nextEntry(t)}},
		{"time", Woken{}},
	} {
		stood, begin := leased(t)
		ran, _ := leased(t)
		if ready := stood.Step(begin.Add(5*time.Second), waited.input); ready.Until != 0 {
			t.Errorf("%s: it stood still for 5 s, and answers until %v after it", waited.name, ready.Until.Since(begin))
		}
		var ready Ready
		for now := begin; now < begin.Add(5*time.Second); now = now.Add(50 * time.Millisecond) {
			ran.Step(now, Listened{})
			ready = ran.Step(now, Woken{})
		}
		if ready.Until <= begin.Add(5*time.Second) {
			t.Errorf("it ran and heard others, and answers until %v after its start only", ready.Until.Since(begin))
		}
	}
}

// nextEntry is a fact after those of leased.
func nextEntry(t *testing.T) []log.Entry {
	t.Helper()
	var services []event.Event
	for i := range 4 {
		services = append(services, eventtest.Service(i, 0))
	}
	entries, _ := joinedEntries(t, services...)
	return slices.Clone(entries[len(entries)-1:])
}
