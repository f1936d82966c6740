package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"viplog/core/event"
)

const testLog = "2026-01-01T00:00:00Z"

// testVoter signs the deaths of these tests.
var testVoter = func() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("the one voter of the ledger's tests"))
	return ed25519.NewKeyFromSeed(seed[:])
}()

func nodeAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + i)}) }

func clusterOf(nodes int) event.ClusterConfigured {
	e := event.ClusterConfigured{
		Name: "test", ClusterType: "user", ControlPlaneLBPort: 443,
		ControlPlaneVIP: netip.MustParseAddr("10.0.0.250"), IngressVIP: netip.MustParseAddr("10.0.1.0"),
		ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/20")},
	}
	for i := range nodes {
		e.Nodes = append(e.Nodes, event.DeclaredNode{Address: nodeAddress(i), Role: event.RoleLoadBalancer})
	}
	return e
}

func joined(i int, start string) event.NodeJoined {
	return event.NodeJoined{
		Address: nodeAddress(i), Name: fmt.Sprintf("lb-%d", i+1), StartID: start, MachineID: fmt.Sprint("machine-", i),
		Interfaces: []event.Interface{{Name: "eth0", MAC: "02:00:00:00:00:01", Up: true, Prefixes: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("fd00::/64"),
		}}},
	}
}

func voterAdded() event.VoterAdded {
	return event.VoterAdded{ID: "v1", Address: nodeAddress(0), Key: testVoter.Public().(ed25519.PublicKey)}
}

func failed(s *State, i int) event.NodeFailed {
	n, _ := s.NodeNamed(nodeAddress(i).String())
	_, set := s.Voters()
	message := event.VoteMessage(s.LogID(), n.Address, n.Incarnation, set)
	return event.NodeFailed{
		Address: n.Address, Incarnation: max(n.Incarnation, 1), Set: set,
		Votes: []event.Vote{{Voter: "v1", Signature: ed25519.Sign(testVoter, message)}},
	}
}

// drawFact draws a fact that makes sense often enough, on few names and small pools, so that collisions, exhaustion and
// facts that are rejected are common.
func drawFact(t *rapid.T, s *State) event.Event {
	node := rapid.IntRange(0, 4).Draw(t, "node")
	name := fmt.Sprintf("s%d", rapid.IntRange(0, 11).Draw(t, "service"))
	pool := event.Pool{
		Name:          rapid.SampledFrom([]string{"a", "b"}).Draw(t, "pool"),
		AvoidBuggyIPs: rapid.Bool().Draw(t, "avoid"), ManualAssign: rapid.Bool().Draw(t, "manual"),
	}
	pool.Addresses = []string{"10.0.1.0/30", "fd00::1-fd00::2"}
	if pool.Name == "b" {
		pool.Addresses = []string{"10.0.2.254-10.0.3.1"}
	}
	switch rapid.IntRange(0, 19).Draw(t, "kind") {
	case 0:
		return event.PoolAdded{Pool: pool}
	case 1:
		return event.PoolEdited{Pool: pool}
	case 2, 3, 4, 5, 6:
		return drawService(t, name)
	case 7, 8:
		return event.ServiceDeleted{Namespace: "default", Name: name, Source: "test"}
	case 9, 10:
		e := joined(node, fmt.Sprint("start-", rapid.IntRange(0, 3).Draw(t, "start")))
		e.Rules = rapid.Uint64Range(0, 2).Draw(t, "knows rules")
		return e
	case 18:
		return event.RulesAdopted{Rules: rapid.Uint64Range(1, 2).Draw(t, "rules")}
	case 11:
		return failed(s, node)
	case 12:
		n, _ := s.NodeNamed(nodeAddress(node).String())
		return event.NodeLeft{Address: nodeAddress(node), Incarnation: max(n.Incarnation, 1)}
	case 13:
		if rapid.Bool().Draw(t, "drain") {
			return event.NodeDrained{Address: nodeAddress(node)}
		}
		return event.NodeUndrained{Address: nodeAddress(node)}
	case 15:
		return event.NodeLabelled{
			Address: nodeAddress(node), Labels: drawNodeLabels(t),
			Taints:     rapid.SliceOfN(rapid.Just("example.com/gone=yes:NoExecute"), 0, 1).Draw(t, "taints"),
			Conditions: rapid.SliceOfN(rapid.SampledFrom([]string{"Ready", "NetworkUnavailable"}), 0, 1).Draw(t, "conditions"),
		}
	case 16:
		e := event.DefaultSettings()
		if rapid.Bool().Draw(t, "exclude taints") {
			e.ExcludeTaints = []string{"example.com/gone"}
		}
		e.IgnoreExcludeLabel = rapid.Bool().Draw(t, "ignore label")
		e.Pools = []event.PoolSettings{{Name: "a", Announce: []event.AnnounceRule{
			{NodeSelectors: drawSelectors(t), Preferred: []event.WeightedRule{{Weight: 10, NodeSelector: event.Selector{MatchLabels: []event.Label{{Key: "app", Value: "x"}}}}}},
			{ServiceSelectors: drawSelectors(t), Interfaces: []string{"eth0"}},
		}}}
		return e
	case 17:
		n, _ := s.NodeNamed(nodeAddress(node).String())
		changed := event.NodeChanged{Address: nodeAddress(node), Incarnation: max(n.Incarnation, 1), Interfaces: joined(node, "").Interfaces}
		changed.Interfaces[0].Up = rapid.Bool().Draw(t, "up")
		return changed
	case 14:
		return event.EndpointsChanged{
			Namespace: "default", Name: name, Source: "test",
			Nodes: rapid.SliceOfN(rapid.SampledFrom([]string{"lb-1", "lb-2", "lb-3"}), 0, 2).Draw(t, "serving"),
		}
	default:
		return event.RebalanceRequested{Reason: event.RebalanceByOperator}
	}
}

func drawNodeLabels(t *rapid.T) []event.Label {
	labels := drawLabels(t)
	if rapid.IntRange(0, 4).Draw(t, "excluded") == 0 {
		labels = append([]event.Label{}, labels...)
		labels = append(labels, event.Label{Key: labelExcluded, Value: ""})
		slices.SortFunc(labels, func(a, b event.Label) int { return strings.Compare(a.Key, b.Key) })
	}
	return labels
}

func drawService(t *rapid.T, name string) event.Event {
	e := event.ServiceApplied{
		Namespace: "default", Name: name, Source: "test",
		Families:      []string{rapid.SampledFrom([]string{"IPv4", "IPv4", "IPv4", "IPv6"}).Draw(t, "family")},
		FamilyPolicy:  event.SingleStack,
		TrafficPolicy: rapid.SampledFrom([]string{"Cluster", "Cluster", "Local"}).Draw(t, "policy"),
		Ports:         []event.Port{{Protocol: "TCP", Port: 80}},
	}
	switch rapid.IntRange(0, 5).Draw(t, "request") {
	case 0:
		e.RequestedAddresses = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 1, byte(rapid.IntRange(0, 5).Draw(t, "last"))})}
	case 1:
		e.RequestedPool = rapid.SampledFrom([]string{"a", "b", "none"}).Draw(t, "requested pool")
	}
	return e
}

// begin gives a ledger with a cluster of five nodes, one voter and one pool.
func begin() *State {
	s := New(testLog)
	apply(s, clusterOf(5))
	apply(s, voterAdded())
	apply(s, event.PoolAdded{Pool: event.Pool{Name: "a", Addresses: []string{"10.0.1.0/30", "fd00::1-fd00::2"}}})
	return s
}

func apply(s *State, e event.Event) []Change {
	seq := s.Sequence() + 1
	return s.Apply(e, seq, int64(seq)*1e9)
}

func TestSnapshotAndTailEqualAFullReplayAtEveryCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := begin()
		var facts []event.Event
		cuts := []*State{s.Clone()}
		for range rapid.IntRange(1, 60).Draw(t, "length") {
			e := drawFact(t, s)
			facts = append(facts, e)
			apply(s, e)
			cuts = append(cuts, s.Clone())
		}
		want := s.Snapshot()
		for i, cut := range cuts {
			snapshot := cut.Snapshot()
			replica, err := Restore(snapshot)
			if err != nil {
				t.Fatalf("cut %d: %v", i, err)
			}
			for _, e := range facts[i:] {
				apply(replica, e)
			}
			if got := replica.Snapshot(); !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("cut %d: snapshot and tail differ from the full replay", i)
			}
			if diff := sameDerived(replica, s); diff != "" {
				t.Fatalf("cut %d: %s", i, diff)
			}
		}
	})
}

// sameDerived compares what the encoding leaves out, and what it may have forgotten.
func sameDerived(a, b *State) string {
	ra, rb := slices.Collect(a.free.Ranges()), slices.Collect(b.free.Ranges())
	switch {
	case !slices.Equal(ra, rb):
		return fmt.Sprintf("free sets differ: %v, %v", ra, rb)
	case a.starved != b.starved || a.refilled != b.refilled:
		return "one asks for a rebalance after a start, the other does not"
	case !slices.Equal(a.queue.Items(), b.queue.Items()):
		return "queues differ"
	case !slices.Equal(a.shared.Items(), b.shared.Items()):
		return "sharing differs"
	case !slices.Equal(a.uses.Items(), b.uses.Items()):
		return "uses differ"
	case !slices.Equal(a.coolest.Items(), b.coolest.Items()) || !slices.Equal(a.kept.Items(), b.kept.Items()) ||
		!slices.Equal(a.expiries.Items(), b.expiries.Items()):
		return "coolings differ"
	case !slices.Equal(a.poolOrder, b.poolOrder):
		return "orders of pools differ"
	case !slices.Equal(a.short.Items(), b.short.Items()):
		return fmt.Sprintf("short lists differ: %v, %v", a.short.Items(), b.short.Items())
	case termsOf(a) != termsOf(b):
		return "terms differ: " + termsOf(a) + ", " + termsOf(b)
	case backings(a) != backings(b):
		return "backings differ: " + backings(a) + ", " + backings(b)
	case fmt.Sprint(a.PoolViews()) != fmt.Sprint(b.PoolViews()):
		return "pool figures differ"
	case fmt.Sprint(a.NodeViews(nil)) != fmt.Sprint(b.NodeViews(nil)):
		return "node figures differ"
	}
	return ""
}

func TestAFactAppliedTwiceChangesNothingMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := begin()
		for range rapid.IntRange(1, 60).Draw(t, "length") {
			e := drawFact(t, s)
			apply(s, e)
			before := views(s)
			s.Apply(e, s.Sequence()+1, s.TimeNanos()) // at once: time alone lets addresses cool
			if after := views(s); before != after {
				t.Fatalf("%T twice:\n%s\n%s", e, before, after)
			}
		}
	})
}

// views is all that a user sees of a ledger.
func views(s *State) string {
	return fmt.Sprintln(s.ServiceViews(), s.AddressViews(), s.PoolViews(), s.NodeViews(nil))
}

func TestNoFactChangesAnAddressThatItDoesNotConcern(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := begin()
		for range rapid.IntRange(1, 80).Draw(t, "length") {
			e := drawFact(t, s)
			before := s.Clone()
			apply(s, e)
			before.services.scan(func(old *service) bool {
				now, still := s.service(old.key)
				if len(old.addresses) > 0 && (!still || !slices.Equal(now.addresses, old.addresses)) && !concerns(e, old.key) {
					t.Fatalf("%T changed the address of %s", e, old.key)
				}
				return true
			})
		}
	})
}

func concerns(e event.Event, key ServiceKey) bool {
	return e.Entity() == event.ServiceDeleted{Namespace: key.Namespace, Name: key.Name}.Entity()
}

func TestTheLedgerHoldsItsInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := begin()
		for range rapid.IntRange(1, 80).Draw(t, "length") {
			e := drawFact(t, s)
			apply(s, e)
			if broken := invariant(s); broken != "" {
				t.Fatalf("after %T: %s", e, broken)
			}
		}
	})
}

// invariant is the dumb auditor: it recomputes from the records what the ledger keeps in step.
func invariant(s *State) string {
	broken := ""
	s.services.scan(func(v *service) bool {
		// Time alone makes nobody try: an address in its status may have ended cooling for another name since.
		if len(v.addresses) == 0 && len(v.spec.StatusAddresses) == 0 {
			if _, refused := s.choose(v); refused == nil {
				broken = fmt.Sprintf("%s waits although an address fits", v.key)
			}
		}
		for _, a := range v.addresses {
			used, inUse := s.addressOf(a)
			_, cools := s.coolings.Get(cooling{addr: a})
			if !inUse || s.free.Contains(a) || cools || !slices.Contains(used.users, v.key) {
				broken = fmt.Sprintf("%s of %s is not simply in use by it", a, v.key)
			}
			if refused := s.unsharable(v, used); refused != nil {
				broken = refused.String()
			}
		}
		return true
	})
	s.addresses.scan(func(a *address) bool {
		seen := map[netip.Addr]bool{}
		for _, m := range a.list {
			n, ok := s.node(m.Node)
			if candidate, why := s.isCandidate(n, a); !ok || !candidate || seen[m.Node] || m.Join != n.incarnation {
				broken = fmt.Sprintf("%s lists %s, which %s", a.addr, m.Node, why)
			}
			seen[m.Node] = true
		}
		if want := min(ListLength, len(s.candidates(a, nil))); len(a.list) != want {
			broken = fmt.Sprintf("%s lists %d nodes of %d that it could", a.addr, len(a.list), want)
		}
		return true
	})
	for _, p := range s.PoolViews() {
		conserved := p.Available.String()
		sum := 0
		fmt.Sscan(conserved, &sum)
		s.addresses.scan(func(a *address) bool {
			if a.pool == p.Name && inCapacity(s, p.Name, a.addr) {
				sum++
			}
			return true
		})
		sum += p.Cooling + p.Reserved
		vip := s.cluster.IngressVIP
		if r, _ := s.rangeOf(vip); r.pool == p.Name && !inCapacity(s, p.Name, vip) {
			if _, inUse := s.addressOf(vip); !inUse {
				sum-- // reserved, and avoided or excluded
			}
		}
		if fmt.Sprint(sum) != p.Capacity.String() {
			broken = fmt.Sprintf("pool %s: %d addresses accounted for of %s", p.Name, sum, p.Capacity)
		}
	}
	return broken
}

// inCapacity tells whether an address counts among a pool's.
func inCapacity(s *State, name string, a netip.Addr) bool {
	p, _ := s.pool(name)
	return p.holds(a) && !p.isAvoided(a) && !p.excluded.Contains(a)
}

// termsOf is what the users of each address have in common.
func termsOf(s *State) string {
	var text strings.Builder
	s.addresses.scan(func(a *address) bool {
		fmt.Fprintln(&text, a.addr, a.terms)
		return true
	})
	return text.String()
}

// backings is who backs whom how often, by the nodes' addresses.
func backings(s *State) string {
	var text strings.Builder
	for _, owner := range s.nodes.rows {
		for _, other := range s.nodes.rows {
			fmt.Fprintln(&text, owner.address, s.owned(owner), other.address, s.loads.backed(owner.slot, other.slot, 1), s.loads.backed(owner.slot, other.slot, 2))
		}
	}
	return text.String()
}
