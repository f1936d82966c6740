package ledger

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"viplog/core/event"
	"viplog/core/log"
)

// running gives a ledger with n joined nodes, one voter and a pool of a /24.
func running(n int) *State {
	s := New(testLog)
	apply(s, clusterOf(n))
	apply(s, voterAdded())
	apply(s, event.PoolAdded{Pool: event.Pool{Name: "a", Addresses: []string{"10.0.1.0/24"}}})
	for i := range n {
		apply(s, joined(i, "first"))
	}
	return s
}

func declared(name string) event.ServiceApplied {
	return event.ServiceApplied{
		Namespace: "default", Name: name, Source: "test", Families: []string{"IPv4"},
		FamilyPolicy: event.SingleStack, TrafficPolicy: event.TrafficCluster, Ports: []event.Port{{Protocol: "TCP", Port: 80}},
	}
}

func withServices(s *State, n int) *State {
	for i := range n {
		apply(s, declared(fmt.Sprintf("s%03d", i)))
	}
	return s
}

func owners(s *State) map[netip.Addr][]Incarnation {
	all := map[netip.Addr][]Incarnation{}
	s.addresses.scan(func(a *address) bool {
		all[a.addr] = a.list
		return true
	})
	return all
}

// spread is the difference between the most and the least loaded joined node.
func spread(s *State) int {
	least, most := 1<<30, 0
	for _, n := range s.nodes.rows {
		if n.status == nodeJoined {
			least, most = min(least, s.owned(n)), max(most, s.owned(n))
		}
	}
	return most - least
}

func TestArrivalsSpreadEvenlyAndADeathScattersItsLoad(t *testing.T) {
	for _, nodes := range []int{2, 3, 5, 10} {
		t.Run(fmt.Sprint(nodes, " nodes"), func(t *testing.T) {
			s := withServices(running(nodes), 200)
			if spread(s) > 1 {
				t.Errorf("after arrivals the most and the least loaded node differ by %d, want at most 1", spread(s))
			}
			apply(s, failed(s, 0))
			if limit := 2; spread(s) > limit {
				t.Errorf("after a death the most and the least loaded node differ by %d, want at most %d", spread(s), limit)
			}
		})
	}
}

func TestADeathPromotesTheFirstStandbyAndMovesNothingElse(t *testing.T) {
	s := withServices(running(4), 40)
	before := owners(s)
	apply(s, failed(s, 1))
	dead := nodeAddress(1)
	for a, list := range owners(s) {
		old := before[a]
		switch {
		case old[0].Node == dead && list[0] != old[1]:
			t.Errorf("%s went to %v, its first standby was %v", a, list[0], old[1])
		case old[0].Node != dead && list[0] != old[0]:
			t.Errorf("%s moved although its owner lives", a)
		case len(list) != ListLength:
			t.Errorf("%s lists %d nodes after the refill", a, len(list))
		}
	}
}

func TestAReturnMovesNothing(t *testing.T) {
	s := withServices(running(3), 40)
	apply(s, failed(s, 1))
	before := owners(s)
	apply(s, joined(1, "second"))
	for a, list := range owners(s) {
		if list[0] != before[a][0] || list[1] != before[a][1] {
			t.Errorf("%s went from %v to %v", a, before[a], list)
		}
	}
}

func TestAfterAPowerCycleAddressesStayAndOneRebalanceEvensThemOut(t *testing.T) {
	s := withServices(running(3), 40)
	before := s.ServiceViews()
	for i := range 3 {
		apply(s, failed(s, i))
	}
	if s.RebalanceDue(s.TimeNanos()) {
		t.Error("a rebalance is due before any node is back")
	}
	for i := range 3 {
		if s.RebalanceDue(s.TimeNanos()) {
			t.Errorf("a rebalance is due after %d of 3 joins", i)
		}
		apply(s, joined(i, "second"))
	}
	if !s.RebalanceDue(s.TimeNanos()) {
		t.Fatal("no rebalance is due after all joins")
	}
	apply(s, event.RebalanceRequested{Reason: event.RebalanceAfterStart})
	if s.RebalanceDue(s.TimeNanos()) {
		t.Error("a second rebalance is due")
	}
	if spread(s) > 1 {
		t.Errorf("the most and the least loaded node differ by %d", spread(s))
	}
	for i, v := range s.ServiceViews() {
		if !slices.Equal(v.Addresses, before[i].Addresses) {
			t.Errorf("%s went from %v to %v", v.Name, before[i].Addresses, v.Addresses)
		}
	}
}

func TestTheStartRebalanceWaitsThirtySecondsFromTheFirstJoin(t *testing.T) {
	s := New(testLog)
	apply(s, clusterOf(3))
	apply(s, event.PoolAdded{Pool: event.Pool{Name: "a", Addresses: []string{"10.0.1.0/24"}}})
	withServices(s, 3)
	hour := int64(3600 * 1e9)
	s.Apply(joined(0, "first"), s.Sequence()+1, hour)
	if s.RebalanceDue(hour + RebalanceAfter - 1) {
		t.Error("due before 30 s have passed since the first join")
	}
	if !s.RebalanceDue(hour + RebalanceAfter) {
		t.Error("not due 30 s after the first join")
	}
}

func TestAReleasedAddressGoesToTheOldestThatFits(t *testing.T) {
	s := New(testLog)
	apply(s, clusterOf(1))
	apply(s, event.PoolAdded{Pool: event.Pool{Name: "a", Addresses: []string{"10.0.1.1-10.0.1.2"}}})
	six := declared("needs-ipv6")
	six.Families = []string{"IPv6"}
	for _, e := range []event.ServiceApplied{declared("first"), declared("second"), six, declared("third"), declared("fourth")} {
		apply(s, e)
	}
	apply(s, event.ServiceDeleted{Namespace: "default", Name: "first", Source: "test"})
	for name, want := range map[string]string{"second": "10.0.1.2", "third": "10.0.1.1", "needs-ipv6": "", "fourth": ""} {
		if v := viewOf(s, name); strings.Join(v.Addresses, ",") != want {
			t.Errorf("%s has %v, want %q", name, v.Addresses, want)
		}
	}
	if got := viewOf(s, "fourth").Reason; got != "no free IPv4 address in a; release one or add a pool" {
		t.Errorf("reason %q", got)
	}
}

func viewOf(s *State, name string) ServiceView {
	v, _ := s.service(ServiceKey{"default", name})
	return s.viewService(v)
}

func TestTheIngressVIPIsKeptForTheIngressService(t *testing.T) {
	s := running(1)
	other := declared("thief")
	other.RequestedAddresses = []netip.Addr{netip.MustParseAddr("10.0.1.0")}
	apply(s, other)
	apply(s, declared("early"))
	ingress := declared("istio-ingress")
	ingress.Namespace = "gke-system"
	apply(s, ingress)
	if got := viewOf(s, "thief").Reason; got != "10.0.1.0 is the ingressVIP, which is kept for gke-system/istio-ingress" {
		t.Errorf("reason %q", got)
	}
	if got := viewOf(s, "early").Addresses[0]; got != "10.0.1.1" {
		t.Errorf("the first Service has %s, want the address after the ingressVIP", got)
	}
	v, _ := s.service(ServiceKey{"gke-system", "istio-ingress"})
	if len(v.addresses) != 1 || v.addresses[0].String() != "10.0.1.0" {
		t.Errorf("the ingress Service has %s", v.addresses)
	}
}

func TestADrainMovesAndALocalServiceFollowsItsEndpoints(t *testing.T) {
	s := running(3)
	local := declared("local")
	local.TrafficPolicy = event.TrafficLocal
	apply(s, local)
	if v := viewOf(s, "local"); v.Owner != "" || !strings.Contains(v.Reason, "no serving endpoint") {
		t.Errorf("without endpoints: owner %q, reason %q", v.Owner, v.Reason)
	}
	apply(s, event.EndpointsChanged{Namespace: "default", Name: "local", Source: "test", Nodes: []string{"lb-2", "lb-3"}})
	first := viewOf(s, "local")
	if len(first.Standbys) != 1 || first.Owner == "lb-1" {
		t.Errorf("owner %s, standbys %v, want lb-2 and lb-3", first.Owner, first.Standbys)
	}
	n, _ := s.NodeNamed(first.Owner)
	apply(s, event.NodeDrained{Address: n.Address})
	if v := viewOf(s, "local"); v.Owner != first.Standbys[0] {
		t.Errorf("after the drain owner %s, want the standby %s", v.Owner, first.Standbys[0])
	}
}

func TestAFactThatCannotBeHonouredIsRejectedAndChangesNothing(t *testing.T) {
	s := withServices(running(3), 5)
	forged := failed(s, 1)
	forged.Votes[0].Signature = slices.Clone(forged.Votes[0].Signature)
	forged.Votes[0].Signature[0] ^= 1
	stolen := declared("s000")
	stolen.Source = "another"
	stranger := joined(0, "first")
	stranger.Address = netip.MustParseAddr("10.0.0.99")
	clone := joined(0, "second")
	clone.MachineID = "another"
	for _, e := range []event.Event{
		forged, stolen, stranger, clone,
		event.NodeFailed{Address: nodeAddress(1), Incarnation: failed(s, 1).Incarnation, Set: 99, Votes: forged.Votes},
		event.NodeLeft{Address: nodeAddress(1), Incarnation: 10_000},
		event.PoolAdded{Pool: event.Pool{Name: "b", Addresses: []string{"10.0.1.128-10.0.2.5"}}},
		event.PoolEdited{Pool: event.Pool{Name: "a", Addresses: []string{"10.0.1.0/25"}}},
		event.PoolRemoved{Name: "a"},
		event.RulesAdopted{Rules: 1}, // no node knows them
		event.RulesAdopted{Rules: RulesKnown + 1},
		event.NodeDrained{},
	} {
		before := views(s)
		changes := apply(s, e)
		if len(changes) != 1 || changes[0].Kind != Rejected || changes[0].Reason == "" {
			t.Errorf("%T: %v, want it rejected with a reason", e, changes)
		}
		if views(s) != before {
			t.Errorf("%T was rejected and changed the ledger", e)
		}
	}
}

func TestAnEntryThatNotAllReplicasCouldReadIsRejected(t *testing.T) {
	good, err := event.Encode(event.NodeDrained{Address: nodeAddress(0)})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*event.Record){
		"unknown type":   func(r *event.Record) { r.Type = "viplog.NodeVanished.v1" },
		"forged subject": func(r *event.Record) { r.Entity = "drain.10_0_0_99" },
		"other bytes":    func(r *event.Record) { r.Data = append([]byte(" "), r.Data...) },
		"newer rules":    func(r *event.Record) { r.Rules = 1 },
	} {
		s := running(2)
		before, record := views(s), good
		change(&record)
		changes := s.ApplyEntry(log.Entry{Fact: log.Fact{Record: record}, Sequence: s.Sequence() + 1})
		if len(changes) != 1 || changes[0].Kind != Rejected || views(s) != before {
			t.Errorf("%s: %v", name, changes)
		}
	}
}

func TestAvoidBuggyIPsMayTurnWhileAnAddressIsGiven(t *testing.T) {
	s := New(testLog)
	apply(s, clusterOf(1))
	pool := event.Pool{Name: "b", Addresses: []string{"10.0.2.254-10.0.3.1"}}
	apply(s, event.PoolAdded{Pool: pool})
	withServices(s, 3) // .254, .255 and the next .0
	pool.AvoidBuggyIPs = true
	apply(s, event.PoolEdited{Pool: pool})
	if p := s.PoolViews()[0]; p.Capacity.String() != "2" || p.Assigned != 3 || p.Available.String() != "1" {
		t.Errorf("capacity %s, assigned %d, available %s; want 2, 3 and 1", p.Capacity, p.Assigned, p.Available)
	}
	apply(s, event.ServiceDeleted{Namespace: "default", Name: "s001", Source: "test"})
	apply(s, declared("late"))
	apply(s, declared("later"))
	if a := viewOf(s, "late").Addresses; !slices.Equal(a, []string{"10.0.3.1"}) {
		t.Errorf("late has %v, want the next address that is not avoided", a)
	}
	if v := viewOf(s, "later"); v.State != "waiting" {
		t.Errorf("later has %v, the released .255 is avoided now", v.Addresses)
	}
}

func TestNamesOrderByTheirNumbers(t *testing.T) {
	names := []string{"lb-10", "lb-2", "lb-1", "cp-1", "lb-1a", "lb-01", "10.0.0.9", "10.0.0.10"}
	slices.SortFunc(names, CompareNames)
	if got, want := strings.Join(names, " "), "10.0.0.9 10.0.0.10 cp-1 lb-01 lb-1 lb-1a lb-2 lb-10"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
