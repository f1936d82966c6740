package frontend_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"viplog/core/event"
	"viplog/core/frontend"
	"viplog/core/ledger"
)

func address(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }

func declared(role string, numbers ...int) (nodes []event.DeclaredNode) {
	for _, i := range numbers {
		nodes = append(nodes, event.DeclaredNode{Address: address(i), Role: role})
	}
	return nodes
}

func clusterOf(nodes ...event.DeclaredNode) event.ClusterConfigured {
	return event.ClusterConfigured{
		Name: "test", ClusterType: "hybrid", Nodes: nodes, ControlPlaneVIP: address(100), ControlPlaneLBPort: 443,
		ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/20")},
	}
}

// folded is the ledger of these facts, under the newest rules.
func folded(t rapid.TB, facts ...event.Event) *ledger.State {
	t.Helper()
	s := ledger.New("log")
	apply(t, s, event.RulesAdopted{Rules: ledger.RulesKnown})
	apply(t, s, facts...)
	return s
}

func apply(t rapid.TB, s *ledger.State, facts ...event.Event) {
	t.Helper()
	for _, e := range facts {
		for _, c := range s.Apply(e, s.Sequence()+1, 0) {
			if c.Kind == ledger.Rejected {
				t.Fatalf("%T: %s", e, c.Reason)
			}
		}
	}
}

func plan(t rapid.TB, s *ledger.State) frontend.Plan {
	t.Helper()
	p, err := frontend.Of(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func addresses(p frontend.Plan) (all []netip.Addr) {
	for _, m := range p.Members {
		all = append(all, m.Address)
	}
	return all
}

func TestWhoCarriesTheVIP(t *testing.T) {
	control, balancers := declared(event.RoleControlPlane, 2, 3, 4), declared(event.RoleLoadBalancer, 5, 6)
	for _, c := range []struct {
		name, mode string
		nodes      []event.DeclaredNode
		want       []netip.Addr
	}{
		{"control-plane nodes", "", control, []netip.Addr{address(2), address(3), address(4)}},
		{"load-balancer nodes", "", slices.Concat(control, balancers), []netip.Addr{address(5), address(6)}},
		{"separated", "bundled", slices.Concat(control, balancers), []netip.Addr{address(2), address(3), address(4)}},
		{"one node", "", control[:1], []netip.Addr{address(2)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cluster := clusterOf(c.nodes...)
			cluster.ControlPlaneLBMode = c.mode
			p := plan(t, folded(t, cluster))
			if !slices.Equal(addresses(p), c.want) {
				t.Errorf("%v carry the VIP, not %v", addresses(p), c.want)
			}
			if want := len(c.nodes) - len(balancers); c.name != "control-plane nodes" && c.name != "one node" && len(p.Backends) != want {
				t.Errorf("%d back ends", len(p.Backends))
			}
			if p.VIP != address(100) || p.Port != 443 || p.GARPRepeat != frontend.DefaultGARPRepeat || p.RouterID == 0 {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestWhatIsNoPlan(t *testing.T) {
	if _, err := frontend.Of(ledger.New("log")); !errors.Is(err, frontend.ErrNoCluster) {
		t.Error(err)
	}
	manual := clusterOf(declared(event.RoleControlPlane, 2)...)
	manual.ControlPlaneLBMode = "manual"
	if _, err := frontend.Of(folded(t, manual)); !errors.Is(err, frontend.ErrNotOurs) {
		t.Error(err)
	}
	none := event.DefaultSettings()
	for id := 1; id <= event.MaxRouterID; id++ {
		if id != 51 {
			none.Frontend.OtherRouterIDs = append(none.Frontend.OtherRouterIDs, id)
		}
	}
	s := folded(t, clusterOf(declared(event.RoleControlPlane, 2)...), none)
	if _, err := frontend.Of(s); !errors.Is(err, frontend.ErrNoRouterID) {
		t.Errorf("51 is taken unasked: %v", err)
	}
	if e := frontend.Due(s); e != nil {
		t.Errorf("%v is due without a plan", e)
	}
}

func TestTheRouterIDIsTheClustersOwn(t *testing.T) {
	ids := map[uint8]int{}
	for i := range 1000 {
		c := clusterOf(declared(event.RoleControlPlane, 2)...)
		c.Name = fmt.Sprint("cluster-", i)
		ids[plan(t, folded(t, c)).RouterID]++
	}
	if ids[0] > 0 || ids[51] > 0 || len(ids) < 200 {
		t.Errorf("%d ids for 1,000 clusters, 0: %d, 51: %d", len(ids), ids[0], ids[51])
	}
}

// A router id that changes under way makes two owners of the VIP for a while, so it changes only when it has to.
func TestTheRouterIDIsRemembered(t *testing.T) {
	s := folded(t, clusterOf(declared(event.RoleControlPlane, 2, 3, 4)...))
	first := plan(t, s).RouterID
	apply(t, s, frontend.Due(s))
	others := event.DefaultSettings()
	others.Frontend.OtherRouterIDs = []int{int(first)}
	apply(t, s, others)
	second := plan(t, s).RouterID
	if second == first {
		t.Fatalf("%d is another's", first)
	}
	apply(t, s, frontend.Due(s), event.DefaultSettings())
	if id := plan(t, s).RouterID; id != second {
		t.Errorf("%d became %d although nobody else has it", second, id)
	}
	asked := event.DefaultSettings()
	asked.Frontend.RouterID = 51
	apply(t, s, asked)
	if id := plan(t, s).RouterID; id != 51 {
		t.Errorf("%d, not the one that was asked for", id)
	}
}

// Whatever nodes come and go: those that stay keep their priorities, no two have the same, and after the fact nothing is due.
func TestPrioritiesStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := folded(t)
		before := map[netip.Addr]uint8{}
		for range rapid.IntRange(1, 8).Draw(t, "edits") {
			numbers := rapid.SliceOfNDistinct(rapid.IntRange(1, 90), 1, 60, rapid.ID).Draw(t, "nodes")
			apply(t, s, clusterOf(declared(event.RoleControlPlane, numbers...)...))
			foretold := plan(t, s)
			if e := frontend.Due(s); e != nil {
				apply(t, s, e)
			}
			p := plan(t, s)
			if !slices.Equal(p.Members, foretold.Members) || p.RouterID != foretold.RouterID {
				t.Fatalf("the fact makes another plan:\n%+v\nthan\n%+v", p, foretold)
			}
			if e := frontend.Due(s); e != nil {
				t.Fatalf("%+v is due again", e)
			}
			if len(p.Members) != len(numbers) {
				t.Fatalf("%d of %d nodes carry the VIP", len(p.Members), len(numbers))
			}
			now, has := map[netip.Addr]uint8{}, map[uint8]bool{}
			for _, m := range p.Members {
				if was, stayed := before[m.Address]; stayed && was != m.Priority {
					t.Fatalf("%s had priority %d, and has %d", m.Address, was, m.Priority)
				}
				if m.Priority == 0 || m.Priority > event.MaxVRRPPriority || has[m.Priority] {
					t.Fatalf("priority %d of %s: %+v", m.Priority, m.Address, p.Members)
				}
				now[m.Address], has[m.Priority] = m.Priority, true
			}
			before = now
		}
	})
}

func TestPeersAreTheOthers(t *testing.T) {
	p := plan(t, folded(t, clusterOf(declared(event.RoleControlPlane, 4, 2, 3)...)))
	if peers := p.Peers(address(3)); !slices.Equal(peers, []netip.Addr{address(2), address(4)}) {
		t.Error(peers)
	}
	if m, is := p.Member(address(4)); !is || m.Priority != 254 {
		t.Errorf("the first of the file: %+v", m)
	}
	if _, is := p.Member(address(9)); is {
		t.Error("a stranger is a member")
	}
}

// Replicas that do not know the front end fold the same log alike as long as its rules are not adopted.
func TestOlderRulesRememberNothing(t *testing.T) {
	s := ledger.New("log")
	settings := event.DefaultSettings()
	settings.Frontend.RouterID = 7
	cluster := clusterOf(declared(event.RoleControlPlane, 2)...)
	s.Apply(cluster, 1, 0)
	if e := frontend.Due(s); e != nil {
		t.Errorf("%v is due under rules %d", e, s.Rules())
	}
	for _, e := range []event.Event{settings, event.FrontendAssigned{RouterID: 7, Priorities: []event.FrontendPriority{{Address: address(2), Priority: 1}}}} {
		if changes := s.Apply(e, s.Sequence()+1, 0); len(changes) != 1 || changes[0].Kind != ledger.Rejected {
			t.Errorf("%T: %v", e, changes)
		}
		if r, err := event.Encode(e); err != nil || r.Rules != 2 {
			t.Errorf("%T needs rules %d, %v", e, r.Rules, err)
		}
	}
	if r, _ := event.Encode(event.DefaultSettings()); r.Rules != 0 {
		t.Errorf("usual settings need rules %d", r.Rules)
	}
	if len(s.Frontend().Priorities) != 0 || s.Settings().Frontend.RouterID != 0 {
		t.Error("something is remembered")
	}
}

func TestTheVIPIsExplained(t *testing.T) {
	cluster := clusterOf(slices.Concat(declared(event.RoleControlPlane, 2, 3, 4), declared(event.RoleLoadBalancer, 5))...)
	s := folded(t, cluster)
	if _, is := frontend.Explain(s, address(101)); is {
		t.Error("another address is explained as the VIP")
	}
	steps := func() map[string]ledger.Step {
		e, is := frontend.Explain(s, address(100))
		if !is || e.Summary == "" {
			t.Fatalf("%v %+v", is, e)
		}
		last := map[string]ledger.Step{}
		for _, step := range e.Steps {
			last[step.Rule] = step
		}
		return last
	}
	before := steps()
	if before["remembered"].Verdict != "no" || before["carried by"].Detail != "load-balancer nodes: loadBalancer.nodePoolSpec names some" || before["priority"].Detail != "10.0.0.5 has 254" {
		t.Errorf("%+v", before)
	}
	apply(t, s, frontend.Due(s))
	if after := steps(); after["remembered"].Verdict != "yes" || !slices.Equal(after["router id"].Entities, []string{"frontend"}) {
		t.Errorf("%+v", after)
	}
}
