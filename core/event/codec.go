package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Record is an event in the form that the log stores.
type Record struct {
	Type   string // versioned: "viplog.NodeJoined.v1"
	Entity string // "node.10_200_0_5"
	Rules  uint64 // the least rules that a ledger must hold to honour the fact
	Data   []byte // one canonical JSON object
}

// MaxDataBytes is the most bytes that a fact's JSON may have.
const MaxDataBytes = 64 << 10

// form ties a versioned type name to its Go type, the only list of them.
type form struct {
	name   string
	rules  uint64
	doc    string
	by     string
	also   string // who appends it too; "" for nobody
	decode func(data []byte) (Event, error)
	zero   Event
}

func formOf[E Event](name, by, doc string) form {
	var zero E
	return form{name: "viplog." + name + ".v1", by: by, doc: doc, zero: zero, decode: decodeJSON[E]}
}

// since says which rules honour it first.
func (f form) since(rules uint64) form {
	f.rules = rules
	return f
}

// RulesOf is the least number of rules under which a ledger honours an event.
func RulesOf(e Event) uint64 {
	if s, is := e.(SettingsChanged); is && !s.Frontend.isZero() {
		return rulesFrontend
	}
	return nameByType[fmt.Sprintf("%T", e)].rules
}

// rulesFrontend are those that know of the control plane's front end.
const rulesFrontend = 2

// and lets somebody else append it too.
func (f form) and(also string) form {
	f.also = also
	return f
}

const (
	byOperator = "operator"
	byControl  = "control"
	byNode     = "node"
)

// forms is sorted by who appends, then in the order of a cluster's life.
var forms = []form{
	formOf[ClusterConfigured]("ClusterConfigured", byOperator, "what the cluster file declares, its pools apart").and(byControl),
	formOf[SettingsChanged]("SettingsChanged", byOperator, "all of viplog's own settings, defaults filled in").and(byControl),
	formOf[PoolAdded]("PoolAdded", byOperator, "a pool of addresses").and(byControl),
	formOf[PoolEdited]("PoolEdited", byOperator, "a pool's new definition").and(byControl),
	formOf[PoolRemoved]("PoolRemoved", byOperator, "a pool dropped by the operator").and(byControl),
	formOf[NodeDrained]("NodeDrained", byOperator, "no address on this node, please"),
	formOf[NodeUndrained]("NodeUndrained", byOperator, "the end of a drain"),
	formOf[NodeEvicted]("NodeEvicted", byOperator, "voters, let this incarnation die"),
	formOf[RebalanceRequested]("RebalanceRequested", byOperator, "even out the addresses with the fewest moves").and(byControl),
	formOf[AddressReleased]("AddressReleased", byOperator, "the end of an address's cooldown or reservation"),
	formOf[VoterDeclaredOff]("VoterDeclaredOff", byOperator, "an operator's word that a voter's host is off"),
	formOf[ServiceApplied]("ServiceApplied", byControl, "a Service of type LoadBalancer as it is declared now"),
	formOf[ServiceDeleted]("ServiceDeleted", byControl, "a Service that its source no longer has"),
	formOf[EndpointsChanged]("EndpointsChanged", byControl, "the nodes with a serving endpoint of a Service"),
	formOf[NamespaceChanged]("NamespaceChanged", byControl, "a namespace's labels"),
	formOf[NamespaceDeleted]("NamespaceDeleted", byControl, "a namespace that is gone"),
	formOf[NodeLabelled]("NodeLabelled", byControl, "a node's labels, taints and true conditions"),
	formOf[NodeFailed]("NodeFailed", byControl, "an incarnation proven dead, with the votes"),
	formOf[VoterAdded]("VoterAdded", byControl, "a new voter"),
	formOf[VoterRemoved]("VoterRemoved", byControl, "the end of a voter"),
	formOf[VotersSettled]("VotersSettled", byControl, "the voter set is in force everywhere"),
	formOf[RulesAdopted]("RulesAdopted", byControl, "the ledger's rules from here on").and(byOperator),
	formOf[FrontendAssigned]("FrontendAssigned", byControl, "the VRRP router id and priorities of the control plane's VIP").since(rulesFrontend),
	formOf[NodeJoined]("NodeJoined", byNode, "an agent has started: a new incarnation"),
	formOf[NodeChanged]("NodeChanged", byNode, "an incarnation's interfaces changed, or the rules that it knows"),
	formOf[NodeLeft]("NodeLeft", byNode, "an incarnation is silent for good"),
	formOf[VIPConflictSeen]("VIPConflictSeen", byNode, "a foreign MAC answers for an address"),
	formOf[VIPConflictCleared]("VIPConflictCleared", byNode, "the end of a conflict"),
}

var (
	formByName = map[string]form{}
	nameByType = map[string]form{}
)

func init() {
	for _, f := range forms {
		formByName[f.name] = f
		nameByType[fmt.Sprintf("%T", f.zero)] = f
	}
}

// Type describes one type of fact, for the reference.
type Type struct {
	Name string // versioned
	By   string // who appends it: operator, control or node
	Also string // who appends it too, "" for nobody
	Doc  string
	Zero Event
}

// Types lists every type of fact.
func Types() []Type {
	types := make([]Type, len(forms))
	for i, f := range forms {
		types[i] = Type{Name: f.name, By: f.by, Also: f.also, Doc: f.doc, Zero: f.zero}
	}
	return types
}

// TypeOf gives an event's versioned type name.
func TypeOf(e Event) string {
	f, ok := nameByType[fmt.Sprintf("%T", e)]
	if !ok {
		panic(fmt.Sprintf("event: %T is not in the list of forms", e))
	}
	return f.name
}

// Encode makes the canonical form of an event, or says what is wrong with it.
func Encode(e Event) (Record, error) {
	if err := e.Check(); err != nil {
		return Record{}, fmt.Errorf("encode %s: %w", TypeOf(e), err)
	}
	data, err := encodeJSON(e)
	if err != nil {
		return Record{}, fmt.Errorf("encode %s: %w", TypeOf(e), err)
	}
	if len(data) > MaxDataBytes {
		return Record{}, fmt.Errorf("encode %s: %w: %d bytes, at most %d are allowed", TypeOf(e), ErrInvalid, len(data), MaxDataBytes)
	}
	return Record{Type: TypeOf(e), Entity: e.Entity(), Rules: RulesOf(e), Data: data}, nil
}

// Decode is the inverse of Encode. It refuses a type that this binary does not know (ErrUnknownType), unknown fields, a
// body that is wrong by itself (ErrInvalid) or about another entity (ErrOtherEntity), and bytes that are not the
// canonical form of what they say (ErrNotCanonical).
func Decode(r Record) (Event, error) {
	f, ok := formByName[r.Type]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownType, r.Type)
	}
	if len(r.Data) > MaxDataBytes {
		return nil, fmt.Errorf("decode %s: %w: %d bytes, at most %d are allowed", r.Type, ErrInvalid, len(r.Data), MaxDataBytes)
	}
	e, err := f.decode(r.Data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", r.Type, err)
	}
	if err := e.Check(); err != nil {
		return nil, fmt.Errorf("decode %s: %w", r.Type, err)
	}
	if e.Entity() != r.Entity {
		return nil, fmt.Errorf("decode %s: %w: body of %s under %s", r.Type, ErrOtherEntity, e.Entity(), r.Entity)
	}
	again, err := encodeJSON(e)
	if err != nil || !bytes.Equal(again, r.Data) {
		return nil, fmt.Errorf("decode %s: %w", r.Type, ErrNotCanonical)
	}
	return e, nil
}

func decodeJSON[E Event](data []byte) (Event, error) {
	var e E
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if rest := data[decoder.InputOffset():]; len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%w: more than one JSON value", ErrInvalid)
	}
	return e, nil
}

// encodeJSON writes fields in the order of the struct, without spaces and without HTML escapes, so that `nats stream
// view` reads well.
func encodeJSON(e Event) ([]byte, error) {
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return bytes.TrimSuffix(data.Bytes(), []byte("\n")), nil
}

var (
	// ErrUnknownType marks a fact of a type that this binary does not know.
	ErrUnknownType = errors.New("unknown type of fact")
	// ErrOtherEntity marks a fact whose body names another entity than the subject it was stored under.
	ErrOtherEntity = errors.New("another entity than its subject")
	// ErrNotCanonical marks a body that does not re-encode to its own bytes.
	ErrNotCanonical = errors.New("not in canonical form")
)
