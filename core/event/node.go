package event

import (
	"errors"
	"fmt"
	"net/netip"
)

// NodeJoined says that a load-balancer node's agent has started. The fact's sequence is the node's new incarnation.
// StartID is random per start of the agent, so that the same fact appended twice is one join.
type NodeJoined struct {
	Address    netip.Addr  `json:"address"`
	Name       string      `json:"name"`
	StartID    string      `json:"startID"`
	MachineID  string      `json:"machineID"`
	Interfaces []Interface `json:"interfaces"`
	Rules      uint64      `json:"rules"`
	Key        string      `json:"key"`
}

// Interface is a network interface of a node as its agent sees it. Prefixes are sorted.
type Interface struct {
	Name     string         `json:"name"`
	MAC      string         `json:"mac"`
	Up       bool           `json:"up"`
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`
}

// NodeChanged says that a running incarnation's interfaces changed, or, where Rules is not 0, that it goes on in a program that knows
// newer rules.
type NodeChanged struct {
	Address     netip.Addr  `json:"address"`
	Incarnation uint64      `json:"incarnation"`
	Interfaces  []Interface `json:"interfaces"`
	Rules       uint64      `json:"rules,omitempty"`
}

// NodeLeft says that an incarnation has stopped answering and will not answer again.
type NodeLeft struct {
	Address     netip.Addr `json:"address"`
	Incarnation uint64     `json:"incarnation"`
}

// NodeFailed says that an incarnation is proven dead: a majority of the voter set with version Set voted so.
type NodeFailed struct {
	Address     netip.Addr `json:"address"`
	Incarnation uint64     `json:"incarnation"`
	Set         uint64     `json:"set"`
	Votes       []Vote     `json:"votes"`
}

// Vote is one voter's signature (Ed25519, base64) of VoteMessage.
type Vote struct {
	Voter     string `json:"voter"`
	Signature []byte `json:"signature"`
}

// VoteMessage is what a voter signs: the log, the incarnation and the version of the voter set, so that a vote counts
// nowhere else.
func VoteMessage(logID string, address netip.Addr, incarnation, set uint64) []byte {
	return fmt.Appendf(nil, "viplog dead\n%s\n%s\n%d\n%d\n", logID, address, incarnation, set)
}

// NodeDrained says that an operator wants no address on this node.
type NodeDrained struct {
	Address netip.Addr `json:"address"`
	Reason  string     `json:"reason,omitempty"`
}

// NodeUndrained ends a drain.
type NodeUndrained struct {
	Address netip.Addr `json:"address"`
}

// NodeEvicted says that an operator wants this incarnation voted dead.
type NodeEvicted struct {
	Address     netip.Addr `json:"address"`
	Incarnation uint64     `json:"incarnation"`
	Reason      string     `json:"reason,omitempty"`
}

// NodeLabelled says what Kubernetes knows of a node: labels sorted by key, taints as "key=value:effect", and the
// names of the conditions that are true.
type NodeLabelled struct {
	Address    netip.Addr `json:"address"`
	Labels     []Label    `json:"labels,omitempty"`
	Taints     []string   `json:"taints,omitempty"`
	Conditions []string   `json:"conditions,omitempty"`
}

// VIPConflictSeen says that a foreign MAC answers for an address, seen by a node on an interface.
type VIPConflictSeen struct {
	Node      netip.Addr `json:"node"`
	Address   netip.Addr `json:"address"`
	Interface string     `json:"interface"`
	MAC       string     `json:"mac"`
}

// VIPConflictCleared ends a conflict that the node had reported.
type VIPConflictCleared struct {
	Node    netip.Addr `json:"node"`
	Address netip.Addr `json:"address"`
}

func (NodeJoined) isEvent()         {}
func (NodeChanged) isEvent()        {}
func (NodeLeft) isEvent()           {}
func (NodeFailed) isEvent()         {}
func (NodeDrained) isEvent()        {}
func (NodeUndrained) isEvent()      {}
func (NodeEvicted) isEvent()        {}
func (NodeLabelled) isEvent()       {}
func (VIPConflictSeen) isEvent()    {}
func (VIPConflictCleared) isEvent() {}

// Entity is the node, for what the node itself appends.
func (e NodeJoined) Entity() string { return entity(kindNode, e.Address.String()) }

// Entity is the node, for what the node itself appends.
func (e NodeChanged) Entity() string { return entity(kindNode, e.Address.String()) }

// Entity is the node, for what the node itself appends.
func (e NodeLeft) Entity() string { return entity(kindNode, e.Address.String()) }

// Entity is the node's deaths, which controllers append.
func (e NodeFailed) Entity() string { return entity(kindFailure, e.Address.String()) }

// Entity is the operator's wish for the node.
func (e NodeDrained) Entity() string { return entity(kindDrain, e.Address.String()) }

// Entity is the operator's wish for the node.
func (e NodeUndrained) Entity() string { return entity(kindDrain, e.Address.String()) }

// Entity is the operator's wish for the node.
func (e NodeEvicted) Entity() string { return entity(kindDrain, e.Address.String()) }

// Entity is what Kubernetes says of the node.
func (e NodeLabelled) Entity() string { return entity(kindLabels, e.Address.String()) }

// Entity is the pair of the node that sees the conflict and the address.
func (e VIPConflictSeen) Entity() string {
	return entity(kindConflict, e.Node.String(), e.Address.String())
}

// Entity is the pair of the node that sees the conflict and the address.
func (e VIPConflictCleared) Entity() string {
	return entity(kindConflict, e.Node.String(), e.Address.String())
}

// Check wants an address, a name, the ids of start and machine and well-formed interfaces.
func (e NodeJoined) Check() error {
	return errors.Join(
		checkAddress("address", e.Address), checkName("name", e.Name), checkName("startID", e.StartID),
		checkName("machineID", e.MachineID), checkInterfaces(e.Interfaces))
}

// Check wants an address, an incarnation and well-formed interfaces.
func (e NodeChanged) Check() error {
	return errors.Join(checkAddress("address", e.Address), checkIncarnation(e.Incarnation), checkInterfaces(e.Interfaces))
}

// Check wants an address and an incarnation.
func (e NodeLeft) Check() error {
	return errors.Join(checkAddress("address", e.Address), checkIncarnation(e.Incarnation))
}

// Check wants an address, an incarnation and at least one vote.
func (e NodeFailed) Check() error {
	errs := []error{checkAddress("address", e.Address), checkIncarnation(e.Incarnation)}
	if len(e.Votes) == 0 || len(e.Votes) > MaxVoters {
		errs = append(errs, fmt.Errorf("votes: %w: %d votes, 1 to %d are allowed", ErrInvalid, len(e.Votes), MaxVoters))
	}
	for i, v := range e.Votes {
		errs = append(errs, checkName(fmt.Sprintf("votes[%d].voter", i), v.Voter))
	}
	return errors.Join(errs...)
}

// Check wants an address.
func (e NodeDrained) Check() error { return checkAddress("address", e.Address) }

// Check wants an address.
func (e NodeUndrained) Check() error { return checkAddress("address", e.Address) }

// Check wants an address and an incarnation.
func (e NodeEvicted) Check() error {
	return errors.Join(checkAddress("address", e.Address), checkIncarnation(e.Incarnation))
}

// Check wants an address and sorted labels.
func (e NodeLabelled) Check() error {
	return errors.Join(checkAddress("address", e.Address), checkLabels("labels", e.Labels))
}

// Check wants both addresses, the interface and the MAC.
func (e VIPConflictSeen) Check() error {
	return errors.Join(checkAddress("node", e.Node), checkAddress("address", e.Address),
		checkName("interface", e.Interface), checkName("mac", e.MAC))
}

// Check wants both addresses.
func (e VIPConflictCleared) Check() error {
	return errors.Join(checkAddress("node", e.Node), checkAddress("address", e.Address))
}

func checkIncarnation(incarnation uint64) error {
	if incarnation == 0 {
		return fmt.Errorf("incarnation: %w: the sequence of the node's NodeJoined is required", ErrInvalid)
	}
	return nil
}

func checkInterfaces(interfaces []Interface) error {
	var errs []error
	for i, ifi := range interfaces {
		errs = append(errs, checkName(fmt.Sprintf("interfaces[%d].name", i), ifi.Name))
		for j, p := range ifi.Prefixes {
			errs = append(errs, checkPrefix(fmt.Sprintf("interfaces[%d].prefixes[%d]", i, j), p))
		}
	}
	return errors.Join(errs...)
}
