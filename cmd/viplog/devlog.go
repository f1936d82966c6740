package main

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"viplog/core/log"
	"viplog/sim"
)

// devLog is a real log as the processes of a world use it: each call waits in a goroutine of its own, and calls back as an
// event of the world.
type devLog struct {
	log    log.Log
	post   func(func())
	source func(process string) string // who appends, by the name of the process
	life   string                      // random: no other run's facts have the ids of this one's
	ctx    context.Context
	cancel context.CancelFunc

	running sync.WaitGroup
}

func newDevLog(l log.Log, post func(func()), source func(string) string) *devLog {
	d := &devLog{log: l, post: post, source: source, life: rand.Text()}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// Close ends what is under way. The world must have stopped.
func (d *devLog) Close() {
	d.cancel()
	d.running.Wait()
}

// Connect implements sim.Log.
func (d *devLog) Connect(name string) sim.LogClient {
	c := &devLogClient{devLog: d, name: d.source(name)}
	c.ctx, c.cancel = context.WithCancel(d.ctx)
	return c
}

// devLogClient is one process's connection. Its methods and what it calls back happen in the world's goroutine.
type devLogClient struct {
	*devLog
	name   string
	ctx    context.Context
	cancel context.CancelFunc
	closed bool
}

const (
	readPatience = 2 * time.Second        // for one answer, as in the simulated log
	failurePause = 100 * time.Millisecond // before a process learns that a read failed: it asks again at once
	followAhead  = 256                    // entries that a follower may be ahead of its process, so that no inbox overflows
)

// ask runs a call in a goroutine and what it gives in the world.
func (c *devLogClient) ask(patience time.Duration, call func(context.Context) (done func())) {
	c.running.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, patience)
		defer cancel()
		c.answer(call(ctx))
	})
}

func (c *devLogClient) answer(done func()) {
	c.post(func() {
		if !c.closed {
			done()
		}
	})
}

// pause keeps a process that asks again at once from asking in a circle.
func (c *devLogClient) pause(err error) {
	if err == nil {
		return
	}
	select {
	case <-time.After(failurePause):
	case <-c.ctx.Done():
	}
}

// Head implements sim.LogClient.
func (c *devLogClient) Head(done func(head log.Head, err error)) {
	c.ask(readPatience, func(ctx context.Context) func() {
		head, err := c.log.Head(ctx)
		c.pause(err)
		return func() { done(head, err) }
	})
}

// LastOf implements sim.LogClient.
func (c *devLogClient) LastOf(entity string, done func(sequence uint64, err error)) {
	c.ask(readPatience, func(ctx context.Context) func() {
		sequence, err := c.log.LastOf(ctx, entity)
		c.pause(err)
		return func() { done(sequence, err) }
	})
}

// Append implements sim.LogClient.
func (c *devLogClient) Append(fact log.Fact, last uint64, timeout time.Duration, done func(sequence uint64, err error)) {
	fact = c.signed(fact)
	c.ask(timeout, func(ctx context.Context) func() {
		sequence, err := c.log.Append(ctx, fact, last)
		return func() { done(sequence, err) }
	})
}

// AppendBatch implements sim.LogClient.
func (c *devLogClient) AppendBatch(facts []log.Fact, head uint64, timeout time.Duration, done func(sequence uint64, err error)) {
	all := make([]log.Fact, len(facts))
	for i, fact := range facts {
		all[i] = c.signed(fact)
	}
	c.ask(timeout, func(ctx context.Context) func() {
		sequence, err := c.log.AppendBatch(ctx, all, head)
		return func() { done(sequence, err) }
	})
}

// signed tells who appends a fact, and makes its id, which counts within a world, unique for ever.
func (c *devLogClient) signed(fact log.Fact) log.Fact {
	fact.ID, fact.Source = c.life+"-"+fact.ID, c.name
	return fact
}

// Follow implements sim.LogClient.
func (c *devLogClient) Follow(after uint64, entry func(log.Entry), end func(error)) {
	ahead := make(chan struct{}, followAhead)
	c.running.Go(func() {
		for e, err := range c.log.Follow(c.ctx, after) {
			if err != nil {
				c.pause(err)
				c.answer(func() { end(err) })
				return
			}
			select {
			case ahead <- struct{}{}:
			case <-c.ctx.Done():
				return
			}
			c.answer(func() {
				<-ahead
				entry(e)
			})
		}
	})
}

// Close implements sim.LogClient.
func (c *devLogClient) Close() {
	c.closed = true
	c.cancel()
}
