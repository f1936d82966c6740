package ledger

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"viplog/core/event"
)

// Defects that were verified in MetalLB 0.16, each with what viplog does instead.

// Counting a pool of an IPv6 /64 and an IPv4 /24, in that order, overflows there; with avoidBuggyIPs a /32 counts -1.
func TestPoolsOfAnySizeAreCountedExactly(t *testing.T) {
	for _, test := range []struct {
		ranges []string
		avoid  bool
		want   string
	}{
		{[]string{"fd00::/64", "10.0.0.0/24"}, false, "18446744073709551872"},
		{[]string{"10.0.0.0/24", "fd00::/64"}, false, "18446744073709551872"},
		{[]string{"fd00::/64", "10.0.0.0/24"}, true, "18446744073709551870"},
		{[]string{"10.0.0.0/32"}, true, "0"},
		{[]string{"10.0.0.0/32"}, false, "1"},
		{[]string{"::/0", "0.0.0.0/0"}, false, new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 128), new(big.Int).Lsh(big.NewInt(1), 32)).String()},
	} {
		t.Run(fmt.Sprint(test.ranges, test.avoid), func(t *testing.T) {
			s := New(testLog)
			changes := apply(s, event.PoolAdded{Pool: event.Pool{Name: "a", Addresses: test.ranges, AvoidBuggyIPs: test.avoid}})
			if changes[0].Kind == Rejected {
				t.Fatal(changes[0].Reason)
			}
			v := s.PoolViews()[0]
			if v.Capacity.String() != test.want || v.Available.String() != test.want {
				t.Errorf("capacity %s, available %s, want %s", v.Capacity, v.Available, test.want)
			}
		})
	}
}

// A Service of both families and one of IPv6 only may share the IPv6 address; there, each hashes its first address, and in
// most cases they get different owners: two nodes announce one address. Here the owner is the address's.
func TestServicesThatShareOneOfTwoFamiliesHaveOneOwner(t *testing.T) {
	for nodes := 2; nodes <= 5; nodes++ {
		for i := range 20 {
			s := running(nodes)
			apply(s, event.PoolAdded{Pool: event.Pool{Name: "b", Addresses: []string{"10.0.2.0/24", "fd00::/64"}}})
			withServices(s, i) // so that loads differ
			both, six := declared("both"), declared("six")
			both.Families, both.FamilyPolicy, both.SharingKey = []string{"IPv4", "IPv6"}, event.RequireDualStack, "k"
			six.Families, six.SharingKey, six.Ports = []string{"IPv6"}, "k", []event.Port{{Protocol: "TCP", Port: 443}}
			apply(s, both)
			apply(s, six)
			a, b := viewOf(s, "both"), viewOf(s, "six")
			if !slices.Contains(a.Addresses, b.Addresses[0]) {
				t.Fatalf("both has %v, six has %v: they do not share", a.Addresses, b.Addresses)
			}
			owners := 0
			for _, n := range s.NodeViews(nil) {
				if slices.Contains(n.Addresses, b.Addresses[0]) {
					owners++
				}
			}
			used, _ := s.addressOf(netip.MustParseAddr(b.Addresses[0]))
			if owners != 1 || len(used.users) != 2 || b.Owner != s.describe(used.list[0].Node) {
				t.Fatalf("%s has %d owners and users %v", b.Addresses[0], owners, used.users)
			}
		}
	}
}

// A Local Service without a selector and a Cluster Service count as having the same backends there, so that they may share an
// address and disagree on its owner. Here they may not share, and one says why.
func TestALocalServiceWithoutASelectorSharesWithNobody(t *testing.T) {
	for _, policies := range [][2]string{
		{event.TrafficLocal, event.TrafficCluster}, {event.TrafficCluster, event.TrafficLocal}, {event.TrafficLocal, event.TrafficLocal},
	} {
		s := running(3)
		first, second := declared("first"), declared("second")
		first.TrafficPolicy, first.SharingKey = policies[0], "k"
		second.TrafficPolicy, second.SharingKey, second.Ports = policies[1], "k", []event.Port{{Protocol: "TCP", Port: 443}}
		apply(s, first)
		second.RequestedAddresses = []netip.Addr{netip.MustParseAddr(viewOf(s, "first").Addresses[0])}
		apply(s, second)
		if v := viewOf(s, "second"); v.State != "waiting" || !strings.Contains(v.Reason, "external traffic policies or selectors differ") {
			t.Errorf("%v: second is %s with %v: %s", policies, v.State, v.Addresses, v.Reason)
		}
		second.RequestedAddresses = nil
		apply(s, second)
		if a, b := viewOf(s, "first"), viewOf(s, "second"); a.Addresses[0] == b.Addresses[0] || b.State != "assigned" {
			t.Errorf("%v: %v and %v", policies, a.Addresses, b.Addresses)
		}
	}
}

// A winner whose configured interfaces do not exist announces nothing there, and nobody takes over. Here it is no
// candidate, and says so.
func TestANodeWithoutTheAnnouncingInterfaceIsNoCandidate(t *testing.T) {
	s := running(3)
	settings := event.DefaultSettings()
	settings.Pools = []event.PoolSettings{{Name: "a", Announce: []event.AnnounceRule{{Interfaces: []string{"bond0"}}}}}
	apply(s, settings)
	apply(s, declared("web"))
	v := viewOf(s, "web")
	if v.Owner != "" || !strings.Contains(v.Reason, "lb-1 is in no announce rule of pool a for it") {
		t.Fatalf("owner %q, reason %q", v.Owner, v.Reason)
	}
	with := joined(2, "with bond0")
	with.Interfaces = append(with.Interfaces, event.Interface{Name: "bond0", MAC: "02:00:00:00:00:02", Up: true, Prefixes: with.Interfaces[0].Prefixes})
	apply(s, with)
	if v := viewOf(s, "web"); v.Owner != "lb-3" || len(v.Standbys) != 0 {
		t.Errorf("owner %q, standbys %v; only lb-3 has bond0", v.Owner, v.Standbys)
	}
	with.Interfaces[1].Up = false
	n, _ := s.NodeNamed("lb-3")
	apply(s, event.NodeChanged{Address: n.Address, Incarnation: n.Incarnation, Interfaces: with.Interfaces})
	if v := viewOf(s, "web"); v.Owner != "" {
		t.Errorf("owner %q although bond0 is down", v.Owner)
	}
}

// The order of pools is no order there: two of priority 0 are each before the other. Here it is total, whatever the order in
// which pools come.
func TestTheOrderOfPoolsIsTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		settings := event.DefaultSettings()
		var pools []event.Event
		for i := range rapid.IntRange(1, 8).Draw(t, "pools") {
			p := event.PoolSettings{Name: fmt.Sprint("p", i), Priority: rapid.IntRange(0, 3).Draw(t, "priority")}
			if rapid.Bool().Draw(t, "pinned") {
				p.Namespaces = []string{"default"}
			}
			settings.Pools = append(settings.Pools, p)
			pools = append(pools, event.PoolAdded{Pool: event.Pool{Name: p.Name, Addresses: []string{fmt.Sprintf("10.0.%d.0/30", i+1)}}})
		}
		orderOf := func(pools []event.Event) []string {
			s := New(testLog)
			apply(s, settings)
			for _, p := range pools {
				apply(s, p)
			}
			return s.poolOrder
		}
		order := orderOf(pools)
		if again := orderOf(rapid.Permutation(pools).Draw(t, "permuted")); !slices.Equal(order, again) {
			t.Fatalf("%v, and of permuted pools %v", order, again)
		}
		if len(slices.Compact(slices.Sorted(slices.Values(order)))) != len(pools) {
			t.Fatalf("%v does not name every pool once", order)
		}
		rank := func(name string) (pinned bool, priority int) {
			p := settings.Pools[slices.IndexFunc(settings.Pools, func(p event.PoolSettings) bool { return p.Name == name })]
			priority = p.Priority
			if priority == 0 {
				priority = 1 << 30
			}
			return len(p.Namespaces) > 0, priority
		}
		for i := 1; i < len(order); i++ {
			pinnedA, a := rank(order[i-1])
			pinnedB, b := rank(order[i])
			if pinnedB && !pinnedA || pinnedA == pinnedB && (b < a || a == b && order[i] < order[i-1]) {
				t.Fatalf("%s comes before %s in %v of %v", order[i-1], order[i], order, settings.Pools)
			}
		}
	})
}
