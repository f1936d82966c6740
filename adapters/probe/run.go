//go:build linux

package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// sender sends requests of one kind or two. Its methods are called by Run's goroutine only, because they open sockets in its namespace.
type sender interface {
	// send sends the request that is due. It never waits.
	send(tick int)
	// all gives what was sent.
	all() []*requests
	close()
}

// Run probes an address until Options.For has passed or the context ends, and then waits for the last answers, Timeout at most. An
// end by the context is no error. Errors are ErrOptions, ErrPermission and ErrUnreachable, and what a socket says when it is opened;
// afterwards, what a socket says is part of the result.
func Run(ctx context.Context, o Options) (Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Result{}, err
	}
	p := &probe{Options: o, clock: time.Now()}
	defer p.close()
	if err := p.open(); err != nil {
		return Result{}, err
	}
	p.began = p.elapsed()
	p.send(ctx)
	p.ended = p.elapsed()
	p.drain()
	return p.result(), nil
}

// probe is one that runs.
type probe struct {
	Options
	clock       time.Time     // when it was called: all else counts from there
	began       time.Duration // the first requests were due
	ended       time.Duration
	interrupted bool
	skipped     int
	stall       time.Duration
	told        time.Time

	senders []sender
	lines   *lines // nil without TCP
	asking  *asking
	cold    *neighbour
	readers sync.WaitGroup
}

func (p *probe) elapsed() time.Duration { return time.Since(p.clock) }

// open opens the sockets, and waits for the first connection.
func (p *probe) open() error {
	var link way
	if p.Cold || slices.Contains(p.Protocols, ARP) {
		var err error
		if link, err = wayTo(p.Address, p.Interface); err != nil {
			return err
		}
	}
	if p.Cold {
		var err error
		if p.cold, err = newNeighbour(link, p.ColdEvery); err != nil {
			return err
		}
	}
	for _, protocol := range p.Protocols {
		var err error
		switch protocol {
		case UDP:
			err = p.openUDP()
		case TCP:
			err = p.openTCP()
		case ARP:
			err = p.openARP(link)
		}
		if err != nil {
			return fmt.Errorf("probe %s by %s: %w", p.Address, protocol, named(err))
		}
	}
	return nil
}

// named puts what would be right before an error that says only that something is not allowed.
func named(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w: %w", ErrPermission, err)
	}
	return err
}

// send sends requests when they are due: tick n at n spacings. Ticks that have passed when their turn comes are skipped, so that a host
// without time for the probe does not send them in one burst.
func (p *probe) send(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	last := p.began
	for tick := 0; tick < p.count(); tick++ {
		timer.Reset(p.began + time.Duration(tick)*p.Spacing - p.elapsed())
		select {
		case <-ctx.Done():
			p.interrupted = true
			return
		case <-timer.C:
		}
		now := p.elapsed()
		if missed := int((now-p.began)/p.Spacing) - tick; missed > 0 {
			missed = min(missed, p.count()-1-tick)
			p.skipped += missed
			tick += missed
		}
		p.stall = max(p.stall, now-last)
		last = now
		if p.cold != nil {
			_, unanswered := p.counts()
			p.cold.forget(now, unanswered > 0)
		}
		for _, s := range p.senders {
			s.send(tick)
		}
		p.tell()
	}
}

// drain waits until nothing waits for an answer, Timeout at most.
func (p *probe) drain() {
	for p.elapsed() < p.ended+Timeout {
		_, waiting := p.counts()
		if waiting == 0 {
			return
		}
		p.tell()
		time.Sleep(min(10*time.Millisecond, max(time.Millisecond, p.ended+Timeout-p.elapsed())))
	}
}

func (p *probe) counts() (sent, waiting int) {
	for _, s := range p.senders {
		for _, r := range s.all() {
			n, w := r.counts()
			sent, waiting = sent+n, waiting+w
		}
	}
	return sent, waiting
}

// tell tells of the progress, about once a second.
func (p *probe) tell() {
	if p.Progress == nil || time.Since(p.told) < time.Second {
		return
	}
	p.told = time.Now()
	answered, sent := 0, 0
	for _, s := range p.senders {
		for _, r := range s.all() {
			n, a := r.sentAndAnswered()
			sent, answered = sent+n, answered+a
		}
	}
	p.Progress(Progress{Elapsed: p.elapsed() - p.began, Sent: sent, Answered: answered})
}

// close closes what is open, and waits for its readers.
func (p *probe) close() {
	for _, s := range p.senders {
		s.close()
	}
	if p.cold != nil {
		p.cold.close()
	}
	p.readers.Wait()
}

func (p *probe) result() Result {
	p.close() // so that nothing is noted any more
	r := Result{
		Address: p.Address, Port: int(p.Port), Spacing: p.Spacing, Timeout: Timeout, Cold: p.Cold, Began: wall(p.clock, p.began),
		Ended: wall(p.clock, p.ended), Interrupted: p.interrupted, Skipped: p.skipped, Stall: p.stall,
		Streams: []Stream{}, Connections: Connections{Endings: []Ending{}}, Holders: []Holder{}, Changes: []Change{},
	}
	for _, s := range p.senders {
		for _, q := range s.all() {
			r.Streams = append(r.Streams, q.stream(p.clock, p.ended))
		}
	}
	if p.lines != nil {
		r.Connections = p.lines.connections(p.clock)
	}
	if p.asking != nil {
		holders, changes := p.asking.holders(p.clock)
		r.Holders, r.Changes = append(r.Holders, holders...), append(r.Changes, changes...)
	}
	return r
}
