package timeline

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"viplog/core/trace"
)

// faultRow is what was done to an actor; bars that are at one time are in different rows.
type faultRow struct {
	Actor string `json:"actor"`
	Bars  []bar  `json:"bars"`
}

// ending says which record of the same actor ends a fault.
type ending struct {
	fault string // part of its text
	kind  trace.Kind
	heal  string // how the text of what ends it begins; with a space at its end, the rest is as that of the fault
	links bool   // what heals all links ends it, too
}

// endings are of faults that last. One that none is for ends as it says itself ("for 3s"), with a heal of its actor that is
// of no other fault, or at once.
var endings = []ending{
	{"loses power", trace.Heal, "has power", false},
	{"its agent crashes", trace.Started, "", false},
	{"its clocks run", trace.Heal, "its clocks", false},
	{"its disk needs", trace.Heal, "its disk", false},
	{"is cut off", trace.Heal, "reaches", true},
	{"its link is down", trace.Heal, "its link is up", true},
	{"its link loses", trace.Heal, "its link is up", true},
	{"is not heard by ", trace.Heal, "is heard by ", true},
	{"is heard by", trace.Heal, "is heard by", true},
	{"does not reach the log", trace.Heal, "reaches the log", true},
	{"its followers of the log lag", trace.Heal, "its followers", true},
	{"what its agent sends", trace.Heal, "what its agent sends", true},
	{"loses one", trace.Heal, "loses no", true},
	{"doubles one", trace.Heal, "doubles no", true},
	{"of all that goes to it", trace.Heal, "its network", true},
	{"is split", trace.Heal, "is whole", true},
}

// of tells whether a heal is of such a fault.
func (e ending) of(r trace.Record, fault string) bool {
	rest, is := strings.CutPrefix(r.Text, e.heal)
	if r.Kind != e.kind || !is {
		return false
	}
	_, of, _ := strings.Cut(fault, e.fault)
	return !strings.HasSuffix(e.heal, " ") || rest == of
}

// allLinks is the text of a heal that is of no one actor.
const allLinks = "all links"

// fault is one that lasts, maybe.
type fault struct {
	bar
	actor  string
	ending int  // of endings; -1: none
	lasts  bool // until something ends it
}

func (m *model) makeFaults() {
	var all []*fault
	m.healed = map[int][]int{}
	for i, r := range m.records {
		for _, f := range all {
			if f.endedBy(r) {
				f.To, f.lasts, f.Open = r.At, false, false
				if r.Kind != trace.Fault {
					m.healed[i] = append(m.healed[i], f.Record)
				}
			}
		}
		all = slices.DeleteFunc(all, func(f *fault) bool {
			if !f.lasts {
				m.Faults = addFault(m.Faults, f)
			}
			return !f.lasts
		})
		if r.Kind == trace.Fault {
			all = append(all, m.newFault(i))
		}
	}
	for _, f := range all {
		if f.lasts && f.ending < 0 { // nothing says that it goes on
			f.To, f.Open = f.From, false
		}
		m.Faults = addFault(m.Faults, f)
	}
	for i := range m.Faults {
		slices.SortStableFunc(m.Faults[i].Bars, func(a, b bar) int { return cmp.Compare(a.From, b.From) })
	}
	m.Faults = apart(m.Faults)
}

func (m *model) newFault(i int) *fault {
	r := m.records[i]
	f := &fault{bar: bar{From: r.At, To: m.End, Open: true, Text: r.Text, Node: m.node(r.Actor), Record: i}, actor: r.Actor, lasts: true}
	f.ending = slices.IndexFunc(endings, func(e ending) bool { return strings.Contains(r.Text, e.fault) })
	if r.Address.IsValid() {
		f.Text = r.Address.String() + ": " + r.Text
	}
	if d := lasting(r.Text); d > 0 {
		f.lasts = false
		f.To, f.Open = min(r.At+d, m.End), r.At+d > m.End
	}
	return f
}

// lasting is how long a fault's text says that it lasts: "… for 3s".
func lasting(text string) time.Duration {
	_, rest, has := strings.Cut(text, " for ")
	if !has {
		return 0
	}
	word, _, _ := strings.Cut(rest, " ")
	d, err := time.ParseDuration(strings.TrimRight(word, ",.;"))
	if err != nil {
		return 0
	}
	return d
}

func (f *fault) endedBy(r trace.Record) bool {
	if r.Kind == trace.Heal && r.Text == allLinks {
		return f.lasts && f.ending >= 0 && endings[f.ending].links
	}
	if !f.lasts || r.Actor != f.actor {
		return false
	}
	if f.ending < 0 {
		return r.Kind == trace.Heal && !slices.ContainsFunc(endings, func(e ending) bool { return e.kind == trace.Heal && strings.HasPrefix(r.Text, e.heal) })
	}
	// Done once more, it goes on in a bar of its own.
	return endings[f.ending].of(r, f.Text) || r.Kind == trace.Fault && r.Text == f.Text
}

// addFault puts what was done to one actor at one time, for as long, into one bar.
func addFault(rows []faultRow, f *fault) []faultRow {
	i := slices.IndexFunc(rows, func(r faultRow) bool { return r.Actor == f.actor })
	if i < 0 {
		return append(rows, faultRow{f.actor, []bar{f.bar}})
	}
	for k := range rows[i].Bars {
		if b := &rows[i].Bars[k]; b.From == f.From && b.To == f.To && b.Open == f.Open {
			b.Text = joinedText(b.Text, f.Text)
			return rows
		}
	}
	rows[i].Bars = append(rows[i].Bars, f.bar)
	return rows
}

// joinedText adds a text, of which the end alone if all but its last word was said.
func joinedText(before, text string) string {
	_, last, _ := cut(before, "; ")
	if space := strings.LastIndexByte(text, ' '); space > 0 && strings.HasPrefix(last, text[:space+1]) {
		return before + ", " + text[space+1:]
	}
	return before + "; " + text
}

// cut is strings.Cut at the last separator.
func cut(text, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return "", text, false
}

// apart gives an actor as many rows as it has bars at one time.
func apart(rows []faultRow) []faultRow {
	out := []faultRow{}
	for _, r := range rows {
		first := len(out)
		for _, b := range r.Bars {
			i := slices.IndexFunc(out[first:], func(o faultRow) bool {
				last := o.Bars[len(o.Bars)-1]
				return last.To < b.From || last.To == b.From && last.From < b.From
			})
			if i >= 0 {
				out[first+i].Bars = append(out[first+i].Bars, b)
			} else {
				out = append(out, faultRow{r.Actor, []bar{b}})
			}
		}
	}
	return out
}
