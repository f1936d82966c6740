package forecast

import (
	"fmt"
	"net/netip"
	"slices"

	"viplog/core/ledger"
)

// Voters are those that a failure leaves. Without a majority no death is proven, and no node renews its lease.
type Voters struct {
	Left, Of int // of the set in force
	Majority bool
}

// votersWithout counts the voters that are left when hosts die. While a change of voters is not settled a majority of either
// set proves a death.
func (f *Forecast) votersWithout(dead []netip.Addr) Voters {
	now, _ := f.state.Voters()
	before, _ := f.state.FormerVoters()
	v := Voters{Left: left(now, dead), Of: len(now)}
	v.Majority = 2*v.Left > v.Of || 2*left(before, dead) > len(before)
	return v
}

func left(set []ledger.Voter, dead []netip.Addr) (n int) {
	for _, v := range set {
		if !slices.Contains(dead, v.Address) {
			n++
		}
	}
	return n
}

// isHeard tells whether a node is left that voters hear. A voter that hears none takes itself to be the one that is cut off,
// and suspects nobody (core/lease, Voter).
func (f *Forecast) isHeard(dead []netip.Addr) bool {
	return slices.ContainsFunc(f.state.Nodes(), func(n ledger.NodeIdentity) bool { return n.Joined && !slices.Contains(dead, n.Address) })
}

// why says of deaths that are not proven why an address is dark, whose owner has died or is silent.
func (v Voters) why(died bool) string {
	switch {
	case v.Majority:
		return "no node runs any more"
	case died:
		return fmt.Sprintf("%d of %d voters are left, no majority: nobody can prove that its owner is dead", v.Left, v.Of)
	}
	return fmt.Sprintf("%d of %d voters are left, no majority: its owner loses its lease and is silent (onIsolation: yield)", v.Left, v.Of)
}
