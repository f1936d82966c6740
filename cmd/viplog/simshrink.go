package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func newSimShrink(std streams) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "shrink FILE",
		Short: "Make a scenario that fails as small as it gets",
		Long: "Make a scenario that is violated as small as it gets, as long as it fails alike: fewer verbs, hosts and options, rounder\n" +
			"times. The smallest one is printed, or written to a file; an interrupt ends the search with the best one so far.",
		Example:           "  viplog sim shrink failure-7.txtar --to small.txtar",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.FixedCompletions([]string{"txtar"}, cobra.ShellCompDirectiveFilterFileExt),
		RunE: func(cmd *cobra.Command, args []string) error {
			script, err := os.ReadFile(args[0])
			if err != nil {
				return failed(err)
			}
			shrunk, err := shrink(cmd.Context(), std, args[0], string(script))
			if err != nil {
				return failed(err)
			}
			text := shrunk.File(args[0])
			if to == "" {
				_, err = fmt.Fprint(std.out, text)
			} else {
				err = os.WriteFile(to, []byte(text), 0o644)
			}
			if err != nil {
				return failed(err)
			}
			fmt.Fprintf(std.err, "%d runs\n", shrunk.Runs)
			return nil
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "file for the smallest scenario (default: standard output)")
	return cmd
}
