package ledger

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"slices"

	"viplog/core/event"
)

// voterSets is the voter set in force and, until the change is settled, the one before it.
type voterSets struct {
	now    voterSet
	before voterSet // version 0: settled
}

type voterSet struct {
	version uint64 // the sequence of the fact that made it
	members []voter
}

type voter struct {
	id      string
	address netip.Addr
	key     []byte
}

// Voter is a member of the voter set in force.
type Voter struct {
	ID      string
	Address netip.Addr
	Key     []byte
}

// Voters gives the voter set in force and its version; 0 for none.
func (s *State) Voters() (members []Voter, version uint64) {
	return s.voters.now.voters(), s.voters.now.version
}

// FormerVoters gives the voter set before the one in force, while that change is not settled; version 0: it is.
func (s *State) FormerVoters() (members []Voter, version uint64) {
	return s.voters.before.voters(), s.voters.before.version
}

func (s voterSet) voters() (all []Voter) {
	for _, v := range s.members {
		all = append(all, Voter{ID: v.id, Address: v.address, Key: v.key})
	}
	return all
}

func (s voterSet) find(id string) (voter, bool) {
	i := slices.IndexFunc(s.members, func(v voter) bool { return v.id == id })
	if i < 0 {
		return voter{}, false
	}
	return s.members[i], true
}

func (f *fold) voterAdded(e event.VoterAdded) {
	if old, ok := f.voters.now.find(e.ID); ok {
		if old.address != e.Address || !bytes.Equal(old.key, e.Key) {
			f.reject("voter %s: it exists already with another address or key", e.ID)
		}
		return
	}
	if len(f.voters.now.members) == event.MaxVoters {
		f.reject("voter %s: there are %d voters, the most that a set may have", e.ID, event.MaxVoters)
		return
	}
	added := voter{id: e.ID, address: e.Address, key: e.Key}
	f.changeVoters(append(slices.Clone(f.voters.now.members), added), "added "+e.ID)
}

func (f *fold) voterRemoved(e event.VoterRemoved) {
	if _, ok := f.voters.now.find(e.ID); !ok {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(f.voters.now.members), func(v voter) bool { return v.id == e.ID })
	f.changeVoters(rest, "removed "+e.ID)
}

// changeVoters goes from a settled set to the next. The first set has none before it and is settled at once.
func (f *fold) changeVoters(members []voter, reason string) {
	if f.voters.before.version != 0 {
		f.reject("voters: the set %d is not settled; voters change one at a time", f.voters.now.version)
		return
	}
	f.voters.before = f.voters.now
	f.voters.now = voterSet{version: f.seq, members: members}
	f.add(Change{Kind: VoterSet, Reason: reason})
}

func (f *fold) votersSettled(e event.VotersSettled) {
	switch {
	case e.Set != f.voters.now.version:
		f.reject("voters: set %d is not the one in force (%d)", e.Set, f.voters.now.version)
	case f.voters.before.version != 0:
		f.voters.before = voterSet{}
		f.add(Change{Kind: VoterSet, Reason: fmt.Sprintf("set %d is settled", e.Set)})
	}
}

// checkProof holds a NodeFailed to its votes: signed by distinct members of one set in force, and a majority of it.
func (s voterSets) checkProof(logID string, e event.NodeFailed, verify func(key ed25519.PublicKey, message, signature []byte) bool) error {
	set := s.now
	if e.Set != set.version {
		set = s.before
	}
	if e.Set == 0 || e.Set != set.version {
		return fmt.Errorf("set %d is not in force (%d is)", e.Set, s.now.version)
	}
	message := event.VoteMessage(logID, e.Address, e.Incarnation, e.Set)
	var counted []string
	for _, vote := range e.Votes {
		member, ok := set.find(vote.Voter)
		switch {
		case !ok:
			return fmt.Errorf("%s is no voter of set %d", vote.Voter, e.Set)
		case slices.Contains(counted, vote.Voter):
			return fmt.Errorf("%s voted twice", vote.Voter)
		case !verify(member.key, message, vote.Signature):
			return fmt.Errorf("the vote of %s is not signed by it", vote.Voter)
		}
		counted = append(counted, vote.Voter)
	}
	if 2*len(counted) <= len(set.members) {
		return fmt.Errorf("%d of %d votes are no majority", len(counted), len(set.members))
	}
	return nil
}
