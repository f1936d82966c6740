package lease

import (
	"slices"
	"strings"
	"time"

	"viplog/core/ledger"
)

// VoterDisk is what a voter must not forget.
type VoterDisk struct {
	Voter string // its identity, random per disk: one that lost its disk is another voter
	Log   string
	Since uint64        // the fact that it must have folded before it acts again
	Dead  []Incarnation // those that it voted against and that the log has not put out yet, sorted
}

// VoterReady is what a voter's shell must do: send each message at most once, in any order; call Wake at the instant; and make
// Persist durable, one after the other or only the newest, and say so by Persisted. Nothing else waits for the disk.
type VoterReady struct {
	Persist *VoterDisk    // nil: as it is
	Answers []Answer      // each to the node of its incarnation
	Word    *Word         // to all other voters of both sets, and to all controllers; nil for none
	Digest  *ledger.State // to be digested in the background, and told by Digested; nil for none
	Wake    Instant
}

// Voter is the machine of one voter.
type Voter struct {
	timing      Timing
	sign        func(message []byte) []byte
	disk        VoterDisk     // as it is to be
	durable     VoterDisk     // as it is known to be
	told        []Incarnation // of those voted against, whose votes are durable
	newlyTold   bool
	firstSerial uint64
	membership  Membership
	peers       []*peer // by incarnation: those that are not out, as far as is known
	quiet       Instant // until then it neither grants nor votes: it came from another log
	promised    Instant // what earlier machines have promised may last until then
	heardNode   Instant // when it last heard any node
	changes     uint64  // counts changes of anyone's progress
	pushAt      Instant // when changes go out unasked
	pushable    Instant // when they may at the earliest
	wordAt      Instant // when the next word is due
	wake        Instant
	signed      []Vote // its votes under the set of signedSet
	signedSet   uint64
	digest      Digest // of its own ledger
	digests     []saidDigest
}

const (
	coalesce    = time.Millisecond // from one push of progress to the next: a change alone waits for nothing
	maxProgress = 24               // entries of one answer: it fits a datagram of 1,400 bytes with some votes
)

// VoterStart is what a start of a voter brings along.
type VoterStart struct {
	Now    Instant
	Serial uint64 // answers count from it: far from those of earlier processes, as a random number is, since nodes echo them
	Fresh  bool   // it comes from another log, whose promises still run, and neither grants nor votes for as long as they may
	// Promised is until when promises of earlier machines may last that were made with another timing; 0: with the same one.
	Promised Instant
}

// NewVoter starts a voter from its disk. It promises from now on what it may have promised before.
func NewVoter(disk VoterDisk, timing Timing, sign func(message []byte) []byte, start VoterStart) *Voter {
	now := start.Now
	v := &Voter{
		timing: timing, sign: sign, disk: disk, durable: disk, told: disk.Dead, firstSerial: start.Serial, quiet: now, promised: start.Promised,
		heardNode: now, pushAt: Never, wordAt: Never, wake: Never,
	}
	if start.Fresh {
		v.quiet = max(now.Add(timing.promised()), v.promised)
	}
	for _, who := range disk.Dead {
		v.peers = append(v.peers, &peer{who: who, voted: true, serial: start.Serial})
	}
	return v
}

// Wake is the passing of time.
func (v *Voter) Wake(now Instant) VoterReady {
	v.begin(now)
	return v.finish(now, &VoterReady{})
}

// Fold takes what the voter's ledger says now, and who is waited for because of lists that facts have changed since the last
// call.
func (v *Voter) Fold(now Instant, m Membership, awaited []Awaited) VoterReady {
	v.begin(now)
	ready := &VoterReady{}
	v.membership = m
	for _, who := range m.Live {
		if _, known := v.peer(who); !known {
			v.add(who, now)
		}
	}
	v.peers = slices.DeleteFunc(v.peers, func(p *peer) bool { return m.IsOut(p.who) })
	for _, p := range v.peers {
		p.live = m.isLive(p.who)
		p.forgetSets(m)
	}
	v.await(now, awaited)
	before := v.disk
	v.disk.Dead = slices.DeleteFunc(slices.Clone(v.disk.Dead), m.IsOut)
	if len(v.disk.Dead) != len(before.Dead) { // never to be granted anything by a fold that ends before
		v.disk.Since = max(v.disk.Since, m.Sequence)
	}
	if v.isMember() {
		v.disk.Since = max(v.disk.Since, m.Now.Version)
	}
	v.tell()
	if v.disk.Since != before.Since || len(v.disk.Dead) != len(before.Dead) {
		v.persist(ready)
	}
	return v.finish(now, ready)
}

// Persisted takes note that a disk that was to be made durable is so: its votes may be told, and its sets acted under.
func (v *Voter) Persisted(now Instant, disk VoterDisk) VoterReady {
	v.begin(now)
	if disk.Log == v.disk.Log {
		v.durable = disk
		v.tell()
	}
	return v.finish(now, &VoterReady{})
}

// Renewed takes a node's renewal and answers it. What extends no promise is heard, and no more: a renewal of one that
// is out, resigned or voted dead; one whose node has not heard this voter for a promise's length, since a one-way link
// is no link; and any while the voter does not act.
func (v *Voter) Renewed(now Instant, m Renew) VoterReady {
	v.begin(now)
	ready := &VoterReady{}
	p, known := v.peer(m.From)
	switch {
	case m.Log != v.disk.Log:
		return v.finish(now, ready)
	case m.From.Join == 0:
		v.heardNode = now
		ready.Answers = append(ready.Answers, Answer{Log: v.disk.Log, Voter: v.disk.Voter, To: m.From, Number: m.Number})
		return v.finish(now, ready)
	case !known && v.membership.IsOut(m.From):
		v.heardNode = now
		ready.Answers = append(ready.Answers, Answer{Log: v.disk.Log, Voter: v.disk.Voter, To: m.From, Number: m.Number, Out: true})
		return v.finish(now, ready)
	case !known:
		p = v.add(m.From, now)
	}
	if !p.isNews(m) {
		return v.finish(now, ready) // late or doubled
	}
	v.heardNode = now
	v.progressed(now, p, m)
	if m.Awaits > 0 {
		v.await(now, awaitedBy(m.Awaits, v.membership.Live))
	}
	p.digest = m.Digest
	fresh := p.heardBack(now, m, v.timing)
	granted := fresh && m.Lease <= v.timing.Lease && v.mayGrant(now, p, m.Set)
	if granted {
		p.until = max(p.until, now.Add(v.timing.promised()))
	}
	a := Answer{Number: m.Number, Set: m.Set, Granted: granted}
	if v.isWrong(now, p) {
		a.Digest = v.digest
	}
	ready.Answers = append(ready.Answers, v.answer(now, p, a))
	return v.finish(now, ready)
}

func (v *Voter) mayGrant(now Instant, p *peer, version uint64) bool {
	set, inForce := v.membership.set(version)
	return inForce && v.actsUnder(set) && v.acts(now) && !p.voted && !p.resigned && !v.holdsUp(now, p, set) && !v.isWrong(now, p)
}

// acts tells whether the voter takes part: it has folded again what it had folded when it last wrote its disk.
func (v *Voter) acts(now Instant) bool {
	return now >= v.quiet && v.hasFolded()
}

func (v *Voter) hasFolded() bool { return v.membership.Sequence >= v.disk.Since }

// Heard takes another voter's word: whom it suspects, for two heartbeats.
func (v *Voter) Heard(now Instant, w Word) VoterReady {
	v.begin(now)
	if w.Log == v.disk.Log {
		v.heardDigest(now, w)
		for _, p := range v.peers {
			v.shared(now, p, slices.Contains(w.Suspects, p.who))
			p.suspects = slices.DeleteFunc(p.suspects, func(s suspicion) bool { return s.voter == w.Voter })
			if slices.Contains(w.Suspects, p.who) {
				p.suspects = append(p.suspects, suspicion{w.Voter, now.Add(2 * v.timing.Heartbeat)})
				slices.SortFunc(p.suspects, func(a, b suspicion) int { return strings.Compare(a.voter, b.voter) })
			}
		}
	}
	return v.finish(now, &VoterReady{})
}

// Resigned takes an incarnation's word that it acts no more: its promise is void.
func (v *Voter) Resigned(now Instant, r Resign) VoterReady {
	v.begin(now)
	if p, known := v.peer(r.Who); known && r.Log == v.disk.Log {
		p.resigned = true
	}
	return v.finish(now, &VoterReady{})
}

// begin looks at the time that has passed. A voter that heard no node for a lease was itself away, and one that may not act grants
// nothing, whoever renews: promises start afresh. One that is woken late was paused, and renewals wait in its socket: promises that ended meanwhile go on for two
// heartbeats.
func (v *Voter) begin(now Instant) {
	if _, votes := v.votingSet(); !votes || !v.acts(now) || now.Since(v.heardNode) >= v.timing.Lease {
		v.extend(v.promise(now))
		return
	}
	if v.wake != Never && now.Since(v.wake) > v.timing.Heartbeat/10 {
		v.extend(now.Add(2 * v.timing.Heartbeat))
	}
}

// finish votes, and gathers what is due to be said.
func (v *Voter) finish(now Instant, ready *VoterReady) VoterReady {
	accuses, _ := v.look(now)
	if accuses {
		v.vote(now, ready)
	}
	news := v.newlyTold
	v.newlyTold = false
	if now >= v.pushAt || news {
		v.push(now, ready, news)
	}
	var suspects []Incarnation
	if accuses {
		suspects = v.suspects(now)
	}
	switch {
	case !v.hasFolded(), len(suspects) == 0 && v.membership.Before.Version == 0 && !v.doubts():
		v.wordAt = Never
	case news || v.wordAt == Never || now >= v.wordAt || v.growsBy(suspects):
		ready.Word = &Word{
			Log: v.disk.Log, Voter: v.disk.Voter, Set: v.newestSet(), Applied: v.applied(),
			Suspects: suspects, Votes: v.votes(), Digest: v.digest,
		}
		v.wordAt = now.Add(v.timing.Heartbeat)
		v.said(suspects)
	}
	_, ends := v.look(now)
	v.wake = min(v.pushAt, v.wordAt, ends)
	if now < v.quiet {
		v.wake = min(v.wake, v.quiet)
	}
	ready.Wake = v.wake
	return *ready
}

// look tells whether there is anyone whose promise is over, and when the next promise ends. It is what every message costs,
// so it looks at each peer once.
func (v *Voter) look(now Instant) (accuses bool, ends Instant) {
	ends = Never
	for _, p := range v.peers {
		switch {
		case p.voted || p.resigned || p.until <= now:
			accuses = accuses || p.live
		default:
			ends = min(ends, p.until)
		}
	}
	return accuses, ends
}
