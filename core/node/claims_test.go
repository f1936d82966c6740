package node

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"viplog/core/lease"
)

// plainClaims is rule 3 as it is written: over all lists that were ever replaced.
type plainClaims struct {
	me      lease.Incarnation
	old     []replacedList
	applied map[lease.Incarnation]uint64
	out     map[lease.Incarnation]bool

	base uint64 // the snapshot that it last went on from, and who was in it
	live []lease.Incarnation
}

type replacedList struct {
	version uint64
	addr    netip.Addr
	members []lease.Incarnation
}

func (p *plainClaims) isPending(addr netip.Addr) bool {
	for _, who := range p.live {
		if who != p.me && !p.out[who] && p.applied[who] < p.base {
			return true
		}
	}
	for _, list := range p.old {
		if list.addr != addr {
			continue
		}
		for _, who := range list.members {
			if who == p.me {
				break
			}
			if !p.out[who] && p.applied[who] < list.version {
				return true
			}
		}
	}
	return false
}

func TestClaimsAreThoseOfThePlainRuleOverAllReplacedLists(t *testing.T) {
	incarnation := func(i int) lease.Incarnation {
		return lease.Incarnation{Node: netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 3)}), Join: uint64(i)}
	}
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}) }
	rapid.Check(t, func(t *rapid.T) {
		me := incarnation(0)
		c := newClaims(me)
		plain := &plainClaims{me: me, applied: map[lease.Incarnation]uint64{}, out: map[lease.Incarnation]bool{}}
		known := func(who lease.Incarnation) (uint64, bool) { return plain.applied[who], plain.out[who] }
		version := uint64(10)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			who := incarnation(rapid.IntRange(1, 5).Draw(t, "who"))
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 6:
				var live []lease.Incarnation
				for _, i := range rapid.SliceOfDistinct(rapid.IntRange(0, 5), rapid.ID).Draw(t, "live") {
					live = append(live, incarnation(i))
				}
				plain.base, plain.live, plain.old = version, live, nil
				c.snapshot(version, live, known)
				version++
			case 0, 1, 2:
				var members []lease.Incarnation
				for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 0, 3, rapid.ID).Draw(t, "list") {
					members = append(members, incarnation(i))
				}
				list := replacedList{version, addr(rapid.IntRange(0, 2).Draw(t, "address")), members}
				c.replaced(list.version, list.addr, members, known)
				plain.old = append(plain.old, list)
				version++
			case 3, 4:
				if at := rapid.Uint64Range(9, version).Draw(t, "applied"); at > plain.applied[who] {
					plain.applied[who] = at
					c.progressed(who, at)
				}
			case 5:
				plain.out[who] = true
				c.gone(who)
			}
			for i := range 3 {
				if got, want := c.isPending(addr(i)), plain.isPending(addr(i)); got != want {
					t.Fatalf("address %d is pending: %t, by the plain rule %t", i, got, want)
				}
			}
		}
		for i := range 6 {
			plain.out[incarnation(i)] = true
			c.gone(incarnation(i))
		}
		if len(c.queues)+len(c.pending) > 0 {
			t.Fatalf("at rest %d queues and %d addresses are pending", len(c.queues), len(c.pending))
		}
	})
}
