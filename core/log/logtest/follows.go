package logtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"viplog/core/log"
)

var batchPromises = []promise{
	{"batches are all or nothing", checkBatches},
	{"the largest batch", checkLargestBatch},
	{"the same batch again", checkSameBatch},
}

var followPromises = []promise{
	{"follow from anywhere", checkFollowFrom},
	{"follow while appending", checkFollowLive},
	{"follow until cancelled", checkFollowCancelled},
	{"follow what was purged", checkFollowPurged},
	{"follow beyond the end", checkFollowBeyond},
	{"follow a log that was replaced", checkFollowReplaced},
	{"follow despite forged pushes", checkFollowForged},
}

func checkBatches(ctx context.Context, t *testing.T, h Harness) {
	first := mustAppend(ctx, t, h.Log, NewFact("node.a", 1), 0)
	for _, head := range []uint64{0, first + 1} {
		if _, err := h.Log.AppendBatch(ctx, facts("pool", 0, 3), head); !errors.Is(err, log.ErrConflict) {
			t.Fatalf("batch against the head %d: %v", head, err)
		}
	}
	if _, err := h.Log.AppendBatch(ctx, []log.Fact{NewFact("node.b", 1), NewFact("node.a", 1)}, first); !errors.Is(err, log.ErrConflict) {
		t.Fatalf("batch with a stored fact: %v", err)
	}
	if head := mustHead(ctx, t, h.Log); head.Last != first {
		t.Fatalf("a refused batch moved the head: %+v", head)
	}
	one := mustBatch(ctx, t, h.Log, facts("pool", 10, 1), first)
	last := mustBatch(ctx, t, h.Log, facts("pool", 20, 9), one)
	if one != 2 || last != 11 {
		t.Fatalf("batches end at %d and %d", one, last)
	}
	for i, entry := range take(ctx, t, h.Log, one, 9) {
		same(t, entry, facts("pool", 20, 9)[i])
	}
	if _, err := h.Log.AppendBatch(ctx, nil, last); err == nil {
		t.Fatal("an empty batch is no error")
	}
}

func checkLargestBatch(ctx context.Context, t *testing.T, h Harness) {
	if _, err := h.Log.AppendBatch(ctx, facts("pool", 0, log.MaxBatch+1), 0); !errors.Is(err, log.ErrTooLarge) {
		t.Fatalf("batch of %d: %v", log.MaxBatch+1, err)
	}
	last := mustBatch(ctx, t, h.Log, facts("pool", 0, log.MaxBatch), 0)
	if last != log.MaxBatch {
		t.Fatalf("batch ends at %d", last)
	}
	take(ctx, t, h.Log, 0, log.MaxBatch)
}

func checkSameBatch(ctx context.Context, t *testing.T, h Harness) {
	mustAppend(ctx, t, h.Log, NewFact("node.a", 1), 0)
	last := mustBatch(ctx, t, h.Log, facts("pool", 0, 3), 1)
	mustAppend(ctx, t, h.Log, NewFact("node.b", 1), 0)
	if again := mustBatch(ctx, t, h.Log, facts("pool", 0, 3), 1); again != last {
		t.Fatalf("the same batch again: %d, not %d", again, last)
	}
	if head := mustHead(ctx, t, h.Log); head.Last != 5 {
		t.Fatalf("head: %+v", head)
	}
}

func checkFollowFrom(ctx context.Context, t *testing.T, h Harness) {
	last := mustBatch(ctx, t, h.Log, facts("pool", 0, 20), 0)
	for _, after := range []uint64{0, 9, last - 1} {
		take(ctx, t, h.Log, after, int(last-after))
	}
	go func() {
		time.Sleep(calm)
		_, _ = h.Log.Append(ctx, NewFact("node.a", 1), 0)
	}()
	same(t, take(ctx, t, h.Log, last, 1)[0], NewFact("node.a", 1))
}

func checkFollowLive(ctx context.Context, t *testing.T, h Harness) {
	const before, during = 50, 200
	head := mustBatch(ctx, t, h.Log, facts("pool", 0, before), 0)
	failed := make(chan error, 1)
	go func() {
		last := uint64(0)
		var err error
		for n := range during {
			if last, err = h.Log.Append(ctx, NewFact("node.a", n), last); err != nil {
				break
			}
		}
		failed <- err
	}()
	first := take(ctx, t, h.Log, 0, before+during)
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	for n := range during {
		same(t, first[int(head)+n], NewFact("node.a", n))
	}
	for i, entry := range take(ctx, t, h.Log, 0, before+during) { // the push and the store must agree
		same(t, entry, first[i].Fact)
		if !entry.Time.Equal(first[i].Time) {
			t.Fatalf("entry %d was stored at %v and at %v", entry.Sequence, first[i].Time, entry.Time)
		}
	}
}

func checkFollowCancelled(ctx context.Context, t *testing.T, h Harness) {
	mustAppend(ctx, t, h.Log, NewFact("node.a", 1), 0)
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(calm, cancel)
	if err := followEnd(ctx, h.Log, 0); !errors.Is(err, context.Canceled) {
		t.Fatalf("following ended with %v", err)
	}
	if err := followEnd(ctx, h.Log, 1); !errors.Is(err, context.Canceled) {
		t.Fatalf("following under a context that ended: %v", err)
	}
}

func checkFollowPurged(ctx context.Context, t *testing.T, h Harness) {
	mustBatch(ctx, t, h.Log, facts("pool", 0, 10), 0)
	if err := h.Log.Purge(ctx, 4); err != nil {
		t.Fatal(err)
	}
	for _, after := range []uint64{0, 3} {
		if err := followEnd(ctx, h.Log, after); !errors.Is(err, log.ErrPurged) {
			t.Fatalf("following after %d: %v", after, err)
		}
	}
	take(ctx, t, h.Log, 4, 6)
	if err := h.Log.Purge(ctx, 10); err != nil {
		t.Fatal(err)
	}
	if err := followEnd(ctx, h.Log, 9); !errors.Is(err, log.ErrPurged) {
		t.Fatalf("following a log purged in full: %v", err)
	}
}

func checkFollowBeyond(ctx context.Context, t *testing.T, h Harness) {
	mustAppend(ctx, t, h.Log, NewFact("node.a", 1), 0)
	if err := followEnd(ctx, h.Log, 5); !errors.Is(err, log.ErrOtherLog) {
		t.Fatalf("following beyond the end: %v", err)
	}
}

func checkFollowReplaced(ctx context.Context, t *testing.T, h Harness) {
	if h.Replace == nil {
		t.Skip("the harness cannot replace its log")
	}
	mustAppend(ctx, t, h.Log, NewFact("node.a", 1), 0)
	before := mustHead(ctx, t, h.Log)
	time.AfterFunc(calm, h.Replace)
	if err := followEnd(ctx, h.Log, 0); !errors.Is(err, log.ErrOtherLog) {
		t.Fatalf("following a replaced log: %v", err)
	}
	if after := mustHead(ctx, t, h.Log); after.ID == before.ID {
		t.Fatal("a replaced log has the same identity")
	}
}

func checkFollowForged(ctx context.Context, t *testing.T, h Harness) {
	if h.ForgePush == nil {
		t.Skip("the harness cannot forge a push")
	}
	last := mustAppend(ctx, t, h.Log, NewFact("node.a", 1), 0)
	go func() {
		time.Sleep(calm)
		h.ForgePush("node.forged", last+1)
		time.Sleep(calm)
		_, _ = h.Log.Append(ctx, NewFact("node.b", 2), 0)
	}()
	same(t, take(ctx, t, h.Log, 0, 2)[1], NewFact("node.b", 2))
}
