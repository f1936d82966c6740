package jetstream

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"

	"viplog/core/log"
)

const (
	feedBuffer   = 4096                   // pushes beyond it are dropped, and fetched
	headInterval = 500 * time.Millisecond // how often a silent feed is checked against the head
	gapInterval  = 10 * time.Millisecond  // how soon a replica is asked again that did not have an entry yet
	ringTries    = 5                      // how often, when a push does not prove that there is one
	shorterTries = 4                      // how often the head must be too low: a deposed leader may say so once
)

// follower is one run of Follow.
type follower struct {
	*Log
	id      string // of the log when following began
	next    uint64
	known   uint64 // an entry with this sequence exists
	rings   int    // fetches that are still worth a try
	shorter int
	yield   func(log.Entry, error) bool
	stopped bool     // the consumer has enough
	ahead   *fetched // what comes next, asked for while the consumer is busy; nil for none
}

// fetched is a fetch that runs beside the consumer.
type fetched struct {
	from    uint64
	entries []log.Entry
	err     error
	done    chan struct{}
}

// Follow implements log.Log.
func (l *Log) Follow(ctx context.Context, after uint64) iter.Seq2[log.Entry, error] {
	return func(yield func(log.Entry, error) bool) {
		f := &follower{Log: l, next: after + 1, yield: yield}
		if err := f.run(ctx); err != nil && !f.stopped {
			yield(log.Entry{}, err)
		}
	}
}

func (f *follower) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pushes := make(chan *nats.Msg, feedBuffer)
	feed, err := f.nc.ChanSubscribe(feedSubjects(f.cluster), pushes)
	if err != nil {
		return fmt.Errorf("jetstream: follow %s: %w", f.stream, err)
	}
	defer func() { _ = feed.Unsubscribe() }()
	if err := f.checkHead(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(headInterval)
	defer tick.Stop()
	for !f.stopped {
		if f.nc.IsClosed() { // for good: no push and no answer will come
			return fmt.Errorf("jetstream: follow %s: %w", f.stream, nats.ErrConnectionClosed)
		}
		if f.next <= f.known || f.rings > 0 {
			progress, err := f.fill(ctx)
			if err != nil || f.stopped {
				return err
			}
			if progress {
				continue
			}
		}
		var again <-chan time.Time
		if f.next <= f.known || f.rings > 0 {
			again = time.After(gapInterval)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case push := <-pushes:
			f.take(push)
		case <-again:
		case <-tick.C:
			if err := f.checkHead(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// take delivers a push that is next, and otherwise remembers what it proves.
func (f *follower) take(push *nats.Msg) {
	if !f.options.TrustFeed {
		f.rings = ringTries
		return
	}
	entry, ok := f.delivered(push)
	switch {
	case !ok:
		f.rings = ringTries
	case entry.Sequence == f.next:
		f.deliver(entry)
	default:
		f.known = max(f.known, entry.Sequence)
	}
}

// fill fetches what comes next, and says whether there was any.
func (f *follower) fill(ctx context.Context) (bool, error) {
	f.rings = max(f.rings-1, 0)
	entries, err := f.fetchNext(ctx)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		f.logger.Debug("cannot fetch", "sequence", f.next, "error", err)
		return false, nil
	}
	for _, entry := range entries {
		if entry.Sequence < f.next {
			continue
		}
		if entry.Sequence > f.next {
			return false, f.missing(ctx, entry.Sequence)
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if f.deliver(entry); f.stopped {
			return true, nil
		}
	}
	return len(entries) > 0, nil
}

// fetchNext fetches what comes next, and where more is known to come begins to fetch that too.
func (f *follower) fetchNext(ctx context.Context) ([]log.Entry, error) {
	ahead := f.ahead
	f.ahead = nil
	if ahead == nil || ahead.from != f.next {
		ahead = &fetched{from: f.next}
		ahead.entries, ahead.err = f.fetch(ctx, f.next, "")
	} else {
		<-ahead.done
	}
	if n := len(ahead.entries); n > 0 && ahead.entries[n-1].Sequence < f.known {
		more := &fetched{from: ahead.entries[n-1].Sequence + 1, done: make(chan struct{})}
		f.ahead = more
		go func() {
			defer close(more.done)
			more.entries, more.err = f.fetch(ctx, more.from, "")
		}()
	}
	return ahead.entries, ahead.err
}

// missing says why the next entry is not there although a later one is: purged from the front, or lost.
func (f *follower) missing(ctx context.Context, there uint64) error {
	head, err := f.Head(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("jetstream: %d is gone, %d is there: %w", f.next, there, err)
	case head.First > f.next:
		return fmt.Errorf("%w: %d is gone, %d is the first", log.ErrPurged, f.next, head.First)
	}
	return fmt.Errorf("%w: it begins at %d, has no %d, and has %d", log.ErrDamaged, head.First, f.next, there)
}

func (f *follower) deliver(entry log.Entry) {
	f.next++
	f.stopped = !f.yield(entry, nil)
}

// checkHead learns of entries whose push was lost, and of a log that is not the one it was.
func (f *follower) checkHead(ctx context.Context) error {
	for {
		asked, cancel := context.WithTimeout(ctx, f.patience)
		head, err := f.Head(asked)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && f.id != "":
			f.logger.Debug("cannot read the head", "error", err)
			return nil
		case err != nil:
			select {
			case <-time.After(retryWait):
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if f.id == "" {
			f.id = head.ID
		}
		return f.judge(head)
	}
}

func (f *follower) judge(head log.Head) error {
	switch {
	case head.ID != f.id:
		return fmt.Errorf("%w: it was made at %s, not at %s", log.ErrOtherLog, head.ID, f.id)
	case head.First > f.next:
		return fmt.Errorf("%w: %d is gone, %d is the first", log.ErrPurged, f.next, head.First)
	case head.Last+1 < f.next:
		if f.shorter++; f.shorter >= shorterTries {
			return fmt.Errorf("%w: it ends at %d, before %d", log.ErrOtherLog, head.Last, f.next-1)
		}
		return nil
	}
	f.shorter = 0
	f.known = max(f.known, head.Last)
	return nil
}
