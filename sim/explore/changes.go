package explore

import (
	"fmt"
	"slices"
	"time"

	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
)

// changes is a world in which the set of voters changes, under one incarnation's lease. Between two steps nothing is on its way:
// a step is a fact, somebody's folding, a voter's restart, a disk that is done if voters restart, or that two leases long some of the links between the node and the
// voters carry and the others do not.
type changes struct {
	options    ChangesOptions
	now        lease.Instant
	log        factLog
	ready      int // facts of the set-up
	holder     *lease.Holder
	wake       lease.Instant
	node       *ledger.State // what the node has folded
	voters     []runningVoter
	controller *control.Controller
	restarts   int
	slowDisks  bool // a disk is done when a step says so
	ballots    []castBallot
	violation  string
	model      *modelledVoters // nil: nobody is told
}

type castBallot struct {
	voter string
	set   uint64
}

// ChangesOptions is the size of a world whose voters change.
type ChangesOptions struct {
	From     []string // the first set
	Then     []string // A+ or A-: added or removed, in that order
	Restarts int
}

var changesTiming = lease.Timing{Heartbeat: 200 * time.Millisecond, Lease: 400 * time.Millisecond}

// Changes is a world in which the lemma is to hold whatever the set of voters does.
func Changes(o ChangesOptions) World {
	w := &changes{
		options: o, now: lease.Instant(time.Hour), log: newFactLog(exploredLog), node: ledger.New(exploredLog),
		controller: control.NewController(exploredLog, 0),
	}
	w.node.FoldAs(exploredBinary)
	w.controller.Ledger.FoldAs(exploredBinary)
	address := exploredNode(0)
	w.store(exploredCluster(1))
	for i, id := range o.From {
		w.store(exploredVoter(id))
		if i > 0 {
			w.store(event.VotersSettled{Set: w.log.head()})
		}
	}
	w.store(event.NodeJoined{Address: address, Name: "n1", StartID: "1", MachineID: "m", Interfaces: exploredInterfaces(0)})
	w.ready = len(w.log.entries)
	ids := slices.Clone(o.From)
	for _, change := range o.Then {
		if id := change[:1]; !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		w.voters = append(w.voters, newRunningVoter(id))
	}
	for i := range w.voters {
		w.startVoter(i)
		w.voterDid(i, w.voters[i].fold(w.now, w.log.entries), nil)
	}
	who := lease.Incarnation{Node: address, Join: w.log.head()}
	w.holder = lease.NewHolder(exploredLog, who, 0, changesTiming, isSignedVote, w.now)
	for _, e := range w.log.entries {
		w.node.ApplyEntry(e)
	}
	w.nodeDid(w.holder.Fold(w.now, lease.MembershipOf(w.node)), w.links(-1))
	w.pass(2*changesTiming.Lease, w.links(-1))
	w.slowDisks = o.Restarts > 0
	return w
}

func (w *changes) store(e event.Event) {
	w.controller.Folded([]log.Entry{w.log.store(e)}) // at once: one that lags tells the log no more
	w.model.stored(e)
}

// links are those that carry: a bit for each voter.
func (w *changes) links(carry int) []bool {
	all := make([]bool, len(w.voters))
	for i := range all {
		all[i] = carry>>i&1 == 1
	}
	return all
}

func (w *changes) startVoter(i int) {
	w.voters[i].start(changesTiming, w.now, w.restarts)
}

// voterDid delivers what a voter says: to the node where the link carries (nil: to nobody), to other voters and the controller
// always: what they do not hear keeps them from acting, and nobody announces more for it.
func (w *changes) voterDid(i int, ready lease.VoterReady, links []bool) {
	v := &w.voters[i]
	v.wake = ready.Wake
	if ready.Word != nil {
		w.cast(ready.Word.Votes)
		w.controller.Heard(*ready.Word)
		for j := range w.voters {
			if j != i && w.voters[j].machine != nil {
				w.voterDid(j, w.voters[j].machine.Heard(w.now, *ready.Word), links)
			}
		}
	}
	for _, a := range ready.Answers {
		w.cast(a.Votes)
		if links != nil && links[i] && a.To.Join > 1 {
			if a.Granted {
				w.model.granted(i, a.Set)
			}
			w.nodeDid(w.holder.Answered(w.now, a), links)
		}
	}
	if ready.Persist != nil {
		if v.pending = ready.Persist; !w.slowDisks {
			w.diskDid(i, links)
		}
	}
}

// diskDid stores the newest that a voter's disk is to hold.
func (w *changes) diskDid(i int, links []bool) {
	v := &w.voters[i]
	v.disk, v.pending = *v.pending, nil
	w.voterDid(i, v.machine.Persisted(w.now, v.disk), links)
}

func (w *changes) cast(votes []lease.Vote) {
	for _, v := range votes {
		if b := (castBallot{v.Voter, v.Set}); !slices.Contains(w.ballots, b) {
			w.ballots = append(slices.Clip(w.ballots), b)
			w.model.voted(v.Voter, v.Set)
		}
	}
	w.check()
}

// check looks for a proof under any set that ever was, beside a lease.
func (w *changes) check() {
	if w.holder == nil || w.holder.Until() <= w.now {
		return
	}
	var sets []uint64
	for _, b := range w.ballots {
		if !slices.Contains(sets, b.set) {
			sets = append(sets, b.set)
		}
	}
	for _, set := range sets {
		votes := 0
		for _, b := range w.ballots {
			if b.set == set {
				votes++
			}
		}
		if 2*votes > w.sizeOf(set) {
			w.violation = "an incarnation is leased and proven dead"
		}
	}
}

// sizeOf is how many voters a set has.
func (w *changes) sizeOf(set uint64) int {
	size := 0
	for _, e := range w.log.events[:set] {
		switch e.(type) {
		case event.VoterAdded:
			size++
		case event.VoterRemoved:
			size--
		}
	}
	return size
}

func (w *changes) nodeDid(ready lease.HolderReady, links []bool) {
	w.wake = ready.Wake
	w.check()
	for _, r := range ready.Renewals {
		w.model.applied(r.Renew.Applied)
		for i := range w.voters {
			if w.voters[i].id == r.Voter && links != nil && links[i] {
				w.voterDid(i, w.voters[i].machine.Renewed(w.now, r.Renew), links)
			}
		}
	}
}

// pass lets time pass. Another node is always heard, so that no voter takes itself for away.
func (w *changes) pass(d time.Duration, links []bool) {
	end := w.now.Add(d)
	for w.now < end {
		next := min(end, w.wake)
		for _, v := range w.voters {
			next = min(next, v.wake)
		}
		w.now = max(next, w.now+1)
		for i := range w.voters {
			v := &w.voters[i]
			other := lease.Renew{Log: exploredLog, From: lease.Incarnation{Node: exploredNode(1)}}
			w.voterDid(i, v.machine.Renewed(w.now, other), links)
			if v.wake <= w.now {
				w.voterDid(i, v.machine.Wake(w.now), links)
			}
		}
		if w.wake <= w.now {
			w.nodeDid(w.holder.Wake(w.now), links)
		}
	}
}

func (w *changes) clone() *changes {
	c := *w
	c.holder, c.node, c.controller = w.holder.Clone(), w.node.Clone(), w.controller.Clone()
	c.voters = slices.Clone(w.voters)
	for i := range c.voters {
		c.voters[i] = c.voters[i].copied()
	}
	return &c
}

// Steps implements World.
func (w *changes) Steps() (steps []Step) {
	add := func(name string, do func(*changes)) {
		steps = append(steps, Step{name, func() World {
			next := w.clone()
			do(next)
			return next
		}})
	}
	for i, v := range w.voters {
		if v.machine.Ledger.Sequence() < w.log.head() {
			add(v.id+" folds the next fact", func(w *changes) {
				at := w.voters[i].machine.Ledger.Sequence()
				w.model.folded(i, at+1)
				w.voterDid(i, w.voters[i].fold(w.now, w.log.entries[at:at+1]), nil)
			})
		}
		if v.pending != nil {
			add(v.id+"'s disk is done", func(w *changes) { w.diskDid(i, nil) })
		}
		if w.restarts < w.options.Restarts {
			add(v.id+" restarts, and has folded only the first set", func(w *changes) {
				w.restarts++
				w.model.restarted(i)
				w.startVoter(i)
				w.voterDid(i, w.voters[i].fold(w.now, w.log.entries[:w.ready]), nil)
			})
		}
	}
	if at := w.node.Sequence(); at < w.log.head() {
		add("the node folds the next fact", func(w *changes) {
			w.node.ApplyEntry(w.log.entries[at])
			w.nodeDid(w.holder.Fold(w.now, lease.MembershipOf(w.node)), nil)
			w.nodeDid(w.holder.Report(w.now, at+1, at+1, 0), nil)
		})
	}
	w.addFacts(add)
	for carry := range 1 << len(w.voters) {
		links := w.links(carry)
		name := ""
		for i, v := range w.voters {
			if links[i] {
				name += v.id
			}
		}
		add(fmt.Sprintf("two leases long only %q hear the node, and it them", name), func(w *changes) { w.pass(2*changesTiming.Lease, links) })
	}
	return steps
}

func (w *changes) addFacts(add func(string, func(*changes))) {
	due := w.controller.Due(0)
	for _, e := range due {
		switch e.(type) {
		case event.VotersSettled, event.NodeFailed:
			add("the log stores "+event.TypeOf(e), func(w *changes) {
				if w.isNews(e) {
					w.store(e)
				}
			})
		}
	}
	done := 0
	for _, e := range w.log.events[w.ready:] {
		switch e.(type) {
		case event.VoterAdded, event.VoterRemoved:
			done++
		}
	}
	if _, before := w.log.ledger().FormerVoters(); done < len(w.options.Then) && before == 0 {
		change := w.options.Then[done]
		add("the voters become "+change, func(w *changes) {
			if change[1:] == "+" {
				w.store(exploredVoter(change[:1]))
			} else {
				w.store(event.VoterRemoved{ID: change[:1]})
			}
		})
	}
}

// isNews tells whether a fact would change the ledger: what would not is not worth a state.
func (w *changes) isNews(e event.Event) bool {
	switch e := e.(type) {
	case event.VotersSettled:
		_, before := w.log.ledger().FormerVoters()
		return before != 0
	case event.NodeFailed:
		_, _, runs := w.log.ledger().Running(e.Address)
		return runs
	}
	return true
}

// Describe implements World.
func (w *changes) Describe(c *lease.Canon) {
	for at := w.ready; at < len(w.log.entries); at++ {
		c.Sequence(uint64(at + 1))
		c.Text(w.log.entries[at].Type + w.log.entries[at].Entity)
	}
	c.Number(uint64(w.restarts))
	w.holder.Describe(c, w.now)
	c.Ahead(w.wake, w.now)
	c.Sequence(w.node.Sequence())
	w.controller.Describe(c)
	for _, v := range w.voters {
		c.Sequence(v.machine.Ledger.Sequence())
		v.describeDisk(c)
		v.machine.Describe(c, w.now)
	}
	ballots := slices.Clone(w.ballots)
	slices.SortFunc(ballots, func(a, b castBallot) int {
		if a.set != b.set {
			return int(a.set) - int(b.set)
		}
		return int(a.voter[0]) - int(b.voter[0])
	})
	for _, b := range ballots {
		c.Text(b.voter)
		c.Sequence(b.set)
	}
}

// Violation implements World.
func (w *changes) Violation() string { return w.violation }
