package ledger

import (
	"fmt"
	"net/netip"
	"strings"

	"viplog/core/event"
)

// refusal is a reason why a Service has no address, kept as data: most are never printed.
type refusal struct {
	kind      refusalKind
	address   netip.Addr
	family    string
	pool      string
	other     string
	namespace string
	holder    ServiceKey
}

type refusalKind int

const (
	noPool refusalKind = iota
	needsTwoFamilies
	familyNotWanted
	familyTwice
	poolUnknown
	poolRefuses
	poolFull
	poolLacksFamily
	twoPools
	quotaFull
	addressHeld
	addressNotWanted
	addressInNoPool
	addressInOtherPool
	addressReserved
	addressAvoided
	addressExcluded
	addressInConflict
	sharingKeysDiffer
	sharingPortTaken
	sharingPoliciesDiffer
)

// String says why, and what would help.
func (r refusal) String() string {
	switch r.kind {
	case noPool:
		return "no pool gives this Service addresses unasked; add a pool, or request one that is manualAssign"
	case needsTwoFamilies:
		return "it requires an address of each family and names one; give both ipFamilies, or use SingleStack"
	case familyNotWanted:
		return fmt.Sprintf("%s is an %s address, which the Service's ipFamilies do not ask for", r.address, r.family)
	case familyTwice:
		return fmt.Sprintf("two %s addresses are requested; one of each family is possible", r.family)
	case poolUnknown:
		return fmt.Sprintf("the requested pool %q does not exist", r.pool)
	case poolRefuses:
		return fmt.Sprintf("pool %s does not serve it: its namespaces or selectors do not match", r.pool)
	case poolFull:
		return fmt.Sprintf("no free %s address in %s; release one or add a pool", r.family, r.pool)
	case poolLacksFamily:
		return fmt.Sprintf("%s has no %s addresses", r.pool, r.family)
	case twoPools:
		return fmt.Sprintf("the requested addresses are in two pools, %s and %s; both must come from one", r.pool, r.other)
	case quotaFull:
		return fmt.Sprintf("namespace %s has used its quota of pool %s; release an address or raise quotaPerNamespace", r.namespace, r.pool)
	case addressHeld:
		return fmt.Sprintf("%s is held by %s", r.address, r.holder)
	case addressNotWanted:
		return fmt.Sprintf("%s is not what the Service requests now", r.address)
	case addressInNoPool:
		return fmt.Sprintf("%s is in no pool", r.address)
	case addressInOtherPool:
		return fmt.Sprintf("%s is in pool %s, and the Service requests pool %s", r.address, r.pool, r.other)
	case addressReserved:
		return fmt.Sprintf("%s is the ingressVIP, which is kept for %s", r.address, r.other)
	case addressAvoided:
		return fmt.Sprintf("%s ends in 0 or 255, which pool %s avoids (avoidBuggyIPs)", r.address, r.pool)
	case addressExcluded:
		return fmt.Sprintf("%s is excluded from pool %s by the settings", r.address, r.pool)
	case addressInConflict:
		return fmt.Sprintf("%s is in conflict: %s answers for it; find that machine, or request another address", r.address, r.other)
	case sharingKeysDiffer:
		return fmt.Sprintf("%s is held by %s, and their sharing keys differ", r.address, r.holder)
	case sharingPortTaken:
		return fmt.Sprintf("%s is held by %s, which has one of the ports", r.address, r.holder)
	case sharingPoliciesDiffer:
		return fmt.Sprintf("%s is held by %s, and their external traffic policies or selectors differ", r.address, r.holder)
	}
	panic(fmt.Sprintf("ledger: no words for refusal %d", r.kind))
}

// whyNone says why no pool of some had addresses for a Service.
func (s *State) whyNone(v *service, pools []*pool) *refusal {
	if len(pools) == 0 {
		return &refusal{kind: noPool}
	}
	var full, without, names []string
	quota := ""
	family := v.wants()[0]
	for _, p := range pools {
		for _, wanted := range v.wants() {
			if !p.offers(wanted) {
				without, family = append(without, p.name), wanted
			}
		}
		switch {
		case s.quotaLeft(p, v.key.Namespace) < len(v.wants()):
			quota = p.name
		default:
			full = append(full, p.name)
		}
		names = append(names, p.name)
	}
	switch {
	case quota != "" && len(full) == 0:
		return &refusal{kind: quotaFull, pool: quota, namespace: v.key.Namespace}
	case len(without) >= len(pools):
		return &refusal{kind: poolLacksFamily, pool: strings.Join(names, ", "), family: family}
	}
	return &refusal{kind: poolFull, pool: strings.Join(names, ", "), family: strings.Join(v.wants(), " and ")}
}

func (p *pool) offers(family string) bool {
	for _, r := range p.ranges {
		if event.FamilyOf(r.From()) == family {
			return true
		}
	}
	return false
}
