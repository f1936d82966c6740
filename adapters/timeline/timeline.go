// Package timeline shows a trace to people: as one HTML page that needs nothing else, and as text for a terminal. It owns
// what records add up to: who announced an address when, whom clients reached, what rests on what.
package timeline

import (
	"time"

	"viplog/core/trace"
)

// Timeline is a trace and what is known of it beside its records. Everything but Records may be empty.
type Timeline struct {
	Title   string         // one line: what ran
	Verdict string         // how it ended: VerdictOK, or in words what is wrong
	Why     string         // the verdict's reason
	Command string         // runs it again
	Script  string         // what was done, as it was written
	Began   time.Duration  // when the set-up ended; what is before is there, but not shown at first
	End     time.Duration  // of the trace; a record that is later makes it later
	Nodes   []string       // in the order of their lanes; others that records name are added as they come
	Records []trace.Record // in any order; those of one time stay in their order
}

// VerdictOK is the verdict that is no bad news.
const VerdictOK = "ok"
