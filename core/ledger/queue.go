package ledger

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"viplog/core/event"
)

// The queue holds the Services that lack an address, in the order of the facts that created them. So that a release does
// not cost a try of each, it is kept in lines of Services that are alike: what one of a line cannot get, those behind it
// cannot get either, until something is given up.

// waiter is a Service's place in a line.
type waiter struct {
	line    string
	created uint64
	key     ServiceKey
}

func (a waiter) less(b waiter) bool {
	return cmp.Or(strings.Compare(a.line, b.line), cmp.Compare(a.created, b.created)) < 0
}

// enqueue puts a Service into the line of those that are like it now.
func (s *State) enqueue(v *service) *service {
	line := s.lineOf(v)
	if v.line == line {
		return v
	}
	if v.line != "" {
		s.queue.Delete(waiter{line: v.line, created: v.created})
	}
	s.queue.Set(waiter{line, v.created, v.key})
	return s.services.edit(v, func(v *service) { v.line = line })
}

func (s *State) dequeue(v *service) *service {
	if v.line == "" {
		return v
	}
	s.queue.Delete(waiter{line: v.line, created: v.created})
	return s.services.edit(v, func(v *service) { v.line = "" })
}

// lineOf names what decides whether a Service gets an address. One that names addresses or shares stands in a line of
// its own: what others take may help it.
func (s *State) lineOf(v *service) string {
	e := v.spec
	torn := e.FamilyPolicy == event.RequireDualStack && len(v.addresses) > 0 // an eviction took one of two
	if e.SharingKey != "" || len(e.RequestedAddresses) > 0 || len(e.StatusAddresses) > 0 || s.isIngress(v.key) || torn {
		return fmt.Sprintf("own %d", v.created)
	}
	line := e.FamilyPolicy + " " + strings.Join(e.Families, " ")
	if len(v.addresses) > 0 {
		used, _ := s.addressOf(v.addresses[0])
		line = "lacks " + missing(v, v.addresses) + " in " + used.pool + " " + line
	} else {
		line += " of " + e.RequestedPool
	}
	if s.namespacesMatter {
		line += " for " + v.key.Namespace
	}
	if s.labelsMatter {
		for _, l := range e.Labels {
			line += " " + l.Key + "=" + l.Value
		}
	}
	return line
}

// lineUp sorts every Service that lacks an address into its line anew, when pools or settings have changed what makes
// Services alike.
func (s *State) lineUp() {
	s.namespacesMatter, s.labelsMatter = false, false
	for _, p := range s.pools.rows {
		set := p.settings
		s.namespacesMatter = s.namespacesMatter || set.QuotaPerNamespace > 0 || len(set.Namespaces)+len(set.NamespaceSelectors) > 0
		s.labelsMatter = s.labelsMatter || len(set.ServiceSelectors) > 0
	}
	for _, w := range s.queue.Items() {
		v, _ := s.service(w.key)
		s.enqueue(v)
	}
}

// serveQueue lets every Service that lacks an address try, the oldest first, and again for as long as one got something,
// which an older one may share, or gave something up. It is called when a fact could have made room.
func (f *fold) serveQueue() {
	for f.serveRound() {
	}
}

// serveRound lets the head of each line try, in the order of age; behind one that got something the next of its line. When
// one gave something up, those behind it have their turn yet: lines whose head tried in vain before go on with them.
func (f *fold) serveRound() (changed bool) {
	heads := f.heads()
	var inVain []string // the lines whose head got nothing since something was last given up
	for len(heads) > 0 {
		head := heads[0]
		heads = heads[1:]
		f.madeRoom = false
		v, _ := f.service(head.key)
		switch got := f.serve(v, false); {
		case f.madeRoom:
			heads = f.goOn(heads, head.created, append(inVain, head.line))
			inVain = nil
		case got:
			heads = f.goOn(heads, head.created, []string{head.line})
		default:
			inVain = append(inVain, head.line)
			continue
		}
		changed = true
	}
	return changed
}

// heads are the oldest of each line, in the order of age.
func (s *State) heads() []waiter {
	var heads []waiter
	for at := (waiter{}); ; {
		head, ok := s.nextInQueue(at)
		if !ok {
			break
		}
		heads = append(heads, head)
		at = waiter{line: head.line, created: 1<<64 - 1}
	}
	slices.SortFunc(heads, older)
	return heads
}

// goOn puts the oldest of each line that is younger than a Service among the heads.
func (s *State) goOn(heads []waiter, created uint64, lines []string) []waiter {
	for _, line := range lines {
		if next, ok := s.nextInQueue(waiter{line: line, created: created + 1}); ok && next.line == line {
			i, _ := slices.BinarySearchFunc(heads, next, older)
			heads = slices.Insert(heads, i, next)
		}
	}
	return heads
}

func older(a, b waiter) int { return cmp.Compare(a.created, b.created) }

func (s *State) nextInQueue(from waiter) (next waiter, ok bool) {
	s.queue.Ascend(from, func(w waiter) bool {
		next, ok = w, true
		return false
	})
	return next, ok
}

// serve gives a Service, which need not be stored yet, the addresses that it lacks, as far as there are any. With tell it
// says so where it stays without. It reports whether the Service got any.
func (f *fold) serve(v *service, tell bool) (got bool) {
	had := v.addresses
	if n := len(v.addresses); n > 0 && n < len(v.wants()) {
		a, refused := f.grown(v)
		switch {
		case refused == nil:
			v = f.order(f.allocate(v, []netip.Addr{a}, "the family that it lacked"))
		case v.spec.FamilyPolicy == event.RequireDualStack: // an eviction took the other family
			v = f.releaseAll(v, refused.String())
		}
	}
	if len(v.addresses) == 0 {
		c, refused := f.choose(v)
		if refused != nil && tell {
			f.add(Change{Kind: Waiting, Service: v.key, Reason: refused.String()})
		}
		if len(c.addresses) > 0 {
			v = f.allocate(v, c.addresses, c.rule)
		}
	}
	if len(v.addresses) < len(v.wants()) {
		f.enqueue(v)
	} else {
		f.dequeue(v)
	}
	return len(v.addresses) > len(had)
}

// grown finds the address of the family that a Service lacks beside the one that it has.
func (s *State) grown(v *service) (netip.Addr, *refusal) {
	used, _ := s.addressOf(v.addresses[0])
	family := missing(v, v.addresses)
	p, ok := s.pool(used.pool)
	if !ok {
		return netip.Addr{}, &refusal{kind: poolUnknown, pool: used.pool}
	}
	if !s.hasIngressVIP(v) && !s.admits(p, v) {
		return netip.Addr{}, &refusal{kind: poolRefuses, pool: p.name}
	}
	if a, ok := s.pickMissing(v, p, v.addresses, s.quotaLeft(p, v.key.Namespace)); ok {
		return a, nil
	}
	return netip.Addr{}, &refusal{kind: poolFull, pool: p.name, family: family}
}
