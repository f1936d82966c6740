package ledger

import (
	"net/netip"
	"slices"

	"viplog/core/event"
)

// serviceApplied takes a Service as it is declared now. One that has addresses keeps them as long as its own wish
// allows. The place in the queue stays that of the fact that created the Service.
func (f *fold) serviceApplied(e event.ServiceApplied) {
	key := ServiceKey{e.Namespace, e.Name}
	old, known := f.service(key)
	switch {
	case !known:
		f.serve(&service{key: key, created: f.seq, spec: &e}, true)
		return
	case old.spec.Source != e.Source:
		f.reject("service %s: it belongs to source %s, not %s", key, old.spec.Source, e.Source)
		return
	}
	v := f.respecify(old, e)
	v = f.keep(v)
	f.serve(v, true)
	v, _ = f.service(key)
	for _, a := range v.addresses {
		f.reviewAddress(a, "may no longer announce it for "+key.String())
	}
	if f.madeRoom || len(old.addresses) > 0 && !sameSharing(old.spec, v.spec) {
		f.serveQueue()
	}
}

// respecify replaces what a Service declares, with the indexes over its addresses.
func (f *fold) respecify(v *service, e event.ServiceApplied) *service {
	old := v.terms()
	v = f.services.edit(v, func(v *service) { v.spec = &e })
	if v.terms() == old {
		return v
	}
	for _, a := range v.addresses {
		used, _ := f.addressOf(a)
		f.countUses(used, -1)
		used = f.addresses.edit(used, func(a *address) { a.terms = v.terms() })
		f.countUses(used, +1)
	}
	return v
}

func sameSharing(a, b *event.ServiceApplied) bool {
	return a.SharingKey == b.SharingKey && a.TrafficPolicy == b.TrafficPolicy &&
		slices.Equal(a.Ports, b.Ports) && slices.Equal(a.Selector, b.Selector)
}

// keep releases what a Service's own fact no longer allows it.
func (f *fold) keep(v *service) *service {
	place := func(a netip.Addr) int { return slices.Index(v.spec.Families, event.FamilyOf(a)) }
	if n := v.addresses; len(n) == 2 && place(n[0]) > place(n[1]) { // the fact turned the families around
		v = f.services.edit(v, func(v *service) { v.addresses = []netip.Addr{n[1], n[0]} })
	}
	for _, a := range slices.Clone(v.addresses) {
		if family := event.FamilyOf(a); !slices.Contains(v.wants(), family) {
			v = f.release(v, a, "the Service no longer wants an "+family+" address")
		}
	}
	if len(v.addresses) == 0 {
		return v
	}
	refused := f.unkeepable(v)
	if refused == nil && v.spec.FamilyPolicy == event.RequireDualStack && len(v.addresses) < 2 {
		_, refused = f.grown(v)
	}
	if refused == nil {
		return f.order(v)
	}
	return f.releaseAll(v, refused.String())
}

// unkeepable says why a Service's own wish no longer allows the addresses that it has.
func (f *fold) unkeepable(v *service) *refusal {
	if v.spec.FamilyPolicy == event.RequireDualStack && len(v.spec.Families) < 2 {
		return &refusal{kind: needsTwoFamilies}
	}
	for _, a := range v.spec.RequestedAddresses {
		if !slices.Contains(v.addresses, a) {
			return &refusal{kind: addressNotWanted, address: v.addresses[0]}
		}
	}
	for _, a := range v.addresses {
		used, _ := f.addressOf(a)
		if v.spec.RequestedPool != "" && v.spec.RequestedPool != used.pool {
			return &refusal{kind: addressInOtherPool, address: a, pool: used.pool, other: v.spec.RequestedPool}
		}
		if p, ok := f.pool(used.pool); ok && !f.hasIngressVIP(v) && !f.admits(p, v) {
			return &refusal{kind: poolRefuses, pool: p.name}
		}
		if refused := f.unsharable(v, used); refused != nil {
			return refused
		}
	}
	return nil
}

// order puts a Service's addresses in the order of its families of now.
func (f *fold) order(v *service) *service {
	if ordered := inOrder(v, v.addresses); !slices.Equal(ordered, v.addresses) {
		return f.services.edit(v, func(v *service) { v.addresses = ordered })
	}
	return v
}

func (f *fold) serviceDeleted(e event.ServiceDeleted) {
	key := ServiceKey{e.Namespace, e.Name}
	v, known := f.service(key)
	switch {
	case !known:
		return
	case v.spec.Source != e.Source:
		f.reject("service %s: it belongs to source %s, not %s", key, v.spec.Source, e.Source)
		return
	}
	if len(v.addresses) == 0 {
		f.add(Change{Kind: Released, Service: key, Reason: "the Service was deleted while it waited"})
	}
	f.dequeue(v)
	for _, a := range v.addresses {
		f.vacate(a, key, "the Service was deleted")
	}
	f.services.remove(hashed(key))
	f.endpoints.remove(hashed(key))
	if f.madeRoom {
		f.serveQueue()
	}
}

func (f *fold) endpointsChanged(e event.EndpointsChanged) {
	key := ServiceKey{e.Namespace, e.Name}
	old, known := f.endpoints.get(hashed(key))
	if known && old.source != e.Source {
		f.reject("endpoints of %s: they belong to source %s, not %s", key, old.source, e.Source)
		return
	}
	if len(e.Nodes) == 0 {
		f.endpoints.remove(hashed(key))
	} else {
		nodes := slices.Compact(slices.Sorted(slices.Values(e.Nodes)))
		f.endpoints.set(&endpoints{key: key, source: e.Source, nodes: nodes})
	}
	if v, ok := f.service(key); ok && v.terms().local {
		for _, a := range v.addresses {
			f.reviewAddress(a, "has no serving endpoint of "+key.String())
		}
	}
}

func (f *fold) namespaceChanged(name string, labels []event.Label) {
	f.namespaces.set(&namespace{name: name, labels: labels})
	f.serveQueue()
}

func (f *fold) namespaceDeleted(name string) {
	f.namespaces.remove(name)
	f.serveQueue()
}

// allocate gives a Service addresses that are free, reserved for it, cooling, or may be shared.
func (f *fold) allocate(v *service, addresses []netip.Addr, reason string) *service {
	v = f.services.edit(v, func(v *service) { v.addresses = slices.Concat(v.addresses, addresses) })
	for _, a := range addresses {
		r, ok := f.rangeOf(a)
		if !ok {
			panic("ledger: an allocated address lies in a pool: " + a.String())
		}
		f.add(Change{Kind: Allocated, Service: v.key, Address: a, Pool: r.pool, Reason: reason})
		if used, inUse := f.addressOf(a); inUse {
			f.share(used, v)
		} else {
			f.occupy(a, r.pool, v)
		}
	}
	return v
}

// share adds a user to an address in use.
func (f *fold) share(used *address, v *service) {
	if refused := f.unsharable(v, used); refused != nil {
		panic("ledger: an address is shared by those who may: " + refused.String())
	}
	f.countUses(used, -1)
	used = f.addresses.edit(used, func(u *address) { u.users = append(slices.Clone(u.users), v.key) })
	f.countUses(used, +1)
	f.reviewAddress(used.addr, "is shared by "+v.key.String())
}

// occupy puts an address into use, with its first user and its list.
func (f *fold) occupy(a netip.Addr, name string, v *service) {
	if !f.free.Take(a) {
		f.uncool(a)
	}
	used := &address{addr: a, pool: name, users: []ServiceKey{v.key}, terms: v.terms()}
	if used.list = f.complete(used, nil); len(used.list) > 0 {
		used.version = f.seq
	}
	f.recount(a, nil, used.list, reasonLeastLoaded)
	f.track(ListChange{Address: a, After: used.list, IsGiven: true})
	f.addresses.set(used)
	f.countUses(used, +1)
	if len(used.list) < ListLength {
		f.noteShort(used)
	}
}

func (f *fold) releaseAll(v *service, reason string) *service {
	for _, a := range slices.Clone(v.addresses) {
		v = f.release(v, a, reason)
	}
	return v
}

// release takes one address from a Service.
func (f *fold) release(v *service, a netip.Addr, reason string) *service {
	v = f.services.edit(v, func(v *service) {
		v.addresses = slices.DeleteFunc(slices.Clone(v.addresses), func(b netip.Addr) bool { return b == a })
	})
	if len(v.addresses) < len(v.wants()) {
		v = f.enqueue(v)
	}
	f.vacate(a, v.key, reason)
	return v
}

// vacate takes a user from an address. The last one leaves it cooling; or gone, if it can no longer be allocated.
func (f *fold) vacate(a netip.Addr, user ServiceKey, reason string) {
	f.madeRoom = true
	used, _ := f.addressOf(a)
	f.add(Change{Kind: Released, Service: user, Address: a, Pool: used.pool, Reason: reason})
	f.countUses(used, -1)
	if len(used.users) > 1 {
		used = f.addresses.edit(used, func(u *address) {
			u.users = slices.DeleteFunc(slices.Clone(u.users), func(k ServiceKey) bool { return k == user })
			first, _ := f.service(u.users[0])
			u.terms = first.terms()
		})
		f.countUses(used, +1)
		f.reviewAddress(a, user.String()+" left it")
		return
	}
	f.recount(a, used.list, nil, reason)
	f.track(ListChange{Address: a, Before: used.list})
	f.addresses.remove(a)
	f.short.Delete(a)
	f.setAside(a, user)
}

// setAside lets a released address cool, or frees it, if it can be allocated again.
func (f *fold) setAside(a netip.Addr, keeper ServiceKey) {
	r, inPool := f.rangeOf(a)
	if !inPool || !f.isAllocatable(a) {
		return
	}
	p, _ := f.pool(r.pool)
	if p.cooldown() == 0 {
		f.setFree(a)
		return
	}
	f.cool(cooling{addr: a, until: f.time + p.cooldown(), keeper: keeper}, r.pool)
}
