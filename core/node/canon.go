package node

import (
	"maps"
	"slices"

	"viplog/core/lease"
	"viplog/core/ledger"
)

// Clone makes an independent copy.
func (m *Machine) Clone() *Machine { return m.CloneOn(m.ledger.Clone()) }

// CloneOn makes a copy that goes on with a clone of its ledger; or with the same one, if neither folds or joins from here on.
func (m *Machine) CloneOn(s *ledger.State) *Machine {
	c := *m
	c.ledger = s
	c.greeting.heard = slices.Clone(m.greeting.heard)
	c.conflicts, c.proven, c.dirty = slices.Clone(m.conflicts), slices.Clone(m.proven), slices.Clone(m.dirty)
	if m.holder != nil {
		if s != m.ledger {
			s.TrackLists()
		}
		c.holder, c.claims = m.holder.Clone(), m.claims.clone()
		c.holder.VerifyBy(c.isSigned)
	}
	c.fresh, c.unserved = maps.Clone(m.fresh), maps.Clone(m.unserved)
	c.vips, c.demoted, c.schedule = treeOf(func(a, b *vip) bool { return a.addr.Less(b.addr) }), nil, m.schedule.Copy()
	m.vips.Scan(func(v *vip) bool {
		copied := *v
		c.vips.Set(&copied)
		return true
	})
	for _, v := range m.demoted {
		copied, _ := c.vip(v.addr)
		c.demoted = append(c.demoted, copied)
	}
	return &c
}

func (c *claims) clone() *claims {
	copied := &claims{me: c.me, pending: maps.Clone(c.pending), start: c.start, cleared: slices.Clone(c.cleared)}
	for _, q := range c.queues {
		copied.queues = append(copied.queues, &waiting{q.who, slices.Clone(q.waits)})
	}
	return copied
}

// Describe writes all that decides which addresses the machine announces from now on, but the contents of the log, the
// frames that it sends, and how its lease stands.
func (m *Machine) Describe(c *lease.Canon) {
	c.Sequence(m.ledger.Sequence())
	c.Number(uint64(m.phase))
	c.Flag(m.leaving)
	c.Sequence(m.digesting)
	c.Digest(m.digest)
	c.Digest(m.disk.Wrong)
	c.Number(uint64(m.deaths))
	c.Number(uint64(min(m.falls, 7)))
	c.Number(uint64(m.disk.Falls))
	c.Number(uint64(len(m.disk.Incarnations)))
	for _, who := range m.disk.Incarnations {
		c.Sequence(who.Join)
	}
	m.describeDataPlane(c)
	if m.phase != running {
		c.Flag(m.headKnown)
		if m.headKnown {
			c.Sequence(m.head)
		}
		c.Ahead(m.backOff, m.now)
		return
	}
	c.Flag(m.leased)
	c.Flag(m.allDirty)
	m.holder.DescribeKnown(c)
	for _, q := range m.claims.queues {
		c.Sequence(q.who.Join)
		for _, w := range q.waits {
			c.Sequence(w.version)
			c.Address(w.addr)
		}
	}
	for _, who := range m.proven {
		c.Sequence(who.Join)
	}
	c.Flag(false)
	m.vips.Scan(func(v *vip) bool {
		c.Address(v.addr)
		c.Number(uint64(v.stage))
		c.Sequence(v.under)
		c.Sequence(v.replaced)
		if v.replaced > 0 {
			c.Ahead(v.keepUntil, m.now)
			for _, who := range v.before {
				c.Sequence(who.Join)
			}
		}
		return true
	})
}

// DescribeLease writes how the node's lease or its joining stands in time. It leaves out since when an incarnation runs: that
// decides only how long a node waits that joins for the third time.
func (m *Machine) DescribeLease(c *lease.Canon) {
	c.Ahead(m.resignAt, m.now)
	c.Ahead(m.silenceAt, m.now)
	if m.phase == running {
		m.holder.Describe(c, m.now)
		m.vips.Scan(func(v *vip) bool {
			if v.stage == probing {
				c.Number(uint64(v.sent))
				c.Ahead(v.next, m.now)
			}
			return true
		})
		return
	}
	c.Ahead(m.greeting.nextAt, m.now)
	for _, h := range m.greeting.heard {
		c.Text(h.voter)
		c.Ahead(h.at.Add(m.timing.Lease), m.now)
	}
}
