package ledger

import (
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"viplog/core/event"
)

// mayShare tells whether two Services may use one address, and if not, why. MetalLB's conditions, but for Local
// Services without a selector: theirs would be announced by where nobody's endpoints are.
func mayShare(v, user *service) (bool, refusalKind) {
	a, b := v.spec, user.spec
	switch {
	case a.SharingKey == "" || a.SharingKey != b.SharingKey:
		return false, sharingKeysDiffer
	case slices.ContainsFunc(a.Ports, func(p event.Port) bool { return slices.Contains(b.Ports, p) }):
		return false, sharingPortTaken
	case a.TrafficPolicy != b.TrafficPolicy:
		return false, sharingPoliciesDiffer
	case a.TrafficPolicy == event.TrafficLocal && (len(a.Selector) == 0 || !slices.Equal(a.Selector, b.Selector)):
		return false, sharingPoliciesDiffer
	}
	return true, 0
}

// unsharable finds the user of an address with whom a Service may not share it, nil if there is none.
func (s *State) unsharable(v *service, a *address) *refusal {
	for _, key := range a.users {
		if key == v.key {
			continue
		}
		user, _ := s.service(key)
		if ok, why := mayShare(v, user); !ok {
			return &refusal{kind: why, address: a.addr, holder: key}
		}
	}
	return nil
}

// sharedBy is one entry of the index from a sharing key to the addresses whose users have it.
type sharedBy struct {
	key  string
	addr netip.Addr
}

func (a sharedBy) less(b sharedBy) bool {
	if c := strings.Compare(a.key, b.key); c != 0 {
		return c < 0
	}
	return a.addr.Less(b.addr)
}

// usage counts the addresses that the Services of a namespace use of a pool.
type usage struct {
	pool, namespace string
	count           int
}

func (a usage) less(b usage) bool {
	if c := strings.Compare(a.pool, b.pool); c != 0 {
		return c < 0
	}
	return a.namespace < b.namespace
}

// countUses adds an address's users to the derived indexes over users, or takes them out. Every change of an address's
// users, of its pool, or of a user's sharing key goes between the two.
func (s *State) countUses(a *address, by int) {
	if entry := (sharedBy{a.sharing, a.addr}); a.sharing != "" && by > 0 {
		s.shared.Set(entry)
	} else if a.sharing != "" {
		s.shared.Delete(entry)
	}
	for i, key := range a.users {
		if slices.ContainsFunc(a.users[:i], func(k ServiceKey) bool { return k.Namespace == key.Namespace }) {
			continue
		}
		u := usage{pool: a.pool, namespace: key.Namespace}
		found, _ := s.uses.Get(u)
		u.count = found.count + by
		if u.count == 0 {
			s.uses.Delete(u)
		} else {
			s.uses.Set(u)
		}
	}
}

// noQuota is the quota left where there is none.
const noQuota = 1<<(bits.UintSize-1) - 1

// quotaLeft is how many more addresses of a pool a namespace may use.
func (s *State) quotaLeft(p *pool, namespace string) int {
	if p.settings.QuotaPerNamespace == 0 {
		return noQuota
	}
	used, _ := s.uses.Get(usage{pool: p.name, namespace: namespace})
	return max(p.settings.QuotaPerNamespace-used.count, 0)
}

// cost is what an address takes of a namespace's quota: nothing, if a Service of the namespace uses it already.
func (s *State) cost(a netip.Addr, namespace string) int {
	used, ok := s.addressOf(a)
	if ok && slices.ContainsFunc(used.users, func(k ServiceKey) bool { return k.Namespace == namespace }) {
		return 0
	}
	return 1
}
