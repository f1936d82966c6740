package stream

import (
	"fmt"
	"slices"
	"time"

	"viplog/core/log"
)

// As adapters/jetstream has them.
const (
	headInterval = 500 * time.Millisecond // how often a silent feed is checked against the head
	gapInterval  = 10 * time.Millisecond  // how soon a replica is asked again that did not have an entry yet
	shorterTries = 4                      // how often the head must be too low: a deposed leader may say so once
	fetchCount   = 1000
)

// Following is one run of Follow.
type Following struct {
	client  *Client
	entry   func(log.Entry)
	end     func(error)
	began   time.Duration
	stopped bool

	id         string // of the log when following began
	next       uint64
	known      uint64 // an entry with this sequence exists
	shorter    int
	subscribed bool     // as far as the client knows
	pending    *request // the one that is on its way; nil for none
	waiting    bool     // to send one
	suspects   bool     // a check of the head would find something
	watching   bool     // that check is queued
	checks     bool     // it is time for it

	inbox []parcel // what is on its way from the server, in order
	due   time.Duration
	armed bool // for due
}

// parcel is a push or an answer on its way to a follower.
type parcel struct {
	at      time.Duration
	entries []log.Entry
	answer  func()
	request *request
}

// Follow calls entry with every entry after the sequence, in order, each once, and end with the error that ends it, as
// log.Log yields them. Stop ends it without a call.
func (c *Client) Follow(after uint64, entry func(log.Entry), end func(error)) *Following {
	f := &Following{client: c, entry: entry, end: end, began: c.stream.kernel.Now(), next: after + 1, stopped: c.closed}
	if !f.stopped {
		c.followings = append(c.followings, f)
		f.proceed()
	}
	return f
}

// Stop ends following: nothing is called any more.
func (f *Following) Stop() {
	if f.stopped {
		return
	}
	f.stopped, f.inbox = true, nil
	f.client.followings = slices.DeleteFunc(f.client.followings, func(other *Following) bool { return other == f })
	f.client.stream.unsubscribe(f)
}

// proceed does what is next to do.
func (f *Following) proceed() {
	if f.stopped {
		return
	}
	if f.suspects || f.shorter > 0 {
		f.watch()
	}
	switch {
	case f.pending != nil || f.waiting:
	case !f.subscribed || f.checks:
		f.checkHead()
	case f.next <= f.known:
		f.fetch()
	}
}

func (f *Following) ask(serve func() func(), failed func(error)) {
	f.pending = &request{
		follows: f,
		serve:   serve,
		failed: func(err error) {
			f.pending = nil
			if !f.stopped {
				failed(err)
			}
		},
	}
	f.client.ask(f.pending)
}

func (f *Following) pause(d time.Duration) {
	f.waiting = true
	f.client.after(d, func() {
		f.waiting = false
		f.proceed()
	})
}

// checkHead learns of entries whose push was lost, and of a log that is not the one it was. The first one subscribes.
func (f *Following) checkHead() {
	s := f.client.stream
	f.checks = false
	f.ask(func() func() {
		s.subscribe(f)
		head := s.headFor(f.client.station)
		f.suspects = head.Last < s.store.last()
		return func() { f.judge(head) }
	}, func(error) {
		if f.suspects = true; f.subscribed {
			f.proceed()
			return
		}
		f.pause(retryWait)
	})
}

func (f *Following) judge(head log.Head) {
	f.pending, f.subscribed = nil, true
	if f.id == "" {
		f.id = head.ID
	}
	switch {
	case head.ID != f.id:
		f.finish(fmt.Errorf("%w: it is %s, not %s", log.ErrOtherLog, head.ID, f.id))
		return
	case head.First > f.next:
		f.finish(fmt.Errorf("%w: %d is gone, %d is the first", log.ErrPurged, f.next, head.First))
		return
	case head.Last+1 < f.next:
		if f.shorter++; f.shorter >= shorterTries {
			f.finish(fmt.Errorf("%w: it ends at %d, before %d", log.ErrOtherLog, head.Last, f.next-1))
			return
		}
	default:
		f.shorter = 0
		f.known = max(f.known, head.Last)
	}
	f.proceed()
}

func (f *Following) fetch() {
	s, from := f.client.stream, f.next
	f.ask(func() func() {
		entries := s.store.read(from, s.upTo(f.client.station), fetchCount)
		return func() { f.fetched(entries) }
	}, func(error) { f.pause(gapInterval) })
}

func (f *Following) fetched(entries []log.Entry) {
	f.pending = nil
	if len(entries) == 0 {
		f.pause(gapInterval)
		return
	}
	for _, entry := range entries {
		if entry.Sequence > f.next { // purged, or another log
			f.checkHead()
			return
		}
		if f.deliver(entry); f.stopped {
			return
		}
	}
	f.proceed()
}

// pushed delivers what is next, and otherwise remembers what a push proves.
func (f *Following) pushed(entries []log.Entry) {
	if !f.subscribed {
		return // the answer was lost; the next one tells of these too
	}
	for _, entry := range entries {
		if entry.Sequence != f.next {
			f.known = max(f.known, entry.Sequence)
		}
		if f.deliver(entry); f.stopped {
			return
		}
	}
	f.proceed()
}

func (f *Following) deliver(entry log.Entry) {
	if entry.Sequence == f.next {
		f.next++
		f.entry(entry)
	}
}

func (f *Following) finish(err error) {
	f.Stop()
	f.end(err)
}

// restart begins anew where following is, on a new connection.
func (f *Following) restart() {
	if f.pending != nil {
		f.pending.over = true
	}
	f.pending, f.subscribed, f.inbox = nil, false, nil
	f.client.stream.unsubscribe(f)
	f.proceed()
}

// suspect queues the next check of the head: without that it would find nothing, and is left out.
func (f *Following) suspect() {
	f.suspects = true
	f.watch()
}

func (f *Following) watch() {
	if f.watching || f.stopped {
		return
	}
	f.watching = true
	k := f.client.stream.kernel
	k.After(headInterval-(k.Now()-f.began)%headInterval, func() {
		f.watching = false
		f.checks = f.suspects || f.shorter > 0
		f.proceed()
	})
}
