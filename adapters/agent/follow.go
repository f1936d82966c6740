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
	retryPause  = time.Second // before the log is read again after an error
	followAhead = 256         // entries that a follower may be ahead of its machine
)

// begin reads the log up to its head and gives the ledger there. It tries until the context ends.
func (h *Host) begin(ctx context.Context) (*ledger.State, log.Head, error) {
	for failed := 0; ; failed++ {
		s, head, err := h.fold(ctx)
		if err == nil {
			return s, head, nil
		}
		if ctx.Err() != nil {
			return nil, head, ctx.Err()
		}
		if failed%30 == 0 { // twice a minute
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
			return s, head, nil
		}
	}
	return nil, head, ctx.Err()
}

// follower hands a log's entries to a machine.
type follower struct {
	*Host
	loop     *loop
	ledger   func() *ledger.State // the machine's, in the loop
	fold     func(log.Entry)      // in the loop
	replaced func()               // the log is another one; in the loop
}

// follow goes on until the context ends, the log is another one, or it holds a fact that this program does not know how to
// read: then the machine holds what it has. Whatever else keeps the log from being read is said and tried again.
func (f follower) follow(ctx context.Context, after uint64) {
	ahead := make(chan struct{}, followAhead)
	stuck := make(chan struct{}) // closed in the loop
	for failed := 0; ; failed++ {
		var failure error
		for e, err := range f.Log.Follow(ctx, after) {
			if err != nil {
				failure = err
				break
			}
			select {
			case ahead <- struct{}{}:
			case <-stuck:
				return
			case <-ctx.Done():
				return
			}
			after, failed = e.Sequence, 0
			f.loop.post(func() {
				<-ahead
				f.read(e, stuck)
			})
		}
		if ctx.Err() != nil {
			return
		}
		if failed%30 == 0 { // twice a minute
			f.Logger.Error("the log cannot be followed", "after", after, "error", failure)
		}
		if errors.Is(failure, log.ErrOtherLog) {
			f.loop.post(f.replaced)
			return
		}
		if pause(ctx, retryPause) != nil {
			return
		}
	}
}

// read folds an entry, unless it or one before it needs newer rules.
func (f follower) read(e log.Entry, stuck chan struct{}) {
	s := f.ledger()
	if s.Sequence()+1 != e.Sequence {
		return
	}
	if err := s.Readable(e); err != nil {
		f.Logger.Error("the log is not read any further", "sequence", e.Sequence, "error", err)
		f.tell(trace.Note{Kind: trace.Refused, Sequence: e.Sequence, Text: err.Error()})
		close(stuck)
		return
	}
	f.fold(e)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("agent: %w", ctx.Err())
	}
}
