package lease

import (
	"slices"
	"strings"
)

// HolderReady is what a node's shell must do for its lease: send each message at most once, in any order, and call Wake
// at the instant.
type HolderReady struct {
	Renewals []Renewal
	Resign   *Resign // to all voters of both sets; nil for none
	Wake     Instant
}

// Renewal is a Renew for one voter.
type Renewal struct {
	Voter string
	Renew Renew
}

// Holder is the machine of one incarnation's lease. It also gathers what the voters tell: who is how far, and votes.
type Holder struct {
	timing     Timing
	log        string
	who        Incarnation
	verify     func(Vote) bool
	membership Membership
	acting     track  // the set under which the lease counts
	next       *track // the set in force, until its grants make a lease
	number     uint64 // of the last renewal
	sentAt     []renewalSent
	heard      []heard // by voter
	folded     uint64
	applied    uint64
	awaits     uint64
	digest     Digest
	renewAt    Instant
	votes      []Vote     // verified, sorted by incarnation
	progress   []Progress // by incarnation: the farthest that is known
	resigned   bool
	until      Instant // of the lease
	wake       Instant
	votesTaken int
}

// track is what one voter set has granted.
type track struct {
	set     VoterSet
	granted []uint64 // by the set's voters: the newest renewal that each granted
}

func trackOf(set VoterSet) track { return track{set, make([]uint64, len(set.Voters))} }

type renewalSent struct {
	number uint64
	at     Instant
}

type heard struct {
	voter  string
	serial uint64
}

func (a heard) of(voter string) int { return strings.Compare(a.voter, voter) }

// NewHolder starts the lease of an incarnation that has just joined, or goes on with it in a new process of the same boot:
// number is then not less than any of the renewals before. verify checks a vote's signature.
func NewHolder(log string, who Incarnation, number uint64, timing Timing, verify func(Vote) bool, now Instant) *Holder {
	return &Holder{timing: timing, log: log, who: who, number: number, verify: verify, renewAt: now, wake: Never}
}

// Until is the instant up to which the lease is held, as far as is known; it has passed where none is.
func (h *Holder) Until() Instant {
	if h.resigned {
		return 0
	}
	return h.until
}

// untilUnder is the end of the lease that a set's grants make: the newest renewal that a majority granted, from its
// sending on. What a voter granted later covers what it would have granted before.
func (h *Holder) untilUnder(t *track) Instant {
	if t.set.Version == 0 {
		return 0
	}
	number := t.grantedByMajority()
	for _, s := range h.sentAt {
		if s.number == number && number > 0 {
			return s.at.Add(h.timing.held())
		}
	}
	return 0 // never, or too long ago to be remembered
}

// grantedByMajority is the newest renewal that a majority of the set granted, or granted a newer one than.
func (t *track) grantedByMajority() uint64 {
	var newest uint64
	for _, number := range t.granted {
		n := 0
		for _, other := range t.granted {
			if other >= number {
				n++
			}
		}
		if n >= t.set.majority() {
			newest = max(newest, number)
		}
	}
	return newest
}

// Fold takes what the node's ledger says now.
func (h *Holder) Fold(now Instant, m Membership) HolderReady {
	h.begin(now)
	h.membership = m
	switch newest := m.Now; {
	case h.acting.set.Version == 0:
		h.acting = trackOf(newest)
	case newest.Version == h.acting.set.Version:
		h.next = nil
	case h.next == nil || newest.Version != h.next.set.Version:
		next := trackOf(newest)
		h.next, h.renewAt = &next, now
	}
	h.votes = KeepVotes(h.votes, m)
	h.progress = slices.DeleteFunc(h.progress, func(p Progress) bool { return m.IsOut(p.Who) })
	return h.finish(now)
}

// Report says how far the node is, and which fact it awaits all others to act upon. Applied must not pass a fact before every stop that
// follows from it is confirmed.
func (h *Holder) Report(now Instant, folded, applied, awaits uint64) HolderReady {
	h.begin(now)
	h.awaits = awaits
	if folded > h.folded || applied > h.applied {
		h.folded, h.applied = max(h.folded, folded), max(h.applied, applied)
		h.renewAt = now // others may wait for it
	}
	return h.finish(now)
}

// Digested takes the digest of the node's ledger: its next renewals say it.
func (h *Holder) Digested(d Digest) { h.digest = d }

// Answered takes a voter's answer.
func (h *Holder) Answered(now Instant, a Answer) HolderReady {
	h.begin(now)
	if a.Log != h.log || a.To != h.who {
		return h.finish(now)
	}
	i, found := slices.BinarySearchFunc(h.heard, a.Voter, heard.of)
	if !found {
		h.heard = slices.Insert(h.heard, i, heard{voter: a.Voter})
	}
	h.heard[i].serial = a.Serial // the newest to arrive: a voter that has restarted counts from another number
	for _, vote := range a.Votes {
		if AddVote(&h.votes, vote, h.membership, h.verify) {
			h.votesTaken++
		}
	}
	for _, p := range a.Progress {
		h.takeProgress(p)
	}
	if a.Granted {
		h.granted(a)
	}
	return h.finish(now)
}

// granted counts a grant under the set that it names; grants of different sets never add up.
func (h *Holder) granted(a Answer) {
	for _, t := range h.tracks() {
		if i := slices.Index(t.set.Voters, a.Voter); t.set.Version == a.Set && i >= 0 {
			t.granted[i] = max(t.granted[i], a.Number)
		}
	}
}

// tracks are the sets under which the node renews.
func (h *Holder) tracks() []*track {
	if h.next == nil {
		return []*track{&h.acting}
	}
	return []*track{&h.acting, h.next}
}

func (h *Holder) takeProgress(p Progress) {
	i, found := slices.BinarySearchFunc(h.progress, p.Who, Progress.of)
	switch {
	case found:
		known := &h.progress[i]
		known.Folded, known.Applied = max(known.Folded, p.Folded), max(known.Applied, p.Applied)
	case !h.membership.IsOut(p.Who):
		h.progress = slices.Insert(h.progress, i, p)
	}
}

func (p Progress) of(who Incarnation) int { return p.Who.Compare(who) }

// ProgressOf is how far an incarnation is known to be.
func (h *Holder) ProgressOf(who Incarnation) (folded, applied uint64) {
	i, found := slices.BinarySearchFunc(h.progress, who, Progress.of)
	if !found {
		return 0, 0
	}
	return h.progress[i].Folded, h.progress[i].Applied
}

// Proof gives the votes that prove an incarnation dead: those of a majority of a set in force; nil if there are too few.
func (h *Holder) Proof(who Incarnation) []Vote { return Proof(h.votes, h.membership, who) }

// Proof picks, from votes whose signatures were checked, those that prove an incarnation dead; nil if there are too few.
func Proof(votes []Vote, m Membership, who Incarnation) []Vote {
	for _, set := range []VoterSet{m.Now, m.Before} {
		var all []Vote
		for _, v := range votes {
			if v.Dead == who && v.Set == set.Version && set.Has(v.Voter) {
				all = append(all, v)
			}
		}
		if set.Version > 0 && len(all) >= set.majority() {
			return all
		}
	}
	return nil
}

// VotesTaken counts the votes that were news: as long as it stays, no incarnation is newly proven dead by them.
func (h *Holder) VotesTaken() int { return h.votesTaken }

// Accused lists the incarnations that somebody voted against.
func (h *Holder) Accused() (all []Incarnation) {
	for _, v := range h.votes {
		if len(all) == 0 || all[len(all)-1] != v.Dead {
			all = append(all, v.Dead)
		}
	}
	return all
}

// IsVotedAgainst tells whether some voter will never grant this incarnation anything again.
func (h *Holder) IsVotedAgainst() bool {
	return slices.ContainsFunc(h.votes, func(v Vote) bool { return v.Dead == h.who })
}

// KeepsVotersUnsettled tells whether a vote of a voter that is to stay keeps a change of voters from being settled, as long as this
// incarnation is not out.
func (h *Holder) KeepsVotersUnsettled() bool {
	return h.membership.Before.Version > 0 && slices.ContainsFunc(h.votes, func(v Vote) bool {
		return v.Dead == h.who && h.membership.Now.Has(v.Voter)
	})
}

// HasResigned tells whether the incarnation has given itself up: it is never leased again, and the node must rejoin.
func (h *Holder) HasResigned() bool { return h.resigned }

// Resign gives the incarnation up: its lease ends now.
func (h *Holder) Resign(now Instant) HolderReady {
	h.resigned = true
	ready := h.finish(now)
	ready.Resign = &Resign{Log: h.log, Who: h.who}
	return ready
}

// Wake is the passing of time.
func (h *Holder) Wake(now Instant) HolderReady {
	h.begin(now)
	return h.finish(now)
}

// begin looks at the time that has passed. A node that is woken late by a heartbeat was paused, and believes in its lease
// only once it is renewed.
func (h *Holder) begin(now Instant) {
	if h.wake != Never && now.Since(h.wake) > h.timing.Heartbeat {
		h.sentAt, h.renewAt = nil, now
	}
}

// finish goes over to the next set when its grants make a lease, or the old lease has ended; gives itself up when a vote
// keeps it from a lease, or the voters from their change; and renews each heartbeat.
func (h *Holder) finish(now Instant) HolderReady {
	ready := HolderReady{Wake: Never}
	h.wake = Never
	h.until = h.untilUnder(&h.acting)
	if h.next != nil && (h.until <= now || h.untilUnder(h.next) > now) {
		h.acting, h.next, h.renewAt = *h.next, nil, now // others may wait for it
		h.until = h.untilUnder(&h.acting)
	}
	if !h.resigned && (h.Until() <= now && h.IsVotedAgainst() || h.KeepsVotersUnsettled()) {
		h.resigned = true
		ready.Resign = &Resign{Log: h.log, Who: h.who}
	}
	if h.resigned || h.acting.set.Version == 0 {
		return ready
	}
	if now >= h.renewAt {
		h.renew(now, &ready)
	}
	ready.Wake = h.renewAt
	if until := h.Until(); until > now {
		ready.Wake = min(ready.Wake, until)
	}
	h.wake = ready.Wake
	return ready
}

func (h *Holder) renew(now Instant, ready *HolderReady) {
	h.renewAt = now.Add(h.timing.Heartbeat)
	h.sentAt = slices.DeleteFunc(h.sentAt, func(s renewalSent) bool { return now.Since(s.at) > h.timing.Lease })
	for _, t := range h.tracks() {
		h.number++
		h.sentAt = append(h.sentAt, renewalSent{h.number, now})
		for _, voter := range t.set.Voters {
			ready.Renewals = append(ready.Renewals, Renewal{voter, Renew{
				Log: h.log, Set: t.set.Version, From: h.who, Number: h.number, Heard: h.heardFrom(voter),
				Folded: h.folded, Applied: h.actedUpon(), Awaits: h.awaits, Digest: h.digest, Lease: h.timing.Lease,
			}})
		}
	}
}

// actedUpon is what the node has acted upon. It has acted upon a change of voters only when its lease counts under the new
// set: until then grants under the old one, which may be settled and gone by then, still keep it alive.
func (h *Holder) actedUpon() uint64 {
	if h.next != nil {
		return min(h.applied, h.next.set.Version-1)
	}
	return h.applied
}

func (h *Holder) heardFrom(voter string) uint64 {
	i, found := slices.BinarySearchFunc(h.heard, voter, heard.of)
	if !found {
		return 0
	}
	return h.heard[i].serial
}
