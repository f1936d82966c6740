package ledger

import (
	"iter"
	"net/netip"
	"slices"

	"go4.org/netipx"

	"viplog/core/event"
	"viplog/core/ipset"
)

// poolRange is one range of a pool in the order of addresses. Ranges of all pools are disjoint.
type poolRange struct {
	netipx.IPRange
	pool string
}

func (f *fold) poolAdded(spec event.Pool) {
	if old, ok := f.pool(spec.Name); ok {
		if !samePool(old.spec, spec) {
			f.reject("pool %s: it exists already; an edit is a PoolEdited", spec.Name)
		}
		return
	}
	added := rangesOf(spec)
	for i, r := range added {
		if other, ok := f.overlap(r.IPRange); ok {
			f.reject("pool %s: %s overlaps %s of pool %s", spec.Name, r.IPRange, other.IPRange, other.pool)
			return
		}
		if i > 0 && added[i-1].Overlaps(r.IPRange) {
			f.reject("pool %s: %s overlaps %s", spec.Name, r.IPRange, added[i-1].IPRange)
			return
		}
	}
	f.pools.Set(&pool{name: spec.Name, spec: spec, ranges: added})
	f.ranges = sortedRanges(append(slices.Clone(f.ranges), added...))
	f.openPool(spec.Name)
	f.add(Change{Kind: Configured, Reason: "pool " + spec.Name + " added"})
	f.serveQueue()
}

// poolEdited turns the two booleans. Addresses already given stay: they are marked by being avoided and in use.
func (f *fold) poolEdited(spec event.Pool) {
	old, ok := f.pool(spec.Name)
	switch {
	case !ok:
		f.reject("pool %s: there is no such pool", spec.Name)
		return
	case !slices.Equal(old.spec.Addresses, spec.Addresses):
		f.reject("pool %s: addresses are immutable", spec.Name)
		return
	case samePool(old.spec, spec):
		return
	}
	edit(f.pools, old, func(p *pool) { p.spec = spec })
	f.openPool(spec.Name)
	f.add(Change{Kind: Configured, Reason: "pool " + spec.Name + " edited"})
	f.serveQueue()
}

// openPool recomputes a pool's derived figures and its part of the free set.
func (s *State) openPool(name string) {
	p, _ := s.pool(name)
	var total, avoided ipset.Count
	free := ipset.New()
	for _, r := range p.ranges {
		total = total.Plus(ipset.CountOf(r.IPRange))
		free.AddRange(r.IPRange)
		if p.spec.AvoidBuggyIPs {
			for a := range buggyAddresses(r.IPRange) {
				free.Take(a)
				avoided = avoided.Plus(ipset.CountOf(netipx.IPRangeFrom(a, a)))
			}
		}
		s.free.RemoveRange(r.IPRange)
		if s.cluster != nil && s.isReserved(s.cluster.IngressVIP) {
			free.Take(s.cluster.IngressVIP)
		}
		s.addresses.Ascend(&address{addr: r.From()}, func(a *address) bool {
			if r.To().Less(a.addr) {
				return false
			}
			free.Take(a.addr)
			return true
		})
	}
	for r := range free.Ranges() {
		s.free.AddRange(r)
	}
	edit(s.pools, p, func(p *pool) { p.free, p.capacity = free.Count(), total.Minus(avoided) })
}

// countFree keeps the figures of an address's pool in step with the free set.
func (s *State) countFree(a netip.Addr, by int) {
	r, ok := s.rangeOf(a)
	if !ok {
		panic("ledger: a free address belongs to a pool: " + a.String())
	}
	p, _ := s.pool(r.pool)
	one := ipset.CountOf(netipx.IPRangeFrom(a, a))
	edit(s.pools, p, func(p *pool) {
		if by < 0 {
			p.free = p.free.Minus(one)
		} else {
			p.free = p.free.Plus(one)
		}
	})
}

// isReserved tells whether an address is kept for the ingress Service: the ingressVIP, once it lies in a pool.
func (s *State) isReserved(a netip.Addr) bool {
	if s.cluster == nil || !a.IsValid() || a != s.cluster.IngressVIP {
		return false
	}
	_, inPool := s.rangeOf(a)
	return inPool
}

// isAvoided tells whether avoidBuggyIPs keeps a pool's address from being given. MetalLB's rule: IPv4 addresses that
// end in 0 or 255, whatever the mask.
func (p *pool) isAvoided(a netip.Addr) bool {
	return p.spec.AvoidBuggyIPs && isBuggy(a)
}

func isBuggy(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	last := a.As4()[3]
	return last == 0 || last == 255
}

// buggyAddresses yields the addresses of a range that end in 0 or 255, without walking the others.
func buggyAddresses(r netipx.IPRange) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for a := r.From(); a.Is4() && !r.To().Less(a); {
			if isBuggy(a) && !yield(a) {
				return
			}
			quad := a.As4()
			if quad[3] == 0 || quad[3] == 255 {
				a = a.Next() // to .1, or to the next .0
				continue
			}
			quad[3] = 255
			a = netip.AddrFrom4(quad)
		}
	}
}

func samePool(a, b event.Pool) bool {
	return a.Name == b.Name && a.AvoidBuggyIPs == b.AvoidBuggyIPs && a.ManualAssign == b.ManualAssign &&
		slices.Equal(a.Addresses, b.Addresses)
}

func rangesOf(spec event.Pool) []poolRange {
	ranges := make([]poolRange, 0, len(spec.Addresses))
	for _, text := range spec.Addresses {
		r, err := event.ParseRange(text)
		if err != nil {
			panic("ledger: a pool's fact was checked: " + err.Error())
		}
		ranges = append(ranges, poolRange{IPRange: r, pool: spec.Name})
	}
	return sortedRanges(ranges)
}

func sortedRanges(ranges []poolRange) []poolRange {
	slices.SortFunc(ranges, func(a, b poolRange) int { return a.From().Compare(b.From()) })
	return ranges
}

// rangeOf finds the range that holds an address.
func (s *State) rangeOf(a netip.Addr) (poolRange, bool) {
	i := searchRanges(s.ranges, a)
	if i < len(s.ranges) && s.ranges[i].Contains(a) {
		return s.ranges[i], true
	}
	return poolRange{}, false
}

func (s *State) overlap(r netipx.IPRange) (poolRange, bool) {
	i := searchRanges(s.ranges, r.From())
	if i < len(s.ranges) && s.ranges[i].Overlaps(r) {
		return s.ranges[i], true
	}
	return poolRange{}, false
}

// searchRanges finds the first range that ends at or after an address.
func searchRanges(ranges []poolRange, a netip.Addr) int {
	i, _ := slices.BinarySearchFunc(ranges, a, func(r poolRange, a netip.Addr) int { return r.To().Compare(a) })
	return i
}
