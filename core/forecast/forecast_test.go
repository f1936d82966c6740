package forecast

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/event/eventtest"
	"viplog/core/ledger"
)

const logID = "forecast"

// cluster is so many nodes, the first of which has the only voter, and so many Services.
func cluster(nodes, services int, more ...event.Event) *ledger.State {
	s := ledger.New(logID)
	for _, e := range (eventtest.Churn{LogID: logID, Nodes: nodes}).Start() {
		if joined, is := e.(event.NodeJoined); is {
			joined.Rules = ledger.RulesKnown
			e = joined
		}
		fold(s, e)
	}
	for i := range services {
		fold(s, eventtest.Service(i, 0))
	}
	for _, e := range more {
		fold(s, e)
	}
	return s
}

func fold(s *ledger.State, e event.Event) []ledger.Change {
	return s.Apply(e, s.Sequence()+1, s.TimeNanos()+1)
}

func of(t testing.TB, s *ledger.State) *Forecast {
	t.Helper()
	f, err := Of(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func node(i int) netip.Addr { return eventtest.NodeAddress(i) }

// text is an outcome in a few words: nodes by their numbers from 1, addresses by their last byte.
func text(o Outcome) string {
	last := func(a netip.Addr) string {
		if !a.IsValid() {
			return "-"
		}
		b := a.As4()
		return fmt.Sprint(b[3])
	}
	name := func(a netip.Addr) string {
		if !a.IsValid() {
			return "-"
		}
		return fmt.Sprint("lb-", a.As4()[3]-9)
	}
	var words []string
	for _, m := range o.Moves {
		words = append(words, last(m.Address)+": "+name(m.From)+" to "+name(m.To))
	}
	for _, d := range o.Dark {
		words = append(words, last(d.Address)+": "+name(d.From)+" dark")
	}
	return strings.Join(words, ", ")
}

func TestADeathGivesAddressesToTheFirstStandbys(t *testing.T) {
	s := cluster(3, 6)
	var want []string
	for _, v := range s.AddressViews() {
		if v.Owner == "lb-2" {
			want = append(want, fmt.Sprintf("%d: lb-2 to %s", netip.MustParseAddr(v.Address).As4()[3], v.Standbys[0]))
		}
	}
	before := s.Digest()
	o := of(t, s).Failure(node(1))
	if got := text(o); got != strings.Join(want, ", ") || len(want) != 2 || !o.Proven {
		t.Errorf("got %s, want %s", got, want)
	}
	var loads []string
	for _, l := range o.Loads {
		loads = append(loads, fmt.Sprintf("%s %d->%d", l.Node.Name, l.Before, l.After))
	}
	if got := strings.Join(loads, ", "); got != "lb-1 2->3, lb-3 2->3" {
		t.Error(got)
	}
	if heaviest, ok := o.Heaviest(); !ok || heaviest.Node.Name != "lb-1" || heaviest.After != 3 {
		t.Errorf("the heaviest is %+v", heaviest)
	}
	if s.Digest() != before {
		t.Error("the ledger has changed")
	}
}

func TestAForecastIsWhatTheProvenDeathsDo(t *testing.T) {
	for rules := range uint64(2) {
		s := cluster(7, 40, event.RulesAdopted{Rules: rules})
		if s.Rules() != rules {
			t.Fatalf("rules %d are in force", s.Rules())
		}
		f := of(t, s)
		for i := 1; i < 7; i++ {
			for j := 1; j < 7; j++ {
				after := s.Clone()
				dead := []netip.Addr{node(i)}
				fold(after, eventtest.Failed(logID, i, uint64(4+i), 2))
				if j != i {
					dead = append(dead, node(j))
					fold(after, eventtest.Failed(logID, j, uint64(4+j), 2))
				}
				if got, want := text(f.Failure(dead...)), text(f.outcome(after, dead, nil)); got != want || got == "" {
					t.Errorf("%v dead: foretold %s, but it is %s", dead, got, want)
				}
			}
		}
	}
}

func TestALocalAddressGoesDarkWithItsOnlyEndpoint(t *testing.T) {
	local := eventtest.Service(0, 0)
	local.TrafficPolicy = event.TrafficLocal
	serving := event.EndpointsChanged{Namespace: local.Namespace, Name: local.Name, Source: local.Source, Nodes: []string{"lb-3"}}
	f := of(t, cluster(3, 0, local, serving))
	o := f.Failure(node(2))
	if text(o) != "1: lb-3 dark" || !strings.Contains(o.Dark[0].Reason, "lb-2 has no serving endpoint of team-0/web-0") {
		t.Errorf("%s: %v", text(o), o.Dark)
	}
	for both := range f.Each() {
		if len(both.Dead) == 2 && both.darkens(o.Dark[0].Address) && both.Proven && both.Dark[0].Reason != "" {
			t.Errorf("%v: the reason %q is that of one death", both.Dead, both.Dark[0].Reason)
		}
	}
}

func TestDeathsAreNotProvenWithoutAMajority(t *testing.T) {
	for _, c := range []struct{ isolation, want string }{
		{event.OnIsolationHold, "1: lb-1 dark"},
		{event.OnIsolationYield, "1: lb-1 dark, 2: lb-2 dark"},
	} {
		settings := event.DefaultSettings()
		settings.OnIsolation = c.isolation
		s := cluster(2, 2, settings)
		f := of(t, s)
		o := f.Failure(node(0)) // the voter's host
		want := c.want
		if list, _ := s.List(netip.MustParseAddr("10.4.0.1")); list[0].Node != node(0) {
			want = strings.NewReplacer("lb-1", "lb-2", "lb-2", "lb-1").Replace(want)
		}
		if text(o) != want || o.Proven || o.Voters != (Voters{Left: 0, Of: 1}) {
			t.Errorf("%s: %s, %+v", c.isolation, text(o), o.Voters)
		}
		if !strings.Contains(o.Dark[0].Reason, "0 of 1 voters are left, no majority") {
			t.Error(o.Dark[0].Reason)
		}
	}
}

func TestNobodyIsLeft(t *testing.T) {
	s := cluster(2, 2)
	fold(s, event.VoterRemoved{ID: "v1"})
	fold(s, event.VotersSettled{Set: s.Sequence()})
	v := event.VoterAdded{ID: "v2", Address: netip.MustParseAddr("10.0.0.2"), Key: make([]byte, 32)}
	if changes := fold(s, v); changes[0].Kind != ledger.VoterSet {
		t.Fatal(changes)
	}
	o := of(t, s).Failure(node(0), node(1))
	if o.Proven || len(o.Dark) != 2 || o.Dark[0].Reason != "no node runs any more" {
		t.Errorf("%+v", o)
	}
	if _, left := o.Heaviest(); left {
		t.Error("somebody is left")
	}
}

func TestAWaitingServiceGetsWhatADeadNodeDisputed(t *testing.T) {
	settings := event.DefaultSettings()
	settings.Pools = []event.PoolSettings{{Name: "a", OnEdit: event.OnEditDrain}}
	s := cluster(3, 0, settings, event.PoolEdited{Pool: event.Pool{Name: "a", Addresses: []string{"10.4.0.1-10.4.0.1"}}},
		event.VIPConflictSeen{Node: node(2), Address: netip.MustParseAddr("10.4.0.1"), Interface: "eth0", MAC: "02:00:00:00:00:99"},
		eventtest.Service(0, 0))
	if got := text(of(t, s).Failure(node(2))); got != "1: - to lb-1" && got != "1: - to lb-2" {
		t.Error(got)
	}
}

func TestEachForetellsSinglesAndPairs(t *testing.T) {
	s := cluster(6, 40, event.NodeDrained{Address: node(5)}, event.RulesAdopted{Rules: 1})
	f := of(t, s)
	seen, orders := 0, 0
	for o := range f.Each() {
		var dead []netip.Addr
		for _, n := range o.Dead {
			dead = append(dead, n.Address)
		}
		if got, want := text(o), text(f.Failure(dead...)); got != want {
			t.Errorf("%v: %s, alone %s", dead, got, want)
		}
		seen++
		if o.OrderMatters {
			orders++
			slices.Reverse(dead)
			if text(o) == text(f.Failure(dead...)) {
				t.Errorf("%v: the order does not matter", dead)
			}
		}
	}
	if orders == 0 {
		t.Error("no order matters")
	}
	if seen-orders/2 != f.Failures() || f.Failures() != 6+15 {
		t.Errorf("%d outcomes, %d of two orders, of %d failures", seen, orders, f.Failures())
	}
	for range f.Each() { // who has seen enough stops
		break
	}
}

func TestALedgerWithoutVotersHasNoForecast(t *testing.T) {
	if _, err := Of(ledger.New(logID)); !errors.Is(err, ErrNoVoters) {
		t.Error(err)
	}
}

func TestBlackHolesComeFromTheLease(t *testing.T) {
	f := of(t, cluster(3, 3))
	least, most := f.BlackHole()
	if least != 399*time.Millisecond || most.Truncate(time.Millisecond) != 510*time.Millisecond {
		t.Error(least, most)
	}
}

// BenchmarkEach foretells all single and double failures.
func BenchmarkEach(b *testing.B) {
	for _, size := range []struct{ nodes, addresses int }{{10, 1000}, {50, 1000}, {128, 1000}} {
		b.Run(fmt.Sprintf("nodes=%d,addresses=%d", size.nodes, size.addresses), func(b *testing.B) {
			f := of(b, cluster(size.nodes, size.addresses, event.RulesAdopted{Rules: 1}))
			for b.Loop() {
				n := 0
				for range f.Each() {
					n++
				}
				if n < f.Failures() {
					b.Fatal(n)
				}
				b.ReportMetric(float64(f.Failures()), "failures")
			}
		})
	}
}
