package scenario

import (
	"fmt"
	"slices"
	"strings"

	"viplog/core/trace"
)

// Verb is one that scripts may use, as its reference has it.
type Verb struct {
	Name    string // the words that it begins with
	Form    string
	Says    string
	Example string

	first bool // makes the cluster
	quiet bool // may be part of the set-up
	final bool // looks at the whole run, and stands at its end
	parse func(a *args, l line) action
}

// verbs are all that there are.
var verbs []Verb

func init() { // they need each other: errors name verbs
	verbs = slices.Concat(clusterVerbs, hostVerbs, linkVerbs, logVerbs, watchVerbs, finalVerbs)
}

// Verbs lists the verbs, in the order of the reference.
func Verbs() []Verb { return verbs }

// beginnings are the forms of the verbs that make a cluster.
func beginnings() string {
	var forms []string
	for _, v := range verbs {
		if v.first {
			forms = append(forms, v.Form)
		}
	}
	return strings.Join(forms, ", or: ")
}

// noEffect is a verb whose precondition does not hold.
const noEffect trace.Kind = "no effect"

func (r *run) idle(actor, format string, values ...any) {
	r.world.Tell(actor, trace.Note{Kind: noEffect, Text: r.line.text + ": " + fmt.Sprintf(format, values...)})
}
