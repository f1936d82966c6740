package agent

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/log/logtest"
)

// replacedLog becomes another one when it is told to.
type replacedLog struct {
	log.Log
	next     log.Log
	isNext   atomic.Bool
	onFollow bool // it becomes the other when somebody follows
}

func (r *replacedLog) now() log.Log {
	if r.isNext.Load() {
		return r.next
	}
	return r.Log
}

func (r *replacedLog) Head(ctx context.Context) (log.Head, error) { return r.now().Head(ctx) }

func (r *replacedLog) Follow(ctx context.Context, after uint64) iter.Seq2[log.Entry, error] {
	if r.onFollow {
		r.isNext.Store(true)
	}
	return r.now().Follow(ctx, after)
}

func filled(t *testing.T, n int) *logtest.Memory {
	t.Helper()
	l := logtest.NewMemory(nil)
	for i := range n {
		record, err := event.Encode(event.NamespaceDeleted{Name: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(t.Context(), log.Fact{Record: record, ID: string(rune('a' + i)), Source: "test"}, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// A log that is replaced by a longer one between two of its readings must not be folded as if it went on.
func TestAReplacedLogIsNotFoldedOn(t *testing.T) {
	for name, onFollow := range map[string]bool{"before it is followed": false, "while following begins": true} {
		t.Run(name, func(t *testing.T) {
			replaced := &replacedLog{Log: filled(t, 2), next: filled(t, 5), onFollow: onFollow}
			h := testHost()
			h.Log = replaced.Log
			s, head, err := h.begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			h.Log = replaced
			replaced.isNext.Store(!onFollow)
			ctx, end := context.WithTimeout(t.Context(), 5*time.Second)
			defer end()
			told := false
			f := &follower{
				Host: h, loop: newLoop(testClock), id: head.ID, ledger: func() *ledger.State { return s },
				fold:     func(entries []log.Entry) { t.Errorf("%d entries of another log are folded", len(entries)) },
				replaced: func() { told = true; end() },
			}
			f.attach()
			go f.follow(ctx, s.Sequence())
			f.loop.run(ctx)
			if !told {
				t.Error("nobody is told")
			}
		})
	}
}

func TestALedgerIsOfOneLog(t *testing.T) {
	h := testHost()
	h.Log = &replacedLog{Log: filled(t, 2), next: filled(t, 5), onFollow: true}
	if _, _, err := h.fold(t.Context()); !errors.Is(err, log.ErrOtherLog) {
		t.Errorf("a log that was replaced while it was read: %v", err)
	}
}

// A watchdog that asks a machine while another one takes its place must not wait for the one that is gone.
func TestALoopThatHasEndedHoldsUpNobody(t *testing.T) {
	l := newLoop(testClock)
	ended, end := context.WithCancel(t.Context())
	end()
	l.run(ended)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := l.responds(ctx); err != nil {
		t.Error(err)
	}
}
