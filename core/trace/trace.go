// Package trace is what happened, as data: one format for simulations, live clusters and incidents, and for whatever
// shows them.
package trace

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Kind is what happened.
type Kind string

// What happens to a node.
const (
	Started   Kind = "started"    // its process runs
	Joined    Kind = "joined"     // as a new incarnation; Sequence is its join
	Resumed   Kind = "resumed"    // a new process goes on as the incarnation of the one before
	Leased    Kind = "leased"     // it holds its lease
	LeaseLost Kind = "lease lost" // Text: hold or yield
	Deaf      Kind = "deaf"       // it holds no lease and hears nobody: silent until it does, and has asked who has its addresses
	Hearing   Kind = "hearing"    // it hears somebody again, and asks
	Probing   Kind = "probing"    // an address before its first use
	Waits     Kind = "waits"      // for its data plane, with an address that is new by fact Sequence, or with joining; Text: why
	Announced Kind = "announced"  // an address, under the list of version Sequence; Gap: for how long it waited for the data plane
	Withdrawn Kind = "withdrawn"  // its data plane is dead: it names no interfaces any more, so that others take over
	Candidate Kind = "candidate"  // it names them, although its data plane is dead, or because that is back; Text: why
	Demoted   Kind = "demoted"    // a fact moved an address away; the node answers until the others have read it
	Stopped   Kind = "stopped"    // an address; Text: why
	Disputed  Kind = "disputed"   // a foreign MAC answers for an address
	Dead      Kind = "dead"       // another incarnation is proven dead; Text: which
	Ended     Kind = "ended"      // its own incarnation; Text: why
	Left      Kind = "left"
	Down      Kind = "down" // its process has ended, and answers for nothing
)

// What happens to a voter, the log and a controller.
const (
	Voted    Kind = "voted"    // against an incarnation
	Doubted  Kind = "doubted"  // an incarnation, whose ledger is another than the voter's
	Appended Kind = "appended" // a fact; Sequence is its place
	Refused  Kind = "refused"  // an append, or a fact by the ledger
)

// What is done to them.
const (
	Fault Kind = "fault"
	Heal  Kind = "heal"
)

// What clients see.
const (
	Dark   Kind = "dark"   // a request to an address got no answer; Gap: since the last one that did was sent
	Served Kind = "served" // By another than before, or after a Gap
)

// What an auditor finds.
const (
	Overlap  Kind = "overlap" // two nodes answer for an address; Text: which
	Alone    Kind = "alone"   // no longer; Gap: for how long they did
	Violated Kind = "violated"
)

// Note is something that happened, by itself.
type Note struct {
	Kind     Kind          `json:"kind"`
	Address  netip.Addr    `json:"address,omitzero"`
	Sequence uint64        `json:"sequence,omitempty"` // of the fact that it rests on
	By       string        `json:"by,omitempty"`       // the node that clients reach
	Gap      time.Duration `json:"gap,omitempty"`      // nanoseconds
	Text     string        `json:"text,omitempty"`
}

// Record is a note with when and to whom.
type Record struct {
	At    time.Duration `json:"at"` // since the trace's start
	Actor string        `json:"actor"`
	Note
}

// Line is a record for a person: seconds, actor, what.
func (r Record) Line() string {
	text := fmt.Sprintf("%10.3f  %-12s %s", r.At.Seconds(), r.Actor, r.Kind)
	if r.Address.IsValid() {
		text += " " + r.Address.String()
	}
	if r.Sequence > 0 {
		text += fmt.Sprintf(" @%d", r.Sequence)
	}
	if r.By != "" {
		text += " by " + r.By
	}
	if r.Gap > 0 {
		text += " after " + r.Gap.String()
	}
	if r.Text != "" {
		text += ": " + r.Text
	}
	return strings.TrimRight(text, " ")
}

// JSON is a record's line of a trace file.
func (r Record) JSON() []byte {
	line, err := json.Marshal(r)
	if err != nil {
		panic("trace: a record is plain data: " + err.Error())
	}
	return append(line, '\n')
}
