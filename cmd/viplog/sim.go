package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"viplog/adapters/logfile"
	"viplog/core/log"
	"viplog/sim"
	"viplog/sim/campaign"
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
	cmd.AddCommand(newSimRun(std), newSimReplay(std), newSimShrink(std), newSimExplore(std))
	return cmd
}

// simChooser makes the choices of scenarios. A test plants one that is not the same twice.
var simChooser scenario.Chooser = scenario.Seeded

// simRun is what `viplog sim run` is asked for.
type simRun struct {
	std      streams
	output   string
	verbose  bool
	update   bool
	budget   time.Duration
	seeds    seedRange
	jobs     int
	mustHit  string
	failures string
	save     string
	report   string
	trouble  campaign.Options
}

// Values of flags, the first one by default.
var (
	simOutputs    = []string{"table", "json"}
	simProfiles   = []string{"default", "fast", "relaxed"}
	simIsolations = []string{"hold", "yield"}
	simMustHits   = []string{"auto", "yes", "no"}
)

func newSimRun(std streams) *cobra.Command {
	r := &simRun{std: std}
	cmd := &cobra.Command{
		Use:   "run PATH… | --seed N | --seeds A..B",
		Short: "Run scenarios, or random trouble, each twice",
		Long: "Run scenarios from files and folders (docs/scenarios.md), or a campaign of random trouble, each twice, and say how each ended.\n\n" +
			"A seed makes a scenario: trouble of some kinds for a while, then all is repaired and must come to rest. One that fails is\n" +
			"made as small as it gets and written to a file. From 1,000 seeds on a campaign must hit every mark (--must-hit).\n\n" +
			"Exit codes: 0 ok, 1 failed, 2 usage, 10 violated, 11 not deterministic, 12 a mark was not hit, 13 inconclusive,\n14 out of budget; of several the first in the order 10, 11, 12, 14, 13.",
		Example: "  viplog sim run fixtures/scenarios\n  viplog sim run -v fixtures/scenarios/failover/power.txtar\n" +
			"  viplog sim run --seed 7 --nodes 5 --trouble 2m\n  viplog sim run --seeds 1..10000 --jobs 2",
		ValidArgsFunction: cobra.FixedCompletions([]string{"txtar"}, cobra.ShellCompDirectiveFilterFileExt),
		RunE: func(cmd *cobra.Command, paths []string) error {
			seeded := r.seeds.given
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
				return r.runSeeds(ctx)
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
	f.BoolVarP(&r.verbose, "verbose", "v", false, "print each timeline (docs/timeline.md), each assert and what clients saw")
	f.BoolVar(&r.verbose, "trace", false, "the same as -v")
	f.BoolVar(&r.update, "update", false, "rewrite the goldens of scenarios; asserts must hold still")
	f.DurationVar(&r.budget, "budget", 0, "time for all runs together (default: no limit)")
	f.Var(&r.seeds, "seed", "run random trouble of this seed")
	f.Var(&r.seeds, "seeds", "run random trouble of the seeds A..B")
	f.IntVar(&r.jobs, "jobs", runtime.GOMAXPROCS(0), "seeds at one time")
	f.StringVar(&r.mustHit, "must-hit", simMustHits[0], "whether a mark that no seed hits is a failure: "+strings.Join(simMustHits, ", "))
	f.StringVar(&r.failures, "failures", ".", "folder for the scenarios of seeds that fail, made small")
	f.StringVar(&r.report, "report", "", "write a page that shows the one run to this file (docs/timeline.md)")
	f.StringVar(&r.save, "save", "", "write the scenario of a seed to this file too")
	f.IntVar(&r.trouble.Nodes, "nodes", 0, "load-balancer nodes of a seed's run (default: the seed's choice)")
	f.IntVar(&r.trouble.Voters, "voters", 0, "voters of a seed's run (default: the seed's choice)")
	f.IntVar(&r.trouble.Services, "services", 0, "Services of a seed's run (default: the seed's choice)")
	f.DurationVar(&r.trouble.Trouble, "trouble", time.Minute, "how long a seed's run has trouble, in virtual time")
	f.StringVar(&r.trouble.Profile, "profile", "", "pace of a seed's run: "+strings.Join(simProfiles, ", ")+" (default: the seed's choice)")
	f.StringVar(&r.trouble.Isolation, "isolation", "", "what cut-off nodes of a seed's run do: "+strings.Join(simIsolations, ", ")+" (default: the seed's choice)")
	cmd.MarkFlagsMutuallyExclusive("seed", "seeds")
	for name, values := range map[string][]string{"output": simOutputs, "profile": simProfiles, "isolation": simIsolations, "must-hit": simMustHits} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// usage says what is wrong with the arguments.
func (r *simRun) usage(seeded bool, paths []string) error {
	if seeded == (len(paths) > 0) {
		return errors.New("sim run takes files and folders, or --seed N, or --seeds A..B")
	}
	for _, flag := range []struct {
		name, value string
		values      []string
	}{{"-o", r.output, simOutputs}, {"--profile", r.trouble.Profile, simProfiles}, {"--isolation", r.trouble.Isolation, simIsolations}, {"--must-hit", r.mustHit, simMustHits}} {
		if flag.value != "" && !slices.Contains(flag.values, flag.value) {
			return fmt.Errorf("%s %q: one of %s is required", flag.name, flag.value, strings.Join(flag.values, ", "))
		}
	}
	for _, flag := range []struct {
		name               string
		value, least, most int
	}{{"--nodes", r.trouble.Nodes, 0, 128}, {"--voters", r.trouble.Voters, 0, 7}, {"--services", r.trouble.Services, 0, 14}, {"--jobs", r.jobs, 1, 1024}} {
		if flag.value < flag.least || flag.value > flag.most {
			return fmt.Errorf("%s %d: from %d to %d are possible", flag.name, flag.value, flag.least, flag.most)
		}
	}
	return nil
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
	if r.report != "" && len(all) != 1 {
		return exitError{2, fmt.Errorf("--report shows one run, and there are %d", len(all))}
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
		if err := report.add(s.Path, s, result); err != nil {
			return failed(err)
		}
		if err := r.writePage(s, result, "viplog sim run -v "+s.Path); err != nil {
			return failed(err)
		}
	}
	return report.end()
}

// recordedLog reads the log that a scenario goes on from.
func recordedLog(path string) (id string, entries []log.Entry, err error) {
	recording, err := logfile.ReadFile(path)
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
