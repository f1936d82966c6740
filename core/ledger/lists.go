package ledger

import (
	"net/netip"
	"slices"

	"viplog/core/event"
)

// ListChange is what a fact did to an address's succession list: the version of the list after it is the fact's
// sequence. A release leaves no list.
type ListChange struct {
	Address netip.Addr
	Before  []Incarnation
	After   []Incarnation
	IsGiven bool // nobody used the address before the fact
}

// listChanges remembers what facts did to lists, for who asked for it. Clones do not.
type listChanges struct{ all []ListChange }

// TrackLists makes the ledger remember what facts do to lists, until it is taken.
func (s *State) TrackLists() { s.tracked = &listChanges{} }

// TakeListChanges gives what facts did to lists since it was last taken, in that order. An address may be there twice.
func (s *State) TakeListChanges() []ListChange {
	if s.tracked == nil {
		return nil
	}
	all := s.tracked.all
	s.tracked.all = nil
	return all
}

func (s *State) track(change ListChange) {
	if s.tracked != nil && len(change.Before)+len(change.After) > 0 {
		s.tracked.all = append(s.tracked.all, change)
	}
}

// List is an address's succession list and its version; nothing for one that is not in use.
func (s *State) List(a netip.Addr) (list []Incarnation, version uint64) {
	used, ok := s.addressOf(a)
	if !ok {
		return nil, 0
	}
	return used.list, used.version
}

// EachList visits the lists in the order of the addresses.
func (s *State) EachList(visit func(a netip.Addr, list []Incarnation)) {
	s.addresses.scan(func(a *address) bool {
		visit(a.addr, a.list)
		return true
	})
}

// InterfacesFor names the interfaces, among those given, on which a node may announce an address: they are up, have a
// prefix that holds it, and the pool's announce rules allow them.
func (s *State) InterfacesFor(a, announcer netip.Addr, interfaces []event.Interface) (names []string) {
	used, ok := s.addressOf(a)
	n, declared := s.node(announcer)
	if !ok || !declared {
		return nil
	}
	who := s.audienceOf(used)
	for _, ifi := range interfaces {
		alone := []event.Interface{ifi}
		allowed := !who.restricted || slices.ContainsFunc(who.rules, func(rule event.AnnounceRule) bool {
			return (len(rule.NodeSelectors) == 0 || matchesAny(rule.NodeSelectors, n.labels)) && hasAddress(alone, a, rule.Interfaces)
		})
		if allowed && hasAddress(alone, a, nil) {
			names = append(names, ifi.Name)
		}
	}
	return names
}
