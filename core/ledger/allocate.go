package ledger

import (
	"net/netip"
	"slices"

	"viplog/core/event"
)

// This file chooses addresses by the rules of docs/allocation.md, whose numbers it names. It reads the ledger only, so
// that explaining a Service is choosing for it again.

// choice is what a Service gets: an address for each family that is served, in the Service's order.
type choice struct {
	addresses []netip.Addr
	rule      string // which rule chose, for a person
}

// choose finds the addresses for a Service without one, or why there are none.
func (s *State) choose(v *service) (choice, *refusal) {
	if v.spec.FamilyPolicy == event.RequireDualStack && len(v.spec.Families) < 2 {
		return choice{}, &refusal{kind: needsTwoFamilies}
	}
	if len(v.spec.RequestedAddresses) > 0 { // rule 1
		if refused := s.unfit(v, v.spec.RequestedAddresses, false); refused != nil {
			return choice{}, refused
		}
		return s.completed(v, v.spec.RequestedAddresses, "requested")
	}
	if c, refused, applies := s.chooseIngress(v); applies { // rule 2
		return c, refused
	}
	if len(v.spec.StatusAddresses) > 0 && s.unfit(v, v.spec.StatusAddresses, true) == nil { // rule 3
		if c, refused := s.completed(v, v.spec.StatusAddresses, "adopted from the Service's status"); refused == nil {
			return c, nil
		}
	}
	if c, ok := s.chooseKept(v); ok { // rule 4
		return c, nil
	}
	if name := v.spec.RequestedPool; name != "" { // rule 5
		p, ok := s.pool(name)
		switch {
		case !ok:
			return choice{}, &refusal{kind: poolUnknown, pool: name}
		case !s.admits(p, v):
			return choice{}, &refusal{kind: poolRefuses, pool: name}
		}
		return s.chooseFrom(v, []*pool{p}, "lowest free address of the requested pool")
	}
	return s.chooseFrom(v, s.openTo(v), "lowest free address of the first pool that has one") // rule 6
}

// openTo lists the pools that give a Service addresses unasked, in their order.
func (s *State) openTo(v *service) []*pool {
	var open []*pool
	for _, name := range s.poolOrder {
		if p, _ := s.pool(name); !p.spec.ManualAssign && s.admits(p, v) {
			open = append(open, p)
		}
	}
	return open
}

// unfit says why a Service may not have these addresses, all of them; nil if it may. Adopted ones are not held to the
// quota, but must not be kept for another name.
func (s *State) unfit(v *service, addresses []netip.Addr, adopted bool) *refusal {
	cost := 0
	for i, a := range addresses {
		switch family := event.FamilyOf(a); {
		case !slices.Contains(v.wants(), family):
			return &refusal{kind: familyNotWanted, address: a, family: family}
		case i > 0 && family == event.FamilyOf(addresses[0]):
			return &refusal{kind: familyTwice, family: family}
		}
		if refused := s.unusable(v, a); refused != nil {
			return refused
		}
		if c, cooling := s.coolings.Get(cooling{addr: a}); adopted && cooling && c.keeper != v.key {
			return &refusal{kind: addressHeld, address: a, holder: c.keeper}
		}
		cost += s.cost(a, v.key.Namespace)
	}
	first, _ := s.rangeOf(addresses[0])
	if last, _ := s.rangeOf(addresses[len(addresses)-1]); last.pool != first.pool {
		return &refusal{kind: twoPools, pool: first.pool, other: last.pool}
	}
	p, _ := s.pool(first.pool)
	switch {
	case v.spec.RequestedPool != "" && v.spec.RequestedPool != p.name:
		return &refusal{kind: addressInOtherPool, address: addresses[0], pool: p.name, other: v.spec.RequestedPool}
	case !s.admits(p, v):
		return &refusal{kind: poolRefuses, pool: p.name}
	case !adopted && cost > s.quotaLeft(p, v.key.Namespace):
		return &refusal{kind: quotaFull, pool: p.name, namespace: v.key.Namespace}
	}
	return nil
}

// unusable says why an address cannot be given to a Service, whatever it asks for.
func (s *State) unusable(v *service, a netip.Addr) *refusal {
	r, inPool := s.rangeOf(a)
	if !inPool {
		return &refusal{kind: addressInNoPool, address: a}
	}
	p, _ := s.pool(r.pool)
	used, inUse := s.addressOf(a)
	switch {
	case s.isReserved(a) && !s.isIngress(v.key):
		return &refusal{kind: addressReserved, address: a, other: s.options.IngressService}
	case s.isReserved(a) && inUse:
		return &refusal{kind: addressHeld, address: a, holder: used.users[0]}
	case s.isReserved(a):
		return nil
	case p.isAvoided(a):
		return &refusal{kind: addressAvoided, address: a, pool: p.name}
	case p.excluded.Contains(a):
		return &refusal{kind: addressExcluded, address: a, pool: p.name}
	}
	if c, disputed := s.inConflict(a); disputed {
		return &refusal{kind: addressInConflict, address: a, other: c.mac}
	}
	if inUse {
		return s.unsharable(v, used)
	}
	return nil
}

// chooseIngress is rule 2.
func (s *State) chooseIngress(v *service) (choice, *refusal, bool) {
	if !s.isIngress(v.key) || v.spec.RequestedPool != "" || s.cluster == nil {
		return choice{}, nil, false
	}
	vip := s.cluster.IngressVIP
	if !s.isReserved(vip) || !slices.Contains(v.wants(), event.FamilyOf(vip)) {
		return choice{}, nil, false
	}
	if used, inUse := s.addressOf(vip); inUse {
		return choice{}, &refusal{kind: addressHeld, address: vip, holder: used.users[0]}, true
	}
	c, refused := s.completed(v, []netip.Addr{vip}, "the ingressVIP is kept for this Service")
	return c, refused, true
}

// hasIngressVIP tells whether a Service is the ingress Service with its own address, to which admission does not count.
func (s *State) hasIngressVIP(v *service) bool {
	return s.isIngress(v.key) && slices.ContainsFunc(v.addresses, s.isReserved)
}

func (s *State) isIngress(key ServiceKey) bool { return key.String() == s.options.IngressService }

// chooseKept is rule 4: what a Service of this name had a short while ago.
func (s *State) chooseKept(v *service) (choice, bool) {
	byPool := map[string][]netip.Addr{}
	any := false
	s.kept.Ascend(cooling{keeper: v.key, until: -1 << 63}, func(c cooling) bool {
		if c.keeper != v.key {
			return false
		}
		family := event.FamilyOf(c.addr)
		r, _ := s.rangeOf(c.addr)
		kept := byPool[r.pool]
		again := slices.ContainsFunc(kept, func(a netip.Addr) bool { return event.FamilyOf(a) == family })
		if slices.Contains(v.wants(), family) && !again {
			byPool[r.pool] = append(kept, c.addr)
			any = true
		}
		return true
	})
	if !any {
		return choice{}, false
	}
	pools := s.openTo(v)
	if name := v.spec.RequestedPool; name != "" {
		pools = nil
		if p, ok := s.pool(name); ok && s.admits(p, v) {
			pools = []*pool{p}
		}
	}
	for _, p := range pools {
		kept := inOrder(v, byPool[p.name])
		if left := s.quotaLeft(p, v.key.Namespace); len(kept) > left {
			kept = kept[:left]
		}
		if len(kept) == 0 {
			continue
		}
		c, refused := s.completed(v, kept, "kept for this name since it was released")
		return c, refused == nil
	}
	return choice{}, false
}

// chooseFrom is rule 6 over some pools: rounds of families, in each first what is free or shared, then also what cools.
func (s *State) chooseFrom(v *service, pools []*pool, rule string) (choice, *refusal) {
	for _, families := range rounds(v) {
		for _, cooling := range []bool{false, true} {
			for _, p := range pools {
				if addresses, ok := s.pickAll(v, p, families, cooling); ok {
					return choice{addresses, rule}, nil
				}
			}
		}
	}
	return choice{}, s.whyNone(v, pools)
}

// rounds are the sets of families to try, the best first.
func rounds(v *service) [][]string {
	wants := v.wants()
	if v.spec.FamilyPolicy == event.PreferDualStack && len(wants) == 2 {
		return [][]string{wants, wants[:1], wants[1:]}
	}
	return [][]string{wants}
}

// pickAll picks an address of each family from one pool, or none.
func (s *State) pickAll(v *service, p *pool, families []string, cooling bool) ([]netip.Addr, bool) {
	left := s.quotaLeft(p, v.key.Namespace)
	addresses := make([]netip.Addr, 0, len(families))
	for _, family := range families {
		a, ok := s.pick(v, p, family, left, cooling)
		if !ok {
			return nil, false
		}
		left -= s.cost(a, v.key.Namespace)
		addresses = append(addresses, a)
	}
	return addresses, true
}

// pick finds the lowest address of a family in a pool that is free or may be shared; if there is none, and it may, what
// has cooled longest.
func (s *State) pick(v *service, p *pool, family string, left int, mayCool bool) (netip.Addr, bool) {
	free, ok := s.lowestFree(p, family)
	ok = ok && left >= 1
	if shared, found := s.lowestShared(v, p, family, left); found && (!ok || shared.Less(free)) {
		return shared, true
	}
	if ok || !mayCool || left < 1 {
		return free, ok
	}
	s.coolest.Ascend(cooled{pool: p.name, v6: family == event.FamilyIPv6}, func(c cooled) bool {
		if c.pool == p.name && event.FamilyOf(c.addr) == family {
			free, ok = c.addr, true
		}
		return false
	})
	return free, ok
}

func (s *State) lowestFree(p *pool, family string) (netip.Addr, bool) {
	for _, r := range p.ranges {
		if event.FamilyOf(r.From()) != family {
			continue
		}
		if a, ok := s.free.NextFrom(r.From()); ok && r.Contains(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

func (s *State) lowestShared(v *service, p *pool, family string, left int) (netip.Addr, bool) {
	var lowest netip.Addr
	found := false
	key := v.spec.SharingKey
	if key == "" {
		return lowest, false
	}
	s.shared.Ascend(sharedBy{key: key}, func(at sharedBy) bool {
		if at.key != key {
			return false
		}
		if event.FamilyOf(at.addr) != family || !p.holds(at.addr) || !s.isAllocatable(at.addr) ||
			s.cost(at.addr, v.key.Namespace) > left {
			return true
		}
		used, _ := s.addressOf(at.addr)
		found = s.unsharable(v, used) == nil
		lowest = at.addr
		return !found
	})
	return lowest, found
}

// completed adds the family that is missing beside the addresses that are there, from their pool, and puts them in the
// Service's order. With RequireDualStack a family that stays missing is a refusal.
func (s *State) completed(v *service, have []netip.Addr, rule string) (choice, *refusal) {
	all := inOrder(v, have)
	if len(all) == len(v.wants()) {
		return choice{all, rule}, nil
	}
	r, _ := s.rangeOf(have[0])
	p, ok := s.pool(r.pool)
	if ok {
		left := s.quotaLeft(p, v.key.Namespace)
		for _, a := range have {
			left -= s.cost(a, v.key.Namespace)
		}
		if a, ok := s.pickMissing(v, p, all, left); ok {
			return choice{inOrder(v, append(slices.Clone(all), a)), rule}, nil
		}
	}
	if v.spec.FamilyPolicy == event.RequireDualStack {
		return choice{}, &refusal{kind: poolFull, pool: r.pool, family: missing(v, all)}
	}
	return choice{all, rule}, nil
}

func (s *State) pickMissing(v *service, p *pool, have []netip.Addr, left int) (netip.Addr, bool) {
	return s.pick(v, p, missing(v, have), max(left, 0), true)
}

// missing is the first family that a Service wants and lacks; "" if it lacks none.
func missing(v *service, have []netip.Addr) string {
	for _, family := range v.wants() {
		if !slices.ContainsFunc(have, func(a netip.Addr) bool { return event.FamilyOf(a) == family }) {
			return family
		}
	}
	return ""
}

// inOrder sorts addresses in the order of the Service's families.
func inOrder(v *service, addresses []netip.Addr) []netip.Addr {
	sorted := make([]netip.Addr, 0, 2)
	for _, family := range v.wants() {
		for _, a := range addresses {
			if event.FamilyOf(a) == family {
				sorted = append(sorted, a)
			}
		}
	}
	return sorted
}
