package ledger

import (
	"fmt"
	"net/netip"
	"slices"

	"viplog/core/event"
)

// RebalanceAfter is how long, in nanoseconds of ledger time, the rebalance after a start from nothing waits for nodes
// that have not joined.
const RebalanceAfter = 30_000_000_000

// RebalanceDue tells whether the one rebalance after a start from nothing is asked for now: lists had run empty, a node
// is back, and all declared nodes that announce have joined or RebalanceAfter has passed.
func (s *State) RebalanceDue(nowNanos int64) bool {
	if !s.starved || s.refilled == 0 {
		return false
	}
	if nowNanos-s.refilled >= RebalanceAfter {
		return true
	}
	return !slices.ContainsFunc(s.nodes.rows, func(n *node) bool {
		return n.role == s.announcingRole() && !n.drained && n.status != nodeJoined
	})
}

// rebalanceRequested evens out the number of addresses per node with the fewest moves. Standbys of a moved address are
// chosen anew.
func (f *fold) rebalanceRequested(e event.RebalanceRequested) {
	f.starved, f.refilled = false, 0
	moves := f.planRebalance()
	for _, m := range moves {
		a, _ := f.addressOf(m.addr)
		n, _ := f.node(m.to)
		head := []Incarnation{{Node: n.address, Join: n.incarnation}}
		f.setList(a, f.complete(a, head), "rebalance")
	}
	f.add(Change{Kind: Balanced, Reason: fmt.Sprintf("asked for by %s, %d addresses moved", e.Reason, len(moves))})
}

// move is one address that gets another owner.
type move struct {
	addr netip.Addr
	to   netip.Addr
}

// balancing is a rebalance being planned. Nodes are numbered in the order of their addresses. A placement is a set of
// addresses that are alike: the same nodes may own them, the same owns them in the plan, and the same owns them now.
type balancing struct {
	nodes   []*node
	loads   []int
	choices [][]bool // by set: which nodes may own
	groups  map[placement][]*address
}

type placement struct{ set, owner, home int }

// planRebalance finds the moves: as long as some chain of moves leads from a node to one that owns at least two less,
// the cheapest such chain is done, from the most to the least loaded. A move costs 1, moving an address that the plan
// moves anyway 0, and moving one back -1. An address moves only among the nodes that its pool's rules prefer most, and to
// them if its owner is none of them.
func (s *State) planRebalance() []move {
	b := &balancing{nodes: s.nodes.rows, groups: map[placement][]*address{}}
	b.loads = make([]int, len(b.nodes))
	s.addresses.scan(func(a *address) bool {
		if len(a.list) > 0 {
			b.place(s, a)
		}
		return true
	})
	improve := b.improve
	if len(b.choices) == 1 {
		improve = b.improveAlike
	}
	for improve() {
	}
	return b.moves()
}

// place enters an address. One whose owner is not among those preferred most goes to the least loaded of them.
func (b *balancing) place(s *State, a *address) {
	may, home := b.preferred(s, a), b.number(a.list[0].Node)
	set := slices.IndexFunc(b.choices, func(known []bool) bool { return slices.Equal(known, may) })
	if set < 0 {
		set = len(b.choices)
		b.choices = append(b.choices, may)
	}
	owner := home
	if !may[home] {
		owner = -1
		for i, ok := range may {
			if ok && (owner < 0 || b.loads[i] < b.loads[owner]) {
				owner = i
			}
		}
	}
	b.loads[owner]++
	at := placement{set, owner, home}
	b.groups[at] = append(b.groups[at], a)
}

// preferred marks the candidates of the highest weight.
func (b *balancing) preferred(s *State, a *address) []bool {
	may := make([]bool, len(b.nodes))
	highest := -1 << 62
	who := s.audienceOf(a)
	for i, n := range b.nodes {
		weight, why := s.judge(n, who)
		if why != "" {
			continue
		}
		if weight > highest {
			highest = weight
			clear(may)
		}
		may[i] = weight == highest
	}
	return may
}

func (b *balancing) number(a netip.Addr) int {
	i, ok := slices.BinarySearchFunc(b.nodes, a, func(n *node, a netip.Addr) int { return n.address.Compare(a) })
	if !ok {
		panic("ledger: an owner is a node: " + a.String())
	}
	return i
}

// step is the cheapest way to move one address from a node to another.
type step struct {
	from placement
	cost int
	ok   bool
}

// steps gives the cheapest step between each two nodes; equal ones by the order of sets and homes.
func (b *balancing) steps() [][]step {
	all := make([][]step, len(b.nodes))
	for i := range all {
		all[i] = make([]step, len(b.nodes))
	}
	for set, may := range b.choices {
		for owner := range b.nodes {
			for home := range b.nodes {
				at := placement{set, owner, home}
				if len(b.groups[at]) == 0 {
					continue
				}
				for to, ok := range may {
					cost := 0
					if owner == home {
						cost++
					}
					if to == home {
						cost--
					}
					if best := &all[owner][to]; ok && to != owner && (!best.ok || cost < best.cost) {
						*best = step{at, cost, true}
					}
				}
			}
		}
	}
	return all
}

// improve does the chain of moves that helps most, false if none helps. A ring of moves that costs less than nothing
// leaves the loads as they are and saves moves; so does a cheap chain to a node that owns one less. Where there is
// neither, nor a chain that evens out, no plan is better: that is when a flow is of least cost.
func (b *balancing) improve() bool {
	steps := b.steps()
	if ring := b.cheapRing(steps); ring != nil {
		b.follow(steps, ring)
		return true
	}
	var best []int
	bestGain, bestCost := 1, 0
	for from := range b.nodes {
		cost, before := b.reach(from, steps)
		for to := range b.nodes {
			gain := b.loads[from] - b.loads[to]
			if to == from || cost[to] == unreached || gain < bestGain || gain == bestGain && cost[to] >= bestCost {
				continue
			}
			best, bestGain, bestCost = chain(before, from, to), gain, cost[to]
		}
	}
	b.follow(steps, best)
	return len(best) > 0
}

func (b *balancing) follow(steps [][]step, path []int) {
	for i := 1; i < len(path); i++ {
		b.do(steps[path[i-1]][path[i]].from, path[i])
	}
}

// cheapRing finds moves in a ring whose cost is below zero; nil if there are none.
func (b *balancing) cheapRing(steps [][]step) []int {
	cost, before := make([]int, len(b.nodes)), make([]int, len(b.nodes))
	last := -1
	for range b.nodes {
		last = -1
		for u := range b.nodes {
			for w := range b.nodes {
				if s := steps[u][w]; s.ok && cost[u]+s.cost < cost[w] {
					cost[w], before[w], last = cost[u]+s.cost, u, w
				}
			}
		}
	}
	if last < 0 {
		return nil
	}
	for range b.nodes { // from anywhere behind it into the ring
		last = before[last]
	}
	ring := []int{last}
	for at := before[last]; at != last; at = before[at] {
		ring = append(ring, at)
	}
	ring = append(ring, last)
	slices.Reverse(ring)
	return ring
}

// improveAlike is improve where all addresses may be on the same nodes: then no chain beats one move from the most to
// the least loaded of them.
func (b *balancing) improveAlike() bool {
	most, least := -1, -1
	for i, may := range b.choices[0] {
		switch {
		case !may:
			continue
		case most < 0:
			most, least = i, i
		}
		if b.loads[i] > b.loads[most] {
			most = i
		}
		if b.loads[i] < b.loads[least] {
			least = i
		}
	}
	if most < 0 || b.loads[most]-b.loads[least] < 2 {
		return false
	}
	for home := range b.nodes { // what the plan moves anyway first
		if at := (placement{0, most, home}); home != most && len(b.groups[at]) > 0 {
			b.do(at, least)
			return true
		}
	}
	b.do(placement{0, most, most}, least)
	return true
}

const unreached = 1 << 30

// reach finds the cheapest chains from a node to all others (Bellman and Ford: steps back have a negative cost).
func (b *balancing) reach(from int, steps [][]step) (cost, before []int) {
	cost, before = make([]int, len(b.nodes)), make([]int, len(b.nodes))
	for i := range cost {
		cost[i], before[i] = unreached, -1
	}
	cost[from] = 0
	for range b.nodes {
		changed := false
		for u := range b.nodes {
			if cost[u] == unreached {
				continue
			}
			for w := range b.nodes {
				if s := steps[u][w]; s.ok && w != from && cost[u]+s.cost < cost[w] {
					cost[w], before[w], changed = cost[u]+s.cost, u, true
				}
			}
		}
		if !changed {
			break
		}
	}
	return cost, before
}

func chain(before []int, from, to int) []int {
	path := []int{to}
	for at := to; at != from; {
		at = before[at]
		path = append(path, at)
	}
	slices.Reverse(path)
	return path
}

// do moves one address of a group, rather one whose first standby the new owner is: it knows the address best.
func (b *balancing) do(at placement, to int) {
	group := b.groups[at]
	i := max(slices.IndexFunc(group, func(a *address) bool {
		return len(a.list) > 1 && a.list[1].Node == b.nodes[to].address
	}), 0)
	a := group[i]
	b.groups[at] = slices.Delete(group, i, i+1)
	moved := placement{at.set, to, at.home}
	b.groups[moved] = append(b.groups[moved], a)
	b.loads[at.owner]--
	b.loads[to]++
}

// moves lists what the plan changed, by address.
func (b *balancing) moves() []move {
	var all []move
	for set := range b.choices {
		for owner, n := range b.nodes {
			for home := range b.nodes {
				if owner == home {
					continue
				}
				for _, a := range b.groups[placement{set, owner, home}] {
					all = append(all, move{a.addr, n.address})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b move) int { return a.addr.Compare(b.addr) })
	return all
}
