package node

import (
	"net/netip"
	"slices"

	"viplog/core/lease"
)

// claims holds the third rule of who may announce: that nobody who stood before this node in an older list of an address
// may still be at that list. When a fact replaces a list, each incarnation that stood before this one in it (each of it, if
// this one is not in it) is waited for, until it is out or is known to have acted upon that fact. So nothing is kept of
// old lists but who is still waited for; at rest that is nobody.
type claims struct {
	me      lease.Incarnation
	queues  []*waiting // by incarnation
	pending map[netip.Addr]int
	start   uint64       // the fact of the last snapshot
	cleared []netip.Addr // those for which the last wait has ended, until they are taken
}

// waiting is what is waited for from one incarnation, in the order of the facts.
type waiting struct {
	who   lease.Incarnation
	waits []wait
}

// wait is for an incarnation to act upon the fact that replaced an address's list.
type wait struct {
	version uint64
	addr    netip.Addr
}

func newClaims(me lease.Incarnation) *claims {
	return &claims{me: me, pending: map[netip.Addr]int{}}
}

// replaced notes that a fact replaced an address's list. applied is how far an incarnation is known to be, and whether it is
// out.
func (c *claims) replaced(version uint64, addr netip.Addr, before []lease.Incarnation, applied func(lease.Incarnation) (uint64, bool)) {
	for _, who := range before {
		if who == c.me {
			return
		}
		if done, out := applied(who); out || done >= version {
			continue
		}
		q := c.queue(who)
		q.waits = append(q.waits, wait{version, addr})
		c.pending[addr]++
	}
}

// snapshot notes that this node starts, or goes on, from a snapshot: it has not seen the lists that were replaced before,
// so it waits for everyone in it for every address.
func (c *claims) snapshot(version uint64, live []lease.Incarnation, applied func(lease.Incarnation) (uint64, bool)) {
	c.queues, c.pending, c.start = nil, map[netip.Addr]int{}, version
	for _, who := range live {
		if who == c.me {
			continue
		}
		if done, out := applied(who); !out && done < version {
			c.queue(who).waits = []wait{{version, everyAddress}}
			c.pending[everyAddress]++
		}
	}
}

// everyone is the fact that all others must have acted upon before this node announces anything; 0 for none.
func (c *claims) everyone() uint64 {
	if c.pending[everyAddress] == 0 {
		return 0
	}
	return c.start
}

// everyAddress stands for all addresses at once.
var everyAddress = netip.Addr{}

// progressed notes that an incarnation has acted upon all facts up to a sequence.
func (c *claims) progressed(who lease.Incarnation, applied uint64) {
	i, found := slices.BinarySearchFunc(c.queues, who, (*waiting).of)
	if !found {
		return
	}
	q := c.queues[i]
	n := 0
	for n < len(q.waits) && q.waits[n].version <= applied {
		c.done(q.waits[n].addr)
		n++
	}
	if q.waits = q.waits[n:]; len(q.waits) == 0 {
		c.queues = slices.Delete(c.queues, i, i+1)
	}
}

// gone notes that an incarnation is out: proven dead, or failed or left by the log.
func (c *claims) gone(who lease.Incarnation) { c.progressed(who, 1<<64-1) }

// isPending tells whether somebody is still waited for before an address may be announced.
func (c *claims) isPending(addr netip.Addr) bool {
	return c.pending[addr] > 0 || c.pending[everyAddress] > 0
}

func (c *claims) done(addr netip.Addr) {
	if c.pending[addr]--; c.pending[addr] == 0 {
		delete(c.pending, addr)
		c.cleared = append(c.cleared, addr)
	}
}

func (c *claims) queue(who lease.Incarnation) *waiting {
	i, found := slices.BinarySearchFunc(c.queues, who, (*waiting).of)
	if !found {
		c.queues = slices.Insert(c.queues, i, &waiting{who: who})
	}
	return c.queues[i]
}

func (w *waiting) of(who lease.Incarnation) int { return w.who.Compare(who) }
