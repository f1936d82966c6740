package sim

import (
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
)

// randomLog writes the log of a cluster that has seen something: nodes that came, went, died and are drained, announce rules
// with weights, Services of every kind.
type randomLog struct {
	*rand.Rand
	ledger  *ledger.State
	entries []log.Entry
	rules   uint64 // that programs know
	nodes   []netip.Addr
	voters  []netip.Addr
	names   []string // of Services
	starts  int
}

func newRandomLog(seed uint64) *randomLog {
	l := &randomLog{Rand: rand.New(rand.NewPCG(seed, 7)), ledger: ledger.New(fmt.Sprint("random-", seed))}
	l.rules = min(uint64(l.IntN(3)), ledger.RulesKnown)
	l.start()
	for range 20 + l.IntN(60) {
		l.life()
	}
	return l
}

// add appends a fact, with a second or a few after the one before.
func (l *randomLog) add(e event.Event) {
	record, err := event.Encode(e)
	if err != nil {
		panic(err)
	}
	entry := log.Entry{
		Fact:     log.Fact{Record: record, ID: fmt.Sprint("fact-", len(l.entries)), Source: "test"},
		Sequence: uint64(len(l.entries) + 1), Time: time.Unix(1_800_000_000+int64(3*len(l.entries)), 0).UTC(),
	}
	l.entries = append(l.entries, entry)
	l.ledger.ApplyEntry(entry)
}

func (l *randomLog) oneIn(n int) bool { return l.IntN(n) == 0 }

func of[T any](l *randomLog, all ...T) T { return all[l.IntN(len(all))] }

func (l *randomLog) start() {
	cluster := event.ClusterConfigured{
		Name: "random", ClusterType: "user", ControlPlaneLBPort: 443, ControlPlaneVIP: netip.MustParseAddr("10.0.9.254"),
		ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/20")},
	}
	for i := range 2 + l.IntN(7) {
		l.nodes = append(l.nodes, netip.AddrFrom4([4]byte{10, 0, 9, byte(11 + i)}))
		cluster.Nodes = append(cluster.Nodes, event.DeclaredNode{Address: l.nodes[i], Role: event.RoleLoadBalancer})
	}
	voters := of(l, 1, 3, 3, 3, 5)
	for i := range voters {
		onNode := i < len(l.nodes) && l.oneIn(2)
		host := netip.AddrFrom4([4]byte{10, 0, 9, byte(2 + i)})
		if onNode {
			host = l.nodes[i]
		} else {
			cluster.Nodes = append(cluster.Nodes, event.DeclaredNode{Address: host, Role: event.RoleControlPlane})
		}
		l.voters = append(l.voters, host)
	}
	l.add(cluster)
	l.add(l.settings())
	l.add(event.PoolAdded{Pool: event.Pool{Name: "a", Addresses: []string{"10.0.1.0/29", "fd00:1::/126"}}})
	l.add(event.PoolAdded{Pool: event.Pool{Name: "b", Addresses: []string{"10.0.2.8-10.0.2.11"}}})
	for i, host := range l.voters {
		l.add(event.VoterAdded{ID: voterID(host), Address: host, Key: standIn(host).Public().(ed25519.PublicKey)})
		if i > 0 {
			l.add(event.VotersSettled{Set: l.ledger.Sequence()})
		}
	}
	for _, n := range l.nodes {
		l.label(n)
		if !l.oneIn(8) {
			l.join(n)
		}
	}
	if l.rules > 0 && l.oneIn(2) {
		l.add(event.RulesAdopted{Rules: l.rules})
	}
}

func voterID(host netip.Addr) string { return "voter-" + host.String() }

func (l *randomLog) settings() event.SettingsChanged {
	s := event.DefaultSettings()
	s.Profile = of(l, event.ProfileDefault, event.ProfileDefault, event.ProfileFast, event.ProfileRelaxed)
	s.OnIsolation = of(l, event.OnIsolationHold, event.OnIsolationHold, event.OnIsolationYield)
	s.ExcludeTaints = of(l, nil, []string{"gone"})
	zone := func(name string) event.Selector {
		return event.Selector{MatchLabels: []event.Label{{Key: "zone", Value: name}}}
	}
	for _, pool := range []string{"a", "b"} {
		settings := event.PoolSettings{Name: pool}
		switch l.IntN(4) {
		case 0:
			settings.Announce = []event.AnnounceRule{{Preferred: []event.WeightedRule{{Weight: 10, NodeSelector: zone("x")}, {Weight: 5, NodeSelector: zone("y")}}}}
		case 1:
			settings.Announce = []event.AnnounceRule{{NodeSelectors: []event.Selector{zone("x"), zone("y")}}}
		}
		s.Pools = append(s.Pools, settings)
	}
	return s
}

func (l *randomLog) label(n netip.Addr) {
	e := event.NodeLabelled{Address: n, Conditions: []string{"Ready"}}
	if zone := of(l, "", "x", "x", "y", "z"); zone != "" {
		e.Labels = []event.Label{{Key: "zone", Value: zone}}
	}
	if l.oneIn(10) {
		e.Taints = []string{"gone=yes:NoExecute"}
	}
	l.add(e)
}

func (l *randomLog) join(n netip.Addr) {
	l.starts++
	prefixes := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("fd00:1::/64")}
	switch l.IntN(8) {
	case 0:
		prefixes = prefixes[:1]
	case 1:
		prefixes = []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24"), netip.MustParsePrefix("10.0.9.0/24")}
	}
	i := slices.Index(l.nodes, n)
	l.add(event.NodeJoined{
		Address: n, Name: l.nameOf(n), StartID: fmt.Sprint("start-", l.starts), MachineID: fmt.Sprint("machine-lb-", i+1), Rules: l.rules,
		Interfaces: []event.Interface{{Name: "eth0", MAC: fmt.Sprintf("02:00:00:00:09:%02x", i+1), Up: true, Prefixes: prefixes}},
	})
}

func (l *randomLog) nameOf(n netip.Addr) string { return fmt.Sprint("lb-", slices.Index(l.nodes, n)+1) }

// life adds what happens to a cluster.
func (l *randomLog) life() {
	n := of(l, l.nodes...)
	who, _, runs := l.ledger.Running(n)
	switch draw := l.IntN(100); {
	case draw < 50:
		l.service()
	case draw < 58 && len(l.names) > 0:
		l.add(event.ServiceDeleted{Namespace: "shop", Name: of(l, l.names...), Source: "test"})
	case draw < 70 && len(l.names) > 0:
		l.serving(of(l, l.names...))
	case draw < 74:
		l.add(event.NodeDrained{Address: n})
	case draw < 80:
		l.add(event.NodeUndrained{Address: n})
	case draw < 84:
		l.label(n)
	case draw < 88 && runs:
		l.fail(who)
	case draw < 90 && runs:
		l.add(event.NodeLeft{Address: n, Incarnation: who.Join})
	case draw < 98 && !runs:
		l.join(n)
	case draw == 98 && runs:
		l.add(event.VIPConflictSeen{Node: n, Address: netip.MustParseAddr("10.0.1.6"), Interface: "eth0", MAC: "02:00:00:00:00:99"})
	case draw == 99:
		l.add(event.RebalanceRequested{Reason: event.RebalanceByOperator})
	}
}

func (l *randomLog) fail(who ledger.Incarnation) {
	_, set := l.ledger.Voters()
	e := event.NodeFailed{Address: who.Node, Incarnation: who.Join, Set: set}
	for _, host := range l.voters[:len(l.voters)/2+1] {
		message := event.VoteMessage(l.ledger.LogID(), who.Node, who.Join, set)
		e.Votes = append(e.Votes, event.Vote{Voter: voterID(host), Signature: ed25519.Sign(standIn(host), message)})
	}
	l.add(e)
}

func (l *randomLog) service() {
	name := fmt.Sprint("web-", l.IntN(14))
	e := Service(name)
	e.Namespace, e.Source, e.UID = "shop", "test", name
	e.Ports[0].Port = uint16(8000 + l.IntN(3))
	switch l.IntN(6) {
	case 0:
		e.TrafficPolicy = event.TrafficLocal
	case 1:
		e.Families, e.FamilyPolicy = []string{event.FamilyIPv4, event.FamilyIPv6}, of(l, event.PreferDualStack, event.RequireDualStack)
	case 2:
		e.SharingKey = "together"
	case 3:
		e.RequestedPool = "b"
	}
	if !slices.Contains(l.names, name) {
		l.names = append(l.names, name)
	}
	l.add(e)
	if e.TrafficPolicy == event.TrafficLocal {
		l.serving(name)
	}
}

func (l *randomLog) serving(name string) {
	e := event.EndpointsChanged{Namespace: "shop", Name: name, Source: "test"}
	for _, n := range l.nodes {
		if l.oneIn(2) {
			e.Nodes = append(e.Nodes, l.nameOf(n))
		}
	}
	l.add(e)
}
