package control

import (
	"slices"
	"strings"

	"viplog/core/event"
	"viplog/core/ledger"
)

// NamespaceFacts are the labels of namespaces that the ledger does not hold as they are. They matter where a pool selects
// namespaces by labels. Where none does the ledger holds none, so that thousands of namespaces make no fact, and a selector that
// comes later is not held against labels of long ago.
func NamespaceFacts(s *ledger.State, seen Observed) (facts []event.Event) {
	known := s.Namespaces()
	if !NamespacesMatter(s) {
		for _, n := range known {
			facts = append(facts, event.NamespaceDeleted{Name: n.Name})
		}
		return facts
	}
	find := func(name string) (int, bool) {
		return slices.BinarySearchFunc(known, name, func(n event.NamespaceChanged, name string) int { return strings.Compare(n.Name, name) })
	}
	for _, n := range seen.Namespaces {
		e := event.NamespaceChanged{Name: n.Name, Labels: sortedLabels(n.Labels)}
		if i, ok := find(n.Name); !ok || !sameFact(known[i], e) {
			facts = append(facts, e)
		}
	}
	for _, name := range seen.GoneNamespaces {
		if _, ok := find(name); ok {
			facts = append(facts, event.NamespaceDeleted{Name: name})
		}
	}
	return facts
}

// NamespacesMatter tells whether a pool selects namespaces by their labels.
func NamespacesMatter(s *ledger.State) bool {
	return slices.ContainsFunc(s.Settings().Pools, func(p event.PoolSettings) bool { return len(p.NamespaceSelectors) > 0 })
}
