package doctor

import (
	"errors"
	"fmt"
	"slices"
)

// Severity is how bad a finding is.
type Severity string

// The severities. An error breaks something or will at the next failure; a warning may.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Skipped Severity = "skipped" // it could not be looked at; the finding says why
	OK      Severity = "ok"
)

// Severities are all of them, the worst first.
func Severities() []Severity { return []Severity{Error, Warning, Skipped, OK} }

// Finding is what a check has seen.
type Finding struct {
	ID       string   `json:"id"` // CHECK/WHAT; stays the same from version to version
	Severity Severity `json:"severity"`
	About    string   `json:"about"` // an interface, a port, an address; "" for the host
	Seen     string   `json:"seen"`
	Do       string   `json:"do"` // what to do; "" where nothing is
}

func wrong(id, about, do, seen string, values ...any) Finding {
	return Finding{id, Error, about, fmt.Sprintf(seen, values...), do}
}

func doubtful(id, about, do, seen string, values ...any) Finding {
	return Finding{id, Warning, about, fmt.Sprintf(seen, values...), do}
}

func skipped(id, about, do, why string, values ...any) Finding {
	return Finding{id, Skipped, about, fmt.Sprintf(why, values...), do}
}

// Of what an interrupt has kept from being seen.
const (
	interrupted = "it was interrupted"
	again       = "run it again"
)

func fine(id, about, seen string, values ...any) Finding {
	return Finding{id, OK, about, fmt.Sprintf(seen, values...), ""}
}

// Failed tells whether a finding is an error.
func Failed(all []Finding) bool {
	return slices.ContainsFunc(all, func(f Finding) bool { return f.Severity == Error })
}

// ErrSystem says that this system is not Linux.
var ErrSystem = errors.New("doctor: only a Linux host can be looked at")
