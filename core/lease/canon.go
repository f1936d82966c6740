package lease

import "slices"

// Clone makes an independent copy.
func (v *Voter) Clone() *Voter {
	copied := *v
	copied.digests = slices.Clone(v.digests)
	copied.peers = make([]*peer, len(v.peers))
	for i, p := range v.peers {
		q := *p
		q.suspects, q.sent, q.renewed = slices.Clone(p.suspects), slices.Clone(p.sent), slices.Clone(p.renewed)
		copied.peers[i] = &q
	}
	return &copied
}

// Describe writes all that decides what a voter does from now on.
func (v *Voter) Describe(c *Canon, now Instant) {
	id := v.disk.Voter
	c.Number(uint64(len(v.disk.Dead)))
	for _, who := range v.disk.Dead {
		c.Incarnation(who)
	}
	c.Sequence(v.disk.Since)
	c.Sequence(v.durable.Since)
	c.Number(uint64(len(v.told)))
	for _, who := range v.told {
		c.Incarnation(who)
	}
	c.Sequence(v.membership.Sequence)
	c.Ahead(v.quiet, now)
	c.Ahead(v.pushAt, now)
	c.Ahead(v.pushable, now)
	c.Ahead(v.wordAt, now)
	c.Ahead(v.wake, now)
	c.Ahead(v.heardNode.Add(v.timing.Lease), now)
	c.Digest(v.digest)
	for _, s := range v.digests {
		if s.until > now {
			c.Flag(true)
			c.Text(s.voter)
			c.Digest(s.digest)
			c.Ahead(s.until, now)
		}
	}
	c.Flag(false)
	c.Number(uint64(len(v.peers)))
	for _, p := range v.peers {
		of := string(p.who.Node.AsSlice())
		c.Incarnation(p.who)
		c.Ahead(p.until, now)
		c.Flag(p.voted)
		c.Flag(p.resigned)
		c.Flag(p.named && v.wordAt != Never)
		for _, s := range p.suspects {
			if s.until > now {
				c.Flag(true)
				c.Text(s.voter)
				c.Ahead(s.until, now)
			}
		}
		c.Flag(false)
		c.Number(uint64(len(p.renewed)))
		for _, r := range p.renewed {
			c.Sequence(r.set)
			c.Among("renewal to "+id+" "+of, r.number)
		}
		c.Sequence(p.folded)
		c.Sequence(p.applied)
		c.Digest(p.digest)
		c.Sequence(p.behind)
		if p.behind > 0 {
			c.Sequence(p.newest)
			c.Ahead(p.behindSince.Add(patience), now)
		}
		c.Rank("change "+id, p.changed)
		c.Flag(p.told < v.changes)
		c.Among("change "+id, p.heard)
		for _, s := range p.sent {
			left := s.at.Add(v.timing.promised())
			if left >= now && c.Refers("serial "+id+" "+of, s.serial) {
				c.Flag(true)
				c.Rank("serial "+id+" "+of, s.serial)
				c.Ahead(left, now)
				c.Among("change "+id, s.told)
			}
		}
		c.Flag(false)
	}
}

// Clone makes an independent copy.
func (h *Holder) Clone() *Holder {
	copied := *h
	copied.acting.granted = slices.Clone(h.acting.granted)
	if h.next != nil {
		next := track{h.next.set, slices.Clone(h.next.granted)}
		copied.next = &next
	}
	copied.sentAt, copied.heard = slices.Clone(h.sentAt), slices.Clone(h.heard)
	copied.votes, copied.progress = slices.Clone(h.votes), slices.Clone(h.progress)
	return &copied
}

// VerifyBy lets a copy check votes by the ledger of its own machine.
func (h *Holder) VerifyBy(verify func(Vote) bool) { h.verify = verify }

// Describe writes all that decides what a holder does from now on.
func (h *Holder) Describe(c *Canon, now Instant) {
	of := string(h.who.Node.AsSlice())
	c.Sequence(h.membership.Sequence)
	for _, t := range h.tracks() {
		c.Sequence(t.set.Version)
		for _, number := range t.granted {
			c.Rank("renewal "+of, h.ifLasts(number, now))
		}
	}
	for _, s := range h.sentAt {
		if end := s.at.Add(h.timing.held()); end > now && c.Refers("renewal "+of, s.number) {
			c.Flag(true)
			c.Rank("renewal "+of, s.number)
			c.Ahead(end, now)
		}
	}
	c.Flag(false)
	c.Number(uint64(len(h.heard)))
	for _, x := range h.heard {
		c.Text(x.voter)
		c.Rank("serial "+x.voter+" "+of, x.serial)
	}
	c.Ahead(h.renewAt, now)
	c.Ahead(h.wake, now)
	h.DescribeKnown(c)
}

// ifLasts is the number of a renewal under which a lease may still run, or else 0.
func (h *Holder) ifLasts(number uint64, now Instant) uint64 {
	if slices.ContainsFunc(h.sentAt, func(s renewalSent) bool { return s.number == number && s.at.Add(h.timing.held()) > now }) {
		return number
	}
	return 0
}

// DescribeKnown writes what a holder knows and has said, but not how its lease stands.
func (h *Holder) DescribeKnown(c *Canon) {
	c.Incarnation(h.who)
	c.Sequence(h.folded)
	c.Sequence(h.applied)
	c.Sequence(h.awaits)
	c.Digest(h.digest)
	c.Number(uint64(len(h.votes)))
	for _, v := range h.votes {
		c.Text(v.Voter)
		c.Sequence(v.Set)
		c.Incarnation(v.Dead)
	}
	c.progress(h.progress)
	c.Flag(h.resigned)
}

func (c *Canon) progress(all []Progress) {
	c.Number(uint64(len(all)))
	for _, p := range all {
		c.Incarnation(p.Who)
		c.Sequence(p.Folded)
		c.Sequence(p.Applied)
	}
}

// Describe writes a message in flight.
func (m Renew) Describe(c *Canon, voter string) {
	of := string(m.From.Node.AsSlice())
	c.Sequence(m.Set)
	c.Incarnation(m.From)
	c.Rank("renewal "+of, m.Number)
	c.Rank("renewal to "+voter+" "+of, m.Number)
	c.Rank("serial "+voter+" "+of, m.Heard)
	c.Sequence(m.Folded)
	c.Sequence(m.Applied)
	c.Sequence(m.Awaits)
	c.Digest(m.Digest)
}

// Describe writes a message in flight.
func (a Answer) Describe(c *Canon) {
	of := string(a.To.Node.AsSlice())
	c.Incarnation(a.To)
	c.Rank("serial "+a.Voter+" "+of, a.Serial)
	c.Rank("renewal "+of, a.Number)
	c.Sequence(a.Set)
	c.Flag(a.Granted)
	c.Flag(a.Out)
	c.Digest(a.Digest)
	c.Number(uint64(len(a.Votes)))
	for _, v := range a.Votes {
		c.Incarnation(v.Dead)
		c.Sequence(v.Set)
	}
	c.progress(a.Progress)
}

// Describe writes a message in flight.
func (w Word) Describe(c *Canon) {
	c.Text(w.Voter)
	c.Sequence(w.Set)
	c.Number(uint64(len(w.Suspects)))
	for _, s := range w.Suspects {
		c.Incarnation(s)
	}
	c.Digest(w.Digest)
}
