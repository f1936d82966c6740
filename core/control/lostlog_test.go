package control

import (
	"net/netip"
	"testing"

	"viplog/core/event"
	"viplog/core/ledger"
)

// A log that was lost begins without the cluster file, whose pools and class of Services are not known before it is applied again.
func TestBeforeThereIsAClusterNothingIsBroughtAndNoStatusChanges(t *testing.T) {
	s := ledger.New("new")
	held, other := shown("held"), shown("other")
	for v, a := range map[*Service]string{&held: "10.0.2.2", &other: "203.0.113.7"} {
		v.StatusAddresses = []netip.Addr{netip.MustParseAddr(a)}
		v.Status = Status{Ingress: []Ingress{{IP: a, Mode: "VIP"}}}
	}
	held.LoadBalancerClass = "viplog/own"
	held.Status.Conditions = []Condition{{Type: ConditionAssigned, Status: conditionTrue, Reason: "Assigned", Since: 1}}
	seen := seenOf(held, other)
	facts, _ := Facts(s, seen)
	if len(facts) > 0 {
		t.Errorf("facts %s", names(facts))
	}
	fold(s, facts)
	for _, v := range []Service{held, other} {
		if got := StatusOf(s, source, nil, v); !got.Equal(v.Status) {
			t.Errorf("the status of %s: %+v", v.Name, got)
		}
	}

	want := declaredCluster()
	want.Settings.LoadBalancerClass = "viplog/own"
	want.Pools = append(want.Pools, event.Pool{Name: "b", Addresses: []string{"10.0.2.1-10.0.2.9"}})
	declared, refused := ClusterFacts(s, want)
	if len(refused) > 0 {
		t.Fatal(refused)
	}
	fold(s, declared)
	bring(t, s, seen)
	if a := s.AddressesOf(held.Key()); len(a) != 1 || a[0] != held.StatusAddresses[0] {
		t.Errorf("it had %v and has %v", held.StatusAddresses, a)
	}
	if got := StatusOf(s, source, nil, other); !got.Equal(other.Status) {
		t.Errorf("another controller's status: %+v", got)
	}
}
