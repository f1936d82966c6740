package explore

import (
	"fmt"
	"slices"
	"strings"

	"viplog/core/event"
	"viplog/core/lease"
)

// Steps implements World.
func (w *quorum) Steps() (steps []Step) {
	add := func(name string, do func(*quorum)) {
		steps = append(steps, Step{name, func() World {
			next := w.clone()
			do(next)
			return next
		}})
	}
	room := w.facts < w.options.Facts
	for i := range w.nodes {
		n, name := &w.nodes[i], fmt.Sprint("n", i+1)
		if n.machine == nil {
			add(name+" boots", func(w *quorum) { w.startNode(i, true) })
			continue
		}
		if w.folds(i) {
			add(fmt.Sprintf("%s folds %d", name, n.machine.Ledger().Sequence()+1), func(w *quorum) { w.foldNext(i) })
		}
		if len(n.proposed) > 0 && room && !w.log.holds(n.record) {
			add("the log stores "+n.record.Type+" of "+name, func(w *quorum) { w.store(n.proposed[0]) })
		}
		if w.crashes < w.options.Crashes {
			w.addCrashes(add, i, name)
		}
	}
	for i, v := range w.voters {
		if w.restarts < w.options.Restarts {
			add(v.id+" restarts", func(w *quorum) {
				w.restarts++
				w.startVoter(i)
			})
		}
	}
	if room {
		for _, e := range w.operators() {
			add("the log stores "+event.TypeOf(e), func(w *quorum) { w.store(e) })
		}
	}
	w.addPeriods(add)
	return steps
}

func (w *quorum) addCrashes(add func(string, func(*quorum)), i int, name string) {
	crash := func(what string, then func(*quorum)) {
		add(name+what, func(w *quorum) {
			n := &w.nodes[i]
			w.crashes++
			n.machine, n.answers, n.proposed, n.wake = nil, false, nil, lease.Never
			then(w)
		})
	}
	crash(" loses power", func(*quorum) {})
	crash("'s agent crashes and restarts", func(w *quorum) { w.startNode(i, false) })
}

// operators are the facts that operators and controllers may append.
func (w *quorum) operators() (all []event.Event) {
	s := w.log.ledger()
	for _, n := range s.Nodes() {
		switch {
		case !n.Joined:
		case n.Drained:
			all = append(all, event.NodeUndrained{Address: n.Address})
		default:
			all = append(all, event.NodeDrained{Address: n.Address})
		}
	}
	for _, who := range s.Live() {
		if w.isProvenDead(who) {
			set, version := s.Voters()
			failed := event.NodeFailed{Address: who.Node, Incarnation: who.Join, Set: version}
			for _, v := range set {
				if i := int(v.ID[0] - 'A'); slices.Contains(w.voters[i].disk.Dead, who) {
					failed.Votes = append(failed.Votes, event.Vote{Voter: v.ID, Signature: signedVote(v.ID, who, version)})
				}
			}
			all = append(all, failed)
		}
	}
	return append(all, w.log.toggleService())
}

// carrying are the links that may carry at one node: to none of the voters, the first of them, the first two and so on; or at
// every other node the last ones. Which voters they are does not matter otherwise, so that this is every choice for two nodes
// whose sets overlap as little or as much as they can.
func (w *quorum) carrying(i int) (choices []uint) {
	all := uint(1)<<len(w.voters) - 1
	for n := range len(w.voters) + 1 {
		first := uint(1)<<n - 1
		if i%2 == 1 {
			first = all &^ (all >> n)
		}
		choices = append(choices, first)
	}
	return choices
}

// addPeriods lets time pass with every choice of links.
func (w *quorum) addPeriods(add func(string, func(*quorum))) {
	choices := [][]uint{{}}
	for i, n := range w.nodes {
		var longer [][]uint
		for _, links := range choices {
			for _, carry := range w.carrying(i) {
				if n.machine != nil || carry == 0 {
					longer = append(longer, append(slices.Clone(links), carry))
				}
			}
		}
		choices = longer
	}
	for _, links := range choices {
		var name []string
		for i, carry := range links {
			who := ""
			for v := range w.voters {
				if carry>>v&1 == 1 {
					who += w.voters[v].id
				}
			}
			name = append(name, fmt.Sprintf("n%d and %q", i+1, who))
		}
		add("two leases long only "+strings.Join(name, ", ")+" hear each other", func(w *quorum) {
			w.pass(links)
			w.checkRest(links)
		})
	}
}

// checkRest tells whether the first of the list announces, when there is nothing left to do and all links carried.
func (w *quorum) checkRest(links []uint) {
	list, _ := w.log.ledger().List(exploredAddress)
	for i, n := range w.nodes {
		if links[i] != 1<<len(w.voters)-1 || n.machine == nil || w.folds(i) || n.machine.IsWaiting() {
			return
		}
		if _, runs := n.machine.Incarnation(); !runs {
			return
		}
	}
	for _, who := range w.log.ledger().Live() {
		if !slices.ContainsFunc(w.nodes, func(n runningNode) bool { me, _ := n.machine.Incarnation(); return me == who }) {
			return // one that is gone, and not dead yet
		}
	}
	for i, n := range w.nodes {
		me, _ := n.machine.Incarnation()
		if first := len(list) > 0 && list[0] == me; first != n.answers {
			w.violation = fmt.Sprintf("at rest n%d is first: %t, and announces: %t", i+1, first, n.answers)
		}
	}
}
