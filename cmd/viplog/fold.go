package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"viplog/adapters/logfile"
	"viplog/core/ledger"
	"viplog/core/log"
)

// moment is a point in a log: a sequence or a time; the zero moment is the head.
type moment struct {
	sequence uint64
	time     time.Time
}

// parseMoment reads a sequence, an RFC 3339 time, or how long ago ("10m").
func parseMoment(text string) (moment, error) {
	if text == "" {
		return moment{}, nil
	}
	if sequence, err := strconv.ParseUint(text, 10, 64); err == nil {
		return moment{sequence: sequence}, nil
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return moment{time: at}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return moment{time: time.Now().Add(-ago)}, nil
	}
	return moment{}, fmt.Errorf("--at %q: a fact's sequence, a time like %s or how long ago, like 10m, is required",
		text, time.Now().UTC().Format(time.RFC3339))
}

// past tells whether an entry comes after the moment.
func (m moment) past(e log.Entry) bool {
	return m.sequence > 0 && e.Sequence > m.sequence || !m.time.IsZero() && e.Time.After(m.time)
}

// reader is where a command that only reads finds a log: a running cluster's, or a file that export wrote.
type reader struct {
	clientFlags
	file string
	err  io.Writer // progress goes there
}

func (r *reader) add(cmd *cobra.Command) {
	r.clientFlags.add(cmd)
	cmd.Flags().StringVar(&r.file, "log", "", "read an exported log instead of a running cluster's")
}

// question is a command that asks a ledger as of a moment, and how the answer is to be printed.
type question struct {
	reader
	at, output string
}

func (q *question) add(cmd *cobra.Command) {
	q.reader.add(cmd)
	addOutput(cmd, &q.output)
	cmd.Flags().StringVar(&q.at, "at", "", "as of a fact's sequence, a time (RFC 3339) or how long ago (10m)")
}

// ask checks the flags and folds the log to the moment in question. visit is as for fold.
func (q *question) ask(ctx context.Context, visit func(log.Entry, *ledger.State, []ledger.Change)) (*ledger.State, error) {
	if err := checkOutput(q.output); err != nil {
		return nil, err
	}
	until, err := parseMoment(q.at)
	if err != nil {
		return nil, exitError{2, err}
	}
	return q.fold(ctx, until, visit)
}

// fold folds the log to the moment. visit, if not nil, is called for every fact.
func (r reader) fold(ctx context.Context, until moment, visit func(log.Entry, *ledger.State, []ledger.Change)) (s *ledger.State, err error) {
	if r.file == "" {
		err = withClient(ctx, r.clientFlags, func(ctx context.Context, c *client) error {
			s, err = c.fold(ctx, r.err, until, visit)
			return err
		})
		return s, err
	}
	recording, err := logfile.ReadFile(r.file)
	if err != nil {
		return nil, failed(err)
	}
	s = ledger.New(recording.Head.ID)
	folded := newProgress(r.err, "folding fact", recording.Head.Last)
	defer folded.end()
	for _, entry := range recording.Entries {
		if until.past(entry) {
			break
		}
		if err := apply(s, entry, visit); err != nil {
			return nil, failed(err)
		}
		folded.step(entry.Sequence)
	}
	return s, nil
}

func apply(s *ledger.State, entry log.Entry, visit func(log.Entry, *ledger.State, []ledger.Change)) error {
	if err := s.Readable(entry); err != nil {
		return err
	}
	changes := s.ApplyEntry(entry)
	if visit != nil {
		visit(entry, s, changes)
	}
	return nil
}

// fold reads the log from its first fact to the moment, or to what is its head now, and gives the ledger there. visit,
// if not nil, is called for every fact.
func (c *client) fold(ctx context.Context, out io.Writer, until moment, visit func(log.Entry, *ledger.State, []ledger.Change)) (*ledger.State, error) {
	head, err := c.log.Head(ctx)
	if err != nil {
		return nil, err
	}
	s := ledger.New(head.ID)
	if head.Last == 0 {
		return s, nil
	}
	folded := newProgress(out, "folding fact", head.Last)
	defer folded.end()
	for entry, err := range c.log.Follow(ctx, 0) {
		if err != nil {
			return nil, fmt.Errorf("fold the log: %w", err)
		}
		if until.past(entry) {
			break
		}
		if err := apply(s, entry, visit); err != nil {
			return nil, err
		}
		folded.step(entry.Sequence)
		if entry.Sequence >= head.Last {
			break
		}
	}
	return s, ctx.Err()
}
