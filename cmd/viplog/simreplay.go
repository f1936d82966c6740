package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"viplog/sim/scenario"
)

func newSimReplay(std streams) *cobra.Command {
	r := &simRun{std: std, mustHit: simMustHits[0], jobs: 1}
	var at uint64
	var then string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "replay LOG",
		Short: "Go on in a simulation where a recorded log ends",
		Long: "Go on in a simulation where a log of a real cluster ends, as `viplog export` wrote it, or at one of its facts: whoever runs by the\n" +
			"log runs in the simulation, as the same incarnation, and clients ask every address. Verbs are those of scenarios\n" +
			"(docs/scenarios.md), one after the other, with semicolons between them; then all must come to rest.\n" +
			"Exit codes are those of `viplog sim run`.",
		Example: "  viplog export > log.jsonl\n  viplog sim replay log.jsonl --then 'fail lb-1; after 5s start lb-1' -v --report page.html\n" +
			"  viplog sim replay log.jsonl --at 120 --then 'drain lb-2'",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.FixedCompletions([]string{"jsonl"}, cobra.ShellCompDirectiveFilterFileExt),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(simOutputs, r.output) {
				return exitError{2, fmt.Errorf("-o %q: one of %s is required", r.output, strings.Join(simOutputs, ", "))}
			}
			if cmd.Flags().Changed("at") && at == 0 {
				return exitError{2, errors.New("--at 0: facts are counted from 1")}
			}
			path, err := filepath.Abs(args[0])
			if err != nil {
				return failed(err)
			}
			script := replayScript(path, at, seed, then)
			s, err := scenario.Parse("replay", []byte(script), recordedLog)
			if err != nil {
				return failed(err)
			}
			report := newSimReport(r)
			result := s.Run(cmd.Context(), simChooser)
			notes := std.out
			if r.output == "json" {
				notes = std.err
			}
			past := s.Options.Past.Ledger
			fmt.Fprintf(notes, "%s: %d facts, rules %d, digest %s\n", args[0], past.Sequence(), past.Rules(), past.Digest())
			if err := report.add(args[0], s, result); err != nil {
				return failed(err)
			}
			if err := r.writePage(s, result, fmt.Sprintf("viplog sim replay %s --then '%s' -v", args[0], then)); err != nil {
				return failed(err)
			}
			return report.end()
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&at, "at", 0, "go on after the fact with this sequence (default: the last one)")
	f.StringVar(&then, "then", "", "verbs to do, with semicolons between them")
	f.Uint64Var(&seed, "seed", 1, "what is left to chance")
	f.StringVarP(&r.output, "output", "o", simOutputs[0], "output: "+strings.Join(simOutputs, ", "))
	f.BoolVarP(&r.verbose, "verbose", "v", false, "print the timeline (docs/timeline.md) and what clients saw")
	f.StringVar(&r.report, "report", "", "write a page that shows the run to this file (docs/timeline.md)")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(simOutputs, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// replayScript is the scenario that goes on from a log with verbs, which have semicolons between them; at 0 goes on from its end.
func replayScript(log string, at, seed uint64, verbs string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "replay %s seed=%d", log, seed)
	if at > 0 {
		fmt.Fprintf(&text, " at=%d", at)
	}
	text.WriteString("\nsettle\n")
	first := true
	for verb := range strings.SplitSeq(verbs, ";") {
		if verb = strings.TrimSpace(verb); verb == "" {
			continue
		}
		if first {
			text.WriteString("run 1s\n")
		}
		first = false
		text.WriteString(verb + "\n")
	}
	text.WriteString("converge within=150s\nassert leased-overlap == 0\n")
	return text.String()
}
