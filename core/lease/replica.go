package lease

import (
	"viplog/core/ledger"
	"viplog/core/log"
)

// VotingReplica is a voter that folds the log itself.
type VotingReplica struct {
	*Voter
	Ledger *ledger.State // to be read between two calls only
}

// NewVotingReplica starts a voter on a log that it reads from its first fact.
func NewVotingReplica(disk VoterDisk, timing Timing, sign func(message []byte) []byte, start VoterStart) *VotingReplica {
	r := &VotingReplica{NewVoter(disk, timing, sign, start), ledger.New(disk.Log)}
	r.Ledger.TrackLists()
	return r
}

// Folded takes the next entries of the log.
func (r *VotingReplica) Folded(now Instant, entries []log.Entry) VoterReady {
	for _, e := range entries {
		r.Ledger.ApplyEntry(e)
	}
	replaced := ReplacedIn(r.Ledger.TakeListChanges(), r.Ledger.Sequence())
	return r.Fold(now, MembershipOf(r.Ledger), replaced)
}

// Restored goes on from a snapshot, whose ledger it keeps, because what it has not folded yet was purged.
func (r *VotingReplica) Restored(now Instant, s *ledger.State) VoterReady {
	r.Ledger = s
	r.Ledger.TrackLists()
	return r.Fold(now, MembershipOf(s), nil)
}

// Clone makes an independent copy.
func (r *VotingReplica) Clone() *VotingReplica {
	c := &VotingReplica{r.Voter.Clone(), r.Ledger.Clone()}
	c.Ledger.TrackLists()
	return c
}
