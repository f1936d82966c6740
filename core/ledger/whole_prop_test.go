package ledger

import (
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"viplog/core/event"
)

// drawWholeFact draws any fact, on few names, small pools and five nodes: those of allocation, those of drawFact, and what
// neither draws of nodes, settings, endpoints, voters and rules.
func drawWholeFact(t *rapid.T, s *State) event.Event {
	i := rapid.IntRange(0, 4).Draw(t, "node")
	switch kind := rapid.IntRange(0, 99).Draw(t, "whole kind"); {
	case kind < 26:
		return drawAllocationFact(t, s)
	case kind < 36:
		return drawFact(t, s)
	case kind < 48:
		return drawJoin(t, i)
	case kind < 52:
		return event.NodeChanged{Address: nodeAddress(i), Incarnation: drawIncarnation(t, s, i), Interfaces: drawInterfaces(t)}
	case kind < 58:
		return drawNodeLabelled(t, i)
	case kind < 61:
		if rapid.Bool().Draw(t, "drain") {
			return event.NodeDrained{Address: nodeAddress(i)}
		}
		return event.NodeUndrained{Address: nodeAddress(i)}
	case kind < 62:
		return event.NodeLeft{Address: nodeAddress(i), Incarnation: drawIncarnation(t, s, i)}
	case kind < 65:
		return drawFailure(t, s, i)
	case kind < 78:
		return drawServing(t)
	case kind < 82:
		return drawAnnouncing(t)
	case kind < 85:
		was, _ := s.Cluster()
		return drawCluster(t, was.IngressVIP)
	case kind < 87:
		return drawVoting(t, s)
	case kind < 97:
		return drawConflict(t, s, i)
	default:
		return event.RebalanceRequested{Reason: event.RebalanceByOperator}
	}
}

// drawServing draws facts about Services that often share, often are Local and often require two families, and about their
// endpoints.
func drawServing(t *rapid.T) event.Event {
	namespace := rapid.SampledFrom([]string{"red", "blue", "default"}).Draw(t, "namespace")
	name := fmt.Sprintf("s%d", rapid.IntRange(0, 11).Draw(t, "service"))
	switch rapid.IntRange(0, 6).Draw(t, "serving kind") {
	case 0:
		return event.ServiceDeleted{Namespace: namespace, Name: name, Source: drawSource(t)}
	case 1, 2, 3:
		return event.EndpointsChanged{
			Namespace: namespace, Name: name, Source: drawSource(t),
			Nodes: rapid.SampledFrom([][]string{
				{"lb-1", "lb-2", "lb-3", "lb-4", "lb-5"},
				{"lb-1", "lb-2", "lb-3", "lb-4"},
				{"lb-2", "lb-3"},
				{"lb-1", "lb-5"},
				{"lb-5"},
				{"stranger"},
				{},
			}).Draw(t, "serving"),
		}
	default:
		e := drawAnyService(t, namespace, name).(event.ServiceApplied)
		e.Source = drawSource(t)
		if rapid.IntRange(0, 3).Draw(t, "requires two") == 0 {
			e.Families, e.FamilyPolicy = []string{event.FamilyIPv4, event.FamilyIPv6}, event.RequireDualStack
		}
		if rapid.Bool().Draw(t, "shares") {
			e.SharingKey, e.Selector = "k", []event.Label{{Key: "app", Value: "x"}}
			e.Ports = []event.Port{{Protocol: "TCP", Port: rapid.SampledFrom([]uint16{80, 443, 8080}).Draw(t, "only port")}}
		}
		return e
	}
}

func drawSource(t *rapid.T) string {
	return rapid.SampledFrom([]string{"test", "test", "test", "other"}).Draw(t, "source")
}

// drawIncarnation is mostly that of the node's last join; also one that lingers, one before it, and one that never was.
func drawIncarnation(t *rapid.T, s *State, i int) uint64 {
	old := slices.DeleteFunc(slices.Clone(s.lingering), func(m Incarnation) bool { return m.Node != nodeAddress(i) })
	if len(old) > 0 && rapid.IntRange(0, 2).Draw(t, "lingers") == 0 {
		return rapid.SampledFrom(old).Draw(t, "lingering").Join
	}
	n, _ := s.NodeNamed(nodeAddress(i).String())
	return max(1, n.Incarnation+rapid.SampledFrom([]uint64{0, 0, 0, 0, 0, ^uint64(0), 1, 1000}).Draw(t, "wrong by"))
}

func drawInterfaces(t *rapid.T) []event.Interface {
	eth0 := event.Interface{Name: "eth0", MAC: "02:00:00:00:00:01", Up: rapid.IntRange(0, 7).Draw(t, "eth0") > 0}
	eth1 := event.Interface{Name: "eth1", MAC: "02:00:00:00:00:02", Up: rapid.IntRange(0, 3).Draw(t, "eth1") > 0}
	for _, text := range rapid.SampledFrom([][]string{
		{"10.0.0.0/16", "fd00::/64"},
		{"10.0.0.0/16", "fd00::/64"},
		{"10.0.0.0/16", "fd00::/64"},
		{"10.0.0.0/16"},
		{"10.0.0.0/23", "fd00::/124"},
		{"10.0.0.0/24"},
		{"fd00::/64"},
	}).Draw(t, "prefixes of eth0") {
		eth0.Prefixes = append(eth0.Prefixes, netip.MustParsePrefix(text))
	}
	for _, text := range rapid.SampledFrom([][]string{
		{}, {"10.0.0.0/22", "fd00::/64"}, {"10.0.2.0/23"}, {"10.0.1.2/31", "10.0.4.0/24", "fd00::10/124"},
	}).Draw(t, "prefixes of eth1") {
		eth1.Prefixes = append(eth1.Prefixes, netip.MustParsePrefix(text))
	}
	return []event.Interface{eth0, eth1}[:rapid.IntRange(1, 2).Draw(t, "interfaces")]
}

// drawJoin also draws other machines, other names and interfaces that do not reach the node itself.
func drawJoin(t *rapid.T, i int) event.Event {
	e := joined(i, fmt.Sprint("start-", rapid.IntRange(0, 3).Draw(t, "start")))
	e.Rules = rapid.SampledFrom([]uint64{0, 1, 2, 2, 2}).Draw(t, "knows rules")
	if rapid.Bool().Draw(t, "other interfaces") {
		e.Interfaces = drawInterfaces(t)
	}
	if rapid.IntRange(0, 5).Draw(t, "another machine") == 0 {
		e.MachineID = "another"
	}
	if rapid.IntRange(0, 5).Draw(t, "another name") == 0 {
		e.Name = "lb-1"
	}
	return e
}

func drawNodeLabelled(t *rapid.T, i int) event.Event {
	return event.NodeLabelled{
		Address: nodeAddress(i), Labels: drawNodeLabels(t),
		Taints: rapid.SliceOfN(rapid.SampledFrom([]string{
			"example.com/gone=yes:NoExecute", "example.com/gone=no:NoSchedule", "gone:NoExecute",
		}), 0, 2).Draw(t, "taints"),
		Conditions: rapid.SampledFrom([][]string{
			{"Ready"}, {"Ready"}, {}, {"NetworkUnavailable", "Ready"}, {"Ready", "NetworkUnavailable"},
		}).Draw(t, "conditions"),
	}
}

// drawConflict is a report of any node, rather about what is free, or the end of a report or of a cooling that there is.
func drawConflict(t *rapid.T, s *State, i int) event.Event {
	switch rapid.IntRange(0, 5).Draw(t, "conflict") {
	case 0:
		if all := s.conflicts.Items(); len(all) > 0 {
			c := rapid.SampledFrom(all).Draw(t, "over")
			return event.VIPConflictCleared{Node: c.node, Address: c.addr}
		}
	case 1:
		if all := s.coolings.Items(); len(all) > 0 {
			return event.AddressReleased{Address: rapid.SampledFrom(all).Draw(t, "released").addr}
		}
	}
	e := event.VIPConflictSeen{Node: nodeAddress(i), Address: drawAddress(t), Interface: "eth0", MAC: "02:00:00:00:00:99"}
	if free := slices.Collect(s.free.Ranges()); len(free) > 0 && rapid.Bool().Draw(t, "free") {
		e.Address = rapid.SampledFrom(free).Draw(t, "range").From()
	}
	return e
}

// drawAnnouncing is drawSettings with rules of announcing.
func drawAnnouncing(t *rapid.T) event.Event {
	e := drawSettings(t).(event.SettingsChanged)
	e.ExcludeTaints = rapid.SampledFrom([][]string{
		nil, nil, {"example.com/gone"}, {"example.com/gone=yes:NoExecute"}, {"gone", "example.com/gone=no"},
	}).Draw(t, "exclude taints")
	e.Frontend.RouterID = rapid.SampledFrom([]int{0, 0, 0, 7}).Draw(t, "router id")
	e.IgnoreExcludeLabel = rapid.Bool().Draw(t, "ignore label")
	anyone := rapid.Bool().Draw(t, "anyone")
	for i := range e.Pools {
		if anyone {
			e.Pools[i].Namespaces, e.Pools[i].NamespaceSelectors, e.Pools[i].ServiceSelectors = nil, nil, nil
		}
		for range rapid.IntRange(0, 3).Draw(t, "rules") {
			var rule event.AnnounceRule
			if rapid.Bool().Draw(t, "selects") {
				rule.NodeSelectors = append(drawSelectors(t), drawSelectors(t)...)
				rule.ServiceSelectors = append(drawSelectors(t), event.Selector{MatchLabels: drawLabels(t)})
			}
			rule.Interfaces = rapid.SampledFrom([][]string{nil, nil, nil, {"eth0"}, {"eth1"}, {"eth1", "eth0"}}).Draw(t, "interfaces")
			for range rapid.IntRange(0, 2).Draw(t, "preferred") {
				preferred := event.WeightedRule{Weight: rapid.IntRange(1, 3).Draw(t, "weight")}
				preferred.NodeSelector.MatchLabels = drawLabels(t)
				rule.Preferred = append(rule.Preferred, preferred)
			}
			e.Pools[i].Announce = append(e.Pools[i].Announce, rule)
		}
	}
	return e
}

// drawCluster drops nodes and changes roles; seldom it is the file of another cluster. One without an ingressVIP may get it.
func drawCluster(t *rapid.T, vip netip.Addr) event.Event {
	e := clusterOf(0)
	drops := rapid.SampledFrom([]int{0, 1, 5}).Draw(t, "drops of ten")
	for i := range 5 {
		role := rapid.SampledFrom([]string{
			event.RoleLoadBalancer, event.RoleLoadBalancer, event.RoleLoadBalancer, event.RoleControlPlane,
		}).Draw(t, "role")
		if rapid.IntRange(0, 9).Draw(t, "stays") >= drops {
			e.Nodes = append(e.Nodes, event.DeclaredNode{Address: nodeAddress(i), Role: role})
		}
	}
	if vip.IsValid() || rapid.Bool().Draw(t, "no ingressVIP") {
		e.IngressVIP = vip
	}
	switch rapid.IntRange(0, 9).Draw(t, "file") {
	case 0:
		e.Name = "another"
	case 1:
		e.IngressVIP = netip.MustParseAddr("10.0.1.1")
	case 2:
		for i := range e.Nodes {
			e.Nodes[i].Role = event.RoleControlPlane
		}
	}
	return e
}

// drawFailure is a death with votes that count, or that fail in one of many ways.
func drawFailure(t *rapid.T, s *State, i int) event.Event {
	_, set := s.Voters()
	e := event.NodeFailed{Address: nodeAddress(i), Incarnation: drawIncarnation(t, s, i), Set: set}
	message := event.VoteMessage(s.LogID(), e.Address, e.Incarnation, set)
	e.Set += rapid.SampledFrom([]uint64{0, 0, 0, 0, 0, 0, 1}).Draw(t, "set")
	for _, id := range rapid.SampledFrom([][]string{
		{"v1"}, {"v1"}, {"v1", "v2"}, {"v1", "v2", "v3"}, {"v2", "v3"}, {"v1", "v1"},
	}).Draw(t, "voters") {
		signature := ed25519.Sign(keyOf(id), message)
		if rapid.IntRange(0, 9).Draw(t, "forged") == 0 {
			signature = ed25519.Sign(keyOf("stranger"), message)
		}
		e.Votes = append(e.Votes, event.Vote{Voter: id, Signature: signature})
	}
	return e
}

func keyOf(voter string) ed25519.PrivateKey {
	if voter == "v1" {
		return testVoter
	}
	return voterKey(voter)
}

// drawVoting changes the voters, or the rules, or is one of the facts that nothing honours.
func drawVoting(t *rapid.T, s *State) event.Event {
	_, set := s.Voters()
	id := rapid.SampledFrom([]string{"v1", "v2", "v3"}).Draw(t, "voter")
	switch rapid.IntRange(0, 7).Draw(t, "voting") {
	case 0:
		return event.VoterAdded{ID: id, Address: nodeAddress(0), Key: keyOf(id).Public().(ed25519.PublicKey)}
	case 1:
		return event.VoterRemoved{ID: id}
	case 2, 3:
		return event.VotersSettled{Set: max(1, set-rapid.Uint64Range(0, 1).Draw(t, "before"))}
	case 4:
		return event.NodeEvicted{Address: nodeAddress(0), Incarnation: drawIncarnation(t, s, 0)}
	case 6:
		return drawFrontend(t)
	case 5:
		return event.VoterDeclaredOff{ID: id, Reason: "test"}
	default:
		return event.RulesAdopted{Rules: rapid.SampledFrom([]uint64{1, 1, 2, 2, 3}).Draw(t, "rules")}
	}
}

// drawFrontend gives some nodes priorities.
func drawFrontend(t *rapid.T) event.Event {
	e := event.FrontendAssigned{RouterID: rapid.IntRange(1, 3).Draw(t, "router id")}
	for i := range rapid.IntRange(1, 5).Draw(t, "carriers") {
		e.Priorities = append(e.Priorities, event.FrontendPriority{Address: nodeAddress(i), Priority: 254 - i})
	}
	return e
}

// drawStart is the start of a log: mostly a cluster with voters and nodes that run, sometimes with more addresses.
func drawStart(t *rapid.T) []event.Event {
	if rapid.IntRange(0, 9).Draw(t, "from nothing") == 0 {
		return nil
	}
	cluster := clusterOf(5)
	if rapid.IntRange(0, 2).Draw(t, "starts without ingressVIP") == 0 {
		cluster.IngressVIP = netip.Addr{}
	}
	start := []event.Event{cluster, voterAdded(), event.PoolAdded{Pool: drawPool(t)}}
	if rapid.Bool().Draw(t, "many addresses") {
		more := event.Pool{Name: "d", Addresses: []string{"10.0.5.0/28", "fd00::30-fd00::33"}}
		start = append(start, event.PoolAdded{Pool: more})
	}
	if rapid.Bool().Draw(t, "announcing") {
		start = append(start, drawAnnouncing(t))
	}
	for i := range 5 {
		e := joined(i, "first")
		e.Rules = RulesKnown
		start = append(start, e, event.NodeLabelled{Address: e.Address, Labels: drawLabels(t)})
	}
	return start
}

// disrupts tells whether a fact often takes nodes or pools away, or what they are allowed to do.
func disrupts(e event.Event) bool {
	switch e.(type) {
	case event.ClusterConfigured, event.SettingsChanged, event.PoolAdded, event.PoolEdited, event.PoolRemoved,
		event.NodeLeft, event.NodeFailed, event.NodeChanged, event.NodeDrained, event.NodeLabelled:
		return true
	}
	return false
}

// wholeText is the ledger in the words of model.whole.
func wholeText(s *State) string {
	text := strings.Builder{}
	text.WriteString(modelText(s))
	s.addresses.scan(func(a *address) bool {
		fmt.Fprintf(&text, "list %s: %v since %d\n", a.addr, a.list, a.version)
		return true
	})
	for _, n := range s.Nodes() {
		fmt.Fprintf(&text, "node %s: %s, runs %t as %d, drained %t\n", n.Address, n.Role, n.Joined, n.Incarnation, n.Drained)
	}
	fmt.Fprintf(&text, "rules %d, lingering %v, front end %v\n", s.Rules(), s.lingering, s.Frontend())
	return text.String()
}

// takeRebalance holds the ledger's lists after a RebalanceRequested to what the text asks of every plan, says what is wrong
// with them, and takes them: the model cannot know which of equally good plans is chosen.
func (m *model) takeRebalance(s *State) (wrong string) {
	before := m.owners()
	for _, a := range modelSortedKeys(m.used, netip.Addr.Compare) {
		now, inUse := s.addressOf(a)
		switch {
		case !inUse:
			return fmt.Sprintf("%s is in use no more", a)
		case before[a] == ownerOf(now):
			continue // the comparison of the texts finds a change
		case !slices.Contains(m.preferred(a), ownerOf(now)):
			return fmt.Sprintf("%s went to %v, not to one of %s", a, now.list, m.preferred(a))
		}
		m.setList(a, now.list)
		if wrong := m.notComplete(a); wrong != "" {
			return wrong
		}
	}
	if wrong := m.uneven(); wrong != "" {
		return wrong
	}
	if wrong := m.tooManyMoves(before); wrong != "" {
		return wrong
	}
	again := s.Clone()
	again.Apply(event.RebalanceRequested{Reason: event.RebalanceByOperator}, s.Sequence()+1, s.TimeNanos())
	if wholeText(again) != wholeText(s) {
		return "a second rebalance changes something"
	}
	return ""
}

func ownerOf(a *address) netip.Addr {
	if len(a.list) == 0 {
		return netip.Addr{}
	}
	return a.list[0].Node
}

// owners are those of all addresses that have one.
func (m *model) owners() map[netip.Addr]netip.Addr {
	owners := map[netip.Addr]netip.Addr{}
	for a, u := range m.used {
		if len(u.list) > 0 {
			owners[a] = u.list[0].Node
		}
	}
	return owners
}

// preferred are the candidates of the highest weight for an address, in their order.
func (m *model) preferred(a netip.Addr) []netip.Addr {
	var preferred []netip.Addr
	highest := 0
	for _, address := range modelSortedKeys(m.nodes, netip.Addr.Compare) {
		n := m.nodes[address]
		if !m.candidate(n, a) || m.weight(n, a) < highest {
			continue
		}
		if m.weight(n, a) > highest {
			preferred, highest = nil, m.weight(n, a)
		}
		preferred = append(preferred, address)
	}
	return preferred
}

// notComplete: a list that was made anew has all candidates that it can have, behind its owner the ones of most weight.
func (m *model) notComplete(a netip.Addr) string {
	list := m.used[a].list
	var weights, standbys []int
	for _, n := range m.nodes {
		if !m.candidate(n, a) || n.Address == list[0].Node {
			continue
		}
		weights = append(weights, m.weight(n, a))
		if slices.Contains(list, Incarnation{Node: n.Address, Join: n.incarnation}) {
			standbys = append(standbys, m.weight(n, a))
		}
	}
	slices.Sort(weights)
	slices.Sort(standbys)
	if most := weights[max(0, len(weights)-2):]; len(list) != 1+len(standbys) || !slices.Equal(standbys, most) {
		return fmt.Sprintf("%s has the list %v: weights of standbys %v, could be %v", a, list, standbys, most)
	}
	return ""
}

// uneven: what nodes own is as even as it can be if no chain of moves, each among the preferred candidates of an address,
// leads from a node to one that owns less by two or more.
func (m *model) uneven() string {
	for start := range m.nodes {
		reached := []netip.Addr{start}
		for i := 0; i < len(reached); i++ {
			for a, owner := range m.owners() {
				preferred := m.preferred(a)
				if !slices.Contains(preferred, owner) {
					return fmt.Sprintf("%s stays with %s, not one of %s", a, owner, preferred)
				}
				for _, next := range preferred {
					if owner == reached[i] && !slices.Contains(reached, next) {
						reached = append(reached, next)
					}
				}
			}
		}
		for _, end := range reached {
			if m.owned(end)+2 <= m.owned(start) {
				return fmt.Sprintf("%s owns %d, %s only %d", start, m.owned(start), end, m.owned(end))
			}
		}
	}
	return ""
}

// tooManyMoves compares with all plans, where they are few enough to try.
func (m *model) tooManyMoves(before map[netip.Addr]netip.Addr) string {
	nodes := modelSortedKeys(m.nodes, netip.Addr.Compare)
	var choices [][]int
	var home []int
	plans, moves := 1, 0
	for a, owner := range m.owners() {
		var choice []int
		for _, n := range m.preferred(a) {
			choice = append(choice, slices.Index(nodes, n))
		}
		choices, home = append(choices, choice), append(home, slices.Index(nodes, before[a]))
		if plans *= len(choice); plans > 20000 {
			return ""
		}
		if owner != before[a] {
			moves++
		}
	}
	if _, least := fewest(choices, home, len(nodes)); moves != least {
		return fmt.Sprintf("%d moves where %d do", moves, least)
	}
	return ""
}

// foldBoth applies a fact to ledger and model and says where they differ afterwards; "" where they do not.
func foldBoth(s *State, m *model, e event.Event, nanos int64) string {
	was, wrong := m.whole(), ""
	s.Apply(e, s.Sequence()+1, nanos)
	m.apply(e, s.Sequence(), s.TimeNanos())
	if _, rebalanced := e.(event.RebalanceRequested); rebalanced {
		wrong = m.takeRebalance(s)
	}
	got, want := wholeText(s), m.whole()
	if got == want && wrong == "" {
		return ""
	}
	return fmt.Sprintf("after %T %+v: %s\nthe ledger says\n%s\nthe model says\n%s\nbefore\n%s", e, e, wrong, got, want, was)
}

// drawWhole draws a log and gives each fact to fold. Some logs are calm: full lists, and counts that differ, need that little
// is taken away for a while.
func drawWhole(t *rapid.T, s *State, fold func(e event.Event, nanos int64)) {
	next := func(e event.Event) {
		passed := rapid.SampledFrom([]int64{1, 1, 1, 1, 0, 5, 30, -10}).Draw(t, "seconds")
		fold(e, s.TimeNanos()+passed*1e9)
	}
	for _, e := range drawStart(t) {
		next(e)
	}
	newRules := rapid.Bool().Draw(t, "new rules")
	if newRules {
		next(event.RulesAdopted{Rules: rapid.Uint64Range(1, RulesKnown).Draw(t, "first rules")})
	}
	disruptions := rapid.SampledFrom([]int{10, 2, 1}).Draw(t, "disruptions of ten")
	for range rapid.IntRange(1, 1000).Draw(t, "length") {
		e := drawWholeFact(t, s)
		if disrupts(e) && rapid.IntRange(0, 9).Draw(t, "disrupts") >= disruptions {
			e = drawServing(t)
		}
		if _, adopted := e.(event.RulesAdopted); adopted && !newRules {
			e = event.RulesAdopted{Rules: RulesKnown + 1}
		}
		next(e)
	}
}

// TestTheWholeLedgerIsThatOfTheRules holds the ledger to a second, naive implementation of docs/allocation.md and
// docs/ownership.md, on long logs of every fact.
func TestTheWholeLedgerIsThatOfTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, m := New(testLog), newModel()
		drawWhole(t, s, func(e event.Event, nanos int64) {
			if differ := foldBoth(s, m, e, nanos); differ != "" {
				t.Fatal(differ)
			}
		})
	})
}
