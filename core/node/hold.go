package node

import (
	"net/netip"
	"slices"
	"time"

	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/trace"
)

// hearing is when this node last heard another host. One that holds addresses without a lease and hears nothing is cut off itself, as far
// as it can tell: nobody hears its answers either. When its link is mended the first question may be for an address that others
// have taken over; so it is silent before, and asks whether they have.
type hearing struct {
	at        lease.Instant // the last frame of another host, or a message of a voter on one, that the node knows of
	isDeaf    bool          // it answers nothing until it hears somebody
	checkedAt lease.Instant // it has heard somebody and asked: until then nobody may have objected; 0: it has not asked
	deafAt    lease.Instant // when it was so last
	saidAt    lease.Instant // when it was, and said so, last
}

// isDue tells whether nothing was heard for so long that the wire is to be asked.
func (h hearing) isDue(now lease.Instant, timing lease.Timing) bool {
	return now.Since(h.at) >= timing.Heartbeat
}

// sayAgain is how often a node says at most that it hears nobody.
const sayAgain = time.Minute

// frameTakes is how long a paced frame takes.
const frameTakes = 100 * time.Microsecond

// listened takes note that another host is heard.
func (m *Machine) listened() {
	m.hearing.at = m.now
	if !m.hearing.isDeaf || m.leased || m.phase != running {
		return
	}
	if m.hearing.saidAt == m.hearing.deafAt {
		m.note(trace.Hearing, netip.Addr{}, 0, "")
	}
	m.hearing.isDeaf = false
	m.hearing.checkedAt = m.now.Add(2*m.timing.Heartbeat + 2*frameTakes*time.Duration(m.vips.Len())) // it asks twice
	for _, v := range m.vips.Items() {
		m.at(v, m.now)
	}
}

// stoodStill looks whether the node did not get to run since an instant for so long that its lease has ended: what it is told now has waited for
// it, and is no sign that it is heard. It must not answer what has waited either.
func (m *Machine) stoodStill(since lease.Instant) {
	if m.phase == running && m.vips.Len() > 0 && m.holder.Until() <= m.now && m.now.Since(since) >= m.quiet() {
		m.fallDeaf()
	}
}

// quiet is for how long a node hears nobody before it takes itself to be cut off: it is over before a lease ends by which nobody was heard.
func (m *Machine) quiet() time.Duration { return m.timing.Lease - m.timing.Heartbeat }

func (m *Machine) fallDeaf() {
	h := &m.hearing
	h.isDeaf, h.checkedAt, h.deafAt = true, 0, m.now
	if h.saidAt == 0 || m.now.Since(h.saidAt) >= sayAgain { // on a quiet segment it may be so every second
		h.saidAt = m.now
		m.note(trace.Deaf, netip.Addr{}, 0, "")
	}
}

// hold lets an owner without a lease answer on: those who grant leases may be gone, and not it.
func (m *Machine) hold() {
	h := &m.hearing
	switch {
	case h.checkedAt > m.now:
		m.until = 0
		m.wakeAt(h.checkedAt)
		return
	case h.checkedAt != 0: // nobody else has what is still held
		h.checkedAt, h.at = 0, m.now
	case h.isDeaf:
		m.until = 0
		m.wakeAt(m.now.Add(m.timing.Heartbeat))
		return
	case m.now.Since(h.at) >= m.quiet():
		m.fallDeaf()
		m.until = 0
		m.wakeAt(m.now.Add(m.timing.Heartbeat))
		return
	}
	m.until = m.now.Add(2 * m.timing.Heartbeat)
	m.wakeAt(m.now.Add(m.timing.Heartbeat))
}

func ownVoters(s *ledger.State, host netip.Addr) (ids []string) {
	now, _ := s.Voters()
	before, _ := s.FormerVoters()
	for _, v := range slices.Concat(now, before) {
		if v.Address == host {
			ids = append(ids, v.ID)
		}
	}
	return ids
}
