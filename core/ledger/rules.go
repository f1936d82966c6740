package ledger

import (
	"errors"
	"fmt"

	"viplog/core/event"
	"viplog/core/log"
)

// Rules are numbered, and a rule once used stays runnable: an old log replays under the rules that it was written under,
// to the same digest. A fact RulesAdopted moves the ledger to the next number.
//
//	0  the rules as they were first
//	1  a node that enters a list enters it as first standby, where it backs the owner less often there than the one
//	   that is; under 0 it always entered at the tail, and after a rolling restart nobody backed the others
const (
	rulesStandbyInsertion = 1

	// RulesKnown is the highest number that this binary knows.
	RulesKnown = 1
)

// rulesAdopted moves to newer rules, once every node that has joined knows them.
func (f *fold) rulesAdopted(e event.RulesAdopted) {
	if e.Rules <= f.rules {
		return
	}
	if e.Rules > RulesKnown {
		f.reject("rules %d: this version knows rules up to %d", e.Rules, RulesKnown)
		return
	}
	for _, n := range f.nodes.rows {
		if n.status == nodeJoined && n.rules < e.Rules {
			f.reject("rules %d: node %s knows rules up to %d", e.Rules, f.describe(n.address), n.rules)
			return
		}
	}
	f.rules = e.Rules
	f.add(Change{Kind: Configured, Reason: fmt.Sprintf("rules %d", e.Rules)})
}

// RulesDue is the number of the rules that every joined node and this binary know, if it is higher than the one in
// force; else 0.
func (s *State) RulesDue() uint64 {
	due := uint64(RulesKnown)
	joined := false
	for _, n := range s.nodes.rows {
		if n.status == nodeJoined {
			joined = true
			due = min(due, n.rules)
		}
	}
	if !joined || due <= s.rules {
		return 0
	}
	return due
}

// Readable tells whether this binary may fold an entry: ErrNewerRules for one after which it does not know the rules.
// Whoever folds a log asks first, and then stops folding, holds what it has and says so: what it would fold from there
// on, other replicas fold otherwise.
func Readable(e log.Entry) error {
	if e.Type != typeRulesAdopted {
		return nil
	}
	decoded, err := event.Decode(e.Record)
	if err != nil {
		return nil // rejected by every version alike
	}
	if adopted, ok := decoded.(event.RulesAdopted); ok && adopted.Rules > RulesKnown {
		return fmt.Errorf("fact %d: %w: %d, this version knows rules up to %d; upgrade it", e.Sequence, ErrNewerRules, adopted.Rules, RulesKnown)
	}
	return nil
}

var typeRulesAdopted = event.TypeOf(event.RulesAdopted{})

// ErrNewerRules marks a log that goes on under rules that this binary does not know.
var ErrNewerRules = errors.New("the log adopts newer rules")
