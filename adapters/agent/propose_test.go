package agent

import (
	"context"
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/log/logtest"
)

// What the ledger does not honour is missing as soon as it is folded.
func TestAFactThatIsNeverHonouredDoesNotFillTheLog(t *testing.T) {
	h := testHost()
	memory := logtest.NewMemory(nil)
	h.Log = memory
	p := newProposer(h)
	p.replace([]event.Event{event.NamespaceDeleted{Name: "shop"}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	go p.run(ctx)
	s := ledger.New("log")
	for e, err := range memory.Follow(ctx, 0) {
		if err != nil {
			break
		}
		s.ApplyEntry(e)
		p.folds(s)
	}
	if n := s.Sequence(); n < repeatsAtOnce || n > repeatsAtOnce+4 {
		t.Errorf("it was stored %d times in two seconds", n)
	}
}

// countedLog counts what is asked of it.
type countedLog struct {
	log.Log
	asked int
}

func (c *countedLog) LastOf(ctx context.Context, entity string) (uint64, error) {
	c.asked++
	return c.Log.LastOf(ctx, entity)
}

// A machine that does not fold any further proposes, but the log is asked for that once only.
func TestAProposerWaitsForItsMachine(t *testing.T) {
	h := testHost()
	counted := &countedLog{Log: filled(t, 3)}
	h.Log = counted
	p := newProposer(h)
	p.replace([]event.Event{event.NamespaceDeleted{Name: "shop"}})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	p.run(ctx)
	if counted.asked != 1 {
		t.Errorf("the log was asked %d times", counted.asked)
	}
}
