package ledger

import (
	"net/netip"

	"viplog/core/event"
)

// cooling is an address that was released a short while ago, so that caches of its last user may run out. It is kept
// for a Service of the same name; anyone else gets it only if nothing else is free.
type cooling struct {
	addr   netip.Addr
	until  int64 // ledger time in Unix nanoseconds
	keeper ServiceKey
}

func (a cooling) lessByInstant(b cooling) bool {
	if a.until != b.until {
		return a.until < b.until
	}
	return a.addr.Less(b.addr)
}

func (a cooling) lessByName(b cooling) bool {
	if c := a.keeper.Compare(b.keeper); c != 0 {
		return c < 0
	}
	return a.lessByInstant(b)
}

// cooled orders coolings so that the longest-cooled of a pool and family comes first.
type cooled struct {
	pool string
	v6   bool
	cooling
}

func (a cooled) less(b cooled) bool {
	switch {
	case a.pool != b.pool:
		return a.pool < b.pool
	case a.v6 != b.v6:
		return b.v6
	}
	return a.lessByInstant(b.cooling)
}

// defaultCooldown is that of a pool without a setting, in nanoseconds.
const defaultCooldown = 60_000_000_000

// cool puts a released address aside.
func (s *State) cool(c cooling, pool string) {
	s.coolings.Set(c)
	s.expiries.Set(c)
	s.kept.Set(c)
	s.coolest.Set(cooled{pool, c.addr.Is6(), c})
}

// uncool ends an address's cooling; false if it was not cooling.
func (s *State) uncool(a netip.Addr) bool {
	c, ok := s.coolings.Delete(cooling{addr: a})
	if !ok {
		return false
	}
	r, inPool := s.rangeOf(a)
	if !inPool {
		panic("ledger: a cooling address lies in a pool: " + a.String())
	}
	s.expiries.Delete(c)
	s.kept.Delete(c)
	s.coolest.Delete(cooled{r.pool, a.Is6(), c})
	return true
}

// expire frees what has cooled long enough by the ledger time.
func (s *State) expire() {
	for {
		c, ok := s.expiries.Min()
		if !ok || c.until > s.time {
			return
		}
		s.uncool(c.addr)
		s.setFree(c.addr)
	}
}

func (f *fold) addressReleased(e event.AddressReleased) {
	if !f.uncool(e.Address) {
		f.reject("address %s is not cooling", e.Address)
		return
	}
	f.setFree(e.Address)
	f.add(Change{Kind: Freed, Address: e.Address, Reason: "an operator ended its cooldown"})
	f.serveQueue()
}
