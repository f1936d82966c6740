package lease

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"viplog/core/event"
	"viplog/core/ledger"
)

// Incarnation is one life of a node.
type Incarnation = ledger.Incarnation

// VoterSet is the hosts that vote. Version is the sequence of the fact that made it; 0 for none.
type VoterSet struct {
	Version uint64
	Voters  []string // ids, sorted
}

// Has tells whether a voter is a member.
func (s VoterSet) Has(id string) bool { return slices.Contains(s.Voters, id) }

func (s VoterSet) majority() int { return len(s.Voters)/2 + 1 }

// Membership is what a ledger says of voters and nodes. An incarnation is out when the log says that it left or failed;
// a later join alone does not put it out.
type Membership struct {
	Sequence uint64   // of the last fact folded
	Now      VoterSet // in force
	Before   VoterSet // the one before, while the change to Now is not settled
	Live     []Incarnation
}

// MembershipOf reads a ledger.
func MembershipOf(s *ledger.State) Membership {
	return Membership{
		Sequence: s.Sequence(), Now: setOf(s.Voters()), Before: setOf(s.FormerVoters()), Live: s.Live(),
	}
}

func setOf(members []ledger.Voter, version uint64) VoterSet {
	set := VoterSet{Version: version}
	for _, v := range members {
		set.Voters = append(set.Voters, v.ID)
	}
	slices.Sort(set.Voters)
	return set
}

func (m Membership) isLive(i Incarnation) bool {
	_, found := slices.BinarySearchFunc(m.Live, i, Incarnation.Compare)
	return found
}

// IsOut tells whether the log says that an incarnation is out. One whose join is not folded yet is not.
func (m Membership) IsOut(i Incarnation) bool { return i.Join <= m.Sequence && !m.isLive(i) }

// set finds a set in force by its version.
func (m Membership) set(version uint64) (VoterSet, bool) {
	switch version {
	case 0:
	case m.Now.Version:
		return m.Now, true
	case m.Before.Version:
		return m.Before, true
	}
	return VoterSet{}, false
}

// Renew is a node's heartbeat to one voter: a request to promise, and how far the node is. One from the join 0 only greets:
// a node that has not joined wants to know whether the voter hears it.
type Renew struct {
	Log     string // the log's identity
	Set     uint64 // the voter set under which a grant would count
	From    Incarnation
	Number  uint64        // counts the incarnation's renewals; a later process of one goes on with higher numbers
	Heard   uint64        // the serial of the last Answer from this voter, 0 for none
	Folded  uint64        // the last fact that the node has read
	Applied uint64        // the last fact that it has acted upon: every stop that follows from it is confirmed
	Awaits  uint64        // the fact that all others must have acted upon before it announces anything; 0 for none
	Digest  Digest        // the last of its ledger
	Lease   time.Duration // for how long it would count on a grant; no voter grants what it does not promise
}

// Answer is what a voter says to a node: to a renewal, or because something changed.
type Answer struct {
	Log      string
	Voter    string
	To       Incarnation
	Serial   uint64 // counts the voter's answers to this incarnation, at each start of the voter from another number
	Number   uint64 // of the renewal that it answers; 0 for none
	Set      uint64 // of that renewal
	Granted  bool   // the voter promises; else it only says that it hears
	Out      bool   // the incarnation is out by the log
	Digest   Digest // of the voter's ledger, if the node is refused because its ledger is wrong
	Votes    []Vote
	Progress []Progress // what has changed since what the node is known to have heard
}

// Progress is how far an incarnation is.
type Progress struct {
	Who     Incarnation
	Folded  uint64
	Applied uint64
}

// Word is what a voter says to other voters and to controllers while it suspects, has voted, the voter set is not settled, or a
// node's ledger is another than its own.
type Word struct {
	Log      string
	Voter    string
	Set      uint64 // the newest that the voter has folded
	Applied  uint64 // what every incarnation that is not out by the voter's ledger has acted upon at least
	Suspects []Incarnation
	Votes    []Vote
	Digest   Digest // the last of its ledger
}

// Resign is the word of an incarnation, or of a new process on its host that holds the host's lock, in the same boot, that it acts no
// more.
type Resign struct {
	Log string
	Who Incarnation
}

// Vote says that a voter takes an incarnation for dead and never grants it anything again.
type Vote struct {
	Voter     string
	Set       uint64
	Dead      Incarnation
	Signature []byte // of event.VoteMessage
}

func (a Vote) compare(b Vote) int {
	return cmp.Or(a.Dead.Compare(b.Dead), strings.Compare(a.Voter, b.Voter), cmp.Compare(a.Set, b.Set))
}

// AddVote adds a vote to sorted ones, unless it is there, its incarnation is out or no set in force is as old as its set: a proof
// under the set before counts until the change is settled, although its voters have signed anew. It reports whether it was added.
func AddVote(votes *[]Vote, vote Vote, m Membership, verify func(Vote) bool) bool {
	i, found := slices.BinarySearchFunc(*votes, vote, Vote.compare)
	if found || !m.needs(vote) || !verify(vote) {
		return false
	}
	*votes = slices.Insert(*votes, i, vote)
	return true
}

// KeepVotes leaves the votes that may still count.
func KeepVotes(votes []Vote, m Membership) []Vote {
	return slices.DeleteFunc(votes, func(v Vote) bool { return !m.needs(v) })
}

func (m Membership) needs(v Vote) bool { return !m.IsOut(v.Dead) && v.Set >= m.oldestSet() }

// oldestSet is the version of the oldest set in force.
func (m Membership) oldestSet() uint64 {
	if m.Before.Version > 0 {
		return m.Before.Version
	}
	return m.Now.Version
}

// IsSigned tells whether a vote is signed by a voter of a set that a ledger knows.
func IsSigned(v Vote, s *ledger.State) bool {
	message := event.VoteMessage(s.LogID(), v.Dead.Node, v.Dead.Join, v.Set)
	now, _ := s.Voters()
	before, _ := s.FormerVoters()
	return slices.ContainsFunc(slices.Concat(now, before), func(m ledger.Voter) bool {
		return m.ID == v.Voter && s.Verify(m.Key, message, v.Signature)
	})
}
