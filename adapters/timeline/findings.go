package timeline

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"viplog/core/trace"
)

// sort is what a finding is of.
type sort string

const (
	violation sort = "violation"
	overlap   sort = "overlap"
	blackHole sort = "black hole"
	move      sort = "move"
	trouble   sort = "fault"
)

// finding is something worth a sentence.
type finding struct {
	Sort   sort          `json:"sort"`
	At     time.Duration `json:"at"`
	From   time.Duration `json:"from"` // what to look at
	To     time.Duration `json:"to"`
	Band   int           `json:"band"`   // of Bands; -1: none
	Record int           `json:"record"` // to look at; -1: none
	Text   string        `json:"text"`   // a plain sentence

	order time.Duration // in which they are told; mostly At
}

// find makes sentences, in order of time. What is planned or mended in the set-up is none.
func (m *model) find() {
	for _, row := range m.Faults {
		for _, b := range row.Bars {
			m.findFault(row.Actor, b)
		}
	}
	m.findViolations()
	for i := range m.Bands {
		m.findOverlaps(i)
		m.findHoles(i)
		m.findMoves(i)
	}
	slices.SortStableFunc(m.Findings, func(a, b finding) int { return cmp.Compare(a.order, b.order) })
}

func (m *model) add(f finding) {
	if f.order == 0 {
		f.order = f.At
	}
	m.Findings = append(m.Findings, f)
	if f.Band >= 0 {
		m.Bands[f.Band].Notable = true
	}
}

// bandIn is the band of the first address that a text names.
func (m *model) bandIn(text string) int {
	for _, word := range strings.Fields(text) {
		if addr, err := netip.ParseAddr(strings.Trim(word, ",.;:()")); err == nil {
			if b := m.bandOf(addr); b >= 0 {
				return b
			}
		}
	}
	return -1
}

// findViolations tells once what an auditor finds again and again.
func (m *model) findViolations() {
	times := map[string]int{}
	for _, r := range m.records {
		if r.Kind == trace.Violated {
			times[r.Text]++
		}
	}
	for i, r := range m.records {
		n := times[r.Text]
		if r.Kind != trace.Violated || n == 0 {
			continue
		}
		delete(times, r.Text)
		text := "Violated: " + r.Text
		if n > 1 {
			text += fmt.Sprintf(" (found %d times)", n)
		}
		m.add(finding{Sort: violation, At: r.At, From: r.At, To: r.At, Band: m.bandIn(r.Text), Record: i, Text: text + "."})
	}
}

func (m *model) findOverlaps(i int) {
	for _, o := range m.Bands[i].Overlaps {
		who := o.Text
		if o.Record < 0 {
			who = "which ones is not known"
		} else if more := m.joining(m.Bands[i], o); len(more) > 0 {
			who += ", then " + strings.Join(more, ", ") + " as well"
		}
		text := fmt.Sprintf("Two nodes answer for %s at once, %s: %s.", m.Bands[i].Address, who, forHowLong(o))
		m.add(finding{Sort: overlap, At: o.From, From: o.From, To: o.To, Band: i, Record: o.Record, Text: text})
	}
}

// joining are nodes that begin to announce an address while two others answer for it.
func (m *model) joining(b band, overlap bar) (names []string) {
	for _, row := range b.Rows {
		name := m.nodeName(row.Node)
		if !strings.Contains(" "+overlap.Text+" ", " "+name+" ") && slices.ContainsFunc(row.Bars, func(one bar) bool {
			return one.State == announcing && one.From >= overlap.From && one.From < overlap.To
		}) {
			names = append(names, name)
		}
	}
	return names
}

func forHowLong(b bar) string {
	if b.Open {
		return "for " + short(b.To-b.From) + ", and still at the end"
	}
	return "for " + short(b.To-b.From)
}

// findHoles puts into one sentence what several clients see of one black hole.
func (m *model) findHoles(i int) {
	b := m.Bands[i]
	type hole struct {
		bar
		clients []string
		then    string
	}
	var holes []hole
	for _, row := range b.Reach {
		for k, dip := range row.Bars {
			if dip.State != dark {
				continue
			}
			then := ""
			if k+1 < len(row.Bars) {
				then = row.Bars[k+1].Text
			}
			same := slices.IndexFunc(holes, func(h hole) bool { return h.From < dip.To && dip.From < h.To })
			if same < 0 {
				holes = append(holes, hole{dip, []string{row.Client}, then})
				continue
			}
			h := &holes[same]
			if dip.To-dip.From > h.To-h.From {
				h.bar, h.then = dip, then
			}
			if !slices.Contains(h.clients, row.Client) {
				h.clients = append(h.clients, row.Client)
			}
		}
	}
	for _, h := range holes {
		whom := ""
		if len(h.clients) < len(b.Reach) {
			whom = " to " + strings.Join(h.clients, ", ")
		}
		text := fmt.Sprintf("Nobody answers%s for %s %s", whom, b.Address, forHowLong(h.bar))
		if h.then != "" {
			text += "; then " + h.then + " does"
		}
		f := finding{Sort: blackHole, At: h.From, From: h.From, To: h.To, Band: i, Record: h.Record, Text: text + "."}
		f.order = min(h.From+isDark, h.To) // it begins with the last answered request, which may be before what led to it
		m.add(f)
	}
}

// findMoves looks who announces an address after whom.
func (m *model) findMoves(i int) {
	b := m.Bands[i]
	var all []bar
	for _, row := range b.Rows {
		before := state("")
		for k, one := range row.Bars {
			goesOn := k > 0 && row.Bars[k-1].To == one.From && (before == announcing || before == held || before == handing)
			before = one.State
			if one.State == probing {
				continue
			}
			if goesOn {
				last := &all[len(all)-1]
				last.To, last.Open, last.Text = one.To, one.Open, one.Text
				continue
			}
			all = append(all, one)
		}
	}
	slices.SortStableFunc(all, func(a, b bar) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Record, b.Record))
	})
	for k := 1; k < len(all); k++ {
		before, now := all[k-1], all[k]
		if before.Node != now.Node && now.From >= m.Began {
			m.add(finding{
				Sort: move, At: now.From, From: min(before.To, now.From), To: now.From, Band: i, Record: now.Record,
				Text: m.moveText(b.Address, before, now),
			})
		}
	}
}

func (m *model) moveText(address string, before, now bar) string {
	from, to := m.nodeName(before.Node), m.nodeName(now.Node)
	if before.Open {
		return fmt.Sprintf("%s announces %s beside %s, which announces it until the end.", to, address, from)
	}
	begin := fmt.Sprintf("%s takes over %s from %s, ", to, address, from)
	when := "when "
	switch {
	case before.To < now.From:
		when = short(now.From-before.To) + " after "
	case before.To > now.From:
		when = short(before.To-now.From) + " before "
	}
	switch before.Text {
	case "":
		return begin + when + from + " stopped."
	case endOfProcess:
		return begin + when + from + " went down."
	default:
		return begin + when + from + " stopped (" + before.Text + ")."
	}
}

func (m *model) nodeName(n int) string {
	if n < 0 || n >= len(m.Nodes) {
		return "nobody"
	}
	return m.Nodes[n]
}

func (m *model) findFault(actor string, b bar) {
	if b.From < m.Began {
		return
	}
	text := actor + ": " + b.Text
	switch {
	case b.Open:
		text += "; it lasts until the end"
	case b.To > b.From && lasting(b.Text) == 0:
		text += "; it lasts " + short(b.To-b.From)
	}
	m.add(finding{Sort: trouble, At: b.From, From: b.From, To: b.To, Band: -1, Record: b.Record, Text: text + "."})
}

// short is a duration for a person: three digits and a unit.
func short(d time.Duration) string {
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"s", time.Second}, {"ms", time.Millisecond}, {"µs", time.Microsecond}} {
		if d < u.unit {
			continue
		}
		whole := d / u.unit
		switch {
		case whole >= 100 || d%u.unit == 0:
			return fmt.Sprintf("%d %s", (d+u.unit/2)/u.unit, u.name)
		case whole >= 10:
			return fmt.Sprintf("%.1f %s", float64(d)/float64(u.unit), u.name)
		default:
			return fmt.Sprintf("%.2f %s", float64(d)/float64(u.unit), u.name)
		}
	}
	return fmt.Sprintf("%d ns", max(d, 0))
}
