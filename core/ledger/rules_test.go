package ledger

import (
	"errors"
	"fmt"
	"testing"

	"viplog/core/event"
	"viplog/core/log"
)

// spreadOfFirstStandbys is the largest difference, over owners, in how often other nodes are its first standby.
func spreadOfFirstStandbys(s *State, nodes int) int {
	widest := 0
	for owner := range nodes {
		least, most := 1<<30, 0
		for other := range nodes {
			if other != owner {
				o, _ := s.node(nodeAddress(owner))
				b, _ := s.node(nodeAddress(other))
				n := s.loads.backed(o.slot, b.slot, 1)
				least, most = min(least, n), max(most, n)
			}
		}
		widest = max(widest, most-least)
	}
	return widest
}

// knowing makes nodes join that know these rules.
func knowing(s *State, nodes int, rules uint64, start string) {
	for i := range nodes {
		e := joined(i, start)
		e.Rules = rules
		apply(s, e)
	}
}

// One rule differs between rules 0 and 1: under 0 a returned node backs others at the tail only. The same facts under
// the two give different standbys; up to RulesAdopted they give the same ledger.
func TestRulesAdoptedChangesOneRuleFromThereOn(t *testing.T) {
	const nodes = 3
	run := func(rules uint64) (before, after *State) {
		s := New(testLog)
		apply(s, clusterOf(nodes))
		apply(s, voterAdded())
		apply(s, event.PoolAdded{Pool: event.Pool{Name: "a", Addresses: []string{"10.0.1.0/24"}}})
		knowing(s, nodes, 1, "first")
		withServices(s, 60)
		before = s.Clone()
		if rules > 0 {
			if changes := apply(s, event.RulesAdopted{Rules: rules}); len(changes) != 1 || changes[0].Kind != Configured {
				t.Fatalf("%v", changes)
			}
		}
		apply(s, failed(s, 1))
		again := joined(1, "second")
		again.Rules = 1
		apply(s, again)
		return before, s
	}
	before0, after0 := run(0)
	before1, after1 := run(1)
	if before0.Digest() != before1.Digest() {
		t.Error("the ledgers differ before the rules do")
	}
	old, now := spreadOfFirstStandbys(after0, nodes), spreadOfFirstStandbys(after1, nodes)
	if now > 1 || old <= now {
		t.Errorf("first standbys differ by %d under rules 0 and %d under rules 1; want at most 1, and less than before", old, now)
	}
	if fmt.Sprint(ownersOnly(after0)) != fmt.Sprint(ownersOnly(after1)) {
		t.Error("rules 1 moved an owner")
	}
	if restored, err := Restore(after1.Snapshot()); err != nil || restored.Rules() != 1 {
		t.Errorf("restored with rules %d, %v", restored.Rules(), err)
	}
}

func ownersOnly(s *State) (all []string) {
	for _, v := range s.AddressViews() {
		all = append(all, v.Address+" "+v.Owner)
	}
	return all
}

func TestRulesAreAdoptedOnceEveryJoinedNodeKnowsThem(t *testing.T) {
	s := New(testLog)
	apply(s, clusterOf(2))
	if s.RulesDue() != 0 {
		t.Error("rules are due before any node joined")
	}
	knowing(s, 1, 1, "first")
	old := joined(1, "first")
	apply(s, old)
	if changes := apply(s, event.RulesAdopted{Rules: 1}); changes[0].Kind != Rejected || s.RulesDue() != 0 {
		t.Errorf("a node knows rules 0 only: %v, due %d", changes, s.RulesDue())
	}
	knowing(s, 2, 1, "upgraded")
	if s.RulesDue() != 1 {
		t.Errorf("due %d, want 1", s.RulesDue())
	}
	apply(s, event.RulesAdopted{Rules: 1})
	if s.Rules() != 1 || s.RulesDue() != 0 {
		t.Errorf("rules %d, due %d", s.Rules(), s.RulesDue())
	}
	if changes := apply(s, event.RulesAdopted{Rules: 1}); len(changes) != 0 {
		t.Errorf("adopted twice: %v", changes)
	}
}

func TestNewerRulesAreNotReadable(t *testing.T) {
	entry := func(rules uint64) log.Entry {
		r, err := event.Encode(event.RulesAdopted{Rules: rules})
		if err != nil {
			t.Fatal(err)
		}
		return log.Entry{Fact: log.Fact{Record: r}, Sequence: 1}
	}
	if err := New("log").Readable(entry(RulesKnown)); err != nil {
		t.Error(err)
	}
	if err := New("log").Readable(entry(RulesKnown + 1)); !errors.Is(err, ErrNewerRules) {
		t.Errorf("error %v", err)
	}
	forged := entry(RulesKnown + 1)
	forged.Entity = "service.a.b"
	if err := New("log").Readable(forged); err != nil {
		t.Errorf("a forged fact stops the fold: %v", err)
	}
}
