package scenario

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"viplog/core/trace"
	"viplog/sim"
)

// Assert is a thing that scenarios may assert of a run, as its reference has it.
type Assert struct {
	Name    string
	Form    string
	Says    string
	Example string

	of      operand
	value   valueKind
	measure func(r *run, of subject) int64
}

type operand int

const (
	ofNothing operand = iota
	ofAddress
	ofHost
	ofFact
)

// allFacts stands for facts of every kind.
const allFacts = "all"

type valueKind int

const (
	isCount valueKind = iota
	isDuration
	isHost // an index of World.Hosts, -1 for nobody
	isTrue // there is no value: 1 is asserted
)

// subject is what an assert is about.
type subject struct {
	addr netip.Addr
	host string
	fact string
}

// asserts are all that there are.
var asserts = []Assert{
	{
		Name: "leased-overlap", Form: "assert leased-overlap == N", Says: "How often two nodes answered for one address, both leased; never, whatever happens", Example: "assert leased-overlap == 0",
		measure: func(r *run, _ subject) (n int64) {
			for _, v := range r.world.Audit.Violations {
				if v.Auditor == "exclusive announcement" {
					n++
				}
			}
			return n
		},
	},
	{
		Name: "unleased-overlap", Form: "assert unleased-overlap <= D", Says: "For how long addresses had two answering nodes of which one held no lease, summed up", Example: "assert unleased-overlap <= 5ms",
		value: isDuration, measure: func(r *run, _ subject) int64 { return int64(r.world.Audit.OverlapSoFar() - r.base.overlap) },
	},
	{
		Name: "blackhole", Form: "assert blackhole ADDRESS <= D", Says: "The longest time between two requests that were answered, or from the last one to the end", Example: "assert blackhole 192.0.2.0 <= 600ms",
		of: ofAddress, value: isDuration, measure: func(r *run, of subject) int64 { return int64(r.darkest(of.addr)) },
	},
	{
		Name: "lost", Form: "assert lost ADDRESS == N", Says: "Requests without an answer within 2 s, of all clients", Example: "assert lost 192.0.2.0 == 0",
		of: ofAddress, measure: func(r *run, of subject) int64 { return r.lost(of.addr) },
	},
	{
		Name: "moves", Form: "assert moves <= N", Says: "How many addresses went from one owner to another", Example: "assert moves <= 1",
		measure: func(r *run, _ subject) int64 { return int64(r.world.Audit.Moves - r.base.moves) },
	},
	{
		Name: "facts", Form: "assert facts FACT|all <= N", Says: "How many facts of a kind were stored, or of all", Example: "assert facts NodeFailed == 1",
		of: ofFact, measure: func(r *run, of subject) (n int64) {
			for _, t := range r.result.Timeline {
				if t.Kind == trace.Appended && (of.fact == allFacts || strings.HasPrefix(t.Text, "viplog."+of.fact+".")) {
					n++
				}
			}
			return n
		},
	},
	{
		Name: "owner", Form: "assert owner ADDRESS == HOST|nobody", Says: "Whose the address is at the end", Example: "assert owner 192.0.2.0 == lb-2",
		of: ofAddress, value: isHost, measure: func(r *run, of subject) int64 { return r.index(r.owner(of.addr)) },
	},
	{
		Name: "silent", Form: "assert silent HOST", Says: "At the end the node answers for no address", Example: "assert silent lb-1",
		of: ofHost, value: isTrue, measure: func(r *run, of subject) int64 {
			if len(r.world.Host(of.host).Announces()) > 0 {
				return 0
			}
			return 1
		},
	},
}

// Asserts lists what may be asserted, in the order of the reference.
func Asserts() []Assert { return asserts }

// assertion is an assert of a script.
type assertion struct {
	*Assert
	number int
	text   string
	about  subject
	op     string
	want   int64
}

// finalVerbs look at the whole run.
var finalVerbs = []Verb{
	{
		Name: "assert", Form: "assert WHAT ==|<=|>= VALUE", Says: "What must hold of the whole run; the asserts are below", Example: "assert moves <= 1",
		final: true, parse: parseAssert,
	},
	{
		Name: "mark", Form: "mark KIND [HOST]", Says: "The timeline must have a line of this kind, of that host: else the scenario no longer shows what it is for", Example: "mark lease-lost lb-1",
		final: true, parse: parseMark,
	},
	{
		Name: "verdict", Form: "verdict inconclusive|violated REASON…", Says: "The run is to end so, for a reason that holds these words; else it is violated", Example: "verdict inconclusive its clock stood still",
		final: true, parse: parseVerdict,
	},
}

// parseVerdict takes the verdict that the run is to have instead of ok, and a part of its reason.
func parseVerdict(a *args, _ line) action {
	s := a.parser.scenario
	s.verdict = sim.Verdict(a.literal(string(sim.Inconclusive), string(sim.Violates)))
	s.because = strings.Join(a.words, " ")
	a.words = nil
	if a.err == nil && s.because == "" {
		a.fail("a part of the reason is missing; write: %s", a.form)
	}
	return nil
}

func parseAssert(a *args, l line) action {
	var names []string
	for _, known := range asserts {
		names = append(names, known.Name)
	}
	name := a.word("WHAT")
	i := slices.Index(names, name)
	if a.err == nil && i < 0 {
		a.fail("nothing is called %q; %s", name, unknown(name, names))
	}
	if a.err != nil {
		return nil
	}
	said := assertion{Assert: &asserts[i], number: l.number, text: l.text, op: "==", want: 1}
	a.form = said.Form
	switch said.of {
	case ofAddress:
		said.about.addr = a.address()
	case ofHost:
		said.about.host = a.host(aNode)
	case ofFact:
		said.about.fact = a.fact(allFacts)
	case ofNothing:
	}
	if said.value != isTrue {
		said.op = a.literal("==", "<=", ">=")
		said.want = a.valueOf(said.value, a.word("VALUE"))
		if said.value == isHost && said.op != "==" {
			a.fail("owners are compared by ==; write: %s", a.form)
		}
	}
	a.parser.scenario.asserts = append(a.parser.scenario.asserts, said)
	return nil
}

func (a *args) valueOf(kind valueKind, text string) int64 {
	switch kind {
	case isDuration:
		return int64(a.durationOf("VALUE", text))
	case isHost:
		name := a.ownerOf(text)
		return int64(slices.Index(a.parser.names(anyHost), name))
	default:
		return int64(a.countOf("VALUE", text))
	}
}

func (r *run) index(name string) int64 {
	for i, h := range r.world.Hosts {
		if h.Name == name {
			return int64(i)
		}
	}
	return -1
}

// check measures.
func (r *run) check(a assertion) Checked {
	if asked := slices.ContainsFunc(r.views, func(v *view) bool { return v.addr == a.about.addr }); !asked && (a.Name == "blackhole" || a.Name == "lost") {
		return Checked{a.number, a.text, "not known: no client asks it", false}
	}
	got := a.measure(r, a.about)
	holds := got == a.want || a.op == "<=" && got < a.want || a.op == ">=" && got > a.want
	shown := fmt.Sprint(got)
	switch {
	case a.value == isDuration:
		shown = time.Duration(got).String()
	case a.value == isHost && got < 0:
		shown = nobody
	case a.value == isHost:
		shown = r.world.Hosts[got].Name
	case a.value == isTrue:
		shown = fmt.Sprint(holds)
	}
	return Checked{a.number, a.text, shown, holds}
}

// mark is something that must have happened.
type mark struct {
	number int
	text   string
	kind   trace.Kind
	host   string // "" for any
}

// kinds are those that may be marked.
var kinds = []trace.Kind{
	trace.Started, trace.Joined, trace.Resumed, trace.Leased, trace.LeaseLost, trace.Deaf, trace.Hearing, trace.Probing, trace.Waits, trace.Announced,
	trace.Withdrawn, trace.Candidate, trace.Demoted, trace.Stopped, trace.Disputed, trace.Dead, trace.Ended, trace.Left, trace.Down, trace.Overlap, trace.Dark, trace.Voted, trace.Doubted, trace.Appended, trace.Refused, trace.Served,
	noEffect,
}

func parseMark(a *args, l line) action {
	said := a.mark()
	said.number, said.text = l.number, l.text
	a.parser.scenario.marks = append(a.parser.scenario.marks, said)
	return nil
}

// mark takes KIND [HOST].
func (a *args) mark() (said mark) {
	var names []string
	for _, k := range kinds {
		names = append(names, strings.ReplaceAll(string(k), " ", "-"))
	}
	name := a.word("KIND")
	if a.err == nil && !slices.Contains(names, name) {
		a.fail("nothing that happens is called %q; %s", name, unknown(name, names))
	}
	said.kind = trace.Kind(strings.ReplaceAll(name, "-", " "))
	if a.err == nil && len(a.words) > 0 && slices.Contains(a.parser.names(anyHost), a.words[0]) {
		said.host = a.host(anyHost)
	}
	return said
}

// hit tells whether the timeline has it.
func (m mark) hit(timeline []trace.Record) bool { return slices.ContainsFunc(timeline, m.is) }

// is tells whether a record is what is marked. A voter is called after its host.
func (m mark) is(t trace.Record) bool {
	return t.Kind == m.kind && (m.host == "" || t.Actor == m.host || t.Actor == "voter/"+m.host)
}
