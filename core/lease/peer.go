package lease

import (
	"slices"
)

// peer is what a voter knows of an incarnation.
type peer struct {
	who      Incarnation
	until    Instant // of the promise
	live     bool    // by the log: it has joined and is not out
	voted    bool
	resigned bool
	named    bool           // as a suspect, by the last word
	suspects []suspicion    // by voter
	renewed  []renewedUnder // its last renewals, by set
	folded   uint64
	applied  uint64
	digest   Digest
	changed  uint64 // the count of changes when its progress last changed
	serial   uint64 // of the last answer to it
	sent     []sent // answers that are not older than a promise
	told     uint64 // the changes that went to it, heard or not
	heard    uint64 // the changes that it is known to have heard

	// behind is the oldest fact upon which others wait for it to act and that it has not acted upon, as far as is known;
	// 0 for none. After it, newest is the last of them.
	behind, newest uint64
	behindSince    Instant
}

func (v *Voter) peer(who Incarnation) (*peer, bool) {
	i, found := slices.BinarySearchFunc(v.peers, who, func(p *peer, who Incarnation) int { return p.who.Compare(who) })
	if !found {
		return nil, false
	}
	return v.peers[i], true
}

// renewedUnder is the number of the newest renewal under a set. Those of two sets overtake each other on their way.
type renewedUnder struct{ set, number uint64 }

type suspicion struct {
	voter string
	until Instant
}

type sent struct {
	serial uint64
	at     Instant
	told   uint64
}

// add begins to promise to an incarnation that the voter hears of for the first time.
func (v *Voter) add(who Incarnation, now Instant) *peer {
	p := &peer{who: who, until: v.promise(now), serial: v.firstSerial}
	i, _ := slices.BinarySearchFunc(v.peers, who, func(p *peer, who Incarnation) int { return p.who.Compare(who) })
	v.peers = slices.Insert(v.peers, i, p)
	return p
}

// promise is the end of a promise that is given now. One of a voter that grants nothing yet lasts as long after its quiet; and none ends
// before those of earlier machines.
func (v *Voter) promise(now Instant) Instant {
	return max(max(now, v.quiet).Add(v.timing.promised()), v.promised)
}

func (v *Voter) extend(until Instant) {
	for _, p := range v.peers {
		if !p.voted && !p.resigned {
			p.until = max(p.until, until)
		}
	}
}

// isNews takes note of a renewal's number, and tells whether it is newer than all before it under its set.
func (p *peer) isNews(m Renew) bool {
	i := slices.IndexFunc(p.renewed, func(r renewedUnder) bool { return r.set >= m.Set })
	switch {
	case i < 0:
		i = len(p.renewed)
		fallthrough
	case p.renewed[i].set > m.Set:
		p.renewed = slices.Insert(p.renewed, i, renewedUnder{m.Set, m.Number})
	case m.Number <= p.renewed[i].number:
		return false
	default:
		p.renewed[i].number = m.Number
	}
	return true
}

// forgetSets forgets the numbers of renewals under sets that are not in force any more.
func (p *peer) forgetSets(m Membership) {
	p.renewed = slices.DeleteFunc(p.renewed, func(r renewedUnder) bool { return r.set < m.oldestSet() })
}

// heardBack tells whether a node has heard something that was sent to it within a promise's length.
func (p *peer) heardBack(now Instant, m Renew, timing Timing) bool {
	p.sent = slices.DeleteFunc(p.sent, func(s sent) bool { return now.Since(s.at) > timing.promised() })
	i := slices.IndexFunc(p.sent, func(s sent) bool { return s.serial == m.Heard })
	if i < 0 && m.Heard > 0 {
		return false
	}
	newest := !slices.ContainsFunc(p.renewed, func(r renewedUnder) bool { return r.number > m.Number })
	switch {
	case !newest: // one that was overtaken may be of the process before
	case m.Heard == 0:
		p.heard = 0 // a new process, which knows nothing
	default:
		p.heard = max(p.heard, p.sent[i].told)
	}
	return i >= 0
}
