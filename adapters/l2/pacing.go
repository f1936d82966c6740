package l2

import (
	"context"
	"sync"
	"time"

	"viplog/core/node"
)

// queue holds frames that wait for their turn, each form once: what would be told twice at one time tells nothing more. So what
// it holds is bounded by addresses, interfaces and forms.
type queue struct {
	mu     sync.Mutex
	first  fifo // that were not told yet
	again  fifo // of which the first form was sent
	filled chan struct{}
}

// fifo holds each frame once, in the order in which they came.
type fifo struct {
	all     []node.Frame
	head    int
	waiting map[node.Frame]bool
}

func (f *fifo) put(one node.Frame) {
	if !f.waiting[one] {
		f.waiting[one] = true
		f.all = append(f.all, one)
	}
}

func (f *fifo) take() (one node.Frame, any bool) {
	if f.head == len(f.all) {
		return node.Frame{}, false
	}
	one = f.all[f.head]
	delete(f.waiting, one)
	f.head++
	if f.head == len(f.all) {
		f.all, f.head = nil, 0
	} else if f.head >= 1024 && f.head > len(f.all)/2 {
		f.all, f.head = append([]node.Frame(nil), f.all[f.head:]...), 0
	}
	return one, true
}

func newQueue() *queue {
	return &queue{
		first: fifo{waiting: map[node.Frame]bool{}}, again: fifo{waiting: map[node.Frame]bool{}}, filled: make(chan struct{}, 1),
	}
}

func (q *queue) put(frames []node.Frame) {
	q.mu.Lock()
	for _, f := range frames {
		q.first.put(f)
	}
	q.mu.Unlock()
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

// putAgain lets a frame's second form wait behind everything else.
func (q *queue) putAgain(f node.Frame) {
	q.mu.Lock()
	q.again.put(f)
	q.mu.Unlock()
}

// take gives the next frame; second says that its first form was sent.
func (q *queue) take() (f node.Frame, second, any bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if f, any = q.first.take(); any {
		return f, false, true
	}
	f, any = q.again.take()
	return f, true, any
}

// pace sends what waits, at most so many frames in any millisecond, and sleeps while nothing does.
func (q *queue) pace(ctx context.Context, perSecond int, send func(f node.Frame, second bool)) {
	const tick = time.Millisecond
	var (
		budget int // frames times a second's ticks
		last   = time.Now()
		timer  = time.NewTimer(tick)
	)
	defer timer.Stop()
	const cost = int(time.Second / tick)
	// What was not used cannot be saved up: at most ten ticks' worth, for a timer that comes late.
	most := max(cost, 10*perSecond)
	for {
		now := time.Now()
		budget = min(most, budget+int(now.Sub(last)*time.Duration(perSecond)/tick))
		last = now
		for budget >= cost {
			f, second, any := q.take()
			if !any {
				break
			}
			budget -= cost
			send(f, second)
		}
		if budget >= cost { // nothing waits
			select {
			case <-ctx.Done():
				return
			case <-q.filled:
				budget, last = max(cost, perSecond), time.Now()
				continue
			}
		}
		timer.Reset(tick)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}
