package scenario

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"viplog/core/log"
	"viplog/sim"
)

// parser reads a script from the top down: the cluster comes first, and says which hosts and addresses there are.
type parser struct {
	scenario *Scenario
	logs     Logs
	inPools  func(netip.Addr) bool
	example  netip.Addr // one that is in the pools
	hosts    []sim.HostSpec
	foreign  []string
	last     time.Duration // of the newest line that says when
	errs     []error
}

// wantTimeline is the section that holds the timeline.
const wantTimeline = "want.timeline"

// Logs reads the recorded log that a scenario goes on from, by the path that stands in it, which counts from the scenario's folder.
type Logs func(path string) (id string, entries []log.Entry, err error)

// Parse reads a scenario. The error tells all that is wrong, each with its line. Logs may be nil where no scenario goes on from one.
func Parse(path string, data []byte, logs Logs) (*Scenario, error) {
	archive := txtar.Parse(data)
	s := &Scenario{Path: path, archive: archive}
	p := &parser{scenario: s, logs: logs}
	for i, text := range strings.Split(strings.TrimSuffix(string(archive.Comment), "\n"), "\n") {
		text, _, _ = strings.Cut(text, "#")
		if words := strings.Fields(text); len(words) > 0 {
			if err := p.line(i+1, words); err != nil {
				p.errs = append(p.errs, fmt.Errorf("%s:%d: %w", path, i+1, err))
			}
			if p.hosts == nil { // nothing else can be read
				return nil, errors.Join(p.errs...)
			}
		}
	}
	if p.hosts == nil {
		return nil, fmt.Errorf("%s:1: there is no verb; a scenario begins with: %s", path, beginnings())
	}
	p.sections(data)
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}
	return s, nil
}

// sections finds the goldens.
func (p *parser) sections(data []byte) {
	s := p.scenario
	for i := range s.archive.Files {
		f := &s.archive.Files[i]
		if f.Name == wantTimeline && s.golden == nil {
			s.golden = f
			continue
		}
		before, _, _ := strings.Cut(string(data), "-- "+f.Name+" --")
		at := strings.Count(before, "\n") + 1
		if f.Name == wantTimeline {
			p.errs = append(p.errs, fmt.Errorf("%s:%d: section %s is there twice", s.Path, at, f.Name))
		} else {
			p.errs = append(p.errs, fmt.Errorf("%s:%d: unknown section %q; %s", s.Path, at, f.Name, unknown(f.Name, []string{wantTimeline})))
		}
	}
}

// line reads one verb.
func (p *parser) line(number int, words []string) error {
	l := line{number: number, text: strings.Join(words, " ")}
	a := &args{parser: p, words: words}
	p.when(a, &l)
	if a.err != nil {
		return a.err
	}
	v := p.verb(a)
	if a.err != nil {
		return a.err
	}
	a.form, l.quiet = v.Form, v.quiet && l.when.kind == now
	switch {
	case v.first && p.hosts != nil:
		return errors.New("the cluster is there already")
	case !v.first && p.hosts == nil:
		return fmt.Errorf("the first verb must be: %s", beginnings())
	case v.final && l.when.kind != now:
		return fmt.Errorf("%s looks at the whole run and has no time", v.Name)
	case !v.final && (len(p.scenario.asserts)+len(p.scenario.marks) > 0 || p.scenario.verdict != ""):
		return fmt.Errorf("%s comes after an assert; asserts and marks stand at the end", v.Name)
	}
	l.do = v.parse(a, l)
	a.end()
	if a.err != nil {
		if v.first {
			p.hosts = nil
		}
		return a.err
	}
	if l.do != nil {
		p.scenario.lines = append(p.scenario.lines, l)
	}
	return nil
}

// when reads `at T`, `after D` or `upon KIND [HOST]`.
func (p *parser) when(a *args, l *line) {
	switch a.words[0] {
	case "at":
		a.words, a.form = a.words[1:], "at T VERB…"
		l.when = when{kind: at, d: a.duration("T")}
		if a.err == nil && l.when.d < p.last {
			a.fail("at %v comes after a line at %v; lines stand in the order of time", l.when.d, p.last)
		}
		p.last = max(p.last, l.when.d)
	case "after":
		a.words, a.form = a.words[1:], "after D VERB…"
		l.when = when{kind: after, d: a.duration("D")}
		p.last += l.when.d
	case "upon":
		a.words, a.form = a.words[1:], "upon KIND [HOST] VERB…"
		l.when = when{kind: upon, mark: a.mark()}
	}
	if a.err == nil && len(a.words) == 0 {
		a.fail("a verb is missing; write: %s", a.form)
	}
}

// verb takes the longest name of a verb that the words begin with.
func (p *parser) verb(a *args) *Verb {
	var found *Verb
	var firsts, longer []string
	for i := range verbs {
		v := &verbs[i]
		name := strings.Fields(v.Name)
		if !slices.Contains(firsts, name[0]) {
			firsts = append(firsts, name[0])
		}
		if name[0] == a.words[0] {
			longer = append(longer, v.Name)
		}
		if len(a.words) >= len(name) && slices.Equal(a.words[:len(name)], name) && (found == nil || len(name) > len(strings.Fields(found.Name))) {
			found = v
		}
	}
	switch {
	case found != nil:
		a.words = a.words[len(strings.Fields(found.Name)):]
	case len(longer) > 0:
		a.fail("%q is no verb; %s", strings.Join(a.words[:min(2, len(a.words))], " "),
			unknown(strings.Join(a.words[:min(2, len(a.words))], " "), longer))
	default:
		a.fail("unknown verb %q; %s", a.words[0], unknown(a.words[0], firsts))
	}
	return found
}

// names lists the hosts of a role.
func (p *parser) names(r role) (names []string) {
	for _, h := range p.hosts {
		if r.has(h) {
			names = append(names, h.Name)
		}
	}
	return names
}

// clients lists the clients' names.
func (p *parser) clients() (names []string) {
	for i := range p.scenario.Options.Clients {
		names = append(names, fmt.Sprintf("client-%d", i+1))
	}
	return names
}
