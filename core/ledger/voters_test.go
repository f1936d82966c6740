package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"strings"
	"testing"

	"viplog/core/event"
)

func voterKey(id string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(id))
	return ed25519.NewKeyFromSeed(seed[:])
}

func newVoter(id string) event.VoterAdded {
	return event.VoterAdded{ID: id, Address: nodeAddress(0), Key: voterKey(id).Public().(ed25519.PublicKey)}
}

// proof is a NodeFailed of node 1 with the votes of these voters under a set.
func proof(s *State, set uint64, voters ...string) event.NodeFailed {
	n, _ := s.NodeNamed(nodeAddress(1).String())
	e := event.NodeFailed{Address: n.Address, Incarnation: n.Incarnation, Set: set}
	message := event.VoteMessage(s.LogID(), n.Address, n.Incarnation, set)
	for _, id := range voters {
		e.Votes = append(e.Votes, event.Vote{Voter: id, Signature: ed25519.Sign(voterKey(id), message)})
	}
	return e
}

// threeVoters gives a ledger of three nodes, in which a, b and c vote, and the version of their set.
func threeVoters(t *testing.T) (*State, uint64) {
	t.Helper()
	s := New(testLog)
	apply(s, clusterOf(3))
	for i := range 3 {
		apply(s, joined(i, "first"))
	}
	for _, id := range []string{"a", "b", "c"} {
		if changes := apply(s, newVoter(id)); changes[0].Kind == Rejected {
			t.Fatal(changes)
		}
		_, set := s.Voters()
		apply(s, event.VotersSettled{Set: set})
	}
	_, set := s.Voters()
	return s, set
}

func TestDeathIsProvenByAMajorityOfTheVoterSetInForce(t *testing.T) {
	for _, test := range []struct {
		name   string
		proof  func(s *State, set uint64) event.NodeFailed
		reason string // "" for a proof that holds
	}{
		{"two of three", func(s *State, set uint64) event.NodeFailed { return proof(s, set, "a", "c") }, ""},
		{"all", func(s *State, set uint64) event.NodeFailed { return proof(s, set, "a", "b", "c") }, ""},
		{"one of three", func(s *State, set uint64) event.NodeFailed { return proof(s, set, "a") }, "1 of 3 votes are no majority"},
		{"one twice", func(s *State, set uint64) event.NodeFailed { return proof(s, set, "a", "a") }, "a voted twice"},
		{"a stranger", func(s *State, set uint64) event.NodeFailed { return proof(s, set, "a", "d") }, "d is no voter"},
		{"an older set", func(s *State, set uint64) event.NodeFailed { return proof(s, set-1, "a", "b") }, "is not in force"},
		{"signed for another set", func(s *State, set uint64) event.NodeFailed {
			e := proof(s, set-1, "a", "b")
			e.Set = set
			return e
		}, "not signed by it"},
		{"signed for another log", func(s *State, set uint64) event.NodeFailed {
			other := New("another log")
			*other = *s
			other.logID = "another log"
			return proof(other, set, "a", "b")
		}, "not signed by it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, set := threeVoters(t)
			changes := apply(s, test.proof(s, set))
			n, _ := s.NodeNamed(nodeAddress(1).String())
			switch {
			case test.reason == "" && n.Joined:
				t.Errorf("the node lives on: %v", changes)
			case test.reason != "" && (!n.Joined || changes[0].Kind != Rejected || !strings.Contains(changes[0].Reason, test.reason)):
				t.Errorf("%v, want it rejected: %s", changes, test.reason)
			}
		})
	}
}

func TestVotersChangeOneAtATimeAndTheOldSetCountsUntilSettled(t *testing.T) {
	s, old := threeVoters(t)
	apply(s, event.VoterRemoved{ID: "c"})
	if changes := apply(s, newVoter("d")); changes[0].Kind != Rejected {
		t.Errorf("a second change before the first is settled: %v", changes)
	}
	unsettled := s.Clone()
	if apply(unsettled, proof(unsettled, old, "b", "c")); joinedNow(unsettled) {
		t.Error("a proof of the set before does not count although the change is not settled")
	}
	_, now := s.Voters()
	apply(s, event.VotersSettled{Set: now})
	if apply(s, proof(s, old, "b", "c")); !joinedNow(s) {
		t.Error("a proof of the set before counts although the change is settled")
	}
	if apply(s, proof(s, now, "a")); !joinedNow(s) {
		t.Error("one of two is no majority")
	}
	if apply(s, proof(s, now, "a", "b")); joinedNow(s) {
		t.Error("two of two are a majority")
	}
}

func joinedNow(s *State) bool {
	n, _ := s.NodeNamed(nodeAddress(1).String())
	return n.Joined
}
