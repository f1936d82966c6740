package ledger

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"viplog/core/event"
)

// drawAllocationFact draws facts about allocation only, on small pools and few names and labels, so that sharing, quotas,
// exhaustion, cooling and every kind of edit meet.
func drawAllocationFact(t *rapid.T, s *State) event.Event {
	name := fmt.Sprintf("s%d", rapid.IntRange(0, 9).Draw(t, "service"))
	namespace := rapid.SampledFrom([]string{"red", "blue"}).Draw(t, "namespace")
	switch rapid.IntRange(0, 21).Draw(t, "kind") {
	case 20:
		node := nodeAddress(rapid.IntRange(0, 1).Draw(t, "reporter"))
		if rapid.IntRange(0, 2).Draw(t, "over") == 0 {
			return event.VIPConflictCleared{Node: node, Address: drawAddress(t)}
		}
		return event.VIPConflictSeen{Node: node, Address: drawAddress(t), Interface: "eth0", MAC: "02:00:00:00:00:99"}
	case 21:
		i := rapid.IntRange(0, 1).Draw(t, "node")
		n, _ := s.NodeNamed(nodeAddress(i).String())
		if n.Joined {
			return event.NodeLeft{Address: n.Address, Incarnation: n.Incarnation}
		}
		return joined(i, "again")
	case 0:
		return event.PoolAdded{Pool: drawPool(t)}
	case 1, 2:
		return event.PoolEdited{Pool: drawPool(t)}
	case 3:
		return event.PoolRemoved{Name: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "pool")}
	case 4:
		return drawSettings(t)
	case 5:
		if rapid.Bool().Draw(t, "deleted") {
			return event.NamespaceDeleted{Name: namespace}
		}
		return event.NamespaceChanged{Name: namespace, Labels: drawLabels(t)}
	case 6:
		return event.AddressReleased{Address: drawAddress(t)}
	case 7, 8, 9:
		return event.ServiceDeleted{Namespace: namespace, Name: name, Source: "test"}
	default:
		return drawAnyService(t, namespace, name)
	}
}

func drawPool(t *rapid.T) event.Pool {
	p := event.Pool{
		Name:          rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "pool"),
		AvoidBuggyIPs: rapid.Bool().Draw(t, "avoid"), ManualAssign: rapid.IntRange(0, 3).Draw(t, "manual") == 0,
	}
	ranges := map[string][][]string{
		"a": {{"10.0.1.0/30", "fd00::1-fd00::2"}, {"10.0.1.0/31"}, {"fd00::2", "10.0.1.1-10.0.1.4"}},
		"b": {{"10.0.2.254-10.0.3.1"}, {"10.0.2.254", "fd00::10-fd00::12"}, {"10.0.1.3-10.0.1.5"}},
		"c": {{"fd00::20"}, {"10.0.4.1", "fd00::20-fd00::21"}, {"10.0.4.1-10.0.4.3"}},
	}[p.Name]
	p.Addresses = rapid.SampledFrom(ranges).Draw(t, "ranges")
	return p
}

func drawAddress(t *rapid.T) netip.Addr {
	return netip.MustParseAddr(rapid.SampledFrom([]string{
		"10.0.1.0", "10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.2.254", "10.0.2.255", "10.0.3.0", "10.0.4.1",
		"fd00::1", "fd00::2", "fd00::10", "fd00::20", "10.0.9.9",
	}).Draw(t, "address"))
}

func drawLabels(t *rapid.T) []event.Label {
	var labels []event.Label
	for _, key := range []string{"app", "tier"} {
		if rapid.Bool().Draw(t, "has "+key) {
			labels = append(labels, event.Label{Key: key, Value: rapid.SampledFrom([]string{"x", "y"}).Draw(t, key)})
		}
	}
	return labels
}

func drawSelectors(t *rapid.T) []event.Selector {
	if rapid.IntRange(0, 2).Draw(t, "selectors") > 0 {
		return nil
	}
	labels := drawLabels(t)
	if len(labels) > 0 && rapid.Bool().Draw(t, "by expression") {
		operator := rapid.SampledFrom([]string{"In", "NotIn", "Exists", "DoesNotExist"}).Draw(t, "operator")
		return []event.Selector{{MatchExpressions: []event.SelectorCondition{
			{Key: labels[0].Key, Operator: operator, Values: []string{labels[0].Value}},
		}}}
	}
	return []event.Selector{{MatchLabels: labels}}
}

func drawSettings(t *rapid.T) event.Event {
	e := event.DefaultSettings()
	e.IngressService = rapid.SampledFrom([]string{"red/s0", "blue/s1"}).Draw(t, "ingress")
	for _, name := range []string{"a", "b", "c"} {
		if rapid.Bool().Draw(t, "settings of "+name) {
			continue
		}
		p := event.PoolSettings{
			Name: name, Priority: rapid.IntRange(0, 2).Draw(t, "priority"),
			NamespaceSelectors: drawSelectors(t), ServiceSelectors: drawSelectors(t),
			QuotaPerNamespace: rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "quota"),
			OnEdit:            rapid.SampledFrom([]string{"", "drain", "evict"}).Draw(t, "onEdit"),
		}
		if rapid.IntRange(0, 2).Draw(t, "for a namespace") == 0 {
			p.Namespaces = []string{"red"}
		}
		if rapid.Bool().Draw(t, "excludes") {
			p.Exclude = []string{drawAddress(t).String()}
		}
		if rapid.Bool().Draw(t, "cooldown") {
			p.CooldownSeconds = new(rapid.SampledFrom([]int64{0, 3, 10}).Draw(t, "seconds"))
		}
		e.Pools = append(e.Pools, p)
	}
	return e
}

func drawAnyService(t *rapid.T, namespace, name string) event.Event {
	e := event.ServiceApplied{
		Namespace: namespace, Name: name, Source: "test", Labels: drawLabels(t),
		Families: rapid.SampledFrom([][]string{
			{"IPv4"}, {"IPv4"}, {"IPv6"}, {"IPv4", "IPv6"}, {"IPv6", "IPv4"},
		}).Draw(t, "families"),
		FamilyPolicy: rapid.SampledFrom([]string{
			event.SingleStack, event.SingleStack, event.PreferDualStack, event.RequireDualStack,
		}).Draw(t, "policy"),
		TrafficPolicy: rapid.SampledFrom([]string{"Cluster", "Cluster", "Local"}).Draw(t, "traffic"),
		SharingKey:    rapid.SampledFrom([]string{"", "", "k", "k", "l"}).Draw(t, "key"),
	}
	for _, port := range []uint16{80, 443} {
		if rapid.Bool().Draw(t, "port") {
			e.Ports = append(e.Ports, event.Port{Protocol: "TCP", Port: port})
		}
	}
	if rapid.Bool().Draw(t, "selector") {
		e.Selector = []event.Label{{Key: "app", Value: "x"}}
	}
	switch rapid.IntRange(0, 6).Draw(t, "request") {
	case 0:
		e.RequestedAddresses = []netip.Addr{drawAddress(t)}
	case 1:
		e.RequestedAddresses = []netip.Addr{drawAddress(t), drawAddress(t)}
	case 2:
		e.RequestedPool = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "requested pool")
	case 3:
		e.StatusAddresses = []netip.Addr{drawAddress(t)}
	}
	return e
}

// modelText is the ledger in the words of model.String.
func modelText(s *State) string {
	var text strings.Builder
	services := s.services.items()
	slices.SortFunc(services, func(a, b *service) int { return a.key.Compare(b.key) })
	for _, v := range services {
		words := []string{"waiting"}
		if len(v.addresses) > 0 {
			words = nil
		}
		for _, a := range v.addresses {
			words = append(words, a.String())
		}
		fmt.Fprintf(&text, "service %s: %s\n", v.key, strings.Join(words, " "))
	}
	s.addresses.scan(func(a *address) bool {
		fmt.Fprintf(&text, "address %s:", a.addr)
		for _, user := range a.users {
			fmt.Fprintf(&text, " %s", user)
		}
		text.WriteString("\n")
		return true
	})
	s.coolings.Scan(func(c cooling) bool {
		fmt.Fprintf(&text, "cooling %s: until %d for %s\n", c.addr, c.until, c.keeper)
		return true
	})
	for _, p := range s.pools.rows {
		fmt.Fprintf(&text, "pool %s: %s free\n", p.name, s.freeOf(p))
	}
	return text.String()
}

// drawAllocation applies random facts to a ledger and calls check after each.
func drawAllocation(t *rapid.T, check func(s *State, e event.Event, before *State)) *State {
	s := New(testLog)
	before := s.Clone()
	apply(s, clusterOf(3))
	check(s, clusterOf(3), before)
	for range rapid.IntRange(1, 80).Draw(t, "length") {
		e := drawAllocationFact(t, s)
		before := s.Clone()
		apply(s, e)
		check(s, e, before)
	}
	return s
}

// TestAllocationIsThatOfTheRules holds the ledger to a second, naive implementation of docs/allocation.md.
func TestAllocationIsThatOfTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		drawAllocation(t, func(s *State, e event.Event, before *State) {
			was := m.String()
			m.apply(e, s.Sequence(), s.TimeNanos())
			if got, want := modelText(s), m.String(); got != want {
				t.Fatalf("after %T %+v:\nthe ledger says\n%s\nthe model says\n%s\nbefore\n%s", e, e, got, want, was)
			}
		})
	})
}
