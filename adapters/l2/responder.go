//go:build linux

package l2

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/node"
)

const (
	// settle is the least time between two listings of all interfaces. The first change is looked at at once.
	settle = 20 * time.Millisecond
	// tryAgainAfter is when what could not be done to a link is tried again, if nothing changes before.
	tryAgainAfter = 5 * time.Second
	// groupsFor is how long groups are joined and left before anything else is looked at.
	groupsFor = 2 * time.Millisecond
)

// Responder answers for addresses on the interfaces of one network namespace. All methods may be called from any goroutine.
type Responder struct {
	config Config
	table  *table
	queue  *queue
	counts counts
	bell   *doorbell
	own    atomic.Pointer[map[mac]bool]     // all MACs of this node
	ports  atomic.Pointer[map[string]*port] // by name, as it is now; replaced as a whole
	wake   chan struct{}                    // groups or watches have changed

	listens atomic.Bool   // for the next frame of another host
	ask     chan struct{} // whether anything was received

	telling sync.Mutex

	// Of Run's goroutine:
	received   map[int]uint64    // packets by interface, when that was asked last
	linked     []event.Interface // as they were told last
	linkedOnce bool
	again      <-chan time.Time // nil: nothing is to be tried again
}

// New makes a Responder that answers for nothing. ErrConfig.
func New(config Config) (*Responder, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if config.Now == nil {
		config.Now = Boottime
	}
	r := &Responder{config: config, table: newTable(), queue: newQueue(), wake: make(chan struct{}, 1), ask: make(chan struct{}, 1)}
	r.own.Store(&map[mac]bool{})
	r.ports.Store(&map[string]*port{})
	return r, nil
}

// Serve stops answering for addresses, and starts for others on the interfaces that are named, instead of those before. It answers
// nothing from until on. When Serve returns no answer is under way that it has forbidden; it waits for no socket.
func (r *Responder) Serve(stop []netip.Addr, start []node.Served, until lease.Instant) {
	if r.table.serve(stop, start, until, r.config.Now()) {
		r.wakeUp()
	}
}

// Send queues frames. Handler.Sent tells what became of each; one that is like a frame of which a form still
// waits is sent, and told, with that one.
func (r *Responder) Send(frames []node.Frame) {
	if r.table.watch(frames, r.config.Now()) {
		r.wakeUp()
	}
	r.queue.put(frames)
}

// Counts gives the counts so far.
func (r *Responder) Counts() Counts {
	for _, p := range *r.ports.Load() {
		r.counts[overflowed].Add(p.overflows())
	}
	return r.counts.read()
}

func (r *Responder) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run listens and answers until the context ends, which is no error; then all sockets are closed and nobody is told anything any more.
// It may be called once. It opens every socket on its caller's thread, so that a goroutine that is locked to a thread in another network
// namespace serves that one. ErrPermission: the process may not open packet sockets.
func (r *Responder) Run(ctx context.Context) error {
	bell, err := newDoorbell()
	if err != nil {
		return err
	}
	r.bell = bell
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer func() {
		cancel()
		bell.close()
		running.Wait()
		for _, p := range *r.ports.Swap(&map[string]*port{}) {
			p.close()
		}
	}()
	listening := make(chan error, 1)
	running.Go(func() { listening <- bell.listen() })
	if err := r.refresh(); err != nil {
		return err
	}
	running.Go(func() { r.queue.pace(ctx, r.config.FramesPerSecond, r.sendQueued) })
	return r.follow(ctx, listening)
}

// follow keeps ports and groups as links and table want them.
func (r *Responder) follow(ctx context.Context, listening <-chan error) error {
	forget := time.NewTimer(watchFor)
	defer forget.Stop()
	refreshed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-listening:
			return err
		case <-r.wake:
			r.changeGroups()
		case <-r.ask:
			r.hasReceived()
		case <-forget.C:
			if next := r.table.forget(r.config.Now()); next != lease.Never {
				forget.Reset(max(time.Second, next.Since(r.config.Now())))
			} else {
				forget.Reset(watchFor)
			}
			r.changeGroups()
		case <-r.bell.rung:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(settle - time.Since(refreshed)):
			}
			if err := r.refresh(); errors.Is(err, ErrPermission) {
				return err
			} else if err != nil { // too much changes, or something is short: what there is goes on
				r.trouble(err)
				r.tryAgain()
			}
			refreshed = time.Now()
		case <-r.again:
			r.again = nil
			r.bell.ring()
		case <-r.groupsWait():
			r.workOnGroups()
		}
	}
}

// tryAgain lets everything be looked at again in a while.
func (r *Responder) tryAgain() {
	if r.again == nil {
		r.again = time.After(tryAgainAfter)
	}
}
