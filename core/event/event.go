// Package event is the vocabulary of the log: every fact that viplog knows and its one canonical form.
//
// A fact says what happened, in the past tense, and is never a decision: allocations and owners follow from the
// facts by folding (package ledger). Event is sealed; the types here are all there are. Encode and Decode are exact
// inverses: bytes that do not re-encode to themselves are refused, so that every replica, whatever its version,
// sees one meaning or none.
package event

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Event is one fact. The dynamic type is a pointer-free struct of this package.
type Event interface {
	// Entity names the thing that the fact is about: kind and name tokens, escaped and joined by dots. The log
	// keeps one subject per entity and guards appends by it.
	Entity() string
	// Check reports what is wrong with the fact by itself, whatever the ledger holds.
	Check() error
	isEvent()
}

// Kinds of entities: the first token of an entity. They follow who may append, so that one subject prefix is one
// permission: a node appends below node.<itself> and conflict.<itself> and nowhere else.
const (
	kindCluster   = "cluster"
	kindSettings  = "settings"
	kindPool      = "pool"
	kindNode      = "node"
	kindFailure   = "failure"
	kindDrain     = "drain"
	kindLabels    = "labels"
	kindService   = "service"
	kindEndpoints = "endpoints"
	kindNamespace = "namespace"
	kindAddress   = "address"
	kindConflict  = "conflict"
	kindVoter     = "voter"
	kindVoters    = "voters"
	kindOff       = "off"
	kindRebalance = "rebalance"
	kindRules     = "rules"
	kindFrontend  = "frontend"
)

// EscapeToken makes any name one token of a NATS subject: "." becomes "_", and each byte that a subject forbids, and
// "_" and "=" themselves, becomes "=" and two hexadecimal digits. UnescapeToken is its inverse.
func EscapeToken(name string) string {
	var token strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c == '.':
			token.WriteByte('_')
		case c <= ' ' || c >= 0x7f || c == '*' || c == '>' || c == '_' || c == '=':
			fmt.Fprintf(&token, "=%02X", c)
		default:
			token.WriteByte(c)
		}
	}
	return token.String()
}

// UnescapeToken gives back the name that EscapeToken was given.
func UnescapeToken(token string) (string, error) {
	var name strings.Builder
	for i := 0; i < len(token); i++ {
		switch c := token[i]; c {
		case '_':
			name.WriteByte('.')
		case '=':
			var b byte
			if i+2 >= len(token) {
				return "", fmt.Errorf("event: token %q ends in an unfinished escape", token)
			}
			if _, err := fmt.Sscanf(token[i+1:i+3], "%02X", &b); err != nil {
				return "", fmt.Errorf("event: token %q has the bad escape %q", token, token[i:i+3])
			}
			name.WriteByte(b)
			i += 2
		default:
			name.WriteByte(c)
		}
	}
	if EscapeToken(name.String()) != token {
		return "", fmt.Errorf("event: token %q is not the canonical form of %q", token, name.String())
	}
	return name.String(), nil
}

func entity(kind string, names ...string) string {
	tokens := kind
	for _, name := range names {
		tokens += "." + EscapeToken(name)
	}
	return tokens
}

// The checks below are shared by the facts' Check methods.

func checkAddress(field string, a netip.Addr) error {
	switch {
	case !a.IsValid():
		return fmt.Errorf("%s: %w: an IP address is required", field, ErrInvalid)
	case a.Is4In6():
		return fmt.Errorf("%s: %w: %s is IPv4 in IPv6 form; write %s", field, ErrInvalid, a, a.Unmap())
	case a.Zone() != "":
		return fmt.Errorf("%s: %w: %s has a zone", field, ErrInvalid, a)
	}
	return nil
}

func checkName(field, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s: %w: a name is required", field, ErrInvalid)
	case len(name) > 253:
		return fmt.Errorf("%s: %w: %d characters, at most 253 are allowed", field, ErrInvalid, len(name))
	}
	return nil
}

// checkLabels wants labels sorted by key, each once.
func checkLabels(field string, labels []Label) error {
	for i := 1; i < len(labels); i++ {
		if labels[i-1].Key >= labels[i].Key {
			return fmt.Errorf("%s: %w: must be sorted by key, each key once", field, ErrInvalid)
		}
	}
	return nil
}

func checkOneOf(field, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return fmt.Errorf("%s: %w: %q is none of %q", field, ErrInvalid, value, allowed)
}

// ErrInvalid marks a fact that is wrong by itself.
var ErrInvalid = errors.New("invalid fact")
