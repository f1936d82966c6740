package control

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"viplog/core/event"
	"viplog/core/ledger"
)

func declaredCluster() Cluster {
	return Cluster{
		Cluster: event.ClusterConfigured{
			Name: "test", ClusterType: "user", ControlPlaneLBPort: 443,
			ControlPlaneVIP: netip.MustParseAddr("10.0.0.250"), IngressVIP: netip.MustParseAddr("10.0.1.1"),
			Nodes:        []event.DeclaredNode{{Address: netip.MustParseAddr("10.0.0.1"), Role: event.RoleLoadBalancer}},
			ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/20"), netip.MustParsePrefix("fd01::/112")},
		},
		Pools:    []event.Pool{{Name: "a", Addresses: []string{"10.0.1.1-10.0.1.9"}}},
		Settings: event.DefaultSettings(),
	}
}

func fold(s *ledger.State, facts []event.Event) {
	for _, e := range facts {
		s.Apply(e, s.Sequence()+1, 0)
	}
}

func configured(t *testing.T) *ledger.State {
	t.Helper()
	s := ledger.New("test")
	facts, refused := ClusterFacts(s, declaredCluster())
	if len(refused) > 0 {
		t.Fatal(refused)
	}
	fold(s, facts)
	return s
}

func names(facts []event.Event) string {
	var all []string
	for _, e := range facts {
		all = append(all, strings.TrimPrefix(fmt.Sprintf("%T %s", e, e.Entity()), "event."))
	}
	return strings.Join(all, "; ")
}

func TestAClusterThatTheLedgerHoldsMakesNoFact(t *testing.T) {
	if facts, refused := ClusterFacts(configured(t), declaredCluster()); len(facts)+len(refused) > 0 {
		t.Errorf("facts %s, refused %v", names(facts), refused)
	}
}

func TestEditsOfTheClusterFile(t *testing.T) {
	for _, test := range []struct {
		name    string
		edit    func(*Cluster)
		facts   string
		refused string
	}{
		{
			"a pool more", func(c *Cluster) { c.Pools = append(c.Pools, event.Pool{Name: "b", Addresses: []string{"10.0.2.1"}}) },
			"PoolAdded pool.b", "",
		},
		{"a boolean turned", func(c *Cluster) { c.Pools[0].AvoidBuggyIPs = true }, "PoolEdited pool.a", ""},
		{"a node more", func(c *Cluster) {
			c.Cluster.Nodes = append(c.Cluster.Nodes, event.DeclaredNode{Address: netip.MustParseAddr("10.0.0.2"), Role: event.RoleLoadBalancer})
		}, "ClusterConfigured cluster", ""},
		{"a setting", func(c *Cluster) { c.Settings.Profile = event.ProfileFast }, "SettingsChanged settings", ""},
		{
			"other addresses", func(c *Cluster) { c.Pools[0].Addresses = []string{"10.0.1.1-10.0.1.8"} },
			"", "spec.loadBalancer.addressPools[0].addresses",
		},
		{"a pool dropped", func(c *Cluster) { c.Pools = nil }, "", "spec.loadBalancer.addressPools"},
		{"another VIP and another name", func(c *Cluster) {
			c.Cluster.Name, c.Cluster.ControlPlaneVIP = "other", netip.MustParseAddr("10.0.0.251")
		}, "", "metadata.name spec.loadBalancer.vips.controlPlaneVIP"},
		{
			"another ingressVIP", func(c *Cluster) { c.Cluster.IngressVIP = netip.MustParseAddr("10.0.1.2") },
			"", "spec.loadBalancer.vips.ingressVIP",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := declaredCluster()
			test.edit(&want)
			facts, refused := ClusterFacts(configured(t), want)
			var fields []string
			for _, r := range refused {
				fields = append(fields, r.Field)
				if !strings.Contains(r.Reason, "immutable") && !strings.Contains(r.Reason, "cannot be removed") &&
					!strings.Contains(r.Reason, "may only decrease") {
					t.Errorf("reason %q", r.Reason)
				}
			}
			if names(facts) != test.facts || strings.Join(fields, " ") != test.refused {
				t.Errorf("facts %q, refused %q; want %q, %q", names(facts), fields, test.facts, test.refused)
			}
		})
	}
}

// What the front end is told takes newer rules: an edit adopts them first, and is refused while a node does not know them.
func TestSettingsOfTheFrontEndAdoptTheirRules(t *testing.T) {
	want := declaredCluster()
	want.Settings.Frontend.RouterID = 7
	facts, refused := ClusterFacts(ledger.New("test"), want)
	if !strings.HasPrefix(names(facts), "RulesAdopted rules; ClusterConfigured") || len(refused) > 0 {
		t.Errorf("facts %s, refused %v", names(facts), refused)
	}
	s := configured(t)
	join := event.NodeJoined{
		Address: want.Cluster.Nodes[0].Address, Name: "lb-1", StartID: "first", MachineID: "m", Key: "key", Rules: 1,
		Interfaces: []event.Interface{{Name: "eth0", MAC: "02:00:00:00:00:01", Up: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}}},
	}
	fold(s, []event.Event{join})
	if facts, refused := ClusterFacts(s, want); len(facts) > 0 || len(refused) != 1 || !strings.Contains(refused[0].Reason, "node lb-1 knows rules up to 1") {
		t.Errorf("facts %s, refused %v", names(facts), refused)
	}
}

func TestSettingsMayLetPoolsChange(t *testing.T) {
	s := configured(t)
	want := declaredCluster()
	want.Settings.Pools = []event.PoolSettings{{Name: "a", OnEdit: event.OnEditDrain}}
	want.Pools[0].Addresses = []string{"10.0.1.1-10.0.1.5"}
	facts, refused := ClusterFacts(s, want)
	if names(facts) != "SettingsChanged settings; PoolEdited pool.a" || len(refused) > 0 {
		t.Fatalf("facts %s, refused %v", names(facts), refused)
	}
	fold(s, facts)
	want.Settings.Pools = nil
	want.Pools = []event.Pool{{Name: "b", Addresses: []string{"10.0.1.1-10.0.1.9"}}}
	facts, refused = ClusterFacts(s, want)
	if names(facts) != "PoolRemoved pool.a; SettingsChanged settings; PoolAdded pool.b" || len(refused) > 0 {
		t.Errorf("facts %s, refused %v", names(facts), refused)
	}
}

func TestLoadBalancerNodesMayBeSeparatedFromTheControlPlane(t *testing.T) {
	alone := declaredCluster()
	alone.Cluster.Nodes[0].Role = event.RoleControlPlane
	s := ledger.New("test")
	facts, _ := ClusterFacts(s, alone)
	fold(s, facts)
	want := alone
	want.Cluster.Nodes = append(slices.Clone(alone.Cluster.Nodes),
		event.DeclaredNode{Address: netip.MustParseAddr("10.0.0.2"), Role: event.RoleLoadBalancer})
	if _, refused := ClusterFacts(s, want); len(refused) != 1 || refused[0].Field != "spec.loadBalancer.nodePoolSpec" {
		t.Errorf("without controlPlane.loadBalancer.mode: refused %v", refused)
	}
	want.Cluster.ControlPlaneLBMode = "bundled"
	if facts, refused := ClusterFacts(s, want); names(facts) != "ClusterConfigured cluster" || len(refused) > 0 {
		t.Errorf("with controlPlane.loadBalancer.mode bundled: facts %s, refused %v", names(facts), refused)
	}
}

func shown(name string) Service { return Service{Namespace: "shop", Name: name} }

func TestOnlyWhatDiffersBecomesAFact(t *testing.T) {
	s := configured(t)
	seen := Observed{Source: "manifests", Services: []Service{shown("web"), shown("api")}}
	facts, _ := ServiceFacts(s, seen)
	if got := names(facts); got != "ServiceApplied service.shop.web; ServiceApplied service.shop.api" {
		t.Fatalf("first: %s", got)
	}
	fold(s, facts)
	again := seen
	again.Services = slices.Clone(seen.Services)
	again.Services[0].Revision, again.Services[0].UID = "77", "another"
	again.Services[0].StatusAddresses = []netip.Addr{netip.MustParseAddr("10.0.1.2")}
	if facts, _ := ServiceFacts(s, again); len(facts) > 0 {
		t.Errorf("revision, uid and status alone made %s", names(facts))
	}
	less := Observed{Source: "manifests", Services: []Service{shown("api")}}
	if facts, _ := ServiceFacts(s, less); names(facts) != "ServiceDeleted service.shop.web" {
		t.Errorf("one less: %s", names(facts))
	}
	if facts, _ := ServiceFacts(s, Observed{Source: "kubernetes"}); len(facts) > 0 {
		t.Errorf("another source deleted %s", names(facts))
	}
	if facts, _ := ServiceFacts(s, Observed{Source: "manifests", Partial: true}); len(facts) > 0 {
		t.Errorf("a partial list deleted %s", names(facts))
	}
}

func TestWhatAServiceAsksFor(t *testing.T) {
	for _, test := range []struct {
		name   string
		edit   func(*Service)
		want   func(*event.ServiceApplied)
		reason string
	}{
		{"nothing", func(*Service) {}, func(*event.ServiceApplied) {}, ""},
		{
			"MetalLB's pool", func(v *Service) { v.Annotations = map[string]string{"metallb.io/address-pool": "a"} },
			func(e *event.ServiceApplied) { e.RequestedPool = "a" }, "",
		},
		{"MetalLB's old pool, viplog's wins", func(v *Service) {
			v.Annotations = map[string]string{"metallb.universe.tf/address-pool": "old", "viplog/address-pool": "new"}
		}, func(e *event.ServiceApplied) { e.RequestedPool = "new" }, ""},
		{
			"spec.loadBalancerIP", func(v *Service) { v.LoadBalancerIP = "10.0.1.5" },
			func(e *event.ServiceApplied) { e.RequestedAddresses = []netip.Addr{netip.MustParseAddr("10.0.1.5")} }, "",
		},
		{
			"an IPv6 address without families", func(v *Service) { v.LoadBalancerIP = "fd00::5" },
			func(e *event.ServiceApplied) {
				e.RequestedAddresses, e.Families = []netip.Addr{netip.MustParseAddr("fd00::5")}, []string{"IPv6"}
			}, "",
		},
		{
			"two families", func(v *Service) { v.IPFamilyPolicy = event.PreferDualStack },
			func(e *event.ServiceApplied) {
				e.FamilyPolicy, e.Families = event.PreferDualStack, []string{"IPv4", "IPv6"}
			}, "",
		},
		{"unsorted ports and labels", func(v *Service) {
			v.Ports = []event.Port{{Protocol: "UDP", Port: 53}, {Protocol: "TCP", Port: 53}}
			v.Labels = map[string]string{"b": "2", "a": "1"}
		}, func(e *event.ServiceApplied) {
			e.Ports = []event.Port{{Protocol: "TCP", Port: 53}, {Protocol: "UDP", Port: 53}}
			e.Labels = []event.Label{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}
		}, ""},
		{"both ways to ask", func(v *Service) {
			v.LoadBalancerIP, v.Annotations = "10.0.1.5", map[string]string{"viplog/loadBalancerIPs": "10.0.1.6"}
		}, nil, "both spec.loadBalancerIP and an annotation request addresses; use one"},
		{
			"no address", func(v *Service) { v.LoadBalancerIP = "web.example" }, nil,
			`the requested address "web.example" is no IP address`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := shown("web")
			test.edit(&v)
			facts, refused := ServiceFacts(configured(t), Observed{Source: "test", Services: []Service{v}})
			if test.want == nil {
				if len(facts) != 0 || len(refused) != 1 || refused[0].Reason != test.reason {
					t.Errorf("facts %s, refused %v; want %q", names(facts), refused, test.reason)
				}
				return
			}
			want := event.ServiceApplied{
				Namespace: "shop", Name: "web", Source: "test", Families: []string{"IPv4"},
				FamilyPolicy: event.SingleStack, TrafficPolicy: event.TrafficCluster,
			}
			test.want(&want)
			if len(facts) != 1 || !sameFact(facts[0], want) {
				t.Errorf("facts %+v, want %+v", facts, want)
			}
		})
	}
}

func TestAServiceOfAnotherClassIsNotThere(t *testing.T) {
	s := configured(t)
	mine, other := shown("mine"), shown("other")
	fold(s, first(ServiceFacts(s, Observed{Source: "test", Services: []Service{mine, other}})))
	other.LoadBalancerClass = "example.com/lb"
	facts, _ := ServiceFacts(s, Observed{Source: "test", Services: []Service{mine, other}})
	if names(facts) != "ServiceDeleted service.shop.other" {
		t.Errorf("facts %s", names(facts))
	}
}

func TestEndpointsMatterOnlyForLocalServices(t *testing.T) {
	s := configured(t)
	local, cluster := shown("local"), shown("cluster")
	local.TrafficPolicy = event.TrafficLocal
	seen := Observed{Source: "test", Services: []Service{local, cluster}, Endpoints: []Endpoints{
		{Namespace: "shop", Service: "local", Nodes: []string{"lb-2", "lb-1"}},
		{Namespace: "shop", Service: "local", Nodes: []string{"lb-2"}},
		{Namespace: "shop", Service: "cluster", Nodes: []string{"lb-1"}},
	}}
	facts, _ := ServiceFacts(s, seen)
	serving, ok := facts[0].(event.EndpointsChanged) // before the Service, so that it has its owner at once
	if len(facts) != 3 || !ok || !slices.Equal(serving.Nodes, []string{"lb-1", "lb-2"}) {
		t.Fatalf("facts %+v", facts)
	}
	fold(s, facts)
	if facts, _ := ServiceFacts(s, seen); len(facts) > 0 {
		t.Errorf("again: %s", names(facts))
	}
	seen.Endpoints = nil
	if facts, _ := ServiceFacts(s, seen); names(facts) != "EndpointsChanged endpoints.shop.local" {
		t.Errorf("none left: %s", names(facts))
	}
}

func first(facts []event.Event, _ []Refusal) []event.Event { return facts }
