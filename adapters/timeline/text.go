package timeline

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"viplog/core/trace"
)

// Widths of the terminal's columns.
const (
	actorWidth = 12
	leastText  = 40 // of a line's end, which address columns must leave free
)

// What an address's column shows if no single node announces it.
const (
	nobodyMark  = "-"
	severalMark = "2" // by their own records
	overlapMark = "!" // an auditor sees that both answer
)

// nodeMarks number nodes in columns of one character.
const nodeMarks = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func nodeMark(n int) string {
	if n < 0 || n >= len(nodeMarks) {
		return "*"
	}
	return nodeMarks[n : n+1]
}

// printer writes a model for a terminal.
type printer struct {
	*model
	to     *bufio.Writer
	width  int // 0: as wide as need be
	colour bool
	bands  []int // that have a column
}

// Text writes a timeline for a terminal: the sentences of what matters, and one line per record after the set-up, with a
// column for each node's state and for who announces each address. Lines are cut at width characters, and sentences go on in the
// next one; 0 cuts none.
func Text(w io.Writer, t Timeline, width int, colour bool) error {
	p := &printer{model: build(t), to: bufio.NewWriter(w), width: width, colour: colour}
	p.choose()
	p.head(t)
	for i, r := range p.records {
		if r.At >= p.Began {
			p.record(i, r)
		}
	}
	if len(p.Findings) > 0 {
		p.line("")
	}
	for _, f := range p.Findings {
		p.sentence(fmt.Sprintf("%10.3f  ", f.At.Seconds()), plain(f.Text))
	}
	p.verdict(t)
	return p.to.Flush()
}

// choose gives columns to the addresses that something happens to, as long as there is room.
func (p *printer) choose() {
	var busy []int
	for i, e := range p.Events {
		if e.Band >= 0 && p.records[i].At >= p.Began && !slices.Contains(busy, e.Band) {
			busy = append(busy, e.Band)
		}
	}
	for _, f := range p.Findings {
		if f.Band >= 0 && !slices.Contains(busy, f.Band) {
			busy = append(busy, f.Band)
		}
	}
	slices.Sort(busy)
	if len(busy) == 0 {
		for i := range p.Bands {
			busy = append(busy, i)
		}
	}
	if p.width > 0 {
		room := p.width - leastText - 10 - 2 - actorWidth - 2 - 2 - len(p.Nodes) - 1
		busy = busy[:min(len(busy), max(room, 1))]
	}
	p.bands = busy
}

// head names the columns.
func (p *printer) head(t Timeline) {
	if t.Title != "" {
		p.line(plain(t.Title))
	}
	var names []string
	for i, name := range p.Nodes {
		names = append(names, nodeMark(i)+" "+plain(name))
	}
	p.list("nodes:", names)
	names = nil
	for k, b := range p.bands {
		names = append(names, fmt.Sprintf("%d %s", k+1, p.Bands[b].Address))
	}
	if others := len(p.Bands) - len(p.bands); others > 0 {
		names = append(names, fmt.Sprintf("and %d more without a column", others))
	}
	p.list("addresses:", names)
	columns := ""
	for i := range p.Nodes {
		columns += nodeMark(i)
	}
	columns += " "
	for k := range p.bands {
		columns += fmt.Sprint((k + 1) % 10)
	}
	p.line(fmt.Sprintf("%10s  %-*s   %s", "seconds", actorWidth, "actor", columns))
}

// list writes names after a word, on as many lines as they need.
func (p *printer) list(word string, names []string) {
	text := word
	for _, name := range names {
		if p.width > 0 && len([]rune(text))+2+len([]rune(name)) > p.width && text != word {
			p.line(text)
			text = strings.Repeat(" ", len(word))
		}
		text += "  " + name
	}
	if len(names) > 0 {
		p.line(text)
	}
}

func (p *printer) record(i int, r trace.Record) {
	mark := markOf(r.Kind)
	text := fmt.Sprintf("%10.3f  %-*s %s ", r.At.Seconds(), actorWidth, plain(r.Actor), mark.Mark)
	for _, l := range p.Lanes[:len(p.Nodes)] {
		text += p.stateAfter(i, l)
	}
	text += " "
	for _, b := range p.bands {
		text += p.announcerAfter(i, p.Bands[b])
	}
	text = strings.TrimRight(text+"  "+plain(p.Events[i].What), " ")
	p.painted(text, mark.Mood)
}

func (p *printer) stateAfter(i int, l lane) string {
	for _, b := range slices.Backward(l.Bars) {
		if b.lasts(i) {
			return stateMark(b.State)
		}
	}
	return stateMark(unknown)
}

func (p *printer) announcerAfter(i int, b band) string {
	if slices.ContainsFunc(b.Overlaps, func(o bar) bool { return o.lasts(i) }) {
		return overlapMark
	}
	who := nobodyMark
	for _, row := range b.Rows {
		if !slices.ContainsFunc(row.Bars, func(one bar) bool { return one.State != probing && one.lasts(i) }) {
			continue
		}
		if who != nobodyMark {
			return severalMark
		}
		who = nodeMark(row.Node)
	}
	return who
}

func (p *printer) verdict(t Timeline) {
	if t.Verdict == "" {
		return
	}
	p.line("")
	text := "verdict: " + plain(t.Verdict)
	if t.Why != "" {
		text += ": " + plain(t.Why)
	}
	how := good
	if t.Verdict != VerdictOK {
		how = bad
	}
	p.painted(text, how)
	if t.Command != "" {
		p.line("again: " + plain(t.Command))
	}
}

// sentence writes a text beside a margin, on as many lines as it needs.
func (p *printer) sentence(margin, text string) {
	line := margin
	for i, word := range strings.Fields(text) {
		if i > 0 && p.width > 0 && len([]rune(line))+1+len([]rune(word)) > p.width {
			p.line(strings.TrimRight(line, " "))
			line = strings.Repeat(" ", len(margin))
		} else if i > 0 {
			line += " "
		}
		line += word
	}
	p.line(line)
}

func (p *printer) line(text string) { p.painted(text, neutral) }

// painted writes a line, cut to the width, in the colour of a mood.
func (p *printer) painted(text string, how mood) {
	if runes := []rune(text); p.width > 0 && len(runes) > p.width {
		text = string(runes[:p.width-1]) + "…"
	}
	paint := map[mood]string{good: "\x1b[32m", change: "\x1b[33m", bad: "\x1b[31m"}[how]
	if p.colour && paint != "" {
		text = paint + text + "\x1b[0m"
	}
	p.to.WriteString(text + "\n")
}

// plain takes from a text what a terminal would obey.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == 0x7f:
			return ' '
		case r >= 0x80 && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return '?'
		}
		return r
	}, text)
}
