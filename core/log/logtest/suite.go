package logtest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/log"
)

// Harness is a fresh, empty log under test. The knobs may be nil; the promises that need them are then skipped.
type Harness struct {
	Log log.Log
	// LoseNextAck lets the next append be stored and loses its answer.
	LoseNextAck func()
	// LoseNextRequest loses the next append before it arrives.
	LoseNextRequest func()
	// ForgePush tells followers of an entry that the log does not hold.
	ForgePush func(entity string, sequence uint64)
	// Replace puts a new, empty log in the place of the one under test.
	Replace func()
}

// patience bounds everything that must happen; calm is how long nothing must happen.
const (
	patience = time.Minute
	calm     = 100 * time.Millisecond
)

// Run checks every promise of the port, each against a fresh log.
func Run(t *testing.T, fresh func(t *testing.T) Harness) {
	for _, promise := range slices.Concat(appendPromises, batchPromises, followPromises) {
		t.Run(promise.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			promise.check(ctx, t, fresh(t))
		})
	}
}

type promise struct {
	name  string
	check func(ctx context.Context, t *testing.T, h Harness)
}

// NewFact makes a fact about an entity; n tells facts apart.
func NewFact(entity string, n int) log.Fact {
	return log.Fact{
		Record: event.Record{
			Type: "viplog.Test.v1", Entity: entity, Rules: uint64(n % 3), Data: fmt.Appendf(nil, `{"entity":%q,"n":%d}`, entity, n),
		},
		ID: fmt.Sprintf("%s/%d", entity, n), Source: "control/test",
	}
}

func facts(entity string, from, count int) []log.Fact {
	var all []log.Fact
	for n := range count {
		all = append(all, NewFact(fmt.Sprintf("%s.%d", entity, n%7), from+n))
	}
	return all
}

func mustAppend(ctx context.Context, t *testing.T, l log.Log, fact log.Fact, last uint64) uint64 {
	t.Helper()
	sequence, err := l.Append(ctx, fact, last)
	if err != nil {
		t.Fatalf("append of %s after %d: %v", fact.ID, last, err)
	}
	return sequence
}

func mustBatch(ctx context.Context, t *testing.T, l log.Log, batch []log.Fact, head uint64) uint64 {
	t.Helper()
	sequence, err := l.AppendBatch(ctx, batch, head)
	if err != nil {
		t.Fatalf("batch of %d after %d: %v", len(batch), head, err)
	}
	return sequence
}

func mustHead(ctx context.Context, t *testing.T, l log.Log) log.Head {
	t.Helper()
	head, err := l.Head(ctx)
	if err != nil {
		t.Fatalf("head: %v", err)
	}
	return head
}

// take follows until it has count entries, and checks that their sequences have no holes.
func take(ctx context.Context, t *testing.T, l log.Log, after uint64, count int) []log.Entry {
	t.Helper()
	var entries []log.Entry
	if count == 0 {
		return nil
	}
	for entry, err := range l.Follow(ctx, after) {
		if err != nil {
			t.Fatalf("follow after %d, %d of %d entries: %v", after, len(entries), count, err)
		}
		if want := after + uint64(len(entries)) + 1; entry.Sequence != want {
			t.Fatalf("follow yields %d instead of %d", entry.Sequence, want)
		}
		if entries = append(entries, entry); len(entries) == count {
			break
		}
	}
	return entries
}

func same(t *testing.T, got log.Entry, want log.Fact) {
	t.Helper()
	if got.ID != want.ID || got.Source != want.Source || got.Type != want.Type || got.Entity != want.Entity ||
		got.Rules != want.Rules || string(got.Data) != string(want.Data) {
		t.Fatalf("entry %d is\n%+v, not\n%+v", got.Sequence, got.Fact, want)
	}
}

// followEnd gives the error with which following ends.
func followEnd(ctx context.Context, l log.Log, after uint64) error {
	for _, err := range l.Follow(ctx, after) {
		if err != nil {
			return err
		}
	}
	return nil
}
