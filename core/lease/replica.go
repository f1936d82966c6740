package lease

import (
	"viplog/core/ledger"
	"viplog/core/log"
)

// VotingReplica is a voter that folds the log itself.
type VotingReplica struct {
	*Voter
	Ledger *ledger.State // to be read between two calls only

	digestEvery uint64
}

// NewVotingReplica starts a voter on a log that it reads from its first fact.
func NewVotingReplica(disk VoterDisk, timing Timing, sign func(message []byte) []byte, start VoterStart) *VotingReplica {
	r := &VotingReplica{NewVoter(disk, timing, sign, start), ledger.New(disk.Log), DigestEvery}
	r.Ledger.TrackLists()
	return r
}

// DigestsEvery lets digests lie another number of facts apart: the same on every host of a cluster.
func (r *VotingReplica) DigestsEvery(facts uint64) { r.digestEvery = facts }

// Folded takes the next entries of the log.
func (r *VotingReplica) Folded(now Instant, entries []log.Entry) VoterReady {
	var digest *ledger.State
	for _, e := range entries {
		r.Ledger.ApplyEntry(e)
		if e.Sequence%r.digestEvery == 0 {
			digest = r.Ledger.Clone()
		}
	}
	awaited := AwaitedIn(r.Ledger.TakeListChanges(), r.Ledger.Sequence())
	ready := r.Fold(now, MembershipOf(r.Ledger), awaited)
	ready.Digest = digest
	return ready
}

// Restored goes on from a snapshot, whose ledger it keeps, because what it has not folded yet was purged. It does not know who is waited for
// because of that, and takes it to be everyone.
func (r *VotingReplica) Restored(now Instant, s *ledger.State) VoterReady {
	r.Ledger = s
	r.Ledger.TrackLists()
	return r.Fold(now, MembershipOf(s), awaitedBy(s.Sequence(), s.Live()))
}

// Clone makes an independent copy.
func (r *VotingReplica) Clone() *VotingReplica {
	s := r.Ledger.Clone()
	s.TrackLists()
	return r.CloneOn(s)
}

// CloneOn makes a copy that goes on with a clone of its ledger; or with the same one, if neither folds from here on.
func (r *VotingReplica) CloneOn(s *ledger.State) *VotingReplica {
	return &VotingReplica{r.Voter.Clone(), s, r.digestEvery}
}
