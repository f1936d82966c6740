// Package ipset holds a set of IP addresses as maximal intervals in a copy-on-write B-tree.
//
// Invariant: spans are disjoint, never adjacent, and each lies in one family. One code path serves a single IPv4
// address and an IPv6 /64: every operation costs O(log spans), whatever the number of addresses.
package ipset

import (
	"iter"
	"net/netip"

	"github.com/tidwall/btree"
	"go4.org/netipx"
)

// Set is a set of addresses. The zero value is not usable: see New. A Set may be read by many goroutines while none
// writes it; a Clone may go to another goroutine.
type Set struct {
	spans *btree.BTreeG[span] // ordered by first address
	count Count
}

// span is a maximal run of addresses of one family, both ends included.
type span struct{ first, last netip.Addr }

// New makes an empty set.
func New() *Set {
	return &Set{spans: btree.NewBTreeGOptions(
		func(a, b span) bool { return a.first.Less(b.first) },
		btree.Options{NoLocks: true},
	)}
}

// Clone makes a copy in O(1): both share their spans until one of them is written.
func (s *Set) Clone() *Set { return &Set{spans: s.spans.Copy(), count: s.count} }

// Count is the exact number of addresses.
func (s *Set) Count() Count { return s.count }

// CountIn is the exact number of its addresses in a range. It costs O(log spans), and O(1) for each span in the range.
func (s *Set) CountIn(r netipx.IPRange) Count {
	var n Count
	from := span{first: r.From()}
	if at, ok := s.spanAtOrBefore(r.From()); ok {
		from = at
	}
	s.spans.Ascend(from, func(at span) bool {
		if r.To().Less(at.first) {
			return false
		}
		if first, last := later(at.first, r.From()), earlier(at.last, r.To()); !last.Less(first) {
			n = n.Plus(CountOf(netipx.IPRangeFrom(first, last)))
		}
		return true
	})
	return n
}

func later(a, b netip.Addr) netip.Addr {
	if a.Less(b) {
		return b
	}
	return a
}

func earlier(a, b netip.Addr) netip.Addr {
	if b.Less(a) {
		return b
	}
	return a
}

// Spans is the number of maximal intervals: what the set costs in memory.
func (s *Set) Spans() int { return s.spans.Len() }

// Contains tells whether the address is in the set.
func (s *Set) Contains(a netip.Addr) bool {
	at, ok := s.spanAtOrBefore(a)
	return ok && at.holds(a)
}

// NextFrom gives the lowest address of the set that is at or after the given one and of its family.
func (s *Set) NextFrom(a netip.Addr) (netip.Addr, bool) {
	if s.Contains(a) {
		return a, true
	}
	next, found := netip.Addr{}, false
	s.spans.Ascend(span{first: a}, func(at span) bool {
		next, found = at.first, at.first.BitLen() == a.BitLen()
		return false
	})
	return next, found
}

// Lowest gives the lowest address of the set; IPv4 comes before IPv6.
func (s *Set) Lowest() (netip.Addr, bool) {
	lowest, ok := s.spans.Min()
	return lowest.first, ok
}

// Take removes one address; false if it was not there.
func (s *Set) Take(a netip.Addr) bool {
	at, ok := s.spanAtOrBefore(a)
	if !ok || !at.holds(a) {
		return false
	}
	s.cut(at, netipx.IPRangeFrom(a, a))
	return true
}

// Release adds one address; false if it was there already.
func (s *Set) Release(a netip.Addr) bool {
	if s.Contains(a) {
		return false
	}
	s.AddRange(netipx.IPRangeFrom(a, a))
	return true
}

// AddRange adds every address of a valid range.
func (s *Set) AddRange(r netipx.IPRange) {
	s.RemoveRange(r)
	added := span{first: r.From(), last: r.To()}
	s.count = s.count.Plus(CountOf(r))
	if before, ok := s.spanAtOrBefore(added.first); ok && before.last.Next() == added.first {
		s.spans.Delete(before)
		added.first = before.first
	}
	if after, ok := s.spans.Get(span{first: added.last.Next()}); ok && after.first.IsValid() {
		s.spans.Delete(after)
		added.last = after.last
	}
	s.spans.Set(added)
}

// RemoveRange removes every address of a valid range, there or not.
func (s *Set) RemoveRange(r netipx.IPRange) {
	if at, ok := s.spanAtOrBefore(r.From()); ok && at.holds(r.From()) {
		s.cut(at, r)
	}
	for {
		var next span
		found := false
		s.spans.Ascend(span{first: r.From()}, func(at span) bool {
			next, found = at, !r.To().Less(at.first)
			return false
		})
		if !found {
			return
		}
		s.cut(next, r)
	}
}

// Ranges yields the spans in order.
func (s *Set) Ranges() iter.Seq[netipx.IPRange] {
	return func(yield func(netipx.IPRange) bool) {
		s.spans.Scan(func(at span) bool { return yield(netipx.IPRangeFrom(at.first, at.last)) })
	}
}

// cut takes out of a span what it shares with the range, and keeps what is left on both sides.
func (s *Set) cut(at span, r netipx.IPRange) {
	s.spans.Delete(at)
	first, last := at.first, at.last
	if first.Less(r.From()) {
		s.spans.Set(span{first: first, last: r.From().Prev()})
		first = r.From()
	}
	if r.To().Less(last) {
		s.spans.Set(span{first: r.To().Next(), last: last})
		last = r.To()
	}
	s.count = s.count.Minus(CountOf(netipx.IPRangeFrom(first, last)))
}

func (s *Set) spanAtOrBefore(a netip.Addr) (span, bool) {
	var found span
	ok := false
	s.spans.Descend(span{first: a}, func(at span) bool {
		found, ok = at, true
		return false
	})
	return found, ok
}

// holds is false for an address of the other family, which compares beyond every span of this one.
func (s span) holds(a netip.Addr) bool { return !a.Less(s.first) && !s.last.Less(a) }
