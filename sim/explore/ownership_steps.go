package explore

import (
	"fmt"
	"net/netip"
	"slices"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/node"
)

// Steps implements World.
func (w *ownership) Steps() (steps []Step) {
	add := func(name string, do func(*ownership)) {
		steps = append(steps, Step{name, func() World {
			next := w.clone()
			do(next)
			next.hearAtOnce()
			return next
		}})
	}
	room := w.facts < w.options.Facts
	for i := range w.nodes {
		n, name := &w.nodes[i], fmt.Sprint("n", i+1)
		if n.machine == nil {
			add(name+" boots", func(w *ownership) { w.start(i, true) })
			continue
		}
		if w.folds(i) {
			add(fmt.Sprintf("%s folds %d", name, n.machine.Ledger().Sequence()+1), func(w *ownership) { w.foldNext(i) })
			if w.options.Snapshots {
				add(fmt.Sprintf("%s goes on from a snapshot at %d", name, w.log.head()), func(w *ownership) {
					w.step(i, node.Restored{Ledger: w.log.total.copied()})
				})
			}
		}
		if w.hasNews(i) { // else it has heard at once
			add(name+" hears", func(w *ownership) { w.hear(i) })
		}
		if n.machine.IsWaiting() {
			add("a second passes at "+name, func(w *ownership) { w.wait(i) })
		}
		if len(n.proposed) > 0 && room && !w.log.holds(n.record) {
			add("the log stores "+n.record.Type+" of "+name, func(w *ownership) { w.storeProposal(i) })
		}
		if me, runs := n.machine.Incarnation(); runs && w.crashes < w.options.Crashes {
			w.addCrashes(add, i, me, name)
		}
		if w.options.Leaves && !n.machine.IsLeaving() {
			add(name+" leaves", func(w *ownership) { w.step(i, node.Leaving{}) })
		}
	}
	w.addVotes(add, room)
	if room {
		w.addFacts(add)
	}
	return steps
}

// addCrashes lets a node crash. One that is down and not voted dead is not worth a state of its own: one that runs, but does
// nothing, announces at least as much.
func (w *ownership) addCrashes(add func(string, func(*ownership)), i int, me lease.Incarnation, name string) {
	crash := func(what string, then func(*ownership)) {
		add(name+what, func(w *ownership) {
			w.crashes++
			w.down(i)
			then(w)
		})
	}
	crash("'s agent crashes and restarts", func(w *ownership) { w.start(i, false) })
	crash(" reboots", func(w *ownership) { w.start(i, true) })
	crash(" crashes and is voted dead", func(w *ownership) { w.vote(me, w.majority()) })
}

// addVotes lets voters vote, and a controller tell the log. With the vote that makes a majority an incarnation that runs loses
// its lease.
func (w *ownership) addVotes(add func(string, func(*ownership)), room bool) {
	for _, who := range w.log.ledger().Live() {
		votes := w.votesOn(who)
		at, runs := w.runsAt(who)
		name := fmt.Sprintf("%s votes against %d", voterName(votes), who.Join)
		switch last := votes+1 == w.majority(); {
		case w.isDead(who) && room:
			add(fmt.Sprintf("the log stores NodeFailed of %d", who.Join), func(w *ownership) { w.store(w.failed(who)) })
		case w.isDead(who):
		case last && runs && w.options.Voters > 1:
			add(name+", which has lost its lease", func(w *ownership) {
				w.refuse(at, who)
				w.vote(who, votes+1)
			})
		case !last || !runs:
			add(name, func(w *ownership) { w.vote(who, votes+1) })
		}
	}
}

func (w *ownership) failed(who lease.Incarnation) event.Event {
	signed := w.signed(ballot{who, w.votesOn(who)})
	failed := event.NodeFailed{Address: who.Node, Incarnation: who.Join, Set: signed[0].Set}
	for _, v := range signed {
		failed.Votes = append(failed.Votes, event.Vote{Voter: v.Voter, Signature: v.Signature})
	}
	return failed
}

// runsAt is the node at which an incarnation's process runs.
func (w *ownership) runsAt(who lease.Incarnation) (at int, runs bool) {
	for i, n := range w.nodes {
		if n.machine == nil {
			continue
		}
		if me, runs := n.machine.Incarnation(); runs && me == who {
			return i, true
		}
	}
	return 0, false
}

// runs tells whether an incarnation's process runs.
func (w *ownership) runs(who lease.Incarnation) bool {
	_, runs := w.runsAt(who)
	return runs
}

// addFacts lets an operator change lists in every way.
func (w *ownership) addFacts(add func(string, func(*ownership))) {
	s := w.log.ledger()
	for _, n := range s.Nodes() {
		if !n.Joined {
			continue
		}
		if n.Drained {
			add("the log stores NodeUndrained of "+n.Name, func(w *ownership) { w.store(event.NodeUndrained{Address: n.Address}) })
		} else {
			add("the log stores NodeDrained of "+n.Name, func(w *ownership) { w.store(event.NodeDrained{Address: n.Address}) })
		}
		if w.options.Repeats {
			if again, ok := w.lastJoin(n.Address); ok {
				add("the log stores the NodeJoined of "+n.Name+" again", func(w *ownership) { w.store(again) })
			}
		}
	}
	toggle := w.log.toggleService()
	add("the log stores "+encoded(toggle).Type, func(w *ownership) { w.store(toggle) })
}

func (w *ownership) lastJoin(a netip.Addr) (event.Event, bool) {
	for _, e := range slices.Backward(w.log.events) {
		if joined, ok := e.(event.NodeJoined); ok && joined.Address == a {
			return joined, true
		}
	}
	return nil, false
}
