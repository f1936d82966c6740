package node

import (
	"net/netip"

	"viplog/core/lease"
)

// Has tells whether this node announces an address or is about to: frames in which others use it are to be told by Heard.
func (m *Machine) Has(a netip.Addr) bool {
	_, has := m.vip(a)
	return has
}

// Incarnation is the one that runs; false if none does.
func (m *Machine) Incarnation() (lease.Incarnation, bool) { return m.me, m.phase == running }

// LeasedUntil is the end of the lease as it is known; an instant that has passed where there is none.
func (m *Machine) LeasedUntil() lease.Instant {
	if m.holder == nil {
		return 0
	}
	return m.holder.Until()
}

// Waits counts what the claims of this node wait for: nothing, at rest.
func (m *Machine) Waits() (n int) {
	if m.claims == nil {
		return 0
	}
	for _, q := range m.claims.queues {
		n += len(q.waits)
	}
	return n
}

// Addresses are those that this node announces or is about to, in their order.
func (m *Machine) Addresses() (all []netip.Addr) {
	m.vips.Scan(func(v *vip) bool {
		all = append(all, v.addr)
		return true
	})
	return all
}

// IsWaiting tells whether something happens by time alone: an address is probed for, or handed over, or the node may join again.
func (m *Machine) IsWaiting() (waits bool) {
	if m.phase == following && m.now < m.backOff {
		return true
	}
	m.vips.Scan(func(v *vip) bool {
		waits = v.stage == probing || v.replaced > 0
		return !waits
	})
	return waits
}

// IsLeaving tells whether the node hands over in order to end.
func (m *Machine) IsLeaving() bool { return m.leaving }

// IsHandingOver tells whether the node announces an address that a fact has given to others.
func (m *Machine) IsHandingOver() bool { return len(m.demoted) > 0 }
