package ledger

import (
	"fmt"
	"net/netip"

	"viplog/core/event"
)

// choose finds the address that a waiting Service gets, or why it gets none. It reads the ledger only, so that
// explaining a Service is choosing for it again.
//
// Order: the Service's own request; the ingressVIP for the ingress Service; the requested pool; else the pools by name
// that are not manualAssign. In a pool, the lowest free address of the Service's family.
func (s *State) choose(v *service) (netip.Addr, *refusal) {
	if v.spec.FamilyPolicy == event.RequireDualStack {
		return netip.Addr{}, &refusal{kind: needsDualStack}
	}
	if wanted, ok := s.wantedAddress(v); ok {
		if refused := s.refuseAddress(v, wanted); refused != nil {
			return netip.Addr{}, refused
		}
		if user, used := s.addressOf(wanted); used {
			return netip.Addr{}, &refusal{kind: addressHeld, address: wanted, holder: user.users[0]}
		}
		return wanted, nil
	}
	if name := v.spec.RequestedPool; name != "" {
		p, ok := s.pool(name)
		if !ok {
			return netip.Addr{}, &refusal{kind: poolUnknown, pool: name}
		}
		return s.chooseFrom(p, v)
	}
	return s.chooseFromAny(v)
}

func (s *State) chooseFromAny(v *service) (netip.Addr, *refusal) {
	var chosen netip.Addr
	refused := &refusal{kind: noPool}
	s.pools.Scan(func(p *pool) bool {
		if p.spec.ManualAssign {
			return true
		}
		var no *refusal
		if chosen, no = s.chooseFrom(p, v); no == nil {
			refused = nil
			return false
		}
		if refused.kind == noPool || no.kind == poolFull {
			refused = &refusal{kind: no.kind, pool: joinNames(refused.pool, p.name), family: no.family}
		}
		return true
	})
	return chosen, refused
}

func joinNames(names, name string) string {
	if names == "" {
		return name
	}
	return names + ", " + name
}

func (s *State) chooseFrom(p *pool, v *service) (netip.Addr, *refusal) {
	family := v.spec.Families[0]
	offers := false
	for _, r := range p.ranges {
		if event.FamilyOf(r.From()) != family {
			continue
		}
		offers = true
		if a, ok := s.free.NextFrom(r.From()); ok && r.Contains(a) {
			return a, nil
		}
	}
	if !offers {
		return netip.Addr{}, &refusal{kind: poolLacksFamily, pool: p.name, family: family}
	}
	return netip.Addr{}, &refusal{kind: poolFull, pool: p.name, family: family}
}

// wantedAddress is the one address that a Service may have: what it requests, else the ingressVIP for the ingress
// Service.
func (s *State) wantedAddress(v *service) (netip.Addr, bool) {
	if len(v.spec.RequestedAddresses) > 0 {
		return v.spec.RequestedAddresses[0], true
	}
	if s.isIngress(v.key) && s.isReserved(s.cluster.IngressVIP) && v.spec.RequestedPool == "" {
		return s.cluster.IngressVIP, true
	}
	return netip.Addr{}, false
}

func (s *State) isIngress(key ServiceKey) bool { return key.String() == s.options.IngressService }

// refuseAddress says why a Service may not have an address, whoever holds it now; nil if it may.
func (s *State) refuseAddress(v *service, a netip.Addr) *refusal {
	held := v.address == a // an address once given stays when the pool's or the ingress Service's definition turns
	wanted, wants := s.wantedAddress(v)
	r, inPool := s.rangeOf(a)
	switch {
	case event.FamilyOf(a) != v.spec.Families[0]:
		return &refusal{kind: addressOfOtherFamily, address: a, family: v.spec.Families[0]}
	case wants && wanted != a && len(v.spec.RequestedAddresses) > 0:
		return &refusal{kind: addressNotWanted, address: a}
	case !inPool:
		return &refusal{kind: addressInNoPool, address: a}
	case v.spec.RequestedPool != "" && v.spec.RequestedPool != r.pool:
		return &refusal{kind: addressInOtherPool, address: a, pool: r.pool, other: v.spec.RequestedPool}
	case !held && s.isReserved(a) && !s.isIngress(v.key):
		return &refusal{kind: addressReserved, address: a, other: s.options.IngressService}
	}
	if p, _ := s.pool(r.pool); !held && p.isAvoided(a) {
		return &refusal{kind: addressAvoided, address: a, pool: p.name}
	}
	return nil
}

// whyThis says which rule gave a Service its address.
func (s *State) whyThis(v *service, a netip.Addr) string {
	switch {
	case len(v.spec.RequestedAddresses) > 0:
		return "requested"
	case s.isReserved(a):
		return "the ingressVIP is kept for this Service"
	case v.spec.RequestedPool != "":
		return "lowest free address of the requested pool"
	default:
		return "lowest free address of the first pool that has one"
	}
}

// refusal is a reason why a Service has no address, kept as data: most are never printed.
type refusal struct {
	kind    refusalKind
	address netip.Addr
	family  string
	pool    string
	other   string
	holder  ServiceKey
}

type refusalKind int

const (
	noPool refusalKind = iota
	needsDualStack
	poolUnknown
	poolFull
	poolLacksFamily
	addressHeld
	addressOfOtherFamily
	addressNotWanted
	addressInNoPool
	addressInOtherPool
	addressReserved
	addressAvoided
)

// String says why, and what would help.
func (r refusal) String() string {
	switch r.kind {
	case noPool:
		return "no pool gives addresses unasked; add a pool, or request one that is manualAssign"
	case needsDualStack:
		return "it requires an address of each family, and these rules give one; use ipFamilyPolicy SingleStack"
	case poolUnknown:
		return fmt.Sprintf("the requested pool %q does not exist", r.pool)
	case poolFull:
		return fmt.Sprintf("no free %s address in %s; release one or add a pool", r.family, r.pool)
	case poolLacksFamily:
		return fmt.Sprintf("%s has no %s addresses", r.pool, r.family)
	case addressHeld:
		return fmt.Sprintf("%s is held by %s", r.address, r.holder)
	case addressOfOtherFamily:
		return fmt.Sprintf("%s is not an %s address, which the Service's ipFamilies ask for", r.address, r.family)
	case addressNotWanted:
		return fmt.Sprintf("%s is not the address that the Service requests now", r.address)
	case addressInNoPool:
		return fmt.Sprintf("%s is in no pool", r.address)
	case addressInOtherPool:
		return fmt.Sprintf("%s is in pool %s, and the Service requests pool %s", r.address, r.pool, r.other)
	case addressReserved:
		return fmt.Sprintf("%s is the ingressVIP, which is kept for %s", r.address, r.other)
	case addressAvoided:
		return fmt.Sprintf("%s ends in 0 or 255, which pool %s avoids (avoidBuggyIPs)", r.address, r.pool)
	}
	panic(fmt.Sprintf("ledger: no words for refusal %d", r.kind))
}
