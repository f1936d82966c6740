package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"viplog/core/log"
)

// exportHead is the first line of an exported log.
type exportHead struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Cluster    string `json:"cluster"`
	ID         string `json:"id"` // the log's identity: a replay starts from ledger.New(id)
	First      uint64 `json:"first"`
	Last       uint64 `json:"last"`
}

// exportEntry is every further line. Data is the fact's bytes as they are; those that are no text are in DataBase64.
type exportEntry struct {
	Sequence   uint64    `json:"sequence"`
	Time       time.Time `json:"time"`
	Entity     string    `json:"entity"`
	Type       string    `json:"type"`
	Rules      uint64    `json:"rules"`
	ID         string    `json:"id"`
	Source     string    `json:"source"`
	Data       string    `json:"data"`
	DataBase64 []byte    `json:"dataBase64,omitempty"`
}

func newExport(std streams) *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:     "export",
		Short:   "Print the log, one json object a line, to keep it or to replay it elsewhere",
		Example: "  viplog export > cluster.jsonl",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withClient(cmd.Context(), flags, func(ctx context.Context, c *client) error {
				return c.export(ctx, std.out)
			})
		},
	}
	flags.add(cmd)
	return cmd
}

// export prints what the log holds at the start.
func (c *client) export(ctx context.Context, out io.Writer) error {
	head, err := c.log.Head(ctx)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(exportHead{
		APIVersion: apiVersion, Kind: "Log", Cluster: c.cluster, ID: head.ID, First: head.First, Last: head.Last,
	})
	if err != nil || head.First > head.Last {
		return err
	}
	for entry, err := range c.log.Follow(ctx, head.First-1) {
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		if err := encoder.Encode(exported(entry)); err != nil {
			return fmt.Errorf("export: %w", err)
		}
		if entry.Sequence >= head.Last {
			break
		}
	}
	return ctx.Err()
}

func exported(e log.Entry) exportEntry {
	line := exportEntry{
		Sequence: e.Sequence, Time: e.Time, Entity: e.Entity, Type: e.Type, Rules: e.Rules, ID: e.ID, Source: e.Source,
	}
	if utf8.Valid(e.Data) {
		line.Data = string(e.Data)
	} else {
		line.DataBase64 = e.Data
	}
	return line
}
