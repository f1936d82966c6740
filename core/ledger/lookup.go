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

// ServicesOf lists the Services of a source, by namespace and name.
func (s *State) ServicesOf(source string) []ServiceKey {
	var keys []ServiceKey
	s.services.scan(func(v *service) bool {
		if v.spec.Source == source {
			keys = append(keys, v.key)
		}
		return true
	})
	slices.SortFunc(keys, ServiceKey.compare)
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
