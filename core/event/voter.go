package event

import (
	"errors"
	"fmt"
	"net/netip"
)

// MaxVoters is the most voters that a set may have.
const MaxVoters = 7

// VoterAdded makes a host a voter. ID is random per disk, so that a voter which lost its disk is another voter; Key is
// the host's Ed25519 public key.
type VoterAdded struct {
	ID      string     `json:"id"`
	Address netip.Addr `json:"address"`
	Key     []byte     `json:"key"`
}

// VoterRemoved ends a voter.
type VoterRemoved struct {
	ID string `json:"id"`
}

// VotersSettled says that the voter set with version Set is in force everywhere, so that the next change may follow.
type VotersSettled struct {
	Set uint64 `json:"set"`
}

// VoterDeclaredOff says that an operator vouches, in words, that a voter's host is powered off.
type VoterDeclaredOff struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Why a rebalance is asked for.
const (
	RebalanceAfterStart = "start"
	RebalanceByOperator = "operator"
)

// RebalanceRequested asks for the fewest moves that even out the addresses over the nodes.
type RebalanceRequested struct {
	Reason string `json:"reason"`
}

// RulesAdopted moves the ledger to the rules with this number.
type RulesAdopted struct {
	Rules uint64 `json:"rules"`
}

func (VoterAdded) isEvent()         {}
func (VoterRemoved) isEvent()       {}
func (VotersSettled) isEvent()      {}
func (VoterDeclaredOff) isEvent()   {}
func (RebalanceRequested) isEvent() {}
func (RulesAdopted) isEvent()       {}

// Entity is the voter.
func (e VoterAdded) Entity() string { return entity(kindVoter, e.ID) }

// Entity is the voter.
func (e VoterRemoved) Entity() string { return entity(kindVoter, e.ID) }

// Entity is the set of voters.
func (VotersSettled) Entity() string { return entity(kindVoters) }

// Entity is the operator's word on the voter.
func (e VoterDeclaredOff) Entity() string { return entity(kindOff, e.ID) }

// Entity is the one queue of rebalances.
func (RebalanceRequested) Entity() string { return entity(kindRebalance) }

// Entity is the one number of rules.
func (RulesAdopted) Entity() string { return entity(kindRules) }

// Check wants an id, an address and a key of 32 bytes.
func (e VoterAdded) Check() error {
	errs := []error{checkName("id", e.ID), checkAddress("address", e.Address)}
	if len(e.Key) != 32 {
		errs = append(errs, fmt.Errorf("key: %w: %d bytes, an Ed25519 public key has 32", ErrInvalid, len(e.Key)))
	}
	return errors.Join(errs...)
}

// Check wants an id.
func (e VoterRemoved) Check() error { return checkName("id", e.ID) }

// Check wants a version.
func (e VotersSettled) Check() error {
	if e.Set == 0 {
		return fmt.Errorf("set: %w: the version of the voter set is required", ErrInvalid)
	}
	return nil
}

// Check wants an id and the operator's words.
func (e VoterDeclaredOff) Check() error {
	return errors.Join(checkName("id", e.ID), checkName("reason", e.Reason))
}

// Check holds the enumeration.
func (e RebalanceRequested) Check() error {
	return checkOneOf("reason", e.Reason, RebalanceAfterStart, RebalanceByOperator)
}

// Check wants a number.
func (e RulesAdopted) Check() error {
	if e.Rules == 0 {
		return fmt.Errorf("rules: %w: a number from 1 is required", ErrInvalid)
	}
	return nil
}
