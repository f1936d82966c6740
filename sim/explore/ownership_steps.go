package explore

import (
	"fmt"
	"net/netip"
	"slices"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
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
	room := len(w.facts) < w.options.Facts
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
					w.step(i, node.Restored{Ledger: w.log.ledger.Clone()})
				})
			}
		}
		if w.hasNews(i) { // else it has heard at once
			add(name+" hears", func(w *ownership) { w.hear(i) })
		}
		if n.machine.IsWaiting() {
			add("a second passes at "+name, func(w *ownership) { w.wait(i) })
		}
		if len(n.proposed) > 0 && room && !w.isStored(n.proposed[0]) {
			add("the log stores "+event.TypeOf(n.proposed[0])+" of "+name, func(w *ownership) { w.storeProposal(i) })
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
	crash(" crashes and is voted dead", func(w *ownership) { w.voted = append(w.voted, me) })
}

// isStored tells whether a proposal is the log's last word of its node already: it is not appended twice.
func (w *ownership) isStored(e event.Event) bool {
	record, err := event.Encode(e)
	if err != nil {
		panic("explore: " + err.Error())
	}
	return slices.Contains(w.facts, string(record.Data))
}

// addVotes lets the voter vote against incarnations that are down, and a controller tell the log.
func (w *ownership) addVotes(add func(string, func(*ownership)), room bool) {
	s := w.log.ledger
	for _, who := range s.Live() {
		voted := slices.Contains(w.voted, who)
		switch {
		case !voted && !w.runs(who):
			add(fmt.Sprintf("the voter votes against %d", who.Join), func(w *ownership) { w.voted = append(w.voted, who) })
		case voted && room:
			add(fmt.Sprintf("the log stores NodeFailed of %d", who.Join), func(w *ownership) {
				w.store(event.NodeFailed{
					Address: who.Node, Incarnation: who.Join, Set: exploredSet,
					Votes: []event.Vote{{Voter: "v", Signature: signedByExplored(who)}},
				})
			})
		}
	}
}

// runs tells whether an incarnation's process runs.
func (w *ownership) runs(who lease.Incarnation) bool {
	for _, n := range w.nodes {
		if n.machine == nil {
			continue
		}
		if me, runs := n.machine.Incarnation(); runs && me == who {
			return true
		}
	}
	return false
}

// addFacts lets an operator change lists in every way.
func (w *ownership) addFacts(add func(string, func(*ownership))) {
	s := w.log.ledger
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
	if _, there := s.ServiceSpec(ledger.ServiceKey{Namespace: "default", Name: "web"}); there {
		add("the log stores ServiceDeleted", func(w *ownership) {
			w.store(event.ServiceDeleted{Namespace: "default", Name: "web", Source: "explore"})
		})
	} else {
		add("the log stores ServiceApplied", func(w *ownership) { w.store(exploredService()) })
	}
}

func (w *ownership) lastJoin(a netip.Addr) (event.Event, bool) {
	for _, e := range slices.Backward(w.log.events) {
		if joined, ok := e.(event.NodeJoined); ok && joined.Address == a {
			return joined, true
		}
	}
	return nil, false
}
