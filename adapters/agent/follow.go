package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/trace"
)

const (
	retryPause   = time.Second // before what has failed is tried again
	failuresSaid = 30          // one of so many failures is said: twice a minute
	followAhead  = 1024        // entries that a follower may be ahead of its machine
	readAtOnce   = 64          // entries, before the machine looks at what else there is to do
)

// begin reads the log up to its head and gives the ledger there. It tries until the context ends.
func (h *Host) begin(ctx context.Context) (*ledger.State, log.Head, error) {
	for failed := 0; ; failed++ {
		s, head, err := h.fold(ctx)
		if err == nil {
			h.folded(s)
			return s, head, nil
		}
		if ctx.Err() != nil {
			return nil, head, ctx.Err()
		}
		if failed%failuresSaid == 0 {
			h.Logger.Warn("the log cannot be read yet", "error", err)
		}
		if err := pause(ctx, retryPause); err != nil {
			return nil, head, err
		}
	}
}

func (h *Host) fold(ctx context.Context) (*ledger.State, log.Head, error) {
	head, err := h.Log.Head(ctx)
	if err != nil {
		return nil, head, err
	}
	s := ledger.New(head.ID)
	if head.Last == 0 {
		return s, head, nil
	}
	for e, err := range h.Log.Follow(ctx, 0) {
		if err == nil {
			err = s.Readable(e)
		}
		if err != nil {
			return nil, head, err
		}
		if s.ApplyEntry(e); e.Sequence >= head.Last {
			return s, head, h.isLog(ctx, head.ID)
		}
	}
	return nil, head, ctx.Err()
}

// isLog tells that the log is still the one with an identity: else what was read since may be another one's.
func (h *Host) isLog(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, appendPatience)
	defer cancel()
	head, err := h.Log.Head(ctx)
	if err == nil && head.ID != id {
		return fmt.Errorf("%w: it is %s, not %s", log.ErrOtherLog, head.ID, id)
	}
	return err
}

// follower hands a log's entries to a machine.
type follower struct {
	*Host
	loop     *loop
	id       string               // of the log
	ledger   func() *ledger.State // the machine's, in the loop
	fold     func([]log.Entry)    // in the loop
	replaced func()               // the log is another one; in the loop

	ahead chan log.Entry
	stuck bool // it has met an entry that this program does not know how to read; in the loop
}

// attach makes the loop read what follow brings.
func (f *follower) attach() {
	f.ahead = make(chan log.Entry, followAhead)
	f.loop.read = f.read
}

// follow goes on until the context ends or the log is another one. Whatever else keeps the log from being read is said and tried again.
func (f *follower) follow(ctx context.Context, after uint64) {
	for failed := 0; ; failed++ {
		last, err := f.followOnce(ctx, after)
		if ctx.Err() != nil {
			return
		}
		if last > after {
			after, failed = last, 0
		}
		if failed%failuresSaid == 0 {
			f.Logger.Error("the log cannot be followed", "after", after, "error", err)
		}
		if errors.Is(err, log.ErrOtherLog) {
			f.loop.post(f.replaced)
			return
		}
		if pause(ctx, retryPause) != nil {
			return
		}
	}
}

// followOnce follows until that fails, and tells how far it came. What it follows is the log that is there when it begins, which need
// not be the machine's any more: so it looks before, and again before it hands anything on.
func (f *follower) followOnce(ctx context.Context, after uint64) (uint64, error) {
	if err := f.isLog(ctx, f.id); err != nil {
		return after, err
	}
	isKnown := false
	for e, err := range f.Log.Follow(ctx, after) {
		if err == nil && !isKnown {
			err = f.isLog(ctx, f.id)
		}
		if err != nil {
			return after, err
		}
		isKnown = true
		select {
		case f.ahead <- e:
		case <-ctx.Done():
			return after, ctx.Err()
		}
		after = e.Sequence
		f.loop.ring()
	}
	return after, ctx.Err()
}

// read folds some of the entries that wait.
func (f *follower) read() (more bool) {
	var batch []log.Entry
	next := f.ledger().Sequence() + 1
	for len(batch) < readAtOnce && !f.stuck {
		e, waits := f.waiting()
		if !waits {
			break
		}
		if e.Sequence == next && f.readable(e) { // an earlier one was read by begin
			batch = append(batch, e)
			next++
		}
	}
	if len(batch) > 0 {
		f.fold(batch)
		f.folded(f.ledger())
	}
	return len(batch) == readAtOnce
}

func (f *follower) waiting() (e log.Entry, waits bool) {
	select {
	case e = <-f.ahead:
		return e, true
	default:
		return e, false
	}
}

// readable tells whether this program knows how to read an entry. If not the machine holds what it has.
func (f *follower) readable(e log.Entry) bool {
	err := f.ledger().Readable(e)
	if err != nil {
		f.stuck = true
		f.Logger.Error("the log is not read any further", "sequence", e.Sequence, "error", err)
		f.tell(trace.Note{Kind: trace.Refused, Sequence: e.Sequence, Text: err.Error()})
	}
	return err == nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("agent: %w", ctx.Err())
	}
}
