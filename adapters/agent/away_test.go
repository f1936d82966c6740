package agent

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/log"
)

// awayLog is a log that cannot be reached while it is away.
type awayLog struct {
	log.Log
	isAway atomic.Bool
}

var errAway = errors.New("the log is away")

func (l *awayLog) Head(ctx context.Context) (log.Head, error) {
	if l.isAway.Load() {
		return log.Head{}, errAway
	}
	return l.Log.Head(ctx)
}

func (l *awayLog) LastOf(ctx context.Context, entity string) (uint64, error) {
	if l.isAway.Load() {
		return 0, errAway
	}
	return l.Log.LastOf(ctx, entity)
}

func (l *awayLog) Append(ctx context.Context, fact log.Fact, last uint64) (uint64, error) {
	if l.isAway.Load() {
		return 0, errAway
	}
	return l.Log.Append(ctx, fact, last)
}

// Without a log voters alone move the addresses of a node that stops, and soon.
func TestANodeThatLeavesWithoutALogHandsOver(t *testing.T) {
	c, owner := serving(t, event.ProfileDefault)
	c.log.isAway.Store(true)
	owner.runs.Load().node.Leave()
	took := c.until("another one answers", 4*time.Second, func() bool {
		return slices.ContainsFunc(c.answering(), func(h *host) bool { return h != owner })
	})
	if owner.answers(vip) {
		t.Error("two answer")
	}
	t.Logf("it took %s", took)
}
