package ledger

import (
	"crypto/ed25519"
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
//	2  the router id and the priorities of the control plane's front end are remembered, and its settings are honoured
const (
	rulesStandbyInsertion = 1
	rulesFrontend         = 2

	// RulesKnown is the highest number that this binary knows.
	RulesKnown = 2
)

// Binary is what the program that folds a ledger can do. It is no part of the state: replicas of different binaries have the
// same digest.
type Binary struct {
	Rules uint64 // the highest number of rules that it knows
	// Verify tells whether a voter has signed a message, by its public key; nil: by Ed25519. A simulation that goes on
	// where a real cluster's log ends holds no voter's private key, and lets other keys stand in for them.
	Verify func(key ed25519.PublicKey, message, signature []byte) bool
	// Decode reads a record as event.Decode does, which it is if it is nil. What folds the same facts again and again may
	// remember them: the ledger never writes to an event.
	Decode func(event.Record) (event.Event, error)
}

// FoldAs lets the ledger, and clones of it, be folded as a binary folds it: an older one, or one that trusts other keys.
func (s *State) FoldAs(b Binary) { s.binary = &b }

func (s *State) rulesKnown() uint64 {
	if s.binary == nil {
		return RulesKnown
	}
	return s.binary.Rules
}

// Verify tells whether the owner of a voter's key has signed a message.
func (s *State) Verify(key ed25519.PublicKey, message, signature []byte) bool {
	if s.binary == nil || s.binary.Verify == nil {
		return ed25519.Verify(key, message, signature)
	}
	return s.binary.Verify(key, message, signature)
}

// rulesAdopted moves to newer rules, once every node that has joined knows them.
func (f *fold) rulesAdopted(e event.RulesAdopted) {
	if e.Rules <= f.rules {
		return
	}
	if why := f.WhyNotRules(e.Rules); why != "" {
		f.reject("%s", why)
		return
	}
	f.rules = e.Rules
	f.add(Change{Kind: Configured, Reason: fmt.Sprintf("rules %d", e.Rules)})
}

// WhyNotRules says why rules cannot be adopted; "" if they can.
func (s *State) WhyNotRules(rules uint64) string {
	if known := s.rulesKnown(); rules > known {
		return fmt.Sprintf("rules %d: this version knows rules up to %d", rules, known)
	}
	for _, n := range s.nodes.rows {
		if n.status == nodeJoined && n.rules < rules {
			return fmt.Sprintf("rules %d: node %s knows rules up to %d", rules, s.describe(n.address), n.rules)
		}
	}
	return ""
}

// RulesDue is the number of the rules that every joined node and this binary know, if it is higher than the one in
// force; else 0.
func (s *State) RulesDue() uint64 {
	due := s.rulesKnown()
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
func (s *State) Readable(e log.Entry) error {
	if e.Type != typeRulesAdopted {
		return nil
	}
	decoded, err := event.Decode(e.Record)
	if err != nil {
		return nil // rejected by every version alike
	}
	if adopted, ok := decoded.(event.RulesAdopted); ok && adopted.Rules > s.rulesKnown() {
		return fmt.Errorf("fact %d: %w: %d, this version knows rules up to %d; upgrade it", e.Sequence, ErrNewerRules, adopted.Rules, s.rulesKnown())
	}
	return nil
}

var typeRulesAdopted = event.TypeOf(event.RulesAdopted{})

// ErrNewerRules marks a log that goes on under rules that this binary does not know.
var ErrNewerRules = errors.New("the log adopts newer rules")
