package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
)

const (
	appendPatience = 2 * time.Second
	appendPause    = 20 * time.Millisecond // between two facts
	failedPause    = 200 * time.Millisecond
	repeatsAtOnce  = 16          // facts of one entity, one after the other
	repeatPause    = time.Second // after more of them: the ledger honours none, it seems
)

// proposer appends the facts that a machine finds missing, the first one first, each guarded by its entity, until the machine
// says otherwise: one that is stored is missing no more as soon as the machine has folded it.
type proposer struct {
	*Host
	life string // random: no other process's facts have the ids of this one's

	mu      sync.Mutex
	facts   []event.Event
	version int    // counts the lists
	folded  uint64 // by the machine
	bell    chan struct{}
}

func newProposer(h *Host) *proposer {
	return &proposer{Host: h, life: rand.Text(), bell: make(chan struct{}, 1)}
}

// replace is what is missing from now on.
func (p *proposer) replace(facts []event.Event) {
	p.mu.Lock()
	if !reflect.DeepEqual(facts, p.facts) {
		p.facts = facts
		p.version++
	}
	p.mu.Unlock()
	p.ring()
}

// folds says how far the machine is.
func (p *proposer) folds(s *ledger.State) {
	p.mu.Lock()
	p.folded = s.Sequence()
	p.mu.Unlock()
	p.ring()
}

func (p *proposer) ring() {
	select {
	case p.bell <- struct{}{}:
	default:
	}
}

// run appends until the context ends.
func (p *proposer) run(ctx context.Context) {
	var (
		known    uint64 // a fact of the entity: nothing more is appended before the machine has folded it
		repeats  repeats
		fact     log.Fact // that is tried
		tried    = -1     // the version that it is of
		ids      int
		reported time.Time
	)
	for {
		next, version, folded := p.next()
		if next == nil || folded < known {
			select {
			case <-p.bell:
				continue
			case <-ctx.Done():
				return
			}
		}
		if version != tried {
			record, err := event.Encode(next)
			if err != nil { // what this host shows cannot be said in a fact
				p.Logger.Error("a fact cannot be made", "error", err)
				p.drop(version)
				continue
			}
			ids++
			fact = log.Fact{Record: record, ID: fmt.Sprint(p.life, "-", ids), Source: p.Source}
		}
		sequence, err := p.append(ctx, fact, folded)
		wait := appendPause
		switch {
		case err == nil:
			known, tried, wait = sequence, -1, repeats.pause(fact.Entity)
		case errors.Is(err, log.ErrConflict):
			known, tried = max(known, sequence), -1
		default:
			tried, wait = version, failedPause // the same fact again
			if time.Since(reported) > 10*time.Second {
				reported = time.Now()
				p.Logger.Warn("a fact cannot be appended yet", "type", fact.Type, "entity", fact.Entity, "error", err)
			}
		}
		if pause(ctx, wait) != nil {
			return
		}
	}
}

func (p *proposer) next() (e event.Event, version int, folded uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.facts) > 0 {
		e = p.facts[0]
	}
	return e, p.version, p.folded
}

// drop takes the first fact off, unless there is another list.
func (p *proposer) drop(version int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.version == version {
		p.facts = p.facts[1:]
		p.version++
	}
}

// repeats counts facts of one entity that were stored one after the other.
type repeats struct {
	entity string
	n      int
	last   time.Time
}

// pause is how long to wait after a fact was stored. Facts that the ledger does not honour are missing again as soon as they are folded:
// they shall not fill the log.
func (r *repeats) pause(entity string) time.Duration {
	if now := time.Now(); entity != r.entity || now.Sub(r.last) > 2*repeatPause {
		*r = repeats{entity: entity, last: now}
	} else {
		r.n, r.last = r.n+1, now
	}
	if r.n < repeatsAtOnce {
		return appendPause
	}
	return repeatPause
}

// append stores a fact, if the machine has folded all that there is about its entity; else it gives what it has not folded.
func (p *proposer) append(ctx context.Context, fact log.Fact, folded uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, appendPatience)
	defer cancel()
	last, err := p.Log.LastOf(ctx, fact.Entity)
	if err != nil {
		return 0, err
	}
	if last > folded {
		return last, log.ErrConflict
	}
	return p.Log.Append(ctx, fact, last)
}
