package lease

import (
	"cmp"
	"slices"
)

func (v *Voter) progressed(now Instant, p *peer, m Renew) {
	if m.Folded <= p.folded && m.Applied <= p.applied {
		return
	}
	p.folded, p.applied = max(p.folded, m.Folded), max(p.applied, m.Applied)
	p.catchUp(now)
	v.changes++
	p.changed = v.changes
	v.pushAt = min(v.pushAt, max(now, v.pushable))
}

// push answers unasked every node that was not told what has changed; a vote goes to all.
func (v *Voter) push(now Instant, ready *VoterReady, vote bool) {
	v.pushAt, v.pushable = Never, now.Add(coalesce)
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
