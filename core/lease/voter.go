package lease

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"viplog/core/event"
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
	heardNode   Instant // when it last heard any node
	changes     uint64  // counts changes of anyone's progress
	pushAt      Instant // when changes go out unasked
	wordAt      Instant // when the next word is due
	wake        Instant
	signed      []Vote // its votes under the set of signedSet
	signedSet   uint64
	digest      Digest // of its own ledger
	digests     []saidDigest
}

// peer is what a voter knows of an incarnation.
type peer struct {
	who      Incarnation
	until    Instant // of the promise
	live     bool    // by the log: it has joined and is not out
	voted    bool
	resigned bool
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

	// behind is the oldest fact that replaced a list in which it stood and that it has not acted upon, as far as is known;
	// 0 for none. After it, newest is the last of them.
	behind, newest uint64
	behindSince    Instant
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

const (
	coalesce    = time.Millisecond // how long changes of progress are gathered before they are pushed
	maxProgress = 24               // entries of one answer: it fits a datagram of 1,400 bytes with some votes
)

// VoterStart is what a start of a voter brings along.
type VoterStart struct {
	Now    Instant
	Serial uint64 // answers count from it: far from those of earlier processes, as a random number is, since nodes echo them
	Fresh  bool   // it comes from another log, whose promises still run, and neither grants nor votes for as long as they may
}

// NewVoter starts a voter from its disk. It promises from now on what it may have promised before.
func NewVoter(disk VoterDisk, timing Timing, sign func(message []byte) []byte, start VoterStart) *Voter {
	now := start.Now
	v := &Voter{
		timing: timing, sign: sign, disk: disk, durable: disk, told: disk.Dead, firstSerial: start.Serial, quiet: now, heardNode: now,
		pushAt: Never, wordAt: Never, wake: Never,
	}
	if start.Fresh {
		v.quiet = now.Add(timing.promised())
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

// Fold takes what the voter's ledger says now, and which incarnations stood in lists that facts have replaced since the
// last call.
func (v *Voter) Fold(now Instant, m Membership, replaced []Replaced) VoterReady {
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
	for _, r := range replaced {
		if p, known := v.peer(r.Who); known {
			p.fallBehind(r.Version, now)
		}
	}
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

// tell gathers the votes that are durable and that the log lacks.
func (v *Voter) tell() {
	told := slices.DeleteFunc(slices.Clone(v.disk.Dead), func(who Incarnation) bool { return !slices.Contains(v.durable.Dead, who) })
	v.newlyTold = slices.ContainsFunc(told, func(who Incarnation) bool { return !slices.Contains(v.told, who) })
	v.told = told
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
	p.digest = m.Digest
	fresh := p.heardBack(now, m.Heard, v.timing)
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

func (v *Voter) progressed(now Instant, p *peer, m Renew) {
	if m.Folded <= p.folded && m.Applied <= p.applied {
		return
	}
	p.folded, p.applied = max(p.folded, m.Folded), max(p.applied, m.Applied)
	p.catchUp(now)
	v.changes++
	p.changed = v.changes
	v.pushAt = min(v.pushAt, now.Add(coalesce))
}

// heardBack tells whether a node has heard something that was sent to it within a promise's length.
func (p *peer) heardBack(now Instant, serial uint64, timing Timing) bool {
	p.sent = slices.DeleteFunc(p.sent, func(s sent) bool { return now.Since(s.at) > timing.promised() })
	i := slices.IndexFunc(p.sent, func(s sent) bool { return s.serial == serial })
	if serial == 0 {
		p.heard = 0 // a new process, which knows nothing
	}
	if i < 0 {
		return false
	}
	p.heard = max(p.heard, p.sent[i].told)
	return true
}

func (v *Voter) mayGrant(now Instant, p *peer, version uint64) bool {
	set, inForce := v.membership.set(version)
	return inForce && v.actsUnder(set) && v.acts(now) && !p.voted && !p.resigned && !v.holdsUp(now, p) && !v.isWrong(now, p)
}

// acts tells whether the voter takes part: it has folded again what it had folded when it last wrote its disk.
func (v *Voter) acts(now Instant) bool {
	return now >= v.quiet && v.hasFolded()
}

func (v *Voter) hasFolded() bool { return v.membership.Sequence >= v.disk.Since }

// isMember tells whether the voter is of a set in force.
func (v *Voter) isMember() bool {
	m := v.membership
	return m.Now.Has(v.disk.Voter) || m.Before.Has(v.disk.Voter)
}

// actsUnder tells whether the voter is of a set and will know of it after a restart.
func (v *Voter) actsUnder(set VoterSet) bool {
	return set.Version > 0 && set.Version <= v.durable.Since && set.Has(v.disk.Voter)
}

// votingSet is the set under which the voter votes: the newest that it acts under.
func (v *Voter) votingSet() (VoterSet, bool) {
	for _, set := range []VoterSet{v.membership.Now, v.membership.Before} {
		if v.actsUnder(set) {
			return set, true
		}
	}
	return VoterSet{}, false
}

// Heard takes another voter's word: whom it suspects, for two heartbeats.
func (v *Voter) Heard(now Instant, w Word) VoterReady {
	v.begin(now)
	if w.Log == v.disk.Log {
		v.heardDigest(now, w)
		for _, p := range v.peers {
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

// begin looks at the time that has passed. A voter that heard no node for a lease was itself away: its promises start
// afresh. One that is woken late was paused, and renewals wait in its socket: promises that ended meanwhile go on for two
// heartbeats.
func (v *Voter) begin(now Instant) {
	if now.Since(v.heardNode) >= v.timing.Lease {
		v.extend(v.promise(now))
		return
	}
	if v.wake != Never && now.Since(v.wake) > v.timing.Heartbeat/10 {
		v.extend(now.Add(2 * v.timing.Heartbeat))
	}
}

func (v *Voter) extend(until Instant) {
	for _, p := range v.peers {
		if !p.voted && !p.resigned {
			p.until = max(p.until, until)
		}
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
	case len(suspects) == 0 && (v.membership.Before.Version == 0 || !v.hasFolded()) && !v.doubts():
		v.wordAt = Never
	case news || v.wordAt == Never || now >= v.wordAt:
		ready.Word = &Word{
			Log: v.disk.Log, Voter: v.disk.Voter, Set: v.newestSet(), Applied: v.applied(),
			Suspects: suspects, Votes: v.votes(), Digest: v.digest,
		}
		v.wordAt = now.Add(v.timing.Heartbeat)
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

// push answers unasked every node that was not told what has changed; a vote goes to all.
func (v *Voter) push(now Instant, ready *VoterReady, vote bool) {
	v.pushAt = Never
	for _, p := range v.peers {
		if !vote && p.told >= v.changes {
			continue
		}
		answered := slices.ContainsFunc(ready.Answers, func(a Answer) bool { return a.To == p.who })
		if len(p.renewed) > 0 && (vote || p.told < v.changes && !answered) {
			ready.Answers = append(ready.Answers, v.answer(now, p, Answer{}))
		}
	}
}

// suspects lists the incarnations whose promise has ended, and those that are voted dead.
func (v *Voter) suspects(now Instant) (all []Incarnation) {
	if _, votes := v.votingSet(); !votes || !v.acts(now) {
		return nil
	}
	for _, p := range v.peers {
		if p.live && (p.voted || p.resigned || p.until <= now) {
			all = append(all, p.who)
		}
	}
	return all
}

// vote votes against those whose promise has ended, while a majority of the set suspects them; against who resigned, at
// once. A vote is told when it is durable.
func (v *Voter) vote(now Instant, ready *VoterReady) {
	set, votes := v.votingSet()
	if !votes || !v.acts(now) {
		return
	}
	news := false
	for _, p := range v.peers {
		if p.voted || !p.live {
			continue
		}
		if !p.resigned && (p.until > now || v.suspecting(now, p, set) < set.majority()) {
			continue
		}
		p.voted, news = true, true
		v.disk.Dead = append(slices.Clone(v.disk.Dead), p.who)
	}
	if news {
		slices.SortFunc(v.disk.Dead, Incarnation.Compare)
		v.persist(ready)
	}
}

// suspecting counts the members of a set that suspect an incarnation, this voter among them.
func (v *Voter) suspecting(now Instant, p *peer, set VoterSet) int {
	n := 1
	for _, s := range p.suspects {
		if s.until > now && s.voter != v.disk.Voter && set.Has(s.voter) {
			n++
		}
	}
	return n
}

func (v *Voter) persist(ready *VoterReady) {
	disk := v.disk
	ready.Persist = &disk
}

// votes are this voter's, signed under the set that is in force, so that they count there although they were cast before.
func (v *Voter) votes() []Vote {
	set, ok := v.votingSet()
	if !ok || !v.hasFolded() {
		return nil
	}
	same := v.signedSet == set.Version && slices.EqualFunc(v.signed, v.told, func(s Vote, who Incarnation) bool { return s.Dead == who })
	if same {
		return v.signed
	}
	v.signed, v.signedSet = nil, set.Version
	for _, who := range v.told {
		message := event.VoteMessage(v.disk.Log, who.Node, who.Join, set.Version)
		v.signed = append(v.signed, Vote{Voter: v.disk.Voter, Set: set.Version, Dead: who, Signature: v.sign(message)})
	}
	return v.signed
}

// newestSet is the version of the newest set that the voter has folded, and if it acts under sets the newest of those.
func (v *Voter) newestSet() uint64 {
	if set, votes := v.votingSet(); votes || v.isMember() {
		return set.Version
	}
	return v.membership.Now.Version
}

// applied is what every incarnation that is not out has acted upon at least.
func (v *Voter) applied() uint64 {
	least := v.membership.Sequence
	for _, p := range v.peers {
		if p.live {
			least = min(least, p.applied)
		}
	}
	return least
}

// answer completes an answer with what its node has not heard yet.
func (v *Voter) answer(now Instant, p *peer, a Answer) Answer {
	p.serial++
	a.Log, a.Voter, a.To, a.Serial = v.disk.Log, v.disk.Voter, p.who, p.serial
	a.Votes = v.votes()
	told := v.changes
	var news []*peer
	if p.heard < v.changes {
		news = slices.DeleteFunc(slices.Clone(v.peers), func(q *peer) bool { return q == p || q.changed <= p.heard })
	}
	slices.SortFunc(news, func(a, b *peer) int { return cmp.Compare(a.changed, b.changed) })
	if len(news) > maxProgress {
		news = news[:maxProgress]
		told = news[maxProgress-1].changed
	}
	for _, q := range news {
		a.Progress = append(a.Progress, Progress{Who: q.who, Folded: q.folded, Applied: q.applied})
	}
	p.told = told
	p.sent = append(p.sent, sent{serial: p.serial, at: now, told: told})
	return a
}

func (v *Voter) peer(who Incarnation) (*peer, bool) {
	i, found := slices.BinarySearchFunc(v.peers, who, func(p *peer, who Incarnation) int { return p.who.Compare(who) })
	if !found {
		return nil, false
	}
	return v.peers[i], true
}

// promise is the end of a promise that is given now. One of a voter that grants nothing yet lasts as long after its quiet.
func (v *Voter) promise(now Instant) Instant { return max(now, v.quiet).Add(v.timing.promised()) }

// add begins to promise to an incarnation that the voter hears of for the first time.
func (v *Voter) add(who Incarnation, now Instant) *peer {
	p := &peer{who: who, until: v.promise(now), serial: v.firstSerial}
	i, _ := slices.BinarySearchFunc(v.peers, who, func(p *peer, who Incarnation) int { return p.who.Compare(who) })
	v.peers = slices.Insert(v.peers, i, p)
	return p
}
