package logtest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"viplog/core/event"
	"viplog/core/log"
)

var appendPromises = []promise{
	{"an empty log", checkEmpty},
	{"order and content", checkOrder},
	{"guards", checkGuards},
	{"guard after a purge", checkGuardAfterPurge},
	{"the same ID is the same fact", checkIdempotence},
	{"one of many appenders wins", checkOneWins},
	{"a fact that is too large", checkTooLarge},
	{"a lost answer", checkLostAnswer},
	{"a lost request", checkLostRequest},
}

func checkEmpty(ctx context.Context, t *testing.T, h Harness) {
	if head := mustHead(ctx, t, h.Log); head.ID == "" || head.First != 1 || head.Last != 0 {
		t.Fatalf("head of an empty log: %+v", head)
	}
	if last, err := h.Log.LastOf(ctx, "node.a"); last != 0 || err != nil {
		t.Fatalf("last of an unknown entity: %d, %v", last, err)
	}
}

func checkOrder(ctx context.Context, t *testing.T, h Harness) {
	want := []log.Fact{NewFact("node.a", 1), NewFact("node.b", 2), NewFact("service.x_y.z=5F", 3)}
	for i, fact := range want {
		if sequence := mustAppend(ctx, t, h.Log, fact, 0); sequence != uint64(i+1) {
			t.Fatalf("fact %d has sequence %d", i+1, sequence)
		}
	}
	if head := mustHead(ctx, t, h.Log); head.First != 1 || head.Last != 3 {
		t.Fatalf("head: %+v", head)
	}
	if last, err := h.Log.LastOf(ctx, "node.b"); last != 2 || err != nil {
		t.Fatalf("last of node.b: %d, %v", last, err)
	}
	for i, entry := range take(ctx, t, h.Log, 0, 3) {
		same(t, entry, want[i])
		if entry.Time.IsZero() || entry.Time.Location().String() != "UTC" {
			t.Fatalf("time of entry %d: %v", entry.Sequence, entry.Time)
		}
	}
}

func checkGuards(ctx context.Context, t *testing.T, h Harness) {
	first := mustAppend(ctx, t, h.Log, NewFact("node.a", 1), 0)
	mustAppend(ctx, t, h.Log, NewFact("node.b", 2), 0)
	third := mustAppend(ctx, t, h.Log, NewFact("node.a", 3), first)
	for name, guard := range map[string]uint64{"none": 0, "stale": first, "of another": 2, "of the future": third + 7} {
		if _, err := h.Log.Append(ctx, NewFact("node.a", 4), guard); !errors.Is(err, log.ErrConflict) {
			t.Fatalf("guard %s: %v", name, err)
		}
	}
	if head := mustHead(ctx, t, h.Log); head.Last != third {
		t.Fatalf("a refused append moved the head to %d", head.Last)
	}
	mustAppend(ctx, t, h.Log, NewFact("node.a", 4), third)
}

func checkGuardAfterPurge(ctx context.Context, t *testing.T, h Harness) {
	mustAppend(ctx, t, h.Log, NewFact("node.a", 1), 0)
	mustAppend(ctx, t, h.Log, NewFact("node.b", 2), 0)
	for through, want := range []log.Head{{First: 1, Last: 2}, {First: 2, Last: 2}} {
		if err := h.Log.Purge(ctx, uint64(through)); err != nil {
			t.Fatalf("purge through %d: %v", through, err)
		}
		if head := mustHead(ctx, t, h.Log); head.First != want.First || head.Last != want.Last {
			t.Fatalf("head after a purge through %d: %+v", through, head)
		}
	}
	if last, err := h.Log.LastOf(ctx, "node.a"); last != 0 || err != nil {
		t.Fatalf("last of a purged entity: %d, %v", last, err)
	}
	if _, err := h.Log.Append(ctx, NewFact("node.a", 3), 1); !errors.Is(err, log.ErrConflict) {
		t.Fatalf("guard by a purged fact: %v", err)
	}
	mustAppend(ctx, t, h.Log, NewFact("node.a", 3), 0)
	if err := h.Log.Purge(ctx, 99); err != nil {
		t.Fatalf("purge beyond the end: %v", err)
	}
	if head := mustHead(ctx, t, h.Log); head.First != 4 || head.Last != 3 {
		t.Fatalf("head of a log purged in full: %+v", head)
	}
	if sequence := mustAppend(ctx, t, h.Log, NewFact("node.b", 4), 0); sequence != 4 {
		t.Fatalf("sequence %d after a purge of everything", sequence)
	}
}

func checkIdempotence(ctx context.Context, t *testing.T, h Harness) {
	first := mustAppend(ctx, t, h.Log, NewFact("node.a", 1), 0)
	second := mustAppend(ctx, t, h.Log, NewFact("node.a", 2), first)
	for _, guard := range []uint64{0, first, second, 99} {
		if again := mustAppend(ctx, t, h.Log, NewFact("node.a", 1), guard); again != first {
			t.Fatalf("the same fact again: %d, not %d", again, first)
		}
	}
	if head := mustHead(ctx, t, h.Log); head.Last != second {
		t.Fatalf("a fact was stored twice: %+v", head)
	}
}

func checkOneWins(ctx context.Context, t *testing.T, h Harness) {
	const rounds, rivals = 3, 8
	last := uint64(0)
	for round := range rounds {
		var group sync.WaitGroup
		var sequences [rivals]uint64
		var failures [rivals]error
		for rival := range rivals {
			group.Go(func() {
				sequences[rival], failures[rival] = h.Log.Append(ctx, NewFact("cluster", round*rivals+rival), last)
			})
		}
		group.Wait()
		won := 0
		for rival := range rivals {
			if failures[rival] == nil {
				won++
				last = sequences[rival]
			} else if !errors.Is(failures[rival], log.ErrConflict) {
				t.Fatalf("a loser gets %v", failures[rival])
			}
		}
		if won != 1 || last != uint64(round+1) {
			t.Fatalf("round %d: %d won, at %d", round, won, last)
		}
	}
}

func checkTooLarge(ctx context.Context, t *testing.T, h Harness) {
	fact := NewFact("node.a", 1)
	fact.Data = make([]byte, event.MaxDataBytes+1)
	if _, err := h.Log.Append(ctx, fact, 0); !errors.Is(err, log.ErrTooLarge) {
		t.Fatalf("append: %v", err)
	}
	if _, err := h.Log.AppendBatch(ctx, []log.Fact{NewFact("node.b", 1), fact}, 0); !errors.Is(err, log.ErrTooLarge) {
		t.Fatalf("batch: %v", err)
	}
	fact.Data = fact.Data[1:]
	mustAppend(ctx, t, h.Log, fact, 0)
}

func checkLostAnswer(ctx context.Context, t *testing.T, h Harness) {
	if h.LoseNextAck == nil {
		t.Skip("the harness cannot lose an answer")
	}
	h.LoseNextAck()
	first := mustAppend(ctx, t, h.Log, NewFact("node.a", 1), 0)
	h.LoseNextAck()
	if _, err := h.Log.Append(ctx, NewFact("node.a", 2), 0); !errors.Is(err, log.ErrConflict) {
		t.Fatalf("a lost refusal: %v", err)
	}
	h.LoseNextAck()
	last := mustBatch(ctx, t, h.Log, facts("pool", 0, 5), first)
	if head := mustHead(ctx, t, h.Log); first != 1 || last != 6 || head.Last != 6 {
		t.Fatalf("first %d, last %d, head %+v", first, last, head)
	}
}

func checkLostRequest(ctx context.Context, t *testing.T, h Harness) {
	if h.LoseNextRequest == nil {
		t.Skip("the harness cannot lose a request")
	}
	h.LoseNextRequest()
	first := mustAppend(ctx, t, h.Log, NewFact("node.a", 1), 0)
	h.LoseNextRequest()
	last := mustBatch(ctx, t, h.Log, facts("pool", 0, 5), first)
	if head := mustHead(ctx, t, h.Log); first != 1 || last != 6 || head.Last != 6 {
		t.Fatalf("first %d, last %d, head %+v", first, last, head)
	}
}
