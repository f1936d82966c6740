// Package scenario reads and runs scenarios: what is done to a simulated cluster, in plain verbs, and what must hold then.
// The same scenario has the same trace, each time it runs.
package scenario

import (
	"net/netip"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"viplog/core/ledger"
	"viplog/core/trace"
	"viplog/sim"
)

// Scenario is a file that was read.
type Scenario struct {
	Path    string
	Seed    uint64
	Options sim.Options

	lines   []line
	asserts []assertion
	marks   []mark
	verdict sim.Verdict // that the run is to have, for a reason that holds because; "": ok
	because string
	archive *txtar.Archive
	golden  *txtar.File // want.timeline; nil: none
}

// Script is the scenario's text without its goldens.
func (s *Scenario) Script() string { return string(s.archive.Comment) }

// Hosts are the hosts at the start.
func (s *Scenario) Hosts() []sim.HostSpec { return s.Options.Defaults().Hosts }

// line is one verb of the script.
type line struct {
	number int
	text   string
	when   when
	quiet  bool // it may be part of the set-up
	do     action
}

// when is before a verb.
type when struct {
	kind whenKind
	d    time.Duration
	mark mark // of upon
}

type whenKind int

const (
	now   whenKind = iota
	at             // so long after the world's start
	after          // so long after the line before
	upon           // when something happens for the first time after the line before
)

// action is what a verb does.
type action func(r *run)

// Verdicts of scenarios, beside those of package sim.
const (
	NotDeterministic sim.Verdict = "not deterministic"
	Unmarked         sim.Verdict = "a mark was not hit"
)

// Result is what a scenario has shown.
type Result struct {
	sim.Result                // Moves and Overlap without the set-up
	Line       int            // of what does not hold; 0: none
	Asserts    []Checked      // in the order of the file
	Seen       []Seen         // by clients, in the order in which they began to ask
	SetUp      []trace.Record // what happened before the timeline
	Began      time.Duration  // when the set-up was over
	Timeline   []trace.Record // without the set-up
	Stack      string         // of a panic
	OnlyGolden bool           // all holds but that the timeline is another than want.timeline
	Ledger     *ledger.State  // what the facts add up to at the end
	Served     []Served       // at the end, by node
}

// Checked is an assert that was looked at.
type Checked struct {
	Line  int
	Text  string
	Got   string
	Holds bool
}

// Served is what a node answers for.
type Served struct {
	Node      netip.Addr
	Addresses []netip.Addr // in their order
}

// Seen is what a client saw of an address.
type Seen struct {
	Client   string
	Address  string
	Requests int
	Lost     int           // without an answer within two seconds
	Darkest  time.Duration // the longest time between two answered requests
}
