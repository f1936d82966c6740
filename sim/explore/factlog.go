package explore

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
)

// factLog is the log of a small world, and what it adds up to. Copies share all of it, and a ledger is copied before a fact is
// applied to it.
type factLog struct {
	entries   []log.Entry
	events    []event.Event // those of the entries
	described []*lease.Part // the same
	total     *total
}

func newFactLog(id string) factLog {
	s := ledger.New(id)
	s.FoldAs(exploredBinary)
	return factLog{total: &total{ledger: s}}
}

func (l *factLog) ledger() *ledger.State { return l.total.ledger }

func (l *factLog) head() uint64 { return uint64(len(l.entries)) }

// store appends a fact; the log server's clock is at as many seconds as there are facts.
func (l *factLog) store(e event.Event) log.Entry {
	sequence := l.head() + 1
	entry := log.Entry{Fact: log.Fact{Record: encoded(e)}, Sequence: sequence, Time: time.Unix(int64(sequence), 0).UTC()}
	l.entries = append(slices.Clip(l.entries), entry)
	l.events = append(slices.Clip(l.events), e)
	l.described = append(slices.Clip(l.described), new(lease.Canon).Recorded(l.describeNewest))
	l.total = &total{ledger: l.total.copied()}
	l.total.ledger.Apply(e, sequence, entry.Time.UnixNano())
	return entry
}

// holds tells whether a fact is in the log already: what is proposed is not appended twice.
func (l *factLog) holds(record event.Record) bool {
	return slices.ContainsFunc(l.entries, func(known log.Entry) bool { return bytes.Equal(known.Data, record.Data) })
}

const exploredLog = "explored"

var (
	exploredAddress = netip.AddrFrom4([4]byte{192, 0, 2, 1})
	exploredKey     = ledger.ServiceKey{Namespace: "default", Name: "web"}
)

func exploredNode(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}) }

// exploredCluster declares nodes; the facts of the pool and of the Service give exploredAddress to it.
func exploredCluster(nodes int) event.Event {
	cluster := event.ClusterConfigured{
		Name: "explored", ClusterType: "user", ControlPlaneLBPort: 443, ControlPlaneVIP: netip.AddrFrom4([4]byte{10, 0, 0, 250}),
		ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/20")},
	}
	for i := range nodes {
		cluster.Nodes = append(cluster.Nodes, event.DeclaredNode{Address: exploredNode(i), Role: event.RoleLoadBalancer})
	}
	return cluster
}

func exploredPool() event.Event {
	return event.PoolAdded{Pool: event.Pool{Name: "pool", Addresses: []string{exploredAddress.String() + "/32"}}}
}

func exploredService() event.Event {
	return event.ServiceApplied{
		Namespace: exploredKey.Namespace, Name: exploredKey.Name, Source: "explore", UID: "1", Families: []string{event.FamilyIPv4},
		FamilyPolicy: event.SingleStack, TrafficPolicy: event.TrafficCluster,
	}
}

// toggleService deletes the Service, or applies it if there is none.
func (l *factLog) toggleService() event.Event {
	if _, there := l.ledger().ServiceSpec(exploredKey); there {
		return event.ServiceDeleted{Namespace: exploredKey.Namespace, Name: exploredKey.Name, Source: "explore"}
	}
	return exploredService()
}

// describe writes what decides how nodes go on that have folded at least what a ledger has: its lists, and the facts since.
func (l *factLog) describe(c *lease.Canon, base *total) {
	c.Part(base.described(c))
	for _, fact := range l.described[base.ledger.Sequence():] {
		c.Part(fact)
	}
}

func (l *factLog) describeNewest(c *lease.Canon) {
	at := l.head() - 1
	c.Sequence(at + 1)
	c.Text(l.entries[at].Type)
	c.Text(l.entries[at].Entity)
	l.describeFact(c, l.events[at])
}

// describeLedger writes what of a ledger decides what later facts do to the list.
func describeLedger(c *lease.Canon, s *ledger.State) {
	list, version := s.List(exploredAddress)
	c.Sequence(s.Sequence())
	c.Sequence(version)
	c.Number(uint64(len(list)))
	for _, who := range list {
		c.Incarnation(who)
	}
	for _, n := range s.Nodes() {
		c.Flag(n.Joined)
		c.Flag(n.Drained)
		c.Flag(len(s.InterfacesOf(n.Address)) > 0)
		c.Sequence(n.Incarnation)
	}
	for _, who := range s.Live() {
		c.Incarnation(who)
	}
	_, there := s.ServiceSpec(exploredKey)
	c.Flag(there)
}

// describeFact writes which incarnation a fact is about, where that is not its own sequence.
func (l *factLog) describeFact(c *lease.Canon, e event.Event) {
	switch fact := e.(type) {
	case event.NodeJoined:
		c.Sequence(uint64(1 + slices.IndexFunc(l.events, func(e event.Event) bool { // the first that says the same
			first, joined := e.(event.NodeJoined)
			return joined && first.StartID == fact.StartID
		})))
	case event.NodeFailed:
		c.Sequence(fact.Incarnation)
	case event.NodeLeft:
		c.Sequence(fact.Incarnation)
	case event.NodeChanged:
		c.Sequence(fact.Incarnation)
		c.Number(uint64(len(fact.Interfaces)))
	}
}
