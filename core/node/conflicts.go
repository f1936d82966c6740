package node

import (
	"net/netip"
	"slices"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/trace"
)

// conflict is a foreign MAC that uses an address of this node.
type conflict struct {
	address netip.Addr
	ifi     string
	mac     string
	seen    lease.Instant // last
}

// see remembers a conflict; the log is told of it once.
func (m *Machine) see(c conflict) {
	for i := range m.conflicts {
		if known := &m.conflicts[i]; known.address == c.address {
			m.proposeAnew = m.proposeAnew || known.mac != c.mac || known.ifi != c.ifi
			*known = c
			return
		}
	}
	m.note(trace.Disputed, c.address, 0, c.mac+" uses it on "+c.ifi)
	m.conflicts = append(m.conflicts, c)
	m.proposeAnew = true
}

// dropConflict forgets what was seen about an address that this node no longer has.
func (m *Machine) dropConflict(a netip.Addr) {
	before := len(m.conflicts)
	m.conflicts = slices.DeleteFunc(m.conflicts, func(c conflict) bool { return c.address == a })
	m.proposeAnew = m.proposeAnew || len(m.conflicts) != before
}

// forgetConflicts ends those that were not seen for long.
func (m *Machine) forgetConflicts() {
	for _, c := range slices.Clone(m.conflicts) {
		if end := c.seen.Add(conflictStays); m.now >= end {
			m.dropConflict(c.address)
		} else {
			m.wakeAt(end)
		}
	}
}

// conflictFacts are what the log does not know of conflicts yet, or still believes.
func (m *Machine) conflictFacts() (facts []event.Event) {
	me := m.identity.Address
	for _, c := range m.conflicts {
		if !m.ledger.HasConflict(c.address, me) {
			facts = append(facts, event.VIPConflictSeen{Node: me, Address: c.address, Interface: c.ifi, MAC: c.mac})
		}
	}
	for _, a := range m.ledger.ConflictsOf(me) {
		if !slices.ContainsFunc(m.conflicts, func(c conflict) bool { return c.address == a }) {
			facts = append(facts, event.VIPConflictCleared{Node: me, Address: a})
		}
	}
	return facts
}
