// Package replica keeps a ledger in step with a log: the shell around core/ledger that every process which follows the
// log shares, be it a node, a controller or a command.
package replica

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
)

// Replica is one fold of one log. Run feeds it; the other methods may be called from any goroutine.
type Replica struct {
	log    log.Log
	source string
	notify func(log.Entry, []ledger.Change)

	mu     sync.Mutex
	state  *ledger.State
	err    error         // why Run ended
	folded chan struct{} // closed and replaced at every entry
}

// Open makes a replica of a log from its first fact on. Source names who appends through it; notify, if not nil, is
// called in order for every entry, outside of any lock.
func Open(ctx context.Context, l log.Log, source string, notify func(log.Entry, []ledger.Change)) (*Replica, error) {
	head, err := l.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("open a replica: %w", err)
	}
	if notify == nil {
		notify = func(log.Entry, []ledger.Change) {}
	}
	return &Replica{
		log: l, source: source, notify: notify,
		state: ledger.New(head.ID), folded: make(chan struct{}),
	}, nil
}

// Run folds the log until the context ends, which is no error, or the log can no longer be followed.
func (r *Replica) Run(ctx context.Context) error {
	for entry, err := range r.log.Follow(ctx, r.Sequence()) {
		if err != nil {
			return r.stop(ctx, err)
		}
		if err := r.state.Readable(entry); err != nil {
			return r.stop(ctx, err)
		}
		r.mu.Lock()
		changes := r.state.ApplyEntry(entry)
		close(r.folded)
		r.folded = make(chan struct{})
		r.mu.Unlock()
		r.notify(entry, changes)
	}
	return r.stop(ctx, ctx.Err())
}

func (r *Replica) stop(ctx context.Context, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err = err; err == nil {
		r.err = context.Canceled
	}
	close(r.folded)
	r.folded = make(chan struct{})
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("follow the log: %w", err)
}

// TrackLists makes ListChanges know what facts do to succession lists. It is called before Run.
func (r *Replica) TrackLists() { r.state.TrackLists() }

// ListChanges are what facts did to succession lists since it was last called: called by whom Open notifies, those of that entry.
func (r *Replica) ListChanges() []ledger.ListChange {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.TakeListChanges()
}

// State is a copy of the ledger as it is now.
func (r *Replica) State() *ledger.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Clone()
}

// Sequence is that of the last fact folded.
func (r *Replica) Sequence() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Sequence()
}

// WaitFor returns once the fact with this sequence is folded.
func (r *Replica) WaitFor(ctx context.Context, sequence uint64) error {
	for {
		r.mu.Lock()
		at, err, folded := r.state.Sequence(), r.err, r.folded
		r.mu.Unlock()
		switch {
		case at >= sequence:
			return nil
		case err != nil:
			return fmt.Errorf("wait for fact %d: %w", sequence, err)
		}
		select {
		case <-folded:
		case <-ctx.Done():
			return fmt.Errorf("wait for fact %d, %d is folded: %w", sequence, at, ctx.Err())
		}
	}
}

// CatchUp waits until what the log holds now is folded.
func (r *Replica) CatchUp(ctx context.Context) error {
	head, err := r.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("catch up: %w", err)
	}
	return r.WaitFor(ctx, head.Last)
}

// Submit appends the facts that a plan finds missing in the ledger, waits until they are folded here and returns the
// sequence of the last one; 0 if none was missing. The plan is made again whenever the log moved on in between, so it
// must be a function of the ledger alone. ErrRejected: the ledger would not honour it, and nothing is appended. Several facts are appended all or none; more than log.MaxBatch in parts, each
// planned anew.
func (r *Replica) Submit(ctx context.Context, plan func(*ledger.State) ([]event.Event, error)) (uint64, error) {
	return r.submit(ctx, plan, r.append)
}

// SubmitAtHead is Submit for a plan that must be carried out on the very ledger that it was made for: it is guarded by the
// head of the log, also a single fact. So what Rehearse foretold of it is what follows.
func (r *Replica) SubmitAtHead(ctx context.Context, plan func(*ledger.State) ([]event.Event, error)) (uint64, error) {
	return r.submit(ctx, plan, r.log.AppendBatch)
}

func (r *Replica) submit(ctx context.Context, plan func(*ledger.State) ([]event.Event, error),
	appendFacts func(ctx context.Context, facts []log.Fact, planned uint64) (uint64, error),
) (uint64, error) {
	var last uint64
	for {
		state := r.State()
		events, err := plan(state)
		if err != nil || len(events) == 0 {
			return last, err
		}
		more := len(events) > log.MaxBatch
		events = events[:min(len(events), log.MaxBatch)]
		if _, err := Rehearse(state.Clone(), events); err != nil {
			return last, err
		}
		facts, err := r.facts(events)
		if err != nil {
			return last, err
		}
		sequence, err := appendFacts(ctx, facts, state.Sequence())
		switch {
		case errors.Is(err, log.ErrConflict):
			if err := r.waitForNews(ctx, state.Sequence()); err != nil {
				return last, err
			}
			continue
		case err != nil:
			return last, err
		}
		last = sequence
		if err := r.WaitFor(ctx, last); err != nil || !more {
			return last, err
		}
	}
}

// Rehearse folds facts into a ledger that is a copy, and says what would follow from them. ErrRejected: the ledger would
// not honour one of them; such facts never get into the log.
func Rehearse(copied *ledger.State, events []event.Event) ([]ledger.Change, error) {
	var changes []ledger.Change
	for _, e := range events {
		for _, change := range copied.Apply(e, copied.Sequence()+1, copied.TimeNanos()) {
			if change.Kind == ledger.Rejected {
				return nil, fmt.Errorf("%w: %s", ErrRejected, change.Reason)
			}
			changes = append(changes, change)
		}
	}
	return changes, nil
}

// ErrRejected marks facts that the ledger would not honour; none of them is appended.
var ErrRejected = errors.New("rejected")

// staleGuard is how long a conflict waits for the fact that caused it. A guard read from a server that lags conflicts
// with a fact that may be folded already: then no news comes, and the guard is to be read again.
const staleGuard = 500 * time.Millisecond

func (r *Replica) waitForNews(ctx context.Context, since uint64) error {
	bounded, cancel := context.WithTimeout(ctx, staleGuard)
	defer cancel()
	if err := r.WaitFor(bounded, since+1); err != nil && (ctx.Err() != nil || bounded.Err() == nil) {
		return err
	}
	return nil
}

// append guards a single fact by its entity, so that writers of different things do not get in each other's way, and
// several by the head of the log, on which they were planned.
func (r *Replica) append(ctx context.Context, facts []log.Fact, planned uint64) (uint64, error) {
	if len(facts) > 1 {
		return r.log.AppendBatch(ctx, facts, planned)
	}
	newest, err := r.log.LastOf(ctx, facts[0].Entity)
	if err != nil {
		return 0, err
	}
	if newest > planned {
		return 0, log.ErrConflict // the plan did not know it
	}
	return r.log.Append(ctx, facts[0], newest)
}

func (r *Replica) facts(events []event.Event) ([]log.Fact, error) {
	facts := make([]log.Fact, len(events))
	for i, e := range events {
		record, err := event.Encode(e)
		if err != nil {
			return nil, err
		}
		facts[i] = log.Fact{Record: record, ID: rand.Text(), Source: r.source}
	}
	return facts, nil
}
