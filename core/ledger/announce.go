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
	reasonNamesNone           = "names no interfaces: it leaves, or its data plane is dead"
	reasonNoAnnouncingNode    = "no node is declared"
	reasonExcludedByItsLabel  = "has the label " + labelExcluded
	reasonNetworkNotAvailable = "has the condition " + conditionNetworkUnready
)

// audience is what an address's pool and users ask of the nodes that may announce it: the same for every node.
type audience struct {
	addr       netip.Addr
	pool       string
	restricted bool                 // the pool has announce rules
	rules      []event.AnnounceRule // those that count for this address
	local      []ServiceKey         // users that follow their endpoints
}

// audienceOf gathers it. A rule counts if its service selectors match every user of the address.
func (s *State) audienceOf(a *address) audience {
	who := audience{addr: a.addr, pool: a.pool}
	if a.local {
		who.local = a.users
	}
	if p, ok := s.pool(a.pool); ok && len(p.settings.Announce) > 0 {
		who.restricted = true
		for _, rule := range p.settings.Announce {
			if s.countsFor(rule, a) {
				who.rules = append(who.rules, rule)
			}
		}
	}
	return who
}

// isCandidate tells whether a node may announce an address, and if not, why.
func (s *State) isCandidate(n *node, a *address) (bool, string) {
	_, why := s.judge(n, s.audienceOf(a))
	return why == "", why
}

// judge gives the sum of the weights by which the announce rules prefer a node for an address, or why it may not
// announce it.
func (s *State) judge(n *node, who audience) (weight int, why string) {
	if why := s.unfitNode(n); why != "" {
		return 0, why
	}
	if len(n.interfaces) == 0 {
		return 0, reasonNamesNone
	}
	if !hasAddress(n.interfaces, who.addr, nil) {
		return 0, reasonNoInterface
	}
	weight, allowed := who.weigh(n)
	if !allowed {
		return 0, "is in no announce rule of pool " + who.pool + " for it"
	}
	for _, key := range who.local {
		if !s.serves(n, key) {
			return 0, "has no serving endpoint of " + key.String() + " (externalTrafficPolicy Local)"
		}
	}
	return weight, ""
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

// OthersMayAnnounce tells whether another node than this one may announce addresses, by all that does not depend on the address, and names an
// interface that is up.
func (s *State) OthersMayAnnounce(than netip.Addr) bool {
	return slices.ContainsFunc(s.nodes.rows, func(n *node) bool {
		return n.address != than && s.unfitNode(n) == "" && slices.ContainsFunc(n.interfaces, func(i event.Interface) bool { return i.Up })
	})
}

// weigh applies the rules to a node: whether one of them lets it announce the address, and the sum of the weights by
// which they prefer it. A pool without rules lets every node announce.
func (who audience) weigh(n *node) (weight int, allowed bool) {
	for _, rule := range who.rules {
		if len(rule.NodeSelectors) > 0 && !matchesAny(rule.NodeSelectors, n.labels) || !hasAddress(n.interfaces, who.addr, rule.Interfaces) {
			continue
		}
		allowed = true
		for _, preferred := range rule.Preferred {
			if matches(preferred.NodeSelector, n.labels) {
				weight += preferred.Weight
			}
		}
	}
	return weight, allowed || !who.restricted
}

func (s *State) countsFor(rule event.AnnounceRule, a *address) bool {
	return len(rule.ServiceSelectors) == 0 || !slices.ContainsFunc(a.users, func(key ServiceKey) bool {
		v, ok := s.service(key)
		return ok && !matchesAny(rule.ServiceSelectors, v.spec.Labels)
	})
}

func (s *State) serves(n *node, key ServiceKey) bool {
	e, ok := s.endpoints.get(hashed(key))
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
