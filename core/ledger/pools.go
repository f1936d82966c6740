package ledger

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"viplog/core/event"
	"viplog/core/ipset"
)

type pool struct {
	name       string
	*poolFacts // never written: records share it

	capacity ipset.Count // derived: all its addresses less the avoided and the excluded
}

// poolFacts is a pool's definition, and what the settings say of it.
type poolFacts struct {
	spec     event.Pool
	ranges   []poolRange        // derived: its ranges in the order of addresses
	settings event.PoolSettings // derived
	excluded *netipx.IPSet      // derived: settings' exclude
}

// poolRange is one range of a pool in the order of addresses. Ranges of all pools are disjoint.
type poolRange struct {
	netipx.IPRange
	pool string
}

func (p *pool) pinned() bool {
	return len(p.settings.Namespaces)+len(p.settings.NamespaceSelectors)+len(p.settings.ServiceSelectors) > 0
}

func (p *pool) cooldown() int64 {
	if p.settings.CooldownSeconds == nil {
		return defaultCooldown
	}
	return *p.settings.CooldownSeconds * 1_000_000_000
}

// holds tells whether an address lies in the pool's ranges.
func (p *pool) holds(a netip.Addr) bool {
	i := searchRanges(p.ranges, a)
	return i < len(p.ranges) && p.ranges[i].Contains(a)
}

// admits tells whether the pool serves a Service at all.
func (s *State) admits(p *pool, v *service) bool {
	set := p.settings
	if len(set.Namespaces)+len(set.NamespaceSelectors) > 0 && !slices.Contains(set.Namespaces, v.key.Namespace) {
		known, _ := s.namespaces.get(v.key.Namespace)
		var labels []event.Label
		if known != nil {
			labels = known.labels
		}
		if !matchesAny(set.NamespaceSelectors, labels) {
			return false
		}
	}
	return len(set.ServiceSelectors) == 0 || matchesAny(set.ServiceSelectors, v.spec.Labels)
}

// isAllocatable tells whether an address may be given to anyone: it lies in a pool and is neither excluded, avoided,
// reserved nor in conflict.
func (s *State) isAllocatable(a netip.Addr) bool {
	r, ok := s.rangeOf(a)
	if !ok || s.isReserved(a) {
		return false
	}
	if _, disputed := s.inConflict(a); disputed {
		return false
	}
	p, _ := s.pool(r.pool)
	return !p.excluded.Contains(a) && !p.isAvoided(a)
}

func (f *fold) poolAdded(spec event.Pool) {
	if old, ok := f.pool(spec.Name); ok {
		if !samePool(old.spec, spec) {
			f.reject("pool %s: it exists already; an edit is a PoolEdited", spec.Name)
		}
		return
	}
	if !f.rangesFit(spec) {
		return
	}
	f.pools.set(&pool{name: spec.Name, poolFacts: &poolFacts{spec: spec}})
	f.add(Change{Kind: Configured, Reason: "pool " + spec.Name + " added"})
	f.openPools()
	f.reviewAll(reasonPools)
	f.serveQueue()
}

// rangesFit rejects a definition whose ranges overlap one another or another pool's.
func (f *fold) rangesFit(spec event.Pool) bool {
	added := rangesOf(spec)
	for i, r := range added {
		if i > 0 && added[i-1].Overlaps(r.IPRange) {
			f.reject("pool %s: %s overlaps %s", spec.Name, r.IPRange, added[i-1].IPRange)
			return false
		}
		for j := searchRanges(f.ranges, r.From()); j < len(f.ranges) && f.ranges[j].Overlaps(r.IPRange); j++ {
			if other := f.ranges[j]; other.pool != spec.Name {
				f.reject("pool %s: %s overlaps %s of pool %s", spec.Name, r.IPRange, other.IPRange, other.pool)
				return false
			}
		}
	}
	return true
}

// poolEdited turns the two booleans always, and addresses by the pool's policy. Addresses already given stay when the
// pool comes to avoid or exclude them: they are in use, and are not given again.
func (f *fold) poolEdited(spec event.Pool) {
	old, ok := f.pool(spec.Name)
	switch {
	case !ok:
		f.reject("pool %s: there is no such pool", spec.Name)
		return
	case samePool(old.spec, spec):
		return
	case !slices.Equal(old.spec.Addresses, spec.Addresses) && old.onEdit() == event.OnEditRefuse:
		f.reject("pool %s: its addresses are fixed (onEdit: refuse)", spec.Name)
		return
	case !f.rangesFit(spec):
		return
	}
	f.pools.edit(old, func(p *pool) { p.poolFacts = &poolFacts{spec: spec} })
	f.add(Change{Kind: Configured, Reason: "pool " + spec.Name + " edited"})
	f.openPools()
	f.evict(old)
	f.reviewAll(reasonPools)
	f.serveQueue()
}

func (f *fold) poolRemoved(name string) {
	old, ok := f.pool(name)
	switch {
	case !ok:
		f.reject("pool %s: there is no such pool", name)
		return
	case old.onEdit() == event.OnEditRefuse:
		f.reject("pool %s: it cannot be removed (onEdit: refuse)", name)
		return
	}
	f.pools.remove(old)
	f.add(Change{Kind: Configured, Reason: "pool " + name + " removed"})
	f.openPools()
	f.evict(old)
	f.reviewAll(reasonPools)
	f.serveQueue()
}

// evict releases the addresses that left a pool, where its policy says so.
func (f *fold) evict(before *pool) {
	if before.onEdit() != event.OnEditEvict {
		return
	}
	var gone []*address
	f.addresses.scan(func(a *address) bool {
		if _, still := f.rangeOf(a.addr); a.pool == before.name && !still {
			gone = append(gone, a)
		}
		return true
	})
	for _, a := range gone {
		reason := a.addr.String() + " left pool " + before.name + " (onEdit: evict)"
		for _, user := range a.users {
			v, _ := f.service(user)
			f.release(v, a.addr, reason)
		}
	}
}

func (p *pool) onEdit() string { return cmp.Or(p.settings.OnEdit, event.OnEditRefuse) }

// openPools recomputes everything that is derived from the pools' definitions and settings: their ranges and order, and
// what is free. Addresses in use stay in use, and count as the pool's whose ranges they lie in; what left its pool stops
// cooling.
func (s *State) openPools() {
	pools := slices.Clone(s.pools.rows)
	s.ranges = nil
	for i, p := range pools {
		pools[i] = s.pools.edit(p, func(p *pool) {
			settings := s.settingsOf(p.name)
			p.poolFacts = &poolFacts{spec: p.spec, ranges: rangesOf(p.spec), settings: settings, excluded: setOf(settings.Exclude)}
		})
		s.ranges = append(s.ranges, pools[i].ranges...)
	}
	sortedRanges(s.ranges)
	s.orderPools(pools)
	s.relabel()
	s.dropCoolings()
	s.free = ipset.New()
	for _, p := range pools {
		s.openPool(p)
	}
	s.lineUp()
}

// orderPools sorts the pools in the order in which they are asked: pinned ones first, then by priority, 0 last, then by
// name.
func (s *State) orderPools(pools []*pool) {
	ordered := slices.SortedFunc(slices.Values(pools), func(a, b *pool) int {
		if a.pinned() != b.pinned() {
			if a.pinned() {
				return -1
			}
			return 1
		}
		x, y := uint64(a.settings.Priority)-1, uint64(b.settings.Priority)-1 // 0 becomes the largest
		return cmp.Or(cmp.Compare(x, y), strings.Compare(a.name, b.name))
	})
	s.poolOrder = nil
	for _, p := range ordered {
		s.poolOrder = append(s.poolOrder, p.name)
	}
}

// relabel counts each address in use as the pool's that holds it now.
func (s *State) relabel() {
	var all []*address
	s.addresses.scan(func(a *address) bool {
		all = append(all, a)
		return true
	})
	for _, a := range all {
		if r, ok := s.rangeOf(a.addr); ok && r.pool != a.pool {
			s.countUses(a, -1)
			a = s.addresses.edit(a, func(a *address) { a.pool = r.pool })
			s.countUses(a, +1)
		}
	}
}

// dropCoolings ends the cooling of what can no longer be allocated, and indexes the rest under its pool of now.
func (s *State) dropCoolings() {
	kept := s.coolings.Items()
	s.coolings.Clear()
	s.expiries.Clear()
	s.kept.Clear()
	s.coolest.Clear()
	for _, c := range kept {
		if r, ok := s.rangeOf(c.addr); ok && s.isAllocatable(c.addr) {
			s.cool(c, r.pool)
		}
	}
}

// openPool computes a pool's figures and adds what is free of it.
func (s *State) openPool(p *pool) {
	p, _ = s.pool(p.name)
	var capacity ipset.Count
	free := ipset.New()
	for _, r := range p.ranges {
		free.AddRange(r.IPRange)
		if p.spec.AvoidBuggyIPs {
			for a := range buggyAddresses(r.IPRange) {
				free.Take(a)
			}
		}
	}
	for _, r := range p.excluded.Ranges() {
		free.RemoveRange(r)
	}
	capacity = free.Count()
	if s.cluster != nil && s.isReserved(s.cluster.IngressVIP) {
		free.Take(s.cluster.IngressVIP)
	}
	for _, r := range p.ranges {
		s.addresses.from(r.From(), func(a *address) bool {
			free.Take(a.addr)
			return !r.To().Less(a.addr)
		})
		s.coolings.Ascend(cooling{addr: r.From()}, func(c cooling) bool {
			free.Take(c.addr)
			return !r.To().Less(c.addr)
		})
		s.conflicts.Ascend(conflict{addr: r.From()}, func(c conflict) bool {
			free.Take(c.addr)
			return !r.To().Less(c.addr)
		})
	}
	for r := range free.Ranges() {
		s.free.AddRange(r)
	}
	s.pools.edit(p, func(p *pool) { p.capacity = capacity })
}

func (s *State) settingsOf(name string) event.PoolSettings {
	i := slices.IndexFunc(s.options.Pools, func(p event.PoolSettings) bool { return p.Name == name })
	if i < 0 {
		return event.PoolSettings{Name: name}
	}
	return s.options.Pools[i]
}

// setFree puts an allocatable address back among the free ones.
func (s *State) setFree(a netip.Addr) {
	if _, ok := s.rangeOf(a); !ok {
		panic("ledger: a free address belongs to a pool: " + a.String())
	}
	s.free.Release(a)
}

// freeOf counts a pool's free addresses.
func (s *State) freeOf(p *pool) ipset.Count {
	var n ipset.Count
	for _, r := range p.ranges {
		n = n.Plus(s.free.CountIn(r.IPRange))
	}
	return n
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

// setOf reads a list of ranges; what is none is left out.
func setOf(texts []string) *netipx.IPSet {
	var builder netipx.IPSetBuilder
	for _, text := range texts {
		if r, err := event.ParseRange(text); err == nil {
			builder.AddRange(r)
		}
	}
	set, err := builder.IPSet()
	if err != nil {
		panic("ledger: only valid ranges were added: " + err.Error())
	}
	return set
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

// searchRanges finds the first range that ends at or after an address.
func searchRanges(ranges []poolRange, a netip.Addr) int {
	i, _ := slices.BinarySearchFunc(ranges, a, func(r poolRange, a netip.Addr) int { return r.To().Compare(a) })
	return i
}
