package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"viplog/core/trace"
	"viplog/sim"
	"viplog/sim/scenario"
)

// simCodes are the exit codes of verdicts; of several that occur the first one counts.
var simCodes = []struct {
	verdict sim.Verdict
	code    int
}{
	{sim.Violates, 10}, {scenario.NotDeterministic, 11}, {scenario.Unmarked, 12}, {sim.OutOfBudget, 14}, {sim.Inconclusive, 13},
}

// simReport prints how runs ended.
type simReport struct {
	run     *simRun
	began   time.Time
	bar     *progress
	results []scenario.Result
	virtual time.Duration
}

func newSimReport(r *simRun) *simReport {
	return &simReport{run: r, began: time.Now(), bar: newProgress(r.std.err, "", 0)}
}

// progress says on a terminal which scenario runs.
func (p *simReport) progress(done, total int, name string) {
	p.bar.say(fmt.Sprintf("%d of %d: %s", done, total, name))
}

// campaign says on a terminal how far a campaign is.
func (p *simReport) campaign(done, total uint64, wrong int) {
	wall := time.Since(p.began)
	pace := float64(done) / wall.Seconds()
	left := time.Duration(float64(total-done) / pace * float64(time.Second))
	p.bar.say(fmt.Sprintf("%d of %d seeds, %d failed, %.1f seeds/s, %v to go", done, total, wrong, pace, left.Round(time.Second)))
}

// stopped says that a campaign was, by its budget or an interrupt, before so many seeds had run.
func (p *simReport) stopped(left uint64) {
	fmt.Fprintf(p.run.std.err, "stopped: %d seeds have not run\n", left)
	if !slices.ContainsFunc(p.results, func(r scenario.Result) bool { return r.Verdict == sim.OutOfBudget }) {
		p.results = append(p.results, scenario.Result{Result: sim.Result{Verdict: sim.OutOfBudget}})
	}
}

// simView is a run as an object. Times are in nanoseconds.
type simView struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Name       string          `json:"name"`
	Verdict    sim.Verdict     `json:"verdict"`
	Line       int             `json:"line"`
	Why        string          `json:"why"`
	Virtual    time.Duration   `json:"virtual"`
	Events     uint64          `json:"events"`
	Trace      string          `json:"trace"`
	Moves      int             `json:"moves"`
	Overlap    time.Duration   `json:"overlap"`
	Asserts    []simAssertView `json:"asserts"`
	Seen       []simClientView `json:"seen"`
	Timeline   []trace.Record  `json:"timeline"`
}

type simAssertView struct {
	Line  int    `json:"line"`
	Text  string `json:"text"`
	Got   string `json:"got"`
	Holds bool   `json:"holds"`
}

type simClientView struct {
	Client   string        `json:"client"`
	Address  string        `json:"address"`
	Requests int           `json:"requests"`
	Lost     int           `json:"lost"`
	Darkest  time.Duration `json:"darkest"`
}

// simSummaryView is all runs together, as an object.
type simSummaryView struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Runs       int           `json:"runs"`
	OK         int           `json:"ok"`
	Virtual    time.Duration `json:"virtual"`
}

// count takes a run that needs no line.
func (p *simReport) count(r scenario.Result) {
	p.results, p.virtual = append(p.results, scenario.Result{Result: sim.Result{Verdict: r.Verdict}}), p.virtual+r.Virtual
}

// add prints one run of a scenario.
func (p *simReport) add(name string, s *scenario.Scenario, r scenario.Result) error {
	p.bar.end()
	p.results, p.virtual = append(p.results, r), p.virtual+r.Virtual
	if p.run.output == "json" {
		return printObject(p.run.std.out, "json", p.view(name, r))
	}
	out := p.run.std.out
	if p.run.verbose {
		if err := printTimeline(out, timelineOf(s, r)); err != nil {
			return err
		}
		for _, a := range r.Asserts {
			fmt.Fprintf(out, "%s:%d: %s: %s\n", name, a.Line, a.Text, a.Got)
		}
		for _, s := range r.Seen {
			fmt.Fprintf(out, "%s of %s: %d requests, %d lost, %v at most between two answered ones\n", s.Client, s.Address, s.Requests, s.Lost, s.Darkest)
		}
	}
	where, why := name, r.Why
	if r.Line > 0 {
		where = fmt.Sprintf("%s:%d", name, r.Line)
	}
	if why != "" {
		why = "  " + strings.ReplaceAll(why, "\n", " ")
	}
	_, err := fmt.Fprintf(out, "%-8s  %s  virtual=%.3fs events=%d trace=%s%s\n", r.Verdict, where, r.Virtual.Seconds(), r.Events, r.TraceHash, why)
	return err
}

func (p *simReport) view(name string, r scenario.Result) simView {
	v := simView{
		APIVersion: apiVersion, Kind: "SimResult", Name: name, Verdict: r.Verdict, Line: r.Line, Why: r.Why, Virtual: r.Virtual, Events: r.Events,
		Trace: r.TraceHash, Moves: r.Moves, Overlap: r.Overlap, Asserts: []simAssertView{}, Seen: []simClientView{}, Timeline: []trace.Record{},
	}
	for _, a := range r.Asserts {
		v.Asserts = append(v.Asserts, simAssertView(a))
	}
	for _, s := range r.Seen {
		v.Seen = append(v.Seen, simClientView(s))
	}
	if p.run.verbose {
		v.Timeline = append(v.Timeline, r.Timeline...)
	}
	return v
}

// end prints the summary, and gives the error with the exit code.
func (p *simReport) end() error {
	count := map[sim.Verdict]int{}
	for _, r := range p.results {
		count[r.Verdict]++
	}
	if p.run.output == "json" {
		summary := simSummaryView{apiVersion, "SimSummary", len(p.results), count[sim.OK], p.virtual}
		if err := printObject(p.run.std.out, "json", summary); err != nil {
			return failed(err)
		}
	} else {
		parts := []string{fmt.Sprintf("%d ok", count[sim.OK])}
		for _, c := range simCodes {
			if n := count[c.verdict]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, c.verdict))
			}
		}
		wall := time.Since(p.began)
		fmt.Fprintf(p.run.std.out, "%d runs: %s; %v virtual, twice, in %v%s\n", len(p.results), strings.Join(parts, ", "),
			p.virtual.Round(time.Millisecond), wall.Round(time.Millisecond), p.pace(wall))
	}
	i := slices.IndexFunc(p.results, func(r scenario.Result) bool { return r.Verdict != sim.OK })
	if i < 0 {
		return nil
	}
	for _, c := range simCodes {
		if count[c.verdict] > 0 {
			return exitError{c.code, errSilent}
		}
	}
	return failed(fmt.Errorf("unknown verdict %q", p.results[i].Verdict))
}

// pace is what a campaign's figures are, of all processors together.
func (p *simReport) pace(wall time.Duration) string {
	if !p.run.seeds.given {
		return ""
	}
	const year = 365 * 24 * time.Hour
	return fmt.Sprintf(": %.1f seeds/s, %.4f years, %.0f times as fast as time", float64(len(p.results))/wall.Seconds(),
		2*p.virtual.Hours()/year.Hours(), 2*p.virtual.Seconds()/wall.Seconds())
}

// errSilent has no text: all is said already.
var errSilent = silent{}

type silent struct{}

func (silent) Error() string { return "" }
