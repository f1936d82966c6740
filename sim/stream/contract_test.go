package stream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"viplog/core/log"
	"viplog/core/log/logtest"
	"viplog/sim/kernel"
)

// driven is a log.Log on a kernel: a call that waits steps the kernel until it is answered. Contexts are real.
type driven struct {
	mu     sync.Mutex
	kernel *kernel.Kernel
	stream *Stream
	client *Client
}

var _ log.Log = (*driven)(nil)

// forever is longer than any promise takes, on virtual time.
const forever = time.Minute

func drive(seed uint64) *driven {
	k := kernel.New(kernel.NewSeeded(seed))
	s := New(k)
	return &driven{kernel: k, stream: s, client: s.Connect("test")}
}

// do calls with the kernel locked.
func (d *driven) do(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// until steps the kernel until something holds. Where nothing is to happen it waits for what another goroutine does.
func (d *driven) until(ctx context.Context, holds func() bool) error {
	for {
		var answered, stepped bool
		d.do(func() {
			if answered = holds(); !answered {
				stepped = d.kernel.Step()
			}
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case answered:
			return nil
		case !stepped:
			time.Sleep(50 * time.Microsecond)
		}
	}
}

// asked makes a call that is answered later.
func asked[T any](ctx context.Context, d *driven, ask func(done func(T, error))) (T, error) {
	var result T
	var failure error
	answered := false
	if err := ctx.Err(); err != nil {
		return result, err
	}
	d.do(func() {
		ask(func(value T, err error) { result, failure, answered = value, err, true })
		if answered {
			panic("called back inside the call")
		}
	})
	if err := d.until(ctx, func() bool { return answered }); err != nil {
		return result, fmt.Errorf("%w: %w", log.ErrUnknown, err)
	}
	return result, failure
}

// read asks again where an answer got lost: a client's reads have less patience than the suite.
func read[T any](ctx context.Context, d *driven, ask func(done func(T, error))) (T, error) {
	for {
		if result, err := asked(ctx, d, ask); !errors.Is(err, ErrNoAnswer) {
			return result, err
		}
	}
}

func (d *driven) Head(ctx context.Context) (log.Head, error) { return read(ctx, d, d.client.Head) }

func (d *driven) LastOf(ctx context.Context, entity string) (uint64, error) {
	return read(ctx, d, func(done func(uint64, error)) { d.client.LastOf(entity, done) })
}

func (d *driven) Append(ctx context.Context, fact log.Fact, last uint64) (uint64, error) {
	return asked(ctx, d, func(done func(uint64, error)) { d.client.Append(fact, last, forever, done) })
}

func (d *driven) AppendBatch(ctx context.Context, facts []log.Fact, head uint64) (uint64, error) {
	return asked(ctx, d, func(done func(uint64, error)) { d.client.AppendBatch(facts, head, forever, done) })
}

func (d *driven) Purge(ctx context.Context, through uint64) error {
	d.do(func() { d.stream.Purge(through) })
	return ctx.Err()
}

func (d *driven) Follow(ctx context.Context, after uint64) iter.Seq2[log.Entry, error] {
	return func(yield func(log.Entry, error) bool) {
		var entries []log.Entry
		var end error
		var f *Following
		d.do(func() {
			f = d.client.Follow(after, func(e log.Entry) { entries = append(entries, e) }, func(err error) { end = err })
		})
		defer d.do(func() { f.Stop() })
		for {
			if err := d.until(ctx, func() bool { return len(entries) > 0 || end != nil }); err != nil {
				yield(log.Entry{}, err)
				return
			}
			var next []log.Entry
			d.do(func() { next, entries = entries, nil })
			for _, entry := range next {
				if !yield(entry, nil) {
					return
				}
			}
			if len(next) == 0 {
				yield(log.Entry{}, end)
				return
			}
		}
	}
}

// The same suite as for adapters/jetstream, on both orders of checks and while much gets lost (but no read is stale: the
// suite wants them new). Pushes are not forged: the feed is one that only the server may publish to.
func TestContract(t *testing.T) {
	rough := Chances{OneInLosesRequest: 50, OneInLosesAck: 50, OneInLosesPush: 10, OneInDuplicates: 5}
	for name, set := range map[string]func(*Stream){
		"one server":             func(*Stream) {},
		"several servers":        func(s *Stream) { s.IDsFirst = true },
		"rough, one server":      func(s *Stream) { s.Chances = rough },
		"rough, several servers": func(s *Stream) { s.Chances, s.IDsFirst = rough, true },
	} {
		t.Run(name, func(t *testing.T) {
			seed := uint64(0)
			logtest.Run(t, func(*testing.T) logtest.Harness {
				seed++
				d := drive(seed)
				set(d.stream)
				return logtest.Harness{
					Log:             d,
					LoseNextAck:     func() { d.do(d.stream.LoseNextAck) },
					LoseNextRequest: func() { d.do(d.stream.LoseNextRequest) },
					Replace:         func() { d.do(d.stream.Replace) },
				}
			})
		})
	}
}
