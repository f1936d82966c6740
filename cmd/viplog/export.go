package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"viplog/adapters/logfile"
)

func newExport(std streams) *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:     "export",
		Short:   "Print the log, one json object a line, to keep it or to read it elsewhere (--log)",
		Example: "  viplog export > cluster.jsonl\n  viplog get services --log cluster.jsonl",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withClient(cmd.Context(), flags, func(ctx context.Context, c *client) error {
				return c.export(ctx, std)
			})
		},
	}
	flags.add(cmd)
	return cmd
}

// export prints what the log holds at the start.
func (c *client) export(ctx context.Context, std streams) error {
	head, err := c.log.Head(ctx)
	if err != nil {
		return err
	}
	w, err := logfile.NewWriter(std.out, c.cluster, head)
	if err != nil {
		return err
	}
	if head.First > head.Last {
		return w.Flush()
	}
	written := newProgress(std.err, "fact", head.Last)
	defer written.end()
	for entry, err := range c.log.Follow(ctx, head.First-1) {
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		if err := w.Write(entry); err != nil {
			return fmt.Errorf("export: %w", err)
		}
		written.step(entry.Sequence)
		if entry.Sequence >= head.Last {
			break
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return w.Flush()
}
