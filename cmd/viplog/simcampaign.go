package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"viplog/sim"
	"viplog/sim/campaign"
	"viplog/sim/scenario"
)

// seedRange is a flag: one seed, or A..B.
type seedRange struct {
	from, to uint64
	given    bool
}

func (s *seedRange) String() string {
	switch {
	case !s.given:
		return ""
	case s.from == s.to:
		return strconv.FormatUint(s.from, 10)
	}
	return fmt.Sprintf("%d..%d", s.from, s.to)
}

// Set implements pflag.Value.
func (s *seedRange) Set(text string) error {
	from, to, isRange := strings.Cut(text, "..")
	if !isRange {
		to = from
	}
	var err error
	if s.from, err = strconv.ParseUint(from, 10, 64); err == nil {
		s.to, err = strconv.ParseUint(to, 10, 64)
	}
	if err != nil || s.from > s.to {
		return fmt.Errorf("%q: a seed is required, like 7, or seeds like 1..1000", text)
	}
	s.given = true
	return nil
}

// Type implements pflag.Value.
func (s *seedRange) Type() string { return "seeds" }

func (s *seedRange) count() uint64 { return s.to - s.from + 1 }

// mustHitFrom is how many seeds hit every mark, if not told otherwise.
const mustHitFrom = 1000

// campaignMemory bounds what that may cost, in bytes.
const campaignMemory = 4 << 30

// runSeeds runs a campaign: one line for a seed by itself and for each that is not ok, and a summary.
func (r *simRun) runSeeds(ctx context.Context) error {
	// Nearly all that a run allocates is garbage at once, and little lives: to collect it more rarely takes a third off.
	defer debug.SetGCPercent(debug.SetGCPercent(1600))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(campaignMemory))
	notes := r.std.out
	if r.output == "json" {
		notes = r.std.err
	}
	fmt.Fprintf(notes, "seeds=%v jobs=%d trouble=%v nodes=%s voters=%s services=%s profile=%s isolation=%s\n", &r.seeds, r.jobs, r.trouble.Trouble,
		chosen(r.trouble.Nodes), chosen(r.trouble.Voters), chosen(r.trouble.Services), cmp.Or(r.trouble.Profile, bySeed), cmp.Or(r.trouble.Isolation, bySeed))
	report := newSimReport(r)
	hit, done := map[string]int{}, uint64(0)
	var wrongs []campaign.Run
	var wrong error
	campaign.RunSeeds(ctx, r.seeds.from, r.seeds.to, r.jobs, r.trouble, simChooser, func(run campaign.Run) {
		done++
		report.campaign(done, r.seeds.count(), len(wrongs))
		for _, m := range run.Marks {
			hit[m]++
		}
		if run.Failed() {
			wrongs = append(wrongs, run)
			if len(wrongs) <= mostKept { // at once: who knows how the campaign ends
				wrong = errors.Join(wrong, os.MkdirAll(r.failures, 0o755), os.WriteFile(r.failure(run), []byte(run.Script), 0o644))
			}
		}
		if v := run.Result.Verdict; r.seeds.count() > 1 && (v == sim.OK || v == sim.OutOfBudget) {
			report.count(run.Result)
			return
		}
		wrong = errors.Join(wrong, report.add(fmt.Sprintf("seed %d", run.Seed), run.Scenario, run.Result))
		if r.seeds.count() == 1 {
			wrong = errors.Join(wrong, r.writePage(run.Scenario, run.Result, fmt.Sprintf("viplog sim run -v --seed %d", run.Seed)))
		}
	})
	report.bar.end()
	if r.save != "" {
		wrong = errors.Join(wrong, os.WriteFile(r.save, []byte(campaign.Script(r.seeds.from, r.trouble)), 0o644))
	}
	if wrong != nil {
		return failed(wrong)
	}
	slices.SortFunc(wrongs, func(a, b campaign.Run) int { return cmp.Compare(a.Seed, b.Seed) })
	for i, run := range wrongs[:min(len(wrongs), mostKept)] {
		if err := r.keep(ctx, run, i < mostShrunk); err != nil {
			return failed(err)
		}
	}
	if done < r.seeds.count() {
		report.stopped(r.seeds.count() - done)
	}
	r.tellMarks(report, hit, done == r.seeds.count())
	return report.end()
}

// bySeed is what each seed chooses by itself.
const bySeed = "by-seed"

func chosen(n int) string {
	if n == 0 {
		return bySeed
	}
	return strconv.Itoa(n)
}

// Of the failing seeds of a campaign the first ones are made small, more are written as they are, and the others are named.
const (
	mostShrunk = 3
	mostKept   = 100
)

// failure is the file of a seed that failed.
func (r *simRun) failure(run campaign.Run) string {
	return filepath.Join(r.failures, fmt.Sprintf("failure-%d.txtar", run.Seed))
}

// keep makes the scenario of a seed that failed, which is written already, as small as it gets; an end of the context ends that.
func (r *simRun) keep(ctx context.Context, run campaign.Run, small bool) error {
	path, found := r.failure(run), fmt.Sprintf("seed %d", run.Seed)
	if small && run.Result.Verdict == sim.Violates && ctx.Err() == nil {
		shrunk, err := shrink(ctx, r.std, path, run.Script)
		switch {
		case err == nil:
			err = os.WriteFile(path, []byte(shrunk.File(found)), 0o644)
		case ctx.Err() != nil: // it had hardly begun
			err = nil
		}
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(r.std.err, "%s: the scenario is in %s; run it with: viplog sim run -v %s\n", found, path, path)
	return nil
}

// shrink shows its progress.
func shrink(ctx context.Context, std streams, path, script string) (campaign.Shrunk, error) {
	bar := newProgress(std.err, "", 0)
	defer bar.end()
	began := time.Now()
	return campaign.Shrink(ctx, path, script, recordedLog, simChooser, func(s campaign.Shrunk) {
		bar.say(fmt.Sprintf("shrinking: %d lines after %d runs, %v", strings.Count(s.Script, "\n"), s.Runs, time.Since(began).Round(time.Second)))
	})
}

// tellMarks shows which marks were hit, and makes one that was missed a failure where it has to be hit: in a campaign that was not stopped.
func (r *simRun) tellMarks(report *simReport, hit map[string]int, whole bool) {
	out := r.std.out
	if r.output == "json" {
		out = r.std.err
	}
	if r.seeds.count() > 1 {
		for _, m := range campaign.Marks {
			fmt.Fprintf(out, "%8d  %s\n", hit[m.Name], m.Name)
		}
	}
	required := r.mustHit == "yes" || r.mustHit == "auto" && r.seeds.count() >= mustHitFrom
	if missing := campaign.Missing(hit); required && whole && len(missing) > 0 {
		report.results = append(report.results, scenario.Result{Result: sim.Result{Verdict: scenario.Unmarked}})
		fmt.Fprintf(r.std.err, "no seed has hit: %s\n", strings.Join(missing, "; "))
	}
}
