package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"viplog/sim/explore"
)

// exploreView is an exploration as an object.
type exploreView struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	World      string   `json:"world"`
	States     int      `json:"states"`
	Steps      int      `json:"steps"`
	Complete   bool     `json:"complete"`
	Violation  string   `json:"violation"`
	Trace      []string `json:"trace"`
}

func newSimExplore(std streams) *cobra.Command {
	var output string
	var limit int
	cmd := &cobra.Command{
		Use:   "explore [WORLD…]",
		Short: "Visit every state that small worlds can be in, on the production machines",
		Long: "Visit every state that small worlds can be in: every order in which facts are read, messages arrive and nodes and\n" +
			"voters fail. Without names, all worlds:\n\n" + exploreList() +
			"\nOf a violation the shortest way to it is printed. Exit codes: 0 ok, 1 failed, 2 usage, 10 violated, 14 the limit was reached.",
		Example:           "  viplog sim explore crashes\n  viplog sim explore --limit 20000000",
		ValidArgsFunction: cobra.FixedCompletions(exploreNames(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, names []string) error {
			if !slices.Contains(simOutputs, output) {
				return exitError{2, fmt.Errorf("-o %q: one of %s is required", output, strings.Join(simOutputs, ", "))}
			}
			for _, name := range names {
				if !slices.Contains(exploreNames(), name) {
					return exitError{2, fmt.Errorf("world %q is unknown; there are %s", name, strings.Join(exploreNames(), ", "))}
				}
			}
			return exploreWorlds(cmd.Context(), std, output, names, limit)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", simOutputs[0], "output: "+strings.Join(simOutputs, ", "))
	cmd.Flags().IntVar(&limit, "limit", 10_000_000, "states of one world at most; each takes about 40 bytes")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(simOutputs, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func exploreNames() (names []string) {
	for _, w := range explore.Worlds() {
		names = append(names, w.Name)
	}
	return names
}

func exploreList() (text string) {
	for _, w := range explore.Worlds() {
		text += fmt.Sprintf("  %-16s %s\n", w.Name, w.Says)
	}
	return text
}

// exploreMemory bounds what that may cost, in bytes.
const exploreMemory = 8 << 30

func exploreWorlds(ctx context.Context, std streams, output string, names []string, limit int) error {
	// Nearly all that an exploration allocates is garbage at once: to collect it more rarely halves the time.
	defer debug.SetGCPercent(debug.SetGCPercent(1600))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(exploreMemory))
	worst := 0
	for _, w := range explore.Worlds() {
		if len(names) > 0 && !slices.Contains(names, w.Name) {
			continue
		}
		began := time.Now()
		bar := newProgress(std.err, "", 0)
		result := explore.Visit(ctx, w.New(), limit, func(r explore.Result) { bar.say(fmt.Sprintf("%s: %v", w.Name, r)) })
		bar.end()
		if err := ctx.Err(); err != nil {
			return failed(fmt.Errorf("%s: %v, then %w", w.Name, result, err))
		}
		if result.Violation != "" {
			result = explore.Explore(w.New(), limit, nil)
		}
		switch {
		case result.Violation != "":
			worst = 10
		case !result.Complete && worst == 0:
			worst = 14
		}
		if output == "json" {
			view := exploreView{apiVersion, "Exploration", w.Name, result.States, result.Steps, result.Complete, result.Violation, []string{}}
			view.Trace = append(view.Trace, result.Trace...)
			if err := printObject(std.out, "json", view); err != nil {
				return failed(err)
			}
			continue
		}
		fmt.Fprintf(std.out, "%-16s %v, in %v\n", w.Name, result, time.Since(began).Round(time.Millisecond))
	}
	if worst > 0 {
		return exitError{worst, errSilent}
	}
	return nil
}
