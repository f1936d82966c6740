package ledger

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestTrackedListChangesAddUpToTheLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := begin()
		s.TrackLists()
		known := map[netip.Addr][]Incarnation{}
		s.EachList(func(a netip.Addr, list []Incarnation) { known[a] = list })
		for range rapid.IntRange(1, 60).Draw(t, "facts") {
			apply(s, drawFact(t, s))
			for _, change := range s.TakeListChanges() {
				if !slices.Equal(known[change.Address], change.Before) {
					t.Fatalf("%s: the list before was %v, not %v", change.Address, known[change.Address], change.Before)
				}
				known[change.Address] = change.After
				if _, version := s.List(change.Address); version != s.Sequence() && len(change.After) > 0 {
					t.Fatalf("%s: its list changed at %d and is of version %d", change.Address, s.Sequence(), version)
				}
			}
			s.EachList(func(a netip.Addr, list []Incarnation) {
				if !slices.Equal(known[a], list) {
					t.Fatalf("%s: the list is %v, by the changes %v", a, list, known[a])
				}
			})
		}
	})
}
