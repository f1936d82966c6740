package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"viplog/adapters/logfile"
	"viplog/core/lease"
	"viplog/core/log"
	"viplog/core/trace"
	"viplog/sim"
	"viplog/sim/scenario"
)

func newSim(std streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "sim",
		Short:   "Run simulated clusters: scenarios, random trouble, or every state of small ones",
		Example: "  viplog sim run fixtures/scenarios\n  viplog sim run --seed 7\n  viplog sim explore crashes",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSimRun(std), newSimExplore(std))
	return cmd
}

// simChooser makes the choices of scenarios. A test plants one that is not the same twice.
var simChooser scenario.Chooser = scenario.Seeded

// simRun is what `viplog sim run` is asked for.
type simRun struct {
	std       streams
	output    string
	verbose   bool
	update    bool
	budget    time.Duration
	seed      uint64
	nodes     int
	voters    int
	services  int
	trouble   time.Duration
	profile   string
	isolation string
}

// Values of flags, the first one by default.
var (
	simOutputs    = []string{"table", "json"}
	simProfiles   = []string{"default", "fast", "relaxed"}
	simIsolations = []string{"hold", "yield"}
)

func newSimRun(std streams) *cobra.Command {
	r := &simRun{std: std}
	cmd := &cobra.Command{
		Use:   "run PATH… | --seed N",
		Short: "Run scenarios, or one run of random trouble, each twice",
		Long: "Run scenarios from files and folders (docs/scenarios.md), or one run of random trouble, each twice, and say how each ended.\n\n" +
			"Exit codes: 0 ok, 1 failed, 2 usage, 10 violated, 11 not deterministic, 12 a mark was not hit, 13 inconclusive,\n14 out of budget; of several the first in the order 10, 11, 12, 14, 13.",
		Example: "  viplog sim run fixtures/scenarios\n  viplog sim run -v fixtures/scenarios/failover/power.txtar\n" +
			"  viplog sim run --seed 7 --nodes 5 --trouble 2m",
		ValidArgsFunction: cobra.FixedCompletions([]string{"txtar"}, cobra.ShellCompDirectiveFilterFileExt),
		RunE: func(cmd *cobra.Command, paths []string) error {
			seeded := cmd.Flags().Changed("seed")
			if err := r.usage(seeded, paths); err != nil {
				return exitError{2, err}
			}
			ctx := cmd.Context()
			if r.budget > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, r.budget)
				defer cancel()
			}
			if seeded {
				return r.runSeed(ctx)
			}
			return r.runPaths(ctx, paths)
		},
	}
	r.flags(cmd)
	return cmd
}

func (r *simRun) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&r.output, "output", "o", simOutputs[0], "output: "+strings.Join(simOutputs, ", "))
	f.BoolVarP(&r.verbose, "verbose", "v", false, "print each timeline, each assert and what clients saw")
	f.BoolVar(&r.verbose, "trace", false, "the same as -v")
	f.BoolVar(&r.update, "update", false, "rewrite the goldens of scenarios; asserts must hold still")
	f.DurationVar(&r.budget, "budget", 0, "time for all runs together (default: no limit)")
	f.Uint64Var(&r.seed, "seed", 0, "run random trouble of this seed")
	f.IntVar(&r.nodes, "nodes", 3, "load-balancer nodes of a seed's run")
	f.IntVar(&r.voters, "voters", 3, "voters of a seed's run")
	f.IntVar(&r.services, "services", 6, "Services of a seed's run")
	f.DurationVar(&r.trouble, "trouble", time.Minute, "how long a seed's run has trouble, in virtual time")
	f.StringVar(&r.profile, "profile", simProfiles[0], "pace of a seed's run: "+strings.Join(simProfiles, ", "))
	f.StringVar(&r.isolation, "isolation", simIsolations[0], "what cut-off nodes of a seed's run do: "+strings.Join(simIsolations, ", "))
	for name, values := range map[string][]string{"output": simOutputs, "profile": simProfiles, "isolation": simIsolations} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// usage says what is wrong with the arguments.
func (r *simRun) usage(seeded bool, paths []string) error {
	if seeded == (len(paths) > 0) {
		return errors.New("sim run takes files and folders, or --seed N")
	}
	for _, flag := range []struct {
		name, value string
		values      []string
	}{{"-o", r.output, simOutputs}, {"--profile", r.profile, simProfiles}, {"--isolation", r.isolation, simIsolations}} {
		if !strings.Contains(" "+strings.Join(flag.values, " ")+" ", " "+flag.value+" ") {
			return fmt.Errorf("%s %q: one of %s is required", flag.name, flag.value, strings.Join(flag.values, ", "))
		}
	}
	for _, flag := range []struct {
		name               string
		value, least, most int
	}{{"--nodes", r.nodes, 1, 128}, {"--voters", r.voters, 1, 7}, {"--services", r.services, 0, 1000}} {
		if flag.value < flag.least || flag.value > flag.most {
			return fmt.Errorf("%s %d: from %d to %d are possible", flag.name, flag.value, flag.least, flag.most)
		}
	}
	return nil
}

// runSeed runs random trouble.
func (r *simRun) runSeed(ctx context.Context) error {
	notes := r.std.out
	if r.output == "json" {
		notes = r.std.err
	}
	fmt.Fprintf(notes, "seed %d: nodes=%d voters=%d services=%d trouble=%v profile=%s isolation=%s drift=on\n",
		r.seed, r.nodes, r.voters, r.services, r.trouble, r.profile, r.isolation)
	once := func(note func(trace.Record)) sim.Result {
		if ctx.Err() != nil {
			return sim.Result{Verdict: sim.OutOfBudget, Why: "the time is up"}
		}
		return sim.Campaign{
			Options: sim.Options{Nodes: r.nodes, Voters: r.voters, Yield: r.isolation == "yield", Drift: true, Timing: lease.TimingOf(r.profile), Notes: note},
			Seed:    r.seed, Services: r.services, Trouble: r.trouble,
		}.Run()
	}
	report := newSimReport(r)
	var timeline []trace.Record
	result := scenario.Result{Result: once(func(t trace.Record) { timeline = append(timeline, t) })}
	if result.Verdict != sim.OutOfBudget {
		result.Result = scenario.Compared(result.Result, once(nil))
	}
	result.Timeline = timeline
	if err := report.add(fmt.Sprintf("seed %d", r.seed), result); err != nil {
		return failed(err)
	}
	return report.end()
}

// runPaths runs the scenarios of files and folders, after all of them could be read.
func (r *simRun) runPaths(ctx context.Context, paths []string) error {
	files, err := scenarioFiles(paths)
	if err != nil {
		return failed(err)
	}
	var all []*scenario.Scenario
	var wrong []error
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return failed(err)
		}
		s, err := scenario.Parse(file, data, recordedLog)
		wrong, all = append(wrong, err), append(all, s)
	}
	if err := errors.Join(wrong...); err != nil {
		return failed(err)
	}
	report := newSimReport(r)
	for i, s := range all {
		report.progress(i, len(all), s.Path)
		result := s.Run(ctx, simChooser)
		if r.update {
			if result, err = updated(s, result); err != nil {
				return failed(err)
			}
		}
		if err := report.add(s.Path, result); err != nil {
			return failed(err)
		}
	}
	return report.end()
}

// recordedLog reads the log that a scenario goes on from.
func recordedLog(path string) (id string, entries []log.Entry, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer file.Close()
	recording, err := logfile.Read(path, file)
	if err != nil {
		return "", nil, err
	}
	return recording.Head.ID, recording.Entries, nil
}

// updated writes a scenario's golden anew. That it was another is then no violation; that an assert does not hold is one.
func updated(s *scenario.Scenario, result scenario.Result) (scenario.Result, error) {
	text, has := s.Updated(result.Timeline)
	switch {
	case !has || result.Verdict != sim.OK && result.Verdict != sim.Violates:
		return result, nil
	case result.OnlyGolden:
		result.Verdict, result.Why, result.Line = sim.OK, "", 0
	}
	return result, os.WriteFile(s.Path, text, 0o644)
}

// scenarioFiles are the files among paths, and those that end in .txtar in the folders among them.
func scenarioFiles(paths []string) (files []string, err error) {
	for _, path := range paths {
		before := len(files)
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && (name == path || filepath.Ext(name) == ".txtar") {
				files = append(files, name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(files) == before {
			return nil, fmt.Errorf("%s: no file in it ends in .txtar", path)
		}
	}
	return files, nil
}
