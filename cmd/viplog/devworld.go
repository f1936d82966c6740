package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"viplog/sim"
	"viplog/sim/kernel"
)

// realtime lets a world happen as time passes. One goroutine owns the world: what is to happen does when its time has come,
// and whatever others want of the world is posted to it. When the process was kept from running, the world lags and then
// catches up event by event: its hosts were all kept alike, so that no lease ends by that.
type realtime struct {
	world   *sim.World
	started time.Time
	stop    context.CancelFunc
	ended   chan struct{}

	mu     sync.Mutex
	posted []func()
	bell   chan struct{} // something was posted
}

func newRealtime() *realtime {
	return &realtime{ended: make(chan struct{}), bell: make(chan struct{}, 1)}
}

// start lets a world that is at time 0 go on.
func (r *realtime) start(w *sim.World) {
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	r.world, r.started = w, time.Now()
	go r.run(ctx)
}

// close ends the world and returns when nothing happens in it any more.
func (r *realtime) close() {
	if r.stop != nil {
		r.stop()
		<-r.ended
	}
}

func (r *realtime) run(ctx context.Context) {
	defer close(r.ended)
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for ctx.Err() == nil {
		r.world.RunUntil(time.Since(r.started))
		if r.takePosted() {
			continue
		}
		wait := time.Hour
		if next, ok := r.world.Next(); ok {
			wait = next - time.Since(r.started)
		}
		alarm.Reset(wait)
		select {
		case <-r.bell:
		case <-alarm.C:
		case <-ctx.Done():
		}
	}
}

// takePosted makes what was posted events of the world, to happen next; false if nothing was.
func (r *realtime) takePosted() bool {
	r.mu.Lock()
	posted := r.posted
	r.posted = nil
	r.mu.Unlock()
	for _, f := range posted {
		r.world.At(r.world.Now(), kernel.Func(f))
	}
	return len(posted) > 0
}

// post lets a function be an event of the world. It may be called by anyone, and does not wait.
func (r *realtime) post(f func()) {
	r.mu.Lock()
	r.posted = append(r.posted, f)
	r.mu.Unlock()
	select {
	case r.bell <- struct{}{}:
	default: // it rings already
	}
}

// Do runs a function in the world's goroutine and waits for it: a context that has ended keeps it from starting. The
// function must not wait itself.
func (r *realtime) Do(ctx context.Context, f func(w *sim.World)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan struct{})
	r.post(func() {
		defer close(done)
		f(r.world)
	})
	select {
	case <-done:
		return nil
	case <-r.ended:
		return errWorldEnded
	}
}

// until waits until a function of the world finds nothing missing any more. If the context ends first, the error says what
// was.
func (r *realtime) until(ctx context.Context, missing func(w *sim.World) string) error {
	const often = 2 * time.Millisecond
	last := ""
	tick := time.NewTicker(often)
	defer tick.Stop()
	for {
		if err := r.Do(ctx, func(w *sim.World) { last = missing(w) }); err != nil {
			return fmt.Errorf("%s: %w", last, err)
		}
		if last == "" {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", last, ctx.Err())
		}
	}
}

var errWorldEnded = errors.New("dev: the world has ended")
