package lease

import (
	"slices"

	"viplog/core/event"
)

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

// shared takes note of whether another voter suspects somebody whom this one suspects. A voter that was alone with that for two
// heartbeats may itself have been cut off, although it hears the node on its own host: whoever renews now has time for it.
func (v *Voter) shared(now Instant, p *peer, suspected bool) {
	alone := !slices.ContainsFunc(p.suspects, func(s suspicion) bool { return s.until > now })
	if suspected && alone && !p.voted && !p.resigned && p.until.Add(2*v.timing.Heartbeat) <= now {
		p.until = now.Add(3 * v.timing.Heartbeat)
	}
}

// growsBy tells whether somebody is suspected whom the last word did not name: others wait for that.
func (v *Voter) growsBy(suspects []Incarnation) bool {
	return slices.ContainsFunc(suspects, func(who Incarnation) bool {
		p, known := v.peer(who)
		return known && !p.named
	})
}

// said takes note of whom a word names.
func (v *Voter) said(suspects []Incarnation) {
	for _, p := range v.peers {
		p.named = slices.Contains(suspects, p.who)
	}
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

// tell gathers the votes that are durable and that the log lacks.
func (v *Voter) tell() {
	told := slices.DeleteFunc(slices.Clone(v.disk.Dead), func(who Incarnation) bool { return !slices.Contains(v.durable.Dead, who) })
	v.newlyTold = slices.ContainsFunc(told, func(who Incarnation) bool { return !slices.Contains(v.told, who) })
	v.told = told
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
