package scenario

import (
	"net/netip"
	"slices"

	"viplog/core/trace"
	"viplog/sim/segment"
)

// foreign lets a foreign host use one address more.
func (r *run) foreign(name string, addr netip.Addr) {
	r.world.Tell(name, trace.Note{Kind: trace.Fault, Address: addr, Text: "a foreign host uses it"})
	i := slices.IndexFunc(r.foreigners, func(f *foreigner) bool { return f.Port().Name == name })
	if i < 0 {
		i = len(r.foreigners)
		mac := segment.MAC(0x02_00_00_00_f0_00) + segment.MAC(i)
		r.foreigners = append(r.foreigners, &foreigner{segment.NewForeignHost(r.world.Segment, name, mac), nil})
	}
	f := r.foreigners[i]
	f.uses = append(f.uses, addr)
	f.Use(f.uses...)
	f.Announce()
}

// foreignLeaves lets it use one address less.
func (r *run) foreignLeaves(name string, addr netip.Addr) {
	i := slices.IndexFunc(r.foreigners, func(f *foreigner) bool { return f.Port().Name == name && slices.Contains(f.uses, addr) })
	if i < 0 {
		r.idle(name, "it does not use the address")
		return
	}
	r.world.Tell(name, trace.Note{Kind: trace.Heal, Address: addr, Text: "the foreign host uses it no longer"})
	f := r.foreigners[i]
	f.uses = slices.DeleteFunc(f.uses, func(used netip.Addr) bool { return used == addr })
	f.Use(f.uses...)
}

// foreigner is a host that is not ours.
type foreigner struct {
	*segment.ForeignHost
	uses []netip.Addr
}
