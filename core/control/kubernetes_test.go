package control

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"viplog/core/event"
	"viplog/core/ledger"
)

const source = "kubernetes"

// joined is a ledger with a pool of nine addresses and three nodes.
func joined(t *testing.T) *ledger.State {
	t.Helper()
	want := declaredCluster()
	want.Cluster.Nodes = nil
	for i := range 3 {
		want.Cluster.Nodes = append(want.Cluster.Nodes, event.DeclaredNode{Address: nodeAddress(i), Role: event.RoleLoadBalancer})
	}
	s := ledger.New("test")
	facts, refused := ClusterFacts(s, want)
	if len(refused) > 0 {
		t.Fatal(refused)
	}
	fold(s, facts)
	for i := range 3 {
		fold(s, []event.Event{join(i)})
	}
	return s
}

func nodeAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}) }

func join(i int) event.NodeJoined {
	return event.NodeJoined{
		Address: nodeAddress(i), Name: fmt.Sprintf("lb-%d", i+1), StartID: "start", MachineID: fmt.Sprint(i), Key: "key", Rules: 1,
		Interfaces: []event.Interface{{Name: "eth0", MAC: fmt.Sprintf("02:00:00:00:00:%02x", i), Up: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}}},
	}
}

func seenOf(services ...Service) Observed {
	return Observed{Source: source, Partial: true, Services: services}
}

func bring(t *testing.T, s *ledger.State, seen Observed) []event.Event {
	t.Helper()
	facts, refused := Facts(s, seen)
	if len(refused) > 0 {
		t.Fatal(refused)
	}
	fold(s, facts)
	if again, _ := Facts(s, seen); len(again) > 0 {
		t.Fatalf("what was brought is brought again: %s", names(again))
	}
	return facts
}

func TestAPartDeletesOnlyWhatIsGoneForSure(t *testing.T) {
	s := joined(t)
	bring(t, s, seenOf(shown("web"), shown("api"), shown("plain")))
	part := seenOf(shown("web"))
	part.Gone = []ledger.ServiceKey{{Namespace: "shop", Name: "api"}, {Namespace: "shop", Name: "never"}}
	if facts := bring(t, s, part); names(facts) != "ServiceDeleted service.shop.api" {
		t.Errorf("facts %s", names(facts))
	}
	plain := shown("plain")
	plain.Type = "ClusterIP"
	if facts := bring(t, s, seenOf(plain)); names(facts) != "ServiceDeleted service.shop.plain" {
		t.Errorf("facts %s", names(facts))
	}
	other := Observed{Source: "manifests", Partial: true, Gone: []ledger.ServiceKey{{Namespace: "shop", Name: "web"}}}
	if facts, _ := Facts(s, other); len(facts) > 0 {
		t.Errorf("another source deletes: %s", names(facts))
	}
}

func TestAServiceOfAnotherSourceIsRefused(t *testing.T) {
	s := joined(t)
	bring(t, s, seenOf(shown("web")))
	facts, refused := Facts(s, Observed{Source: "manifests", Partial: true, Services: []Service{shown("web")}})
	if len(facts) > 0 || len(refused) != 1 || !strings.Contains(refused[0].Reason, "belongs to source kubernetes") || refused[0].Service.Name != "web" {
		t.Errorf("facts %s, refused %v", names(facts), refused)
	}
}

// Endpoints go with their Service, so that those of one that never was would stay for good.
func TestOfAServiceThatIsRefusedThereAreNoEndpoints(t *testing.T) {
	s := joined(t)
	wrong := shown("wrong")
	wrong.TrafficPolicy = event.TrafficLocal
	wrong.LoadBalancerIP = "web.example"
	seen := seenOf(wrong)
	seen.Endpoints = []Endpoints{{Namespace: "shop", Service: "wrong", Nodes: []string{"lb-1"}}}
	if facts, refused := Facts(s, seen); len(facts) > 0 || len(refused) != 1 {
		t.Errorf("facts %s, refused %v", names(facts), refused)
	}
	right := wrong
	right.LoadBalancerIP = ""
	seen.Services = []Service{right}
	bring(t, s, seen)
	seen.Services, seen.Endpoints[0].Nodes = []Service{wrong}, []string{"lb-2"}
	if facts, _ := Facts(s, seen); names(facts) != "EndpointsChanged endpoints.shop.wrong" {
		t.Errorf("one that the ledger holds still follows its endpoints: facts %s", names(facts))
	}
}

func TestAServiceThatIsTooLargeIsRefusedAlone(t *testing.T) {
	large := shown("large")
	large.Labels = map[string]string{"a": strings.Repeat("x", 70_000)}
	facts, refused := Facts(joined(t), seenOf(large, shown("web")))
	if names(facts) != "ServiceApplied service.shop.web" || len(refused) != 1 {
		t.Errorf("facts %s, refused %v", names(facts), refused)
	}
}

func TestServicesArriveByTheirStatusThenAgeThenName(t *testing.T) {
	older, newer, held := shown("z-older"), shown("a-newer"), shown("held")
	older.Created, newer.Created, held.Created = 1, 2, 3
	held.StatusAddresses = []netip.Addr{netip.MustParseAddr("10.0.1.2")}
	same := shown("b-newer")
	same.Created = 2
	all := []Service{same, newer, older, held}
	SortByArrival(all)
	var order []string
	for _, v := range all {
		order = append(order, v.Name)
	}
	if got := strings.Join(order, " "); got != "held z-older a-newer b-newer" {
		t.Errorf("order %s", got)
	}
	s := joined(t)
	bring(t, s, seenOf(all...))
	if a := s.AddressesOf(held.Key()); len(a) != 1 || a[0] != held.StatusAddresses[0] {
		t.Errorf("held has %v", a)
	}
	if a := s.AddressesOf(older.Key()); a[0].String() != "10.0.1.3" { // 10.0.1.1 is the ingressVIP
		t.Errorf("the oldest without an address has %v", a)
	}
}

func TestTheIngressServiceHasTheIngressVIPUnasked(t *testing.T) {
	s := joined(t)
	ingress := Service{Namespace: "gke-system", Name: "istio-ingress"}
	bring(t, s, seenOf(shown("web"), ingress))
	if a := s.AddressesOf(ingress.Key()); len(a) != 1 || a[0].String() != "10.0.1.1" {
		t.Errorf("it has %v", a)
	}
}

func TestWhatOfANodeIsAFact(t *testing.T) {
	s := joined(t)
	node := Node{
		Name: "node-1", Addresses: []netip.Addr{netip.MustParseAddr("fd00::1"), nodeAddress(0)}, Labels: map[string]string{"zone": "a", "arch": "amd64"},
		Conditions: []string{"Ready"},
	}
	worker := Node{Name: "worker", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.99")}, Labels: map[string]string{"zone": "a"}}
	nodes := func(n ...Node) Observed { return Observed{Source: source, Partial: true, Nodes: n} }
	if facts := bring(t, s, nodes(node, worker)); names(facts) != "NodeLabelled labels.10_0_0_1" {
		t.Fatalf("facts %s", names(facts))
	}
	for _, test := range []struct {
		name  string
		edit  func(*Node)
		facts int
	}{
		{"it is not ready", func(n *Node) { n.Conditions = nil }, 0},
		{"it lacks memory", func(n *Node) { n.Conditions = []string{"MemoryPressure", "Ready"} }, 0},
		{"Kubernetes does not hear it", func(n *Node) { n.Taints = []string{"node.kubernetes.io/unreachable=:NoExecute"} }, 0},
		{"its network is not available", func(n *Node) { n.Conditions = []string{"NetworkUnavailable"} }, 1},
		{"somebody taints it", func(n *Node) { n.Taints = []string{"maintenance=yes:NoSchedule"} }, 1},
		{"it is cordoned", func(n *Node) { n.Taints = []string{"node.kubernetes.io/unschedulable=:NoSchedule"} }, 1},
		{"a label more", func(n *Node) { n.Labels = map[string]string{"zone": "a", "arch": "amd64", "rack": "7"} }, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			edited := node
			test.edit(&edited)
			if facts, _ := Facts(s.Clone(), nodes(edited)); len(facts) != test.facts {
				t.Errorf("facts %s", names(facts))
			}
		})
	}
	if facts, _ := Facts(s, nodes()); len(facts) > 0 {
		t.Errorf("a Node that is gone: %s", names(facts))
	}
	settings := s.Settings()
	settings.ExcludeTaints = []string{"node.kubernetes.io/unreachable"}
	fold(s, []event.Event{settings})
	node.Taints = []string{"node.kubernetes.io/unreachable=:NoExecute"}
	if facts := bring(t, s, nodes(node)); names(facts) != "NodeLabelled labels.10_0_0_1" {
		t.Errorf("a taint that the settings name: %s", names(facts))
	}
}

func TestLabelsOfLoadBalancerNodes(t *testing.T) {
	s := joined(t)
	mark := map[string]string{LabelLoadBalancerNode: "true"}
	nodes := []Node{
		{Name: "lacks", Addresses: []netip.Addr{nodeAddress(0)}},
		{Name: "has", Addresses: []netip.Addr{nodeAddress(1)}, Labels: mark},
		{Name: "no-more", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.99")}, Labels: mark},
		{Name: "worker", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.98")}},
	}
	if got := fmt.Sprint(NodeLabels(s, nodes)); got != "[{lacks true} {no-more false}]" {
		t.Errorf("changes %s", got)
	}
	if changes := NodeLabels(ledger.New("test"), nodes); len(changes) > 0 {
		t.Errorf("before there is a cluster: %v", changes)
	}
}

func TestNamespacesAreFactsWhereAPoolSelectsThem(t *testing.T) {
	s := joined(t)
	seen := Observed{Source: source, Partial: true, Namespaces: []Namespace{{Name: "shop", Labels: map[string]string{"tier": "front"}}}}
	if facts, _ := Facts(s, seen); len(facts) > 0 {
		t.Errorf("nobody asks for them: %s", names(facts))
	}
	settings := s.Settings()
	settings.Pools = []event.PoolSettings{{Name: "a", NamespaceSelectors: []event.Selector{{}}}}
	fold(s, []event.Event{settings})
	seen.Services = []Service{shown("web")}
	if facts := bring(t, s, seen); names(facts) != "NamespaceChanged namespace.shop; ServiceApplied service.shop.web" {
		t.Errorf("facts %s", names(facts))
	}
	if facts := bring(t, s, Observed{Source: source, Partial: true, GoneNamespaces: []string{"shop", "never"}}); names(facts) != "NamespaceDeleted namespace.shop" {
		t.Errorf("one is gone: %s", names(facts))
	}
	bring(t, s, seen)
	settings.Pools = nil
	fold(s, []event.Event{settings})
	if facts := bring(t, s, Observed{Source: source, Partial: true}); names(facts) != "NamespaceDeleted namespace.shop" {
		t.Errorf("nobody asks any more: %s", names(facts))
	}
}

func TestEndpointsAreThoseOfDeclaredNodesByTheirNamesInTheLog(t *testing.T) {
	s := joined(t)
	local := shown("local")
	local.TrafficPolicy = event.TrafficLocal
	seen := seenOf(local)
	seen.Endpoints = []Endpoints{{Namespace: "shop", Service: "local", Nodes: []string{"node-2", "worker", "unseen"}}}
	seen.NodeAddresses = map[string][]netip.Addr{"node-2": {nodeAddress(1)}, "worker": {netip.MustParseAddr("10.0.0.99")}}
	facts := bring(t, s, seen)
	if e, is := facts[0].(event.EndpointsChanged); !is || !slices.Equal(e.Nodes, []string{"lb-2", "unseen"}) {
		t.Errorf("facts %+v", facts)
	}
	view, _ := s.ServiceView(local.Key())
	if view.Owner != "lb-2" {
		t.Errorf("its owner is %q", view.Owner)
	}
}

// mirrored is a ledger with the machine that follows it.
type mirrored struct {
	*ledger.State
	*Mirror
	now int64
}

func newMirrored(t *testing.T) *mirrored {
	m := &mirrored{joined(t), NewMirror(), 1_000_000_000_000}
	m.TrackLists()
	return m
}

func (m *mirrored) fold(facts ...event.Event) {
	for _, e := range facts {
		m.now += 1_000_000_000
		changes := m.Apply(e, m.State.Sequence()+1, m.now)
		m.Folded(m.State.Sequence(), m.now, changes, m.TakeListChanges())
	}
}

func (m *mirrored) bring(t *testing.T, services ...Service) {
	t.Helper()
	facts, _ := Facts(m.State, seenOf(services...))
	m.fold(facts...)
}

func (m *mirrored) take() (touched, events string) {
	taken := m.Take(m.State, m.now)
	var all, told []string
	for _, x := range taken.Touched {
		all = append(all, fmt.Sprintf("%s@%d", x.Service.Name, x.Sequence))
	}
	for _, e := range taken.Events {
		told = append(told, fmt.Sprintf("%s %s: %s", e.Service.Name, e.Reason, e.Note))
	}
	return strings.Join(all, " "), strings.Join(told, "\n")
}

func TestWhatFactsTouchAndWhatTheyAreWorth(t *testing.T) {
	m := newMirrored(t)
	first := m.State.Sequence() + 1
	m.bring(t, shown("web"), shown("api"))
	touched, events := m.take()
	if want := fmt.Sprintf("web@%d api@%d", first, first+1); touched != want {
		t.Errorf("touched %s, want %s", touched, want)
	}
	if want := "web AddressAssigned: 10.0.1.2 of pool a: lowest free address of the first pool that has one\n" +
		"api AddressAssigned: 10.0.1.3 of pool a: lowest free address of the first pool that has one"; events != want {
		t.Errorf("events\n%s", events)
	}
	if touched, events := m.take(); touched+events != "" {
		t.Errorf("nothing happened, and touched are %s, told %s", touched, events)
	}

	web, _ := m.ServiceView(shown("web").Key())
	owner, _ := m.NodeNamed(web.Owner)
	m.fold(event.NodeLeft{Address: owner.Address, Incarnation: owner.Incarnation})
	touched, events = m.take()
	if !strings.Contains(touched, "web@") || !strings.HasPrefix(events, "web AnnouncerChanged: 10.0.1.2 is announced by "+web.Standbys[0]+", before that by "+web.Owner+": ") ||
		strings.Count(events, "\n") > 0 {
		t.Errorf("a node left: touched %s, events\n%s", touched, events)
	}

	m.fold(event.ServiceDeleted{Namespace: "shop", Name: "api", Source: source})
	if touched, events = m.take(); !strings.HasPrefix(touched, "api@") || events != "" {
		t.Errorf("a Service that is gone: touched %s, told %s", touched, events)
	}
	full := shown("full")
	full.Annotations = map[string]string{"viplog/address-pool": "none"}
	m.bring(t, full)
	if _, events = m.take(); !strings.HasPrefix(events, "full AddressMissing: ") {
		t.Errorf("a Service that waits: %s", events)
	}
	m.fold(event.NodeDrained{Address: nodeAddress(2)})
	if touched, _ = m.take(); !strings.Contains(touched, "full@") {
		t.Errorf("a node changed, and who waits is not looked at: %s", touched)
	}
	m.Again()
	if _, events = m.take(); strings.Count(events, "AddressAssigned") != 1 || !strings.Contains(events, "full AddressMissing") {
		t.Errorf("told again:\n%s", events) // that of api is not: it is gone
	}
	settings := m.Settings()
	settings.Profile = event.ProfileFast
	m.fold(settings)
	if taken := m.Take(m.State, m.now); taken.All == 0 || !taken.Replan {
		t.Errorf("the settings changed: %+v", taken)
	}
}

// Why a Service waits names who has the address that it asks for, and so its status changes when somebody else has it.
func TestWhoAsksForAnAddressIsTouchedWhenItsUserIsAnother(t *testing.T) {
	m := newMirrored(t)
	var all []Service
	for _, name := range []string{"first", "second", "third"} {
		v := shown(name)
		v.LoadBalancerIP = "10.0.1.3"
		all = append(all, v)
	}
	m.bring(t, all...)
	m.take()
	m.fold(event.ServiceDeleted{Namespace: "shop", Name: "first", Source: source})
	if touched, _ := m.take(); !strings.Contains(touched, "third@") {
		t.Errorf("touched are %s", touched)
	}
	m.fold(event.ServiceDeleted{Namespace: "shop", Name: "third", Source: source}, event.ServiceDeleted{Namespace: "shop", Name: "second", Source: source})
	m.take()
	if len(m.asking.of)+len(m.asking.by) > 0 {
		t.Errorf("who is gone is remembered: %v", m.asking)
	}
}

// At a death those go first that somebody else announces now, and then those that only have another standby.
func TestWhoHasAnotherOwnerIsTouchedFirst(t *testing.T) {
	m := newMirrored(t)
	for i := range 6 {
		m.bring(t, shown(fmt.Sprintf("web-%d", i)))
	}
	m.take()
	dies := m.Nodes()[0]
	owned := map[string]bool{}
	for _, v := range m.ServiceViews() {
		if v.Owner == dies.Name {
			owned[v.Name] = true
		}
	}
	m.fold(event.NodeLeft{Address: dies.Address, Incarnation: dies.Incarnation})
	taken := m.Take(m.State, m.now)
	if len(owned) == 0 || len(taken.Touched) != 6 {
		t.Fatalf("owned were %v, touched are %v", owned, taken.Touched)
	}
	for i, x := range taken.Touched {
		if owned[x.Service.Name] != (i < len(owned)) {
			t.Errorf("number %d is %s; owned were %v", i, x.Service.Name, owned)
		}
	}
}

func TestOldEventsAreNotToldAgain(t *testing.T) {
	m := newMirrored(t)
	m.bring(t, shown("web"))
	taken := m.Take(m.State, m.now+eventsFor+1)
	if len(taken.Events) > 0 || len(taken.Touched) != 1 {
		t.Errorf("%+v", taken)
	}
}

func TestWhatAStatusSays(t *testing.T) {
	m := newMirrored(t)
	web, wrong := shown("web"), shown("wrong")
	wrong.LoadBalancerIP = "web.example"
	m.bring(t, web)
	status := StatusOf(m.State, source, &m.Owners, web)
	view, _ := m.ServiceView(web.Key())
	want := fmt.Sprintf("[{10.0.1.2  VIP}] [{viplog/Announced True Announced 10.0.1.2 by %s since 1970-01-01T00:16:41Z, then %s 1001} "+
		"{viplog/Assigned True Assigned 10.0.1.2 of pool a 1001}]", view.Owner, strings.Join(view.Standbys, ", "))
	if got := fmt.Sprint(status.Ingress, status.Conditions); got != want {
		t.Errorf("status %s\nwant   %s", got, want)
	}
	if got := StatusOf(m.State, source, &m.Owners, wrong).Conditions; len(got) != 2 || got[1].Reason != "Refused" || !strings.Contains(got[1].Message, "web.example") {
		t.Errorf("one that cannot be a fact: %v", got)
	}
	unknown := shown("unknown")
	unknown.Status = Status{Ingress: []Ingress{{IP: "10.0.1.7", Mode: "VIP"}}}
	if got := StatusOf(m.State, source, &m.Owners, unknown); !got.Equal(unknown.Status) {
		t.Errorf("one that the ledger does not hold yet: %v", got)
	}
	foreign := web
	foreign.LoadBalancerClass = "example.com/lb"
	foreign.Status = Status{Ingress: []Ingress{{IP: "10.0.1.2", Mode: "VIP"}, {IP: "203.0.113.7", Mode: "VIP"}, {Hostname: "lb.example"}}}
	if got := StatusOf(m.State, source, &m.Owners, foreign); !got.Equal(foreign.Status) {
		t.Errorf("another's status, without a condition of ours: %v", got)
	}
	foreign.Status.Conditions = status.Conditions
	if got := fmt.Sprint(StatusOf(m.State, source, &m.Owners, foreign)); got != "{[{203.0.113.7  VIP} { lb.example }] []}" {
		t.Errorf("one that left: %s", got)
	}

	for i := range 3 {
		m.fold(event.NodeDrained{Address: nodeAddress(i)})
	}
	web.Status = status
	got := StatusOf(m.State, source, &m.Owners, web)
	if c := got.Conditions[0]; c.Status != "False" || c.Reason != "NobodyAnnounces" || !strings.Contains(c.Message, "lb-1 is drained") || c.Since == status.Conditions[0].Since {
		t.Errorf("nobody may announce it: %+v", c)
	}
	if got.Conditions[1] != status.Conditions[1] || !slices.Equal(got.Ingress, status.Ingress) {
		t.Errorf("its address is another: %+v", got)
	}
}

func TestAServiceOfAnotherTypeThatAsksForAnAddressIsToldWhy(t *testing.T) {
	v := shown("web")
	v.Annotations = map[string]string{"metallb.io/address-pool": "a"}
	if why := WhyIgnored(v); why != "" {
		t.Errorf("one of type LoadBalancer: %s", why)
	}
	v.Type = "NodePort"
	if why := WhyIgnored(v); !strings.HasSuffix(why, "is of type NodePort: metallb.io/address-pool is not looked at") {
		t.Errorf("one of type NodePort: %s", why)
	}
	v.Annotations = nil
	if why := WhyIgnored(v); why != "" {
		t.Errorf("one that asks for nothing: %s", why)
	}
}

// What is written is what is asked for: applying a status and asking again gives the same, at whatever time.
func TestAStatusThatIsWrittenIsNotWrittenAgain(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := newMirrored(t)
		services := map[string]Service{}
		written := 0
		for range rapid.IntRange(1, 25).Draw(r, "facts") {
			name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "service")
			node := rapid.IntRange(0, 2).Draw(r, "node")
			switch rapid.IntRange(0, 6).Draw(r, "what") {
			case 0, 1, 2:
				v := shown(name)
				v.Status = services[name].Status
				v.TrafficPolicy = rapid.SampledFrom([]string{event.TrafficCluster, event.TrafficLocal}).Draw(r, "policy")
				v.LoadBalancerIP = rapid.SampledFrom([]string{"", "", "10.0.1.3", "203.0.113.1", "none"}).Draw(r, "ip")
				v.LoadBalancerClass = rapid.SampledFrom([]string{"", "", "", "other"}).Draw(r, "class")
				v.Type = rapid.SampledFrom([]string{"", "", "", "NodePort"}).Draw(r, "type")
				services[name] = v
				m.bring(t, v)
			case 3:
				m.fold(event.NodeDrained{Address: nodeAddress(node)})
			case 4:
				m.fold(event.NodeUndrained{Address: nodeAddress(node)})
			case 5:
				m.fold(event.EndpointsChanged{Namespace: "shop", Name: name, Source: source, Nodes: []string{fmt.Sprintf("lb-%d", node+1)}})
			case 6:
				n := m.Nodes()[node]
				if n.Joined {
					m.fold(event.NodeLeft{Address: n.Address, Incarnation: n.Incarnation})
				} else {
					m.fold(join(node))
				}
			}
			taken := m.Take(m.State, m.now)
			for name, v := range services {
				want := StatusOf(m.State, source, &m.Owners, v)
				touched := slices.ContainsFunc(taken.Touched, func(x Touched) bool { return x.Service == v.Key() })
				if IsOurs(m.State, v) && !v.Status.Equal(want) && !touched && len(v.Status.Conditions) > 0 && v.LoadBalancerIP != "none" {
					r.Fatalf("the status of %s is another, and nobody is told:\n%v\n%v", name, v.Status, want)
				}
				if !v.Status.Equal(want) {
					written++
				}
				v.Status = want
				services[name] = v
				later := m.State.Clone()
				later.Apply(event.NamespaceDeleted{Name: "none"}, later.Sequence()+1, m.now+5_000_000_000)
				if again := StatusOf(later, source, &m.Owners, v); !again.Equal(want) {
					r.Fatalf("what is written is written again:\n%v\n%v", want, again)
				}
			}
		}
		if written == 0 && len(services) > 0 && slices.ContainsFunc(m.ServicesOf(source), func(ledger.ServiceKey) bool { return true }) {
			r.Fatal("Services are in the ledger, and nothing was ever written")
		}
	})
}

// A node's death may move all addresses of a large pool: what that is worth is found in one pass.
func TestAFactOfManyChangesIsWorthItsEventsSoon(t *testing.T) {
	m := newMirrored(t)
	m.bring(t, shown("web"))
	used := m.AddressesOf(shown("web").Key())[0]
	many := happening{sequence: 1, changes: []ledger.Change{{Kind: ledger.Moved, Address: used, From: nodeAddress(0), Node: nodeAddress(1)}}}
	for i := range 40_000 {
		a := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		many.changes = append(many.changes, ledger.Change{Kind: ledger.Moved, Address: a, From: nodeAddress(0), Node: nodeAddress(1)})
	}
	many.changes = append(many.changes, ledger.Change{Kind: ledger.Moved, Address: used, From: nodeAddress(1), Node: nodeAddress(2)})
	began := time.Now()
	events := eventsOf(m.State, many)
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
	if len(events) != 1 || !strings.HasPrefix(events[0].Note, used.String()+" is announced by lb-3, before that by lb-1") {
		t.Errorf("events %+v", events)
	}
}
