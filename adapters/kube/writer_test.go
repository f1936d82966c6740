package kube

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"viplog/core/control"
	"viplog/core/ledger"
)

// What is published is what precedes the first fact that a Service is still to be looked at for, whatever is under way.
func TestPublishedIsBeforeWhatIsStillToBeWritten(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWriter()
		type open struct {
			key   ledger.ServiceKey
			epoch int
		}
		var busy []open
		waiting, underWay := map[ledger.ServiceKey]uint64{}, map[ledger.ServiceKey]uint64{}
		folded, highest := uint64(0), uint64(0)
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			switch rapid.IntRange(0, 4).Draw(r, "step") {
			case 0, 1:
				folded++
				key := ledger.ServiceKey{Name: fmt.Sprint(rapid.IntRange(1, 4).Draw(r, "service"))}
				if first, is := waiting[key]; !is || folded < first {
					waiting[key] = folded
				}
				w.touch([]control.Touched{{Service: key, Sequence: folded}}, folded)
			case 2: // a look for another reason holds nothing up
				key := ledger.ServiceKey{Name: fmt.Sprint(rapid.IntRange(1, 4).Draw(r, "service"))}
				if _, is := waiting[key]; !is {
					waiting[key] = noFact
				}
				w.touch([]control.Touched{{Service: key, Sequence: noFact}}, 0)
			case 3:
				if len(w.order) == 0 {
					continue
				}
				key, epoch, ok := w.take(t.Context())
				if _, twice := underWay[key]; !ok || twice {
					r.Fatalf("%v is looked at twice at a time", key)
				}
				underWay[key] = waiting[key]
				delete(waiting, key)
				busy = append(busy, open{key, epoch})
			case 4:
				if len(busy) == 0 {
					continue
				}
				one := busy[0]
				busy = busy[1:]
				if rapid.Bool().Draw(r, "it failed") {
					w.mu.Lock()
					w.finish(one.key, one.epoch, true)
					w.mu.Unlock()
					if first, is := waiting[one.key]; !is || underWay[one.key] < first {
						waiting[one.key] = underWay[one.key]
					}
				} else {
					w.done(one.key, one.epoch)
				}
				delete(underWay, one.key)
			}
			want := folded
			for _, all := range []map[ledger.ServiceKey]uint64{waiting, underWay} {
				for _, sequence := range all {
					want = min(want, sequence-1)
				}
			}
			highest = max(highest, want)
			if got := w.publishedNow(); got != highest {
				r.Fatalf("published is %d, and it should be %d: waiting %v, under way %v, folded %d", got, highest, waiting, underWay, folded)
			}
			if w.isIdle() != (len(waiting)+len(underWay) == 0) {
				r.Fatalf("idle is %v", w.isIdle())
			}
			if len(w.order) > len(waiting) {
				r.Fatalf("in order are %v, and waiting %v", w.order, waiting)
			}
		}
	})
}

func TestWhatEndsAfterATakeOverCountsForNothing(t *testing.T) {
	w := newWriter()
	web := ledger.ServiceKey{Namespace: "shop", Name: "web"}
	w.touch([]control.Touched{{Service: web, Sequence: 1}}, 1)
	key, before, _ := w.take(t.Context())
	w.reset()
	w.touch([]control.Touched{{Service: web, Sequence: 1}}, 1)
	w.take(t.Context())
	w.done(key, before)
	if w.isIdle() || w.publishedNow() != 0 {
		t.Errorf("a write of before the take-over published %d", w.publishedNow())
	}
}

// endsMeanwhile is a context that ends when somebody has just seen that it has not.
type endsMeanwhile struct {
	context.Context
	end context.CancelFunc
}

// Err implements context.Context.
func (c endsMeanwhile) Err() error {
	err := c.Context.Err()
	c.end()
	time.Sleep(20 * time.Millisecond) // whoever waits for the end is told
	return err
}

// A writer that begins to wait as its Lease ends is woken, or the controller would never want the Lease again.
func TestAWriterThatBeginsToWaitAsItsContextEndsIsWoken(t *testing.T) {
	w := newWriter()
	ctx, end := context.WithCancel(t.Context())
	woken := make(chan struct{})
	go func() {
		w.take(endsMeanwhile{ctx, end})
		close(woken)
	}()
	select {
	case <-woken:
	case <-time.After(5 * time.Second):
		t.Error("it waits still")
	}
}

// One status that the API server never takes, as by a policy of its namespace, is not what new addresses of all others wait for.
func TestAStatusThatIsNeverWrittenHoldsUpWhatIsPublishedForAWhileOnly(t *testing.T) {
	w := newWriter()
	web := ledger.ServiceKey{Namespace: "shop", Name: "web"}
	w.touch([]control.Touched{{Service: web, Sequence: 7}}, 9)
	for try := range holds {
		if got := w.publishedNow(); got != 6 {
			t.Fatalf("after %d tries published is %d", try, got)
		}
		key, epoch, _ := w.take(t.Context())
		w.failed(key, epoch) // as later does, without its pauses
		w.mu.Lock()
		w.finish(key, epoch, true)
		w.mu.Unlock()
	}
	if got := w.publishedNow(); got != 9 || w.isIdle() {
		t.Errorf("after %d tries published is %d (idle: %t)", holds, got, w.isIdle())
	}
}
