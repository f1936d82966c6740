package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"viplog/core/lease"
)

// loop does what is posted, in its order, wakes its machine when that is due, and when there is nothing of that to do reads on in the
// log: whatever comes in there, leases are renewed in time. All of it happens in run's goroutine.
type loop struct {
	now  func() lease.Instant
	due  lease.Instant // of the loop's goroutine
	wake func()
	read func() (more bool) // reads some entries, if there are; nil: there is no log

	mu     sync.Mutex
	posted []func()
	bell   chan struct{} // something was posted, or is to be read
	ended  chan struct{} // closed when run has ended
}

func newLoop(now func() lease.Instant) *loop {
	return &loop{now: now, due: lease.Never, bell: make(chan struct{}, 1), ended: make(chan struct{}), read: func() bool { return false }}
}

// maxPosted bounds the messages and frames that wait for a process that does not get to run: a socket's buffer.
const maxPosted = 4096

// post lets something be done. It does not wait.
func (l *loop) post(f func()) {
	l.mu.Lock()
	l.posted = append(l.posted, f)
	l.mu.Unlock()
	l.ring()
}

// offer is post for what may be lost: it is when too much waits already.
func (l *loop) offer(f func()) bool {
	l.mu.Lock()
	full := len(l.posted) >= maxPosted
	if !full {
		l.posted = append(l.posted, f)
	}
	l.mu.Unlock()
	l.ring()
	return !full
}

func (l *loop) ring() {
	select {
	case l.bell <- struct{}{}:
	default: // it rings already
	}
}

func (l *loop) take() []func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	posted := l.posted
	l.posted = nil
	return posted
}

// run goes on until the context ends; what is posted then is not done any more.
func (l *loop) run(ctx context.Context) {
	defer close(l.ended)
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for {
		for _, f := range l.take() {
			if ctx.Err() != nil {
				return
			}
			f()
		}
		if ctx.Err() != nil {
			return
		}
		now := l.now()
		if l.due <= now {
			l.due = lease.Never
			l.wake()
			continue
		}
		if l.read() {
			continue
		}
		wait := time.Hour
		if l.due != lease.Never {
			wait = l.due.Since(now)
		}
		alarm.Reset(wait)
		select {
		case <-l.bell:
		case <-alarm.C:
		case <-ctx.Done():
			return
		}
	}
}

// responds waits until the loop has done all that was posted before, or has ended.
func (l *loop) responds(ctx context.Context) error {
	done := make(chan struct{})
	l.post(func() { close(done) })
	select {
	case <-done:
		return nil
	case <-l.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("agent: it does nothing: %w", ctx.Err())
	}
}

// asks lets something that is the loop's be looked at, in its turn.
func (l *loop) asks(ctx context.Context, f func() error) error {
	answer := make(chan error, 1)
	l.post(func() { answer <- f() })
	select {
	case err := <-answer:
		return err
	case <-l.ended:
		return errBegins
	case <-ctx.Done():
		return fmt.Errorf("agent: it does nothing: %w", ctx.Err())
	}
}
