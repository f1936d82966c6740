package replica_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"viplog/adapters/replica"
	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/log/logtest"
)

func follow(t *testing.T, l log.Log, name string) *replica.Replica {
	t.Helper()
	return followNotified(t, l, name, nil)
}

func followNotified(t *testing.T, l log.Log, name string, notify func(log.Entry, []ledger.Change)) *replica.Replica {
	t.Helper()
	r, err := replica.Open(t.Context(), l, name, notify)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	return r
}

func pool(i int) event.PoolAdded {
	return event.PoolAdded{Pool: event.Pool{Name: fmt.Sprint("p", i), Addresses: []string{fmt.Sprintf("10.0.%d.0/24", i)}}}
}

func TestEveryReplicaOfALogHasTheSameLedger(t *testing.T) {
	l := newLog(t)
	a, b := follow(t, l, "a"), follow(t, l, "b")
	last, err := a.Submit(t.Context(), func(*ledger.State) ([]event.Event, error) {
		return []event.Event{pool(1), pool(2)}, nil
	})
	if err != nil || last != 2 {
		t.Fatalf("submitted up to %d, %v", last, err)
	}
	if err := b.WaitFor(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	if a.State().Digest() != b.State().Digest() || len(b.State().PoolViews()) != 2 {
		t.Error("the replicas differ")
	}
}

// Writers that plan the same thing at once get it done once: who comes late plans anew and finds nothing missing.
func TestConcurrentPlansAreMadeAnew(t *testing.T) {
	l := newLog(t)
	const writers, pools = 4, 10
	var all sync.WaitGroup
	for w := range writers {
		r := follow(t, l, fmt.Sprint("writer-", w))
		all.Go(func() {
			for i := range pools {
				_, err := r.Submit(t.Context(), func(s *ledger.State) ([]event.Event, error) {
					if _, there := s.PoolSpec(pool(i).Name); there {
						return nil, nil
					}
					return []event.Event{pool(i), pool(100 + i)}, nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	head, err := l.Head(t.Context())
	if err != nil || head.Last != 2*pools {
		t.Errorf("the log holds %d facts, %v; want %d", head.Last, err, 2*pools)
	}
}

// What a plan foretells is what follows from it, whatever others append meanwhile: the batch is guarded by the head for
// which it was planned, and planned anew when that moved.
func TestAPlansEffectIsWhatItForetold(t *testing.T) {
	l := newLog(t)
	var mu sync.Mutex
	followed := map[uint64][]ledger.Change{}
	planner := followNotified(t, l, "planner", func(e log.Entry, changes []ledger.Change) {
		mu.Lock()
		defer mu.Unlock()
		followed[e.Sequence] = changes
	})
	changesOf := func(sequence uint64) []ledger.Change { // those who are notified come a moment after the fold
		for {
			mu.Lock()
			changes, ok := followed[sequence]
			mu.Unlock()
			if ok || t.Context().Err() != nil {
				return changes
			}
			time.Sleep(time.Millisecond)
		}
	}
	other := follow(t, l, "other")
	if _, err := planner.Submit(t.Context(), func(*ledger.State) ([]event.Event, error) {
		return []event.Event{pool(1)}, nil
	}); err != nil {
		t.Fatal(err)
	}
	service := func(name string) event.Event {
		return event.ServiceApplied{
			Namespace: "default", Name: name, Source: "test", Families: []string{"IPv4"},
			FamilyPolicy: event.SingleStack, TrafficPolicy: event.TrafficCluster,
		}
	}
	interfere := func(i, n int) error { // takes the address that was foretold
		_, err := other.Submit(t.Context(), func(*ledger.State) ([]event.Event, error) {
			return []event.Event{service(fmt.Sprintf("other-%d-%d", i, n))}, nil
		})
		return err
	}
	for i := range 20 {
		plans := 0
		var foretold []ledger.Change
		last, err := planner.SubmitAtHead(t.Context(), func(s *ledger.State) ([]event.Event, error) {
			facts := []event.Event{service(fmt.Sprint("one-", i)), service(fmt.Sprint("two-", i))}
			var err error
			if foretold, err = replica.Rehearse(s.Clone(), facts); err != nil {
				return nil, err
			}
			if plans++; plans <= i%3 {
				return facts, interfere(i, plans)
			}
			return facts, nil
		})
		if err != nil || plans < 1+i%3 {
			t.Fatalf("submission %d was planned %d times, %v", i, plans, err)
		}
		got := slices.Concat(changesOf(last-1), changesOf(last))
		if fmt.Sprint(got) != fmt.Sprint(foretold) || len(got) == 0 {
			t.Fatalf("foretold\n%v\nfollowed\n%v", foretold, got)
		}
	}
}

func TestASubmitOfMoreThanABatchGoesInParts(t *testing.T) {
	r := follow(t, newLog(t), "a")
	const n = log.MaxBatch + 500
	last, err := r.Submit(t.Context(), func(s *ledger.State) ([]event.Event, error) {
		var missing []event.Event
		for i := range n {
			e := event.ServiceApplied{
				Namespace: "default", Name: fmt.Sprint("s", i), Source: "test", Families: []string{"IPv4"},
				FamilyPolicy: event.SingleStack, TrafficPolicy: event.TrafficCluster,
			}
			if _, there := s.ServiceSpec(ledger.ServiceKey{Namespace: e.Namespace, Name: e.Name}); !there {
				missing = append(missing, e)
			}
		}
		return missing, nil
	})
	if err != nil || last != n {
		t.Errorf("submitted up to %d, %v; want %d", last, err, n)
	}
}

// lagging answers LastOf from the past, as a server that lags does.
type lagging struct {
	log.Log
	stale int
}

func (l *lagging) LastOf(ctx context.Context, entity string) (uint64, error) {
	if l.stale > 0 {
		l.stale--
		return 0, nil
	}
	return l.Log.LastOf(ctx, entity)
}

func TestAGuardReadFromALaggingServerIsReadAgain(t *testing.T) {
	l := &lagging{Log: newLog(t)}
	r := follow(t, l, "a")
	for i, stale := range []int{0, 2} {
		l.stale = stale
		settings := event.DefaultSettings()
		settings.LoadBalancerClass = fmt.Sprint("class-", i)
		if _, err := r.Submit(t.Context(), func(*ledger.State) ([]event.Event, error) {
			return []event.Event{settings}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatTheLedgerWouldRejectNeverGetsIntoTheLog(t *testing.T) {
	l := newLog(t)
	r := follow(t, l, "a")
	_, err := r.Submit(t.Context(), func(*ledger.State) ([]event.Event, error) {
		return []event.Event{pool(1), event.PoolRemoved{Name: "p1"}}, nil
	})
	if head, _ := l.Head(t.Context()); !errors.Is(err, replica.ErrRejected) || head.Last != 0 {
		t.Errorf("error %v, %d facts in the log; want ErrRejected and none", err, head.Last)
	}
}

// A version that meets rules above its own stops folding there, keeps what it has and says so.
func TestNewerRulesStopTheFold(t *testing.T) {
	l := newLog(t)
	record, err := event.Encode(event.RulesAdopted{Rules: ledger.RulesKnown + 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), log.Fact{Record: record, ID: "newer", Source: "test"}, 0); err != nil {
		t.Fatal(err)
	}
	r, err := replica.Open(t.Context(), l, "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context()); !errors.Is(err, ledger.ErrNewerRules) || r.Sequence() != 0 {
		t.Errorf("error %v at fact %d; want ErrNewerRules and nothing folded", err, r.Sequence())
	}
}

func TestWaitForEndsWithTheReplica(t *testing.T) {
	r, err := replica.Open(t.Context(), newLog(t), "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.WaitFor(t.Context(), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func newLog(t *testing.T) log.Log {
	t.Helper()
	return logtest.NewMemory(func() time.Time { return time.Unix(1, 0).UTC() })
}
