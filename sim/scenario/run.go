package scenario

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"viplog/core/trace"
	"viplog/sim"
	"viplog/sim/kernel"
	"viplog/sim/segment"
)

// run is one run of a scenario.
type run struct {
	ctx        context.Context
	scenario   *Scenario
	world      *sim.World
	line       line
	loud       bool  // the set-up is over
	awaited    *mark // by `upon`; nil: nothing, or it has happened
	base       base
	result     Result
	foreigners []*foreigner
	polls      []*segment.Polling
	views      []*view
	ended      time.Duration // of the polls
}

// Chooser makes the choices of a run from a seed.
type Chooser func(seed uint64) kernel.Chooser

// Seeded is the plain Chooser.
func Seeded(seed uint64) kernel.Chooser { return kernel.NewSeeded(seed) }

// Run runs a scenario twice, and holds the two traces against each other. The context's end is the end of the budget.
func (s *Scenario) Run(ctx context.Context, choose Chooser) Result {
	first := s.once(ctx, choose(s.Seed))
	if first.Verdict == sim.OutOfBudget {
		return first
	}
	second := s.once(ctx, choose(s.Seed))
	first.Result = Compared(first.Result, second.Result)
	return first
}

// Once runs a scenario once.
func (s *Scenario) Once(ctx context.Context, choose Chooser) Result {
	return s.once(ctx, choose(s.Seed))
}

// Compared is the result of the first of two runs that must be the same.
func Compared(first, second sim.Result) sim.Result {
	if second.Verdict == sim.OutOfBudget {
		first.Verdict, first.Why = sim.OutOfBudget, second.Why
	} else if first.TraceHash != second.TraceHash {
		first.Verdict = NotDeterministic
		first.Why = fmt.Sprintf("a second run has the trace %s after %d events", second.TraceHash, second.Events)
	}
	return first
}

func (s *Scenario) once(ctx context.Context, choose kernel.Chooser) Result {
	r := &run{ctx: ctx, scenario: s, result: Result{Result: sim.Result{Verdict: sim.OK}}}
	r.play(choose)
	if !r.loud { // it has ended in its set-up, which is all there is to show
		r.result.Timeline, r.result.SetUp = r.result.SetUp, nil
	}
	r.expected()
	if w := r.world; w != nil {
		r.result.Violations, r.result.Virtual, r.result.Events = w.Audit.Violations, w.Now(), w.Happened()
		r.result.TraceHash = w.TraceHash()
		r.result.Moves, r.result.Overlap = w.Audit.Moves-r.base.moves, w.Audit.OverlapSoFar()-r.base.overlap
		r.result.Ledger = w.Ledger().Clone()
		for _, h := range w.Hosts {
			if served := h.Announces(); len(served) > 0 {
				r.result.Served = append(r.result.Served, Served{h.Address, served})
			}
		}
	}
	for _, v := range r.views {
		r.result.Seen = append(r.result.Seen, v.seen(r.ended))
	}
	return r.result
}

// play does all lines and looks at what came of them. A machine that finds its own invariant broken panics, which is a
// violation like another.
func (r *run) play(choose kernel.Chooser) {
	defer func() {
		if broken := recover(); broken != nil {
			r.result.Verdict, r.result.Why, r.result.Line = sim.Violates, fmt.Sprintf("a machine panics: %v", broken), r.line.number
			r.result.Stack = string(debug.Stack())
		}
	}()
	options := r.scenario.Options
	options.Notes = r.note
	r.world = sim.New(choose, options)
	for _, c := range r.world.Clients {
		counted := c.Report
		c.Report = func(o segment.Outcome) {
			counted(o)
			r.outcome(c, o)
		}
	}
	for _, l := range r.scenario.lines {
		r.line = l
		r.await(l.when)
		if !l.quiet {
			r.endSetUp()
		}
		if r.over() {
			return
		}
		l.do(r)
		if r.over() {
			return
		}
	}
	r.endSetUp()
	r.line = line{}
	r.linger()
	if !r.over() {
		r.judge()
	}
}

// expected turns the verdict that the scenario is to have into ok, and any other than it into a violation.
func (r *run) expected() {
	switch s := r.scenario; {
	case s.verdict == "" || r.result.Verdict == sim.OutOfBudget:
	case r.result.Verdict == s.verdict && strings.Contains(r.result.Why, s.because):
		r.result.Verdict, r.result.Why, r.result.Line = sim.OK, "", 0
	default:
		r.result.Why = fmt.Sprintf("it is to be %s because %s; it is %s %s", s.verdict, s.because, r.result.Verdict, r.result.Why)
		r.result.Verdict, r.result.Line = sim.Violates, 0
	}
}

func (r *run) note(record trace.Record) {
	if r.awaited != nil && r.awaited.is(record) {
		r.awaited = nil
	}
	if r.loud {
		r.result.Timeline = append(r.result.Timeline, record)
	} else {
		r.result.SetUp = append(r.result.SetUp, record)
	}
}

// endSetUp begins to count and to write the timeline, if that has not begun yet.
func (r *run) endSetUp() {
	if r.loud {
		return
	}
	r.loud, r.result.Began = true, r.world.Now()
	r.base.moves, r.base.overlap = r.world.Audit.Moves, r.world.Audit.OverlapSoFar()
}

// await goes to when a line is to be done.
func (r *run) await(w when) {
	switch w.kind {
	case at:
		if now := r.world.Now(); now > w.d {
			r.conclude(sim.Inconclusive, "at %v: it is %v already; begin later", w.d, now)
			return
		}
		r.advance(w.d)
	case after:
		r.advance(r.world.Now() + w.d)
	case upon:
		r.endSetUp()
		r.awaited = &w.mark
		for end := r.world.Now() + uponPatience; !r.over() && r.awaited != nil; {
			if r.world.Now() > end || !r.world.Step() {
				r.conclude(sim.Inconclusive, "%s: it does not happen within %v", r.line.text, uponPatience)
			}
		}
	case now:
	}
}

// uponPatience is how long `upon` waits.
const uponPatience = 60 * time.Second

// stride is how far the world goes between two looks at the budget.
const stride = time.Second

// advance lets time pass, until something must not go on.
func (r *run) advance(to time.Duration) {
	for !r.over() && r.world.Now() < to {
		r.world.RunUntil(min(to, r.world.Now()+stride))
		if r.ctx.Err() != nil {
			r.conclude(sim.OutOfBudget, "stopped at %v", r.world.Now())
		}
	}
}

// over tells whether the run has its verdict already.
func (r *run) over() bool {
	if v := r.world.Audit.Violations; len(v) > 0 && r.result.Verdict == sim.OK {
		if broken := r.world.Broken; len(broken) > 0 {
			r.conclude(sim.Inconclusive, "%s, but %s", v[0], broken[0])
		} else {
			r.conclude(sim.Violates, "%s", v[0])
		}
	}
	return r.result.Verdict != sim.OK
}

func (r *run) conclude(v sim.Verdict, format string, values ...any) {
	r.result.Verdict, r.result.Why, r.result.Line = v, fmt.Sprintf(format, values...), r.line.number
}

func (r *run) violated(format string, values ...any) {
	r.conclude(sim.Violates, "%s: %s", r.line.text, fmt.Sprintf(format, values...))
}

const (
	settlePatience = 60 * time.Second
	settleStep     = 20 * time.Millisecond
)

// settle lets time pass until all is at rest.
func (r *run) settle(patience time.Duration) {
	for end := r.world.Now() + patience; !r.over(); {
		why := r.world.Settled()
		if why == "" {
			return
		}
		if r.world.Now() >= end {
			r.violated("not at rest after %v: %s", patience, why)
			return
		}
		r.advance(min(end, r.world.Now()+settleStep))
	}
}

// judge looks at asserts, marks and the golden.
func (r *run) judge() {
	r.world.Audit.CheckReplay()
	r.over()
	for _, a := range r.scenario.asserts {
		checked := r.check(a)
		r.result.Asserts = append(r.result.Asserts, checked)
		if !checked.Holds && r.result.Verdict == sim.OK {
			r.line.number = a.number
			r.conclude(sim.Violates, "%s: it is %s", a.text, checked.Got)
		}
	}
	for _, m := range r.scenario.marks {
		if !m.hit(r.result.Timeline) && r.result.Verdict == sim.OK {
			r.line.number = m.number
			r.conclude(Unmarked, "%s: it did not happen", m.text)
		}
	}
	if r.result.Verdict == sim.OK {
		if number, why := r.scenario.differs(r.result.Timeline); why != "" {
			r.line.number = number
			r.conclude(sim.Violates, "%s", why)
			r.result.OnlyGolden = true
		}
	}
}

// base is what had been counted when the set-up was over.
type base struct {
	moves   int
	overlap time.Duration
}
