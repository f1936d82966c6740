package control

import (
	"slices"
	"strings"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
)

// Controller is the machine of one controller, as far as it watches over nodes and voters: it gathers what voters say and
// knows which facts the log lacks. Several may run; whose fact comes second changes nothing.
type Controller struct {
	Ledger *ledger.State // to be read between two calls only

	head       uint64 // what the log held at the start
	membership lease.Membership
	votes      []lease.Vote // whose signatures were checked
	words      []lease.Word // the last of each voter, by its name
	wanted     []ledger.Voter
}

// NewController starts a controller on a log that it reads from its first fact. Head is the last fact that the log holds now.
func NewController(logID string, head uint64) *Controller {
	return &Controller{Ledger: ledger.New(logID), head: head}
}

// Want says which voters there are to be; none: those that are.
func (c *Controller) Want(voters []ledger.Voter) { c.wanted = voters }

// Folded takes the next entries of the log.
func (c *Controller) Folded(entries []log.Entry) {
	for _, e := range entries {
		c.Ledger.ApplyEntry(e)
	}
	c.membership = lease.MembershipOf(c.Ledger)
	c.votes = lease.KeepVotes(c.votes, c.membership)
}

// Restored goes on from a snapshot, whose ledger it keeps, because what it has not folded yet was purged.
func (c *Controller) Restored(s *ledger.State) {
	c.Ledger = s
	c.Folded(nil)
}

// Heard takes a voter's word.
func (c *Controller) Heard(w lease.Word) {
	if w.Log != c.Ledger.LogID() {
		return
	}
	i, found := slices.BinarySearchFunc(c.words, w.Voter, func(known lease.Word, id string) int { return strings.Compare(known.Voter, id) })
	if found {
		c.words[i] = w
	} else {
		c.words = slices.Insert(c.words, i, w)
	}
	for _, vote := range w.Votes {
		lease.AddVote(&c.votes, vote, c.membership, func(v lease.Vote) bool { return lease.IsSigned(v, c.Ledger) })
	}
}

// Due gives the facts that the log lacks: that incarnations failed, with the proof; that a change of voters is settled;
// and what is due by the ledger alone. That is nothing before all is folded that the log held at the start: what was lacking once was a
// voter, say, which has been replaced since. nowNanos is Unix time.
func (c *Controller) Due(nowNanos int64) []event.Event {
	if c.Ledger.Sequence() < c.head {
		return nil
	}
	var due []event.Event
	for _, who := range c.membership.Live {
		if proof := lease.Proof(c.votes, c.membership, who); proof != nil {
			due = append(due, failure(who, proof))
		}
	}
	if c.isSettled() {
		due = append(due, event.VotersSettled{Set: c.membership.Now.Version})
	}
	if step := c.nextVoter(); step != nil {
		due = append(due, step)
	}
	return append(due, Due(c.Ledger, nowNanos)...)
}

func failure(who lease.Incarnation, proof []lease.Vote) event.NodeFailed {
	e := event.NodeFailed{Address: who.Node, Incarnation: who.Join, Set: proof[0].Set}
	for _, v := range proof {
		e.Votes = append(e.Votes, event.Vote{Voter: v.Voter, Signature: v.Signature})
	}
	return e
}

// isSettled tells whether a change of voters is in force everywhere: every voter of the new set has folded it, every incarnation
// that is not out has acted upon it, and whoever a member has voted against is out by the log. A removed voter need not
// answer.
func (c *Controller) isSettled() bool {
	set := c.membership.Now
	if c.membership.Before.Version == 0 {
		return false
	}
	applied := false
	for _, voter := range set.Voters {
		i := slices.IndexFunc(c.words, func(w lease.Word) bool { return w.Voter == voter })
		if i < 0 || c.words[i].Set != set.Version {
			return false
		}
		accuses := slices.ContainsFunc(c.words[i].Votes, func(v lease.Vote) bool { return !c.membership.IsOut(v.Dead) })
		if accuses {
			return false
		}
		applied = applied || c.words[i].Applied >= set.Version
	}
	return applied
}

// nextVoter is the next step from the voters that are to those that are wanted: one at a time, each settled before the next.
// Who is to go goes first, as long as one is left, because a set with a dead voter never settles; and of those the ones that another
// takes the place of on their hosts, which are dead for sure.
func (c *Controller) nextVoter() event.Event {
	now, _ := c.Ledger.Voters()
	if len(c.wanted) == 0 || c.membership.Before.Version != 0 {
		return nil
	}
	has := func(all []ledger.Voter, id string) bool {
		return slices.ContainsFunc(all, func(v ledger.Voter) bool { return v.ID == id })
	}
	missing := slices.IndexFunc(c.wanted, func(v ledger.Voter) bool { return !has(now, v.ID) })
	gone := slices.DeleteFunc(slices.Clone(now), func(v ledger.Voter) bool { return has(c.wanted, v.ID) })
	if len(gone) > 0 && (len(now) > 1 || missing < 0) {
		replaced := slices.IndexFunc(gone, func(v ledger.Voter) bool {
			return slices.ContainsFunc(c.wanted, func(w ledger.Voter) bool { return w.Address == v.Address })
		})
		return event.VoterRemoved{ID: gone[max(0, replaced)].ID}
	}
	if missing < 0 {
		return nil
	}
	v := c.wanted[missing]
	return event.VoterAdded{ID: v.ID, Address: v.Address, Key: v.Key}
}

// Clone makes an independent copy.
func (c *Controller) Clone() *Controller {
	copied := *c
	copied.Ledger = c.Ledger.Clone()
	copied.votes, copied.words = slices.Clone(c.votes), slices.Clone(c.words)
	return &copied
}

// Describe writes all that decides which facts the controller finds missing, but the contents of the log.
func (c *Controller) Describe(canon *lease.Canon) {
	canon.Sequence(c.Ledger.Sequence())
	for _, v := range c.votes {
		canon.Text(v.Voter)
		canon.Sequence(v.Set)
		canon.Incarnation(v.Dead)
	}
	for _, w := range c.words {
		canon.Text(w.Voter)
		canon.Sequence(w.Set)
		canon.Sequence(w.Applied)
		for _, v := range w.Votes {
			canon.Incarnation(v.Dead)
		}
	}
}
