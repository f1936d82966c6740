package l2

import (
	"context"
	"sync"
	"time"

	"viplog/core/node"
)

// queue holds frames that wait for their turn, each once: what would be told twice at one time tells nothing more. So what it holds is
// bounded by addresses and interfaces, and second forms do not wait for as long as first ones are put in again.
type queue struct {
	mu         sync.Mutex
	probes     fifo
	first      fifo // announcements that were not told yet
	again      fifo // those of which the first form was sent
	probesNext bool
	filled     chan struct{}
}

// fifo holds each frame once, in the order in which they came.
type fifo struct {
	all     []node.Frame
	head    int
	waiting map[node.Frame]bool
}

func newFIFO() fifo { return fifo{waiting: map[node.Frame]bool{}} }

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
	return &queue{probes: newFIFO(), first: newFIFO(), again: newFIFO(), filled: make(chan struct{}, 1)}
}

func (q *queue) put(frames []node.Frame) {
	q.mu.Lock()
	for _, f := range frames {
		switch {
		case f.Kind == node.Probe:
			q.probes.put(f)
		case !q.again.waiting[f]:
			q.first.put(f)
		}
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

// take gives the next frame; second says that its first form was sent. Probes take turns with announcements: core waits for a probe's
// answer for 200 ms, and a burst of announcements lasts for seconds.
func (q *queue) take() (f node.Frame, second, any bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	order := []*fifo{&q.first, &q.probes, &q.again}
	if q.probesNext {
		order[0], order[1] = order[1], order[0]
	}
	q.probesNext = !q.probesNext
	for _, from := range order {
		if f, any = from.take(); any {
			return f, from == &q.again, true
		}
	}
	return f, false, false
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
		budget = min(most, budget+int(min(now.Sub(last), 10*tick)*time.Duration(perSecond)/tick))
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
