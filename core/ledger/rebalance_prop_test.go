package ledger

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"viplog/core/event"
)

// fewest finds, by trying all, the least moves with which loads are as even as they can be.
func fewest(choices [][]int, home []int, nodes int) (squares, moves int) {
	loads := make([]int, nodes)
	squares = 1 << 30
	var try func(i, moved int)
	try = func(i, moved int) {
		if i == len(home) {
			sum := 0
			for _, load := range loads {
				sum += load * load
			}
			if sum < squares || sum == squares && moved < moves {
				squares, moves = sum, moved
			}
			return
		}
		for _, n := range choices[i] {
			loads[n]++
			if n == home[i] {
				try(i+1, moved)
			} else {
				try(i+1, moved+1)
			}
			loads[n]--
		}
	}
	try(0, 0)
	return squares, moves
}

// TestRebalanceIsAsEvenAsCanBeWithTheFewestMoves puts addresses on random nodes, each free to be on some of them by a
// Local Service's endpoints, and compares with all possible plans.
func TestRebalanceIsAsEvenAsCanBeWithTheFewestMoves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const nodes = 4
		s := running(nodes)
		n := rapid.IntRange(1, 7).Draw(t, "addresses")
		var choices [][]int
		var home []int
		for i := range n {
			name := fmt.Sprint("s", i)
			e := declared(name)
			e.TrafficPolicy = event.TrafficLocal
			apply(s, e)
			may := rapid.SliceOfNDistinct(rapid.IntRange(0, nodes-1), 1, nodes, rapid.ID).Draw(t, "choices")
			slices.Sort(may)
			first := rapid.SampledFrom(may).Draw(t, "home")
			endpoints := event.EndpointsChanged{Namespace: "default", Name: name, Source: "test", Nodes: []string{fmt.Sprintf("lb-%d", first+1)}}
			apply(s, endpoints)
			endpoints.Nodes = nil
			for _, node := range may {
				endpoints.Nodes = append(endpoints.Nodes, fmt.Sprintf("lb-%d", node+1))
			}
			apply(s, endpoints)
			choices, home = append(choices, may), append(home, first)
		}
		wantSquares, wantMoves := fewest(choices, home, nodes)
		before := owners(s)
		apply(s, event.RebalanceRequested{Reason: event.RebalanceByOperator})
		moves, squares := 0, 0
		for a, list := range owners(s) {
			if list[0] != before[a][0] {
				moves++
			}
		}
		for i := range nodes {
			found, _ := s.node(nodeAddress(i))
			squares += s.owned(found) * s.owned(found)
		}
		if squares != wantSquares || moves != wantMoves {
			t.Fatalf("choices %v, homes %v: sum of squares %d with %d moves, possible are %d with %d",
				choices, home, squares, moves, wantSquares, wantMoves)
		}
		if broken := invariant(s); broken != "" {
			t.Fatal(broken)
		}
		apply(s, event.RebalanceRequested{Reason: event.RebalanceByOperator})
		if again := owners(s); fmt.Sprint(again) == "" || movesBetween(before, again) != moves {
			t.Fatal("a second rebalance moved something")
		}
	})
}

func movesBetween(a, b map[netip.Addr][]Incarnation) (n int) {
	for addr, list := range b {
		if len(list) > 0 && len(a[addr]) > 0 && list[0] != a[addr][0] {
			n++
		}
	}
	return n
}
