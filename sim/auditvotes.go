package sim

import (
	"slices"

	"viplog/core/lease"
)

type ballot struct {
	dead lease.Incarnation
	set  uint64
}

// voted takes the votes that a voter sends. Proof of death and lease of one incarnation are never together.
func (a *Audit) voted(ready lease.VoterReady) {
	for _, answer := range ready.Answers {
		a.count(answer.Votes)
	}
	if ready.Word != nil {
		a.count(ready.Word.Votes)
	}
}

func (a *Audit) count(votes []lease.Vote) {
	for _, v := range votes {
		b := ballot{v.Dead, v.Set}
		if slices.Contains(a.votes[b], v.Voter) {
			continue
		}
		a.votes[b] = append(a.votes[b], v.Voter)
		if size := a.sets[v.Set]; size == 0 || 2*len(a.votes[b]) <= size || a.proven[v.Dead] {
			continue
		}
		a.proven[v.Dead] = true
		for _, h := range a.world.Hosts {
			p := h.node
			if p == nil || p.machine == nil || h.frozen {
				continue
			}
			if who, _ := p.machine.Incarnation(); who == v.Dead && p.machine.LeasedUntil() > h.now() {
				a.violate("lemma", "incarnation %d of %s is proven dead while it is leased", who.Join, h.Name)
			}
		}
	}
}
