package ledger

import (
	"net/netip"
	"slices"

	"viplog/core/event"
)

// ServiceSpec is a Service as its source last declared it.
func (s *State) ServiceSpec(key ServiceKey) (event.ServiceApplied, bool) {
	v, ok := s.service(key)
	if !ok {
		return event.ServiceApplied{}, false
	}
	return *v.spec, true
}

// ServiceSince is the sequence of the fact that made a Service known; 0 for one that is not.
func (s *State) ServiceSince(key ServiceKey) uint64 {
	v, ok := s.service(key)
	if !ok {
		return 0
	}
	return v.created
}

// ServicesOf lists the Services of a source, by namespace and name.
func (s *State) ServicesOf(source string) []ServiceKey {
	var keys []ServiceKey
	s.services.scan(func(v *service) bool {
		if v.spec.Source == source {
			keys = append(keys, v.key)
		}
		return true
	})
	slices.SortFunc(keys, ServiceKey.Compare)
	return keys
}

// IsUsedBy tells whether a Service of a source uses an address.
func (s *State) IsUsedBy(a netip.Addr, source string) bool {
	used, ok := s.addressOf(a)
	return ok && slices.ContainsFunc(used.users, func(key ServiceKey) bool {
		v, known := s.service(key)
		return known && v.spec.Source == source
	})
}

// ServingNodes are the names of the nodes with a serving endpoint of a Service, sorted.
func (s *State) ServingNodes(key ServiceKey) []string {
	e, ok := s.endpoints.get(hashed(key))
	if !ok {
		return nil
	}
	return slices.Clone(e.nodes)
}

// CoolingAddresses lists the addresses that cool, in their order.
func (s *State) CoolingAddresses() (addresses []string) {
	s.coolings.Scan(func(c cooling) bool {
		addresses = append(addresses, c.addr.String())
		return true
	})
	return addresses
}

// PoolSpec is a pool as it was last declared.
func (s *State) PoolSpec(name string) (event.Pool, bool) {
	p, ok := s.pool(name)
	if !ok {
		return event.Pool{}, false
	}
	return p.spec, true
}

// WhyUnowned says of an address in use without an owner what keeps each node from it; "" for any other.
func (s *State) WhyUnowned(a netip.Addr) string {
	used, ok := s.addressOf(a)
	if !ok {
		return ""
	}
	return s.whyUnowned(used)
}

// UsersOf are the Services that use an address, in the order in which they came to it; [] for one that is not in use.
func (s *State) UsersOf(a netip.Addr) []string {
	users := []string{}
	if used, ok := s.addressOf(a); ok {
		for _, key := range used.users {
			users = append(users, key.String())
		}
	}
	return users
}

// AddressesOf are the addresses that a Service has, in the order of the families that it wants.
func (s *State) AddressesOf(key ServiceKey) []netip.Addr {
	v, ok := s.service(key)
	if !ok {
		return nil
	}
	return slices.Clone(v.addresses)
}

// Users are the Services that use an address, in the order in which they came to it.
func (s *State) Users(a netip.Addr) []ServiceKey {
	used, ok := s.addressOf(a)
	if !ok {
		return nil
	}
	return slices.Clone(used.users)
}

// Lacking lists the Services that lack an address, or have one that nobody announces, by namespace and name.
func (s *State) Lacking() []ServiceKey {
	var keys []ServiceKey
	s.queue.Scan(func(w waiter) bool {
		keys = append(keys, w.key)
		return true
	})
	s.short.Scan(func(a netip.Addr) bool {
		if used, _ := s.addressOf(a); len(used.list) == 0 {
			keys = append(keys, used.users...)
		}
		return true
	})
	slices.SortFunc(keys, ServiceKey.Compare)
	return slices.Compact(keys)
}

// PoolOf is the pool in whose ranges an address lies; false if it lies in none.
func (s *State) PoolOf(a netip.Addr) (name string, ok bool) {
	r, ok := s.rangeOf(a)
	return r.pool, ok
}

// Labelled is what Kubernetes said last of a declared node; false if the node is not declared.
func (s *State) Labelled(a netip.Addr) (event.NodeLabelled, bool) {
	n, ok := s.node(a)
	if !ok {
		return event.NodeLabelled{}, false
	}
	return event.NodeLabelled{Address: a, Labels: n.labels, Taints: n.taints, Conditions: n.conditions}, true
}

// Namespaces lists the namespaces whose labels the ledger knows, by name.
func (s *State) Namespaces() []event.NamespaceChanged {
	var all []event.NamespaceChanged
	s.namespaces.scan(func(n *namespace) bool {
		all = append(all, event.NamespaceChanged{Name: n.name, Labels: n.labels})
		return true
	})
	return all
}

// Name is what a node is called: as it last joined, else by its address.
func (s *State) Name(node netip.Addr) string { return s.describe(node) }
