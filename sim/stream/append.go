package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"viplog/core/event"
	"viplog/core/log"
)

// retryWait is the pause before anything is sent again.
const retryWait = 50 * time.Millisecond

// attempt is one append or batch on its way to being known as stored or not.
type attempt struct {
	client *Client
	what   string
	end    time.Duration // it is given up then
	batch  bool          // it is sent once: parts of two would meet
	open   bool          // whether anything that was sent may still be stored
	done   func(sequence uint64, err error)

	send func() (uint64, error) // at the server: store
	find func() (uint64, error) // at the leader: read what became of it, as store.find does
}

// Append stores one fact if the newest fact about its entity has the sequence last, as log.Log does; the time-out is the
// end of that one's context.
func (c *Client) Append(fact log.Fact, last uint64, timeout time.Duration, done func(sequence uint64, err error)) {
	s := c.stream
	if err := check(fact); err != nil {
		c.later(func() { done(0, err) })
		return
	}
	c.settle(&attempt{
		what: "append " + fact.ID, done: done,
		send: func() (uint64, error) {
			if s.holds(fact.Type) {
				return 0, fmt.Errorf("append %s: %w", fact.ID, ErrNoAnswer)
			}
			return s.store.append(fact, last, s.now(), s.IDsFirst)
		},
		find: func() (uint64, error) { return s.store.find(fact, last) },
	}, timeout)
}

// AppendBatch stores all facts or none if the log's last sequence is head.
func (c *Client) AppendBatch(facts []log.Fact, head uint64, timeout time.Duration, done func(sequence uint64, err error)) {
	s := c.stream
	if err := checkBatch(facts); err != nil {
		c.later(func() { done(0, err) })
		return
	}
	facts = slices.Clone(facts)
	c.settle(&attempt{
		what: fmt.Sprintf("batch of %d", len(facts)), done: done, batch: true,
		send: func() (uint64, error) { return s.store.appendBatch(facts, head, s.now()) },
		find: func() (uint64, error) { return s.store.findBatch(facts, head) },
	}, timeout)
}

// settle sends until it is known whether the facts are stored, and reads before it sends again.
func (c *Client) settle(a *attempt, timeout time.Duration) {
	a.client, a.end = c, c.stream.kernel.Now()+timeout
	if timeout <= 0 {
		c.later(func() { a.done(0, fmt.Errorf("%s: %w", a.what, ErrNoAnswer)) })
		return
	}
	a.try()
}

func (a *attempt) try() {
	s := a.client.stream
	r := &request{
		appends: true, until: a.end,
		serve: func() func() {
			before := s.store.last()
			sequence, err := a.send()
			s.publish(before)
			return func() { a.sent(sequence, err) }
		},
	}
	r.once = a.batch
	r.failed = func(err error) {
		a.open = a.open || r.twice // that one of them met no leader says nothing of the other
		a.sent(0, err)
	}
	a.client.ask(r)
}

func (a *attempt) sent(sequence uint64, err error) {
	if err == nil {
		a.done(sequence, nil)
		return
	}
	a.open = a.open || errors.Is(err, ErrNoAnswer)
	s := a.client.stream
	if s.kernel.Now() >= a.end {
		a.again(err)
		return
	}
	a.client.ask(&request{
		until: a.end,
		serve: func() func() {
			found, missing := a.find()
			return func() { a.read(err, found, missing) }
		},
		failed: func(error) { a.again(err) },
	})
}

// read judges what a read found after an append had failed. Where nothing is found a refusal is final: what was sent
// before has arrived before, and the read is the leader's.
func (a *attempt) read(failure error, found uint64, missing error) {
	switch {
	case missing != nil:
		a.done(0, fmt.Errorf("stream: %s: %w", a.what, missing))
	case found > 0:
		a.done(found, nil)
	case errors.Is(failure, log.ErrConflict):
		a.done(0, fmt.Errorf("stream: %s: %w", a.what, failure))
	default:
		a.again(failure)
	}
}

func (a *attempt) again(failure error) {
	k := a.client.stream.kernel
	wait := min(retryWait, a.end-k.Now())
	if wait > 0 {
		a.client.after(wait, func() {
			if k.Now() < a.end {
				a.try()
				return
			}
			a.giveUp(failure)
		})
		return
	}
	a.giveUp(failure)
}

func (a *attempt) giveUp(failure error) {
	if a.open || errors.Is(failure, log.ErrConflict) {
		a.done(0, fmt.Errorf("stream: %s: %w", a.what, log.ErrUnknown))
		return
	}
	a.done(0, fmt.Errorf("stream: %s: %w: %w", a.what, context.DeadlineExceeded, failure))
}

// later and after call back while the process lives.
func (c *Client) later(f func()) { c.after(0, f) }

func (c *Client) after(d time.Duration, f func()) {
	c.stream.kernel.After(d, func() {
		if !c.closed {
			f()
		}
	})
}

func check(fact log.Fact) error {
	switch {
	case fact.ID == "" || fact.Entity == "":
		return errors.New("stream: a fact needs an ID and an entity")
	case len(fact.Data) > event.MaxDataBytes:
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", log.ErrTooLarge, len(fact.Data), event.MaxDataBytes)
	}
	return nil
}

func checkBatch(facts []log.Fact) error {
	if len(facts) == 0 {
		return errors.New("stream: an empty batch")
	}
	if len(facts) > log.MaxBatch {
		return fmt.Errorf("%w: %d facts, at most %d are allowed", log.ErrTooLarge, len(facts), log.MaxBatch)
	}
	for i := range facts {
		if err := check(facts[i]); err != nil {
			return err
		}
	}
	return nil
}
