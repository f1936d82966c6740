package ledger

import (
	"net/netip"
	"slices"

	"viplog/core/event"
)

// serviceApplied takes a Service as it is declared now. One that has an address keeps it as long as its own wish
// allows; an own edit that no longer fits releases the address. The place in the queue stays that of the fact that
// created the Service.
func (f *fold) serviceApplied(e event.ServiceApplied) {
	key := ServiceKey{e.Namespace, e.Name}
	old, known := f.service(key)
	switch {
	case !known:
		f.services.Set(&service{key: key, created: f.seq, spec: e})
		f.waiting.Set(waiter{f.seq, key})
	case old.spec.Source != e.Source:
		f.reject("service %s: it belongs to source %s, not %s", key, old.spec.Source, e.Source)
		return
	default:
		changed := edit(f.services, old, func(v *service) { v.spec = e })
		if changed.address.IsValid() {
			if refused := f.refuseAddress(changed, changed.address); refused != nil {
				f.release(changed, refused.String())
				f.serveQueue()
			} else {
				f.reviewAddress(changed.address, "traffic policy")
			}
		}
	}
	f.serve(key, true)
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
	if v.address.IsValid() {
		v = f.release(v, "the Service was deleted")
	} else {
		f.add(Change{Kind: Released, Service: key, Reason: "the Service was deleted while it waited"})
	}
	f.waiting.Delete(waiter{v.created, key})
	f.services.Delete(v)
	f.endpoints.Delete(&endpoints{key: key})
	f.serveQueue()
}

func (f *fold) endpointsChanged(e event.EndpointsChanged) {
	key := ServiceKey{e.Namespace, e.Name}
	old, known := f.endpoints.Get(&endpoints{key: key})
	if known && old.source != e.Source {
		f.reject("endpoints of %s: they belong to source %s, not %s", key, old.source, e.Source)
		return
	}
	if len(e.Nodes) == 0 {
		f.endpoints.Delete(&endpoints{key: key})
	} else {
		nodes := slices.Compact(slices.Sorted(slices.Values(e.Nodes)))
		f.endpoints.Set(&endpoints{key: key, source: e.Source, nodes: nodes})
	}
	if v, ok := f.service(key); ok && v.address.IsValid() {
		f.reviewAddress(v.address, "has no serving endpoint of "+key.String())
	}
}

// serveQueue lets every waiting Service try, the oldest first. It is called when an address was released or added.
func (f *fold) serveQueue() {
	var keys []ServiceKey
	f.waiting.Scan(func(w waiter) bool {
		keys = append(keys, w.key)
		return true
	})
	for _, key := range keys {
		f.serve(key, false)
	}
}

// serve gives a waiting Service its address, if there is one. With tell it says so where there is none.
func (f *fold) serve(key ServiceKey, tell bool) {
	v, ok := f.service(key)
	if !ok || v.address.IsValid() {
		return
	}
	a, refused := f.choose(v)
	if refused != nil {
		if tell {
			f.add(Change{Kind: Waiting, Service: key, Reason: refused.String()})
		}
		return
	}
	f.allocate(v, a)
}

func (f *fold) allocate(v *service, a netip.Addr) {
	r, ok := f.rangeOf(a)
	if !ok {
		panic("ledger: an allocated address lies in a pool: " + a.String())
	}
	if _, used := f.addressOf(a); used {
		panic("ledger: an allocated address is in no other use: " + a.String())
	}
	if f.free.Take(a) {
		f.countFree(a, -1)
	}
	p, _ := f.pool(r.pool)
	edit(f.pools, p, func(p *pool) { p.assigned++ })
	edit(f.services, v, func(v *service) { v.address = a })
	f.waiting.Delete(waiter{v.created, v.key})
	f.addresses.Set(&address{addr: a, pool: r.pool, users: []ServiceKey{v.key}})
	f.short.Set(a)
	f.add(Change{Kind: Allocated, Service: v.key, Address: a, Pool: r.pool, Reason: f.whyThis(v, a)})
	f.refill(a, "least loaded of the candidates")
}

// release takes a Service's address away and puts the Service back to its old place in the queue.
func (f *fold) release(v *service, reason string) *service {
	a, _ := f.addressOf(v.address)
	f.setList(a, nil, reason)
	f.addresses.Delete(a)
	f.short.Delete(a.addr)
	p, _ := f.pool(a.pool)
	edit(f.pools, p, func(p *pool) { p.assigned-- })
	if !p.isAvoided(a.addr) && !f.isReserved(a.addr) && f.free.Release(a.addr) {
		f.countFree(a.addr, +1)
	}
	f.add(Change{Kind: Released, Service: v.key, Address: a.addr, Pool: a.pool, Reason: reason})
	f.waiting.Set(waiter{v.created, v.key})
	return edit(f.services, v, func(v *service) { v.address = netip.Addr{} })
}
