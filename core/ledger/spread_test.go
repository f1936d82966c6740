package ledger

import (
	"fmt"
	"net/netip"
	"testing"

	"viplog/core/event"
)

// spreadOver gives a ledger with nodes and addresses, the latter from the numbered range, and announces all.
func spreadOver(nodes, addresses, rangeNumber int, rules uint64) *State {
	s := New(testLog)
	apply(s, clusterOf(nodes))
	apply(s, voterAdded())
	from := netip.AddrFrom4([4]byte{10, 1, byte(4 * rangeNumber), 0})
	apply(s, event.PoolAdded{Pool: event.Pool{Name: "a", Addresses: []string{from.String() + "/22"}}})
	for i := range nodes {
		e := joined(i, "first")
		e.Rules = rules
		e.Interfaces[0].Prefixes = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		apply(s, e)
	}
	if rules > 0 {
		apply(s, event.RulesAdopted{Rules: rules})
	}
	return withServices(s, addresses)
}

// MetalLB hashes each address by itself. In its rows the busiest of 5 nodes has 3.7 of 10 addresses, and the busiest of 50
// has 5.7 of 100 while 6.6 have none. Here the busiest has the ceiling of the ideal, in every row and range.
func TestTheBusiestNodeHasTheCeilingOfTheIdeal(t *testing.T) {
	for _, row := range []struct {
		nodes, addresses int
		metallb          string
	}{
		{3, 3, "two on one node in 82 % of ranges"},
		{7, 3, "two on one node in 45 %"},
		{5, 10, "3.7"},
		{10, 30, "5.8"},
		{10, 100, "15.0"},
		{50, 100, "5.7"},
		{10, 1000, "114"},
	} {
		t.Run(fmt.Sprintf("%d nodes, %d addresses", row.nodes, row.addresses), func(t *testing.T) {
			ceiling := (row.addresses + row.nodes - 1) / row.nodes
			for rangeNumber := range 50 {
				s := spreadOver(row.nodes, row.addresses, rangeNumber, 0)
				busiest, idle := 0, 0
				for _, n := range s.nodes.rows {
					busiest = max(busiest, s.owned(n))
					if s.owned(n) == 0 {
						idle++
					}
				}
				if busiest != ceiling || idle != max(0, row.nodes-row.addresses) {
					t.Fatalf("range %d: the busiest node has %d, want %d; %d are idle", rangeNumber, busiest, ceiling, idle)
				}
			}
			t.Logf("busiest %d in all ranges (MetalLB: %s)", ceiling, row.metallb)
		})
	}
}

// A rolling reboot takes every node down and up again, one after the other. MetalLB moves each address exactly twice: away
// and back.
func TestARollingRebootMovesLessThanAwayAndBack(t *testing.T) {
	const rows, worst = 10, 2.0
	for _, nodes := range []int{3, 5, 10} {
		for _, rules := range []uint64{0, 1} {
			t.Run(fmt.Sprintf("%d nodes, rules %d", nodes, rules), func(t *testing.T) {
				const addresses = 100
				moves, evening := 0, 0
				for rangeNumber := range rows {
					s := spreadOver(nodes, addresses, rangeNumber, rules)
					for i := range nodes {
						before := owners(s)
						apply(s, failed(s, i))
						e := joined(i, "second")
						e.Rules = rules
						e.Interfaces[0].Prefixes = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
						apply(s, e)
						moves += movesBetween(before, owners(s))
					}
					before := owners(s)
					apply(s, event.RebalanceRequested{Reason: event.RebalanceByOperator})
					evening += movesBetween(before, owners(s))
				}
				perAddress := float64(moves) / (addresses * rows)
				t.Logf("%.2f moves per address (MetalLB: 2.00), %.2f more if a rebalance evens them out", perAddress,
					float64(evening)/(addresses*rows))
				if rules > 0 && perAddress >= worst {
					t.Errorf("%.2f moves per address", perAddress)
				}
			})
		}
	}
}
