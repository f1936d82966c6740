package node

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/trace"
)

// What a client sends to an address that the node's data plane does not know yet goes nowhere, and worse: a UDP flow that begins then is never
// answered, since the kernel keeps it as it began. So an address that nobody had before is announced when the data plane serves it, and a node
// joins when its data plane has served at all since the boot. Addresses that somebody had before wait for nothing: other nodes' data
// planes have known them for long. All waits are bounded, since an address that is not announced serves nobody.

// DataPlaneState is how a node's data plane stands.
type DataPlaneState uint8

const (
	DataPlaneUp       DataPlaneState = iota // it serves, or nothing is known of it
	DataPlaneStarting                       // it has not served yet since the host has booted: the node does not join
	DataPlaneDead                           // it has been gone for long: the node is no candidate, if another one is
)

// ServesAll is the sequence of a data plane that serves whatever there is.
const ServesAll uint64 = ^uint64(0)

// ServesThrough is a data plane that is up, and serves addresses of both families up to a sequence.
func ServesThrough(sequence uint64) DataPlane { return DataPlane{IPv4: sequence, IPv6: sequence} }

// through is the sequence of an address's family.
func (d DataPlane) through(a netip.Addr) uint64 {
	if a.Is4() {
		return d.IPv4
	}
	return d.IPv6
}

// dataPlanePatience is how long an address waits for the data plane at most.
const dataPlanePatience = 10 * time.Second

// served takes how the data plane stands now.
func (m *Machine) served(in DataPlane) {
	m.dataPlane = in
	m.vips.Scan(func(v *vip) bool {
		if v.stage == probing && v.sent == probes && v.waitsSince > 0 && m.isServed(v.addr) {
			m.at(v, m.now)
		}
		return true
	})
}

// takeNew takes note of an address that was given, and to this node. It is new until it is announced, or goes to another, which may announce it.
func (m *Machine) takeNew(change ledger.ListChange, version uint64) {
	switch {
	case len(change.After) == 0 || change.After[0] != m.me:
		delete(m.unserved, change.Address)
	case change.IsGiven && m.ledger.IsUsedBy(change.Address, event.SourceKubernetes):
		m.unserved[change.Address] = version
	}
}

// isServed tells whether the data plane serves an address, as far as it has to be waited for. One that is dead will not.
func (m *Machine) isServed(a netip.Addr) bool {
	return m.unserved[a] <= m.dataPlane.through(a) || m.dataPlane.State == DataPlaneDead
}

// waitsForDataPlane tells whether an address that nobody objects to is to wait on.
func (m *Machine) waitsForDataPlane(v *vip) bool {
	if m.isServed(v.addr) {
		return false
	}
	if v.waitsSince == 0 {
		v.waitsSince = m.now
		m.note(trace.Waits, v.addr, m.unserved[v.addr], "its data plane does not serve it yet")
	}
	end := v.waitsSince.Add(dataPlanePatience)
	if m.now >= end {
		return false
	}
	m.at(v, end)
	return true
}

// noteAnnounced says that an address is announced from now on, and for how long that waited for the data plane.
func (m *Machine) noteAnnounced(v *vip) {
	note := trace.Note{Kind: trace.Announced, Address: v.addr, Sequence: v.under}
	if v.waitsSince > 0 {
		note.Gap, note.Text = m.now.Since(v.waitsSince), "its data plane serves it"
		if !m.isServed(v.addr) {
			note.Text = "its data plane is waited for no longer"
		}
	}
	delete(m.unserved, v.addr)
	v.waitsSince = 0
	m.ready.Notes = append(m.ready.Notes, note)
}

// judgeDataPlane withdraws a node whose data plane is dead, if another one is a candidate. Kernels forward by the last rules that they were given: with
// these a cluster of dead data planes is better off than without an owner. So a node that sees that nobody else is there is a candidate again,
// and stays one until its data plane is back: two that withdraw at once both return, and do not withdraw again.
func (m *Machine) judgeDataPlane() {
	if m.phase != running && (!m.headKnown || m.ledger.Sequence() < m.head) {
		return // it does not know who is there
	}
	switch {
	case m.dataPlane.State != DataPlaneDead:
		m.stays = false
		m.withdraw(false, "its data plane is back")
	case !m.stays && m.ledger.OthersMayAnnounce(m.identity.Address):
		m.withdraw(true, "its data plane is dead")
	case !m.stays:
		m.stays = true
		m.note(trace.Candidate, netip.Addr{}, 0, "its data plane is dead, but no other node may announce")
		m.isWithdrawn, m.proposeAnew = false, true
	}
}

func (m *Machine) withdraw(is bool, why string) {
	if is == m.isWithdrawn {
		return
	}
	m.isWithdrawn, m.proposeAnew = is, true
	kind := trace.Candidate
	if is {
		kind = trace.Withdrawn
	}
	m.note(kind, netip.Addr{}, 0, why)
}

// mayJoin tells whether the data plane lets the node join. A word about it, or a fact, says when that has changed.
func (m *Machine) mayJoin() bool {
	if m.dataPlane.State == DataPlaneStarting && !m.saidWaits {
		m.saidWaits = true
		m.note(trace.Waits, netip.Addr{}, 0, "its data plane has not served since the boot: it does not join yet")
	}
	return m.dataPlane.State != DataPlaneStarting && !m.isWithdrawn
}

// describeDataPlane writes nothing as long as the data plane serves everything.
func (m *Machine) describeDataPlane(c *lease.Canon) {
	if m.dataPlane == ServesThrough(ServesAll) {
		return
	}
	c.Number(uint64(m.dataPlane.State))
	c.Sequence(m.dataPlane.IPv4)
	c.Sequence(m.dataPlane.IPv6)
	c.Flag(m.isWithdrawn)
	c.Flag(m.stays)
	for _, a := range slices.SortedFunc(maps.Keys(m.unserved), netip.Addr.Compare) {
		c.Address(a)
		c.Sequence(m.unserved[a])
		if v, has := m.vip(a); has && v.waitsSince > 0 {
			c.Ahead(v.waitsSince.Add(dataPlanePatience), m.now)
		}
	}
}
