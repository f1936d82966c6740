package main

import (
	"context"
	"sync"
	"time"

	"viplog/adapters/identity"
	"viplog/adapters/jetstream"
)

// hostPublished says, for a controller that writes the statuses of Services, up to which fact they are written: nodes announce a new address when their
// data plane has seen that. Nothing of it is a fact. A controller that writes no statuses says nothing.
type hostPublished struct {
	cluster string
	log     *hostLog
	bell    chan struct{} // it may have risen

	mu      sync.Mutex
	current func() uint64

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// How often the number is said: when it has risen, and again for nodes that start.
const (
	publishedRises  = 50 * time.Millisecond
	publishedRepeat = time.Second
)

func newHostPublished(i *identity.Identity, l *hostLog) *hostPublished {
	return &hostPublished{
		cluster: i.Directory.Cluster, log: l, bell: make(chan struct{}, 1), current: func() uint64 { return 0 }, cancel: func() {},
	}
}

// follow takes where the number is read: the sequence up to which all statuses have been written, 0 for a controller that does not write. It may be
// called from any goroutine.
func (p *hostPublished) follow(current func() uint64) {
	p.mu.Lock()
	p.current = current
	p.mu.Unlock()
	p.rose()
}

// rose lets the number be read, and said if it is another.
func (p *hostPublished) rose() {
	select {
	case p.bell <- struct{}{}:
	default:
	}
}

func (p *hostPublished) start(ctx context.Context) error {
	var run context.Context
	run, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	p.running.Go(func() { p.run(run) })
	return nil
}

func (p *hostPublished) stop(context.Context) error {
	p.cancel()
	p.running.Wait()
	return nil
}

func (p *hostPublished) run(ctx context.Context) {
	var said uint64
	for again := time.Now(); ; {
		wait := time.Until(again)
		if now := p.read(); now > 0 && (now != said || wait <= 0) {
			if p.log.conn.IsConnected() {
				_ = jetstream.SayPublished(p.log.conn, p.cluster, now) // the next one is as good
			}
			said, again = now, time.Now().Add(publishedRepeat)
			if pause(ctx, publishedRises) != nil {
				return
			}
			continue // it may have risen meanwhile
		}
		if wait <= 0 {
			wait = publishedRepeat
		}
		select {
		case <-p.bell:
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (p *hostPublished) read() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current()
}

// pause waits, unless the context ends before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
