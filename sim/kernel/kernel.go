// Package kernel runs a simulated world: one goroutine, one queue of events in a total order, virtual time, and one
// source of all choices.
package kernel

import "time"

// Kernel is virtual time and what is to happen. Nothing in a simulated world has any other clock or source of chance.
type Kernel struct {
	Chooser

	now      time.Duration
	queue    []entry // a binary heap
	number   uint64
	happened uint64
}

// Event is something that is to happen.
type Event interface{ Happen() }

// Func is an Event that is a function.
type Func func()

// Happen implements Event.
func (f Func) Happen() { f() }

// entry orders by time, then by number: of two events at one time the one that was queued first comes first.
type entry struct {
	at     time.Duration
	number uint64
	event  Event
}

func (a entry) before(b entry) bool { return a.at < b.at || a.at == b.at && a.number < b.number }

// New makes a world at time 0 in which nothing is to happen.
func New(c Chooser) *Kernel { return &Kernel{Chooser: c} }

// Now is the time since the world's start.
func (k *Kernel) Now() time.Duration { return k.now }

// Happened counts the events so far.
func (k *Kernel) Happened() uint64 { return k.happened }

// Waiting counts the events that are to come.
func (k *Kernel) Waiting() int { return len(k.queue) }

// At queues an event; one in the past happens now.
func (k *Kernel) At(at time.Duration, e Event) {
	k.number++
	k.queue = append(k.queue, entry{max(at, k.now), k.number, e})
	k.up(len(k.queue) - 1)
}

// After queues an event to happen after a while.
func (k *Kernel) After(d time.Duration, f Func) { k.At(k.now+d, f) }

// Next is the time of the next event; false if there is none.
func (k *Kernel) Next() (time.Duration, bool) {
	if len(k.queue) == 0 {
		return 0, false
	}
	return k.queue[0].at, true
}

// Step lets the next event happen; false if there is none.
func (k *Kernel) Step() bool {
	if len(k.queue) == 0 {
		return false
	}
	next := k.queue[0]
	last := len(k.queue) - 1
	k.queue[0] = k.queue[last]
	k.queue[last] = entry{}
	k.queue = k.queue[:last]
	k.down(0)
	k.now = next.at
	k.happened++
	next.event.Happen()
	return true
}

// RunUntil lets everything happen up to and including a time, which it then is.
func (k *Kernel) RunUntil(at time.Duration) {
	for len(k.queue) > 0 && k.queue[0].at <= at {
		k.Step()
	}
	k.now = max(k.now, at)
}

func (k *Kernel) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !k.queue[i].before(k.queue[parent]) {
			return
		}
		k.queue[i], k.queue[parent] = k.queue[parent], k.queue[i]
		i = parent
	}
}

func (k *Kernel) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(k.queue); child++ {
			if k.queue[child].before(k.queue[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		k.queue[i], k.queue[least] = k.queue[least], k.queue[i]
		i = least
	}
}
