package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"viplog/core/log"
	"viplog/sim/kernel"
)

// patience is how long a client waits for one answer, as adapters/jetstream does.
const patience = 2 * time.Second

// askAgain is after how long a client sends again what has no answer yet, as adapters/jetstream does: a request that met no leader
// may be lost, and all of them may be sent twice.
const askAgain = 100 * time.Millisecond

// Client is one process's connection. Its callbacks are events of the kernel: they are called later, never by the call
// that gives them.
type Client struct {
	stream     *Stream
	station    *station
	closed     bool
	connection int           // how often it was reset
	sends      time.Duration // it sends nothing before that; requests arrive in order
	answers    time.Duration // answers arrive in order
	followings []*Following
}

// Connect connects a process by its name, under which faults find it. It closes an earlier client of that name.
func (s *Stream) Connect(name string) *Client {
	st := s.station(name)
	if st.client != nil {
		st.client.Close()
	}
	st.client = &Client{stream: s, station: st}
	return st.client
}

// Close is the process's death: no callback comes any more, and what was on its way may or may not be stored.
func (c *Client) Close() {
	c.closed = true
	c.station.held = nil
	for _, f := range c.followings {
		f.stopped, f.inbox = true, nil
		c.stream.unsubscribe(f)
	}
	c.followings = nil
}

// Head reads the log's identity and bounds. They may be old. It fails after 2 s without an answer.
func (c *Client) Head(done func(head log.Head, err error)) {
	c.ask(&request{
		serve: func() func() {
			head := c.stream.headFor(c.station)
			return func() { done(head, nil) }
		},
		failed: func(err error) { done(log.Head{}, fmt.Errorf("stream: head: %w", err)) },
	})
}

// LastOf reads the sequence of the newest fact about an entity, 0 for none. It may be old. It fails after 2 s without an
// answer.
func (c *Client) LastOf(entity string, done func(sequence uint64, err error)) {
	c.ask(&request{
		serve: func() func() {
			last := c.stream.store.newest(entity, c.stream.upTo(c.station))
			return func() { done(last, nil) }
		},
		failed: func(err error) { done(0, fmt.Errorf("stream: last of %s: %w", entity, err)) },
	})
}

// wake lets followers look at what came, and at what they missed.
func (c *Client) wake() {
	for _, f := range c.followings {
		f.arm()
	}
}

// request is one message to the server and its answer.
type request struct {
	appends bool
	once    bool          // it may not be sent again
	follows *Following    // whose it is, nil for others
	serve   func() func() // at the server; gives what its answer does at the client
	failed  func(error)   // no answer, or nobody there
	until   time.Duration // the client waits no longer; 0: patience

	client     *Client
	connection int
	sent       time.Duration // the last time
	twice      bool          // two of it are on their way
	over       bool          // answered or given up
}

func (c *Client) ask(r *request) {
	if c.closed {
		return
	}
	r.client, r.connection, r.sent = c, c.connection, c.stream.kernel.Now()
	until := c.stream.kernel.Now() + patience
	if r.until == 0 || r.until > until {
		r.until = until
	}
	r.travel()
	if r.appends && c.stream.chance(c.station.sendsTwice, c.stream.OneInDuplicates) {
		r.twice = true
		r.travel()
	}
}

// travel brings a request to the server, after those that were sent before: so an append that its client has learnt to
// be refused can never come late.
func (r *request) travel() {
	c, s := r.client, r.client.stream
	c.sends = max(c.sends, s.kernel.Now()+s.between(c.station.request, s.Request))
	s.kernel.At(c.sends, kernel.Func(r.arrive))
}

func (r *request) arrive() {
	c, s, st := r.client, r.client.stream, r.client.station
	switch {
	case c.closed || r.connection != c.connection:
		if r.appends && !st.cut && s.kernel.Now() >= s.leaderless && s.kernel.Pick(st.fate, 2) == 1 {
			r.handle()
			return
		}
		r.expire()
	case st.cut:
		if r.appends && s.kernel.Pick(st.fate, 2) == 1 {
			st.held = append(st.held, r)
		}
		r.expire()
	case r.appends && s.losesRequest:
		s.losesRequest = false
		r.expire()
	case s.chance(st.losesRequest, s.OneInLosesRequest):
		r.expire()
	case s.kernel.Now() < s.leaderless:
		r.leaderless()
	default:
		r.handle()
	}
}

// leaderless is what becomes of a request while the log has no leader.
func (r *request) leaderless() {
	s := r.client.stream
	switch s.kernel.Pick(r.client.station.fate, 3) {
	case 0:
		r.reply(func() { r.failed(ErrNoLeader) }, 0)
	case 1:
		r.expire()
	default:
		s.held = append(s.held, r)
		r.expire()
	}
}

func (r *request) handle() {
	s, st := r.client.stream, r.client.station
	if !r.appends && (r.over || r.follows != nil && r.follows.stopped) {
		return // nobody waits for it
	}
	answer := r.serve()
	after := time.Duration(0)
	if r.appends {
		after = s.between(st.sync, s.Sync)
		if s.losesAck {
			s.losesAck = false
			r.expire()
			return
		}
	}
	if s.chance(st.losesAnswer, s.OneInLosesAck) {
		r.expire()
		return
	}
	r.reply(answer, after)
}

func (r *request) reply(answer func(), after time.Duration) {
	c, s := r.client, r.client.stream
	at := s.kernel.Now() + after + s.between(c.station.answer, s.Answer)
	if r.follows != nil {
		r.follows.receive(parcel{at: at, answer: answer, request: r})
		return
	}
	c.answers = max(c.answers, at)
	if c.answers > r.until {
		r.expire()
	}
	s.kernel.At(c.answers, kernel.Func(func() { r.answered(answer) }))
}

func (r *request) answered(answer func()) {
	c := r.client
	switch {
	case r.over || c.closed:
	case c.station.cut || r.connection != c.connection:
		r.expire()
	default:
		r.over = true
		answer()
	}
}

// expire lets the client of a lost request send it again, and give up when its time has come.
func (r *request) expire() {
	c, k := r.client, r.client.stream.kernel
	if r.over || c.closed {
		return
	}
	if again := max(r.sent+askAgain, k.Now()); !r.once && r.follows == nil && r.connection == c.connection && again < r.until {
		r.sent = again
		k.At(again, kernel.Func(func() {
			if !r.over && !c.closed && r.connection == c.connection {
				r.twice = true
				r.travel()
			}
		}))
	}
	k.At(r.until, kernel.Func(func() {
		if !r.over && !r.client.closed {
			r.over = true
			r.failed(ErrNoAnswer)
		}
	}))
}

var (
	// ErrNoLeader marks a request to a log that had no leader: it did nothing.
	ErrNoLeader = errors.New("stream: the log has no leader")
	// ErrNoAnswer marks a request whose answer did not come in time: it may have done what it asks for, or may yet.
	ErrNoAnswer = fmt.Errorf("stream: no answer: %w", context.DeadlineExceeded)
)
