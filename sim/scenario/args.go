package scenario

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"viplog/core/event"
	"viplog/sim"
)

// args are the words after a verb. The first thing that is wrong with them is kept, and then all reads give nothing.
type args struct {
	parser *parser
	form   string // how the verb is written
	words  []string
	err    error
}

func (a *args) fail(format string, values ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, values...)
	}
}

// word takes the next word; what names it in the error that there is none.
func (a *args) word(what string) string {
	if a.err != nil {
		return ""
	}
	if len(a.words) == 0 {
		a.fail("%s is missing; write: %s", what, a.form)
		return ""
	}
	word := a.words[0]
	a.words = a.words[1:]
	return word
}

// end holds that nothing is left over.
func (a *args) end() {
	if len(a.words) > 0 {
		a.fail("%q is too much; write: %s", strings.Join(a.words, " "), a.form)
	}
}

// literal takes one of some words.
func (a *args) literal(words ...string) string {
	word := a.word(strings.Join(words, " or "))
	if a.err == nil && !slices.Contains(words, word) {
		a.fail("%q is not %s; write: %s", word, strings.Join(words, " or "), a.form)
	}
	return word
}

func (a *args) duration(what string) time.Duration { return a.durationOf(what, a.word(what)) }

func (a *args) durationOf(what, text string) time.Duration {
	if a.err != nil {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		a.fail("%s %q: a time with its unit is required, like 500ms, 8s or 2m", what, text)
	}
	return d
}

func (a *args) countOf(what, text string) int {
	if a.err != nil {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		a.fail("%s %q: a number is required", what, text)
	}
	return n
}

// address takes an address of the pool.
func (a *args) address() netip.Addr { return a.addressOf("ADDRESS", a.word("ADDRESS")) }

func (a *args) addressOf(what, text string) netip.Addr {
	if a.err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		a.fail("%s %q: an address is required, like %s", what, text, a.parser.example)
	case !a.parser.inPools(addr):
		a.fail("%s %s is in no pool; %s is", what, addr, a.parser.example)
	}
	return addr
}

// fact takes the name of a kind of fact, or one of the words that stand for others.
func (a *args) fact(or ...string) string {
	kind := a.word("FACT")
	known := or
	for _, t := range event.Types() {
		known = append(known, strings.TrimSuffix(strings.TrimPrefix(t.Name, "viplog."), ".v1"))
	}
	if a.err == nil && !slices.Contains(known, kind) {
		a.fail("no fact is called %q; %s", kind, unknown(kind, known))
	}
	return kind
}

// role is what a host must be.
type role int

const (
	anyHost role = iota
	aNode
	aVoter
)

func (r role) has(h sim.HostSpec) bool {
	return r == anyHost || r == aNode && h.Node || r == aVoter && h.Voter
}

func (r role) String() string {
	return [...]string{"host", "load-balancer node", "voter's host"}[r]
}

// host takes a host's name.
func (a *args) host(r role) string { return a.hostOf(r, a.word("HOST")) }

func (a *args) hostOf(r role, name string) string {
	if a.err != nil {
		return ""
	}
	fitting := a.parser.names(r)
	switch {
	case slices.Contains(fitting, name):
	case slices.Contains(a.parser.names(anyHost), name):
		a.fail("%s is no %s; there are %s", name, r, strings.Join(fitting, ", "))
	default:
		a.fail("no %s is called %q; %s", r, name, unknown(name, fitting))
	}
	return name
}

// options takes all further words, which are KEY=VALUE, each key once.
func (a *args) options(keys ...string) map[string]string {
	all := map[string]string{}
	for a.err == nil && len(a.words) > 0 {
		word := a.word("")
		key, value, ok := strings.Cut(word, "=")
		switch _, twice := all[key]; {
		case !slices.Contains(keys, key):
			a.fail("%q is no option here; %s", word, unknown(key, keys))
		case !ok || value == "":
			a.fail("%s has no value; write: %s", key, a.form)
		case twice:
			a.fail("%s is there twice", key)
		}
		all[key] = value
	}
	return all
}

// oneOf reads an option's value, which is one of some words; the first one if the option is absent.
func (a *args) oneOf(options map[string]string, key string, values ...string) string {
	value, ok := options[key]
	if !ok {
		return values[0]
	}
	if !slices.Contains(values, value) {
		a.fail("%s=%s: %s", key, value, unknown(value, values))
	}
	return value
}

// limited reads an option's number of a range.
func (a *args) limited(options map[string]string, key string, otherwise, least, most int) int {
	text, ok := options[key]
	if !ok {
		return otherwise
	}
	n := a.countOf(key, text)
	if a.err == nil && (n < least || n > most) {
		a.fail("%s=%d: from %d to %d are possible", key, n, least, most)
	}
	return n
}
