package ledger

import (
	"net/netip"
	"strings"
)

// Change is one consequence of a fact, with its reason.
type Change struct {
	Kind    ChangeKind
	Service ServiceKey // of Allocated, Released and Waiting
	Address netip.Addr // of Allocated, Released, Freed, Moved and Unowned
	Pool    string     // of Allocated, Released and Pool…
	Node    netip.Addr // of Node…; the new owner of Moved
	From    netip.Addr // the former owner of Moved; zero if there was none
	Reason  string
}

// ChangeKind says what changed.
type ChangeKind string

// The kinds of changes.
const (
	Allocated   ChangeKind = "allocated"  // a Service got an address
	Released    ChangeKind = "released"   // a Service lost its address
	Waiting     ChangeKind = "waiting"    // a Service has no address
	Freed       ChangeKind = "freed"      // an address has cooled long enough, by an operator's word
	Conflicted  ChangeKind = "conflict"   // a foreign MAC answers for an address
	Undisputed  ChangeKind = "undisputed" // a node no longer sees a conflict over an address
	Moved       ChangeKind = "moved"      // an address has another owner
	Unowned     ChangeKind = "unowned"    // an address has no owner any more
	Configured  ChangeKind = "configured" // the cluster, its settings or a pool is declared anew
	NodeChanged ChangeKind = "node"       // a node joined, left, failed, is drained or declared
	VoterSet    ChangeKind = "voters"     // the set of voters is another, or settled
	Balanced    ChangeKind = "rebalanced" // a rebalance was done
	Rejected    ChangeKind = "rejected"   // the fact cannot be honoured and changed nothing
)

// Describe is one line for a person; the ledger gives nodes their names.
func (s *State) Describe(c Change) string {
	words := []string{string(c.Kind)}
	if c.Service != (ServiceKey{}) {
		words = append(words, c.Service.String())
	}
	if c.Address.IsValid() {
		words = append(words, c.Address.String())
	}
	if c.Pool != "" {
		words = append(words, "in "+c.Pool)
	}
	if c.From.IsValid() {
		words = append(words, "from "+s.describe(c.From))
	}
	switch {
	case c.Kind == Moved:
		words = append(words, "to "+s.describe(c.Node))
	case c.Node.IsValid():
		words = append(words, s.describe(c.Node))
	}
	line := strings.Join(words, " ")
	if c.Reason != "" {
		line += ": " + c.Reason
	}
	return line
}
