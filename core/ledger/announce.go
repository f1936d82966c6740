package ledger

import (
	"net/netip"
	"slices"
	"strings"

	"viplog/core/event"
)

// Labels and conditions by which Kubernetes takes a node out of load balancing.
const (
	labelExcluded             = "node.kubernetes.io/exclude-from-external-load-balancers"
	conditionNetworkUnready   = "NetworkUnavailable"
	reasonNoInterface         = "has no interface that is up in a subnet that holds it"
	reasonNoAnnouncingNode    = "no node is declared"
	reasonExcludedByItsLabel  = "has the label " + labelExcluded
	reasonNetworkNotAvailable = "has the condition " + conditionNetworkUnready
)

// isCandidate tells whether a node may announce an address, and if not, why.
func (s *State) isCandidate(n *node, a *address) (bool, string) {
	if why := s.unfitNode(n); why != "" {
		return false, why
	}
	if !hasAddress(n.interfaces, a.addr, nil) {
		return false, reasonNoInterface
	}
	if _, allowed := s.weigh(n, a); !allowed {
		return false, "is in no announce rule of pool " + a.pool + " for it"
	}
	for _, key := range a.users {
		if v, ok := s.service(key); ok && v.spec.TrafficPolicy == event.TrafficLocal && !s.serves(n, key) {
			return false, "has no serving endpoint of " + key.String() + " (externalTrafficPolicy Local)"
		}
	}
	return true, ""
}

// unfitNode says why a node may announce nothing; "" if it may.
func (s *State) unfitNode(n *node) string {
	switch {
	case n.role != s.announcingRole():
		return "does not announce addresses (" + n.role + ")"
	case n.status == nodeDeclared:
		return "has not joined yet"
	case n.status != nodeJoined:
		return "has " + n.status.String()
	case n.drained:
		return "is drained"
	case slices.Contains(n.conditions, conditionNetworkUnready):
		return reasonNetworkNotAvailable
	}
	if _, excluded := labelOf(n.labels, labelExcluded); excluded && !s.options.IgnoreExcludeLabel {
		return reasonExcludedByItsLabel
	}
	for _, taint := range n.taints {
		key, _, _ := strings.Cut(taint, "=")
		key, _, _ = strings.Cut(key, ":")
		if slices.Contains(s.options.ExcludeTaints, key) || slices.Contains(s.options.ExcludeTaints, taint) {
			return "has the taint " + taint
		}
	}
	return ""
}

// weigh applies the announce rules of an address's pool to a node: whether one of them lets it announce the address, and
// the sum of the weights by which they prefer it. A rule counts if its service selectors match every user of the
// address; a pool without rules lets every node announce.
func (s *State) weigh(n *node, a *address) (weight int, allowed bool) {
	p, ok := s.pool(a.pool)
	if !ok || len(p.settings.Announce) == 0 {
		return 0, true
	}
	for _, rule := range p.settings.Announce {
		if !s.countsFor(rule, a) || len(rule.NodeSelectors) > 0 && !matchesAny(rule.NodeSelectors, n.labels) ||
			!hasAddress(n.interfaces, a.addr, rule.Interfaces) {
			continue
		}
		allowed = true
		for _, preferred := range rule.Preferred {
			if matches(preferred.NodeSelector, n.labels) {
				weight += preferred.Weight
			}
		}
	}
	return weight, allowed
}

func (s *State) countsFor(rule event.AnnounceRule, a *address) bool {
	return len(rule.ServiceSelectors) == 0 || !slices.ContainsFunc(a.users, func(key ServiceKey) bool {
		v, ok := s.service(key)
		return ok && !matchesAny(rule.ServiceSelectors, v.spec.Labels)
	})
}

func (s *State) serves(n *node, key ServiceKey) bool {
	e, ok := s.endpoints.Get(&endpoints{key: key})
	if !ok {
		return false
	}
	_, found := slices.BinarySearch(e.nodes, n.name)
	return found
}

// hasAddress tells whether an interface that is up, and named if names are given, has a prefix that holds the address.
func hasAddress(interfaces []event.Interface, a netip.Addr, names []string) bool {
	for _, ifi := range interfaces {
		if !ifi.Up || len(names) > 0 && !slices.Contains(names, ifi.Name) {
			continue
		}
		for _, p := range ifi.Prefixes {
			if p.Contains(a) {
				return true
			}
		}
	}
	return false
}
