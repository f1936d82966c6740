package sim

import (
	"errors"
	"fmt"
	"time"

	"viplog/core/event"
	"viplog/core/log"
)

// proposer appends a process's facts, the first one first, each guarded by its entity, until they are stored or replaced.
type proposer struct {
	world   *World
	client  LogClient
	name    string
	facts   []event.Event
	drop    bool // a stored fact leaves the list; else its process takes it off when it has folded it
	folded  func() uint64
	stored  uint64 // the sequence of the fact that was stored last
	version int    // counts the lists
	busy    bool
	ids     int
	dead    bool
}

func newProposer(w *World, c LogClient, name string) *proposer {
	return &proposer{world: w, client: c, name: name, drop: true, folded: func() uint64 { return 1<<64 - 1 }}
}

// add appends to what is to be stored.
func (p *proposer) add(facts ...event.Event) {
	p.facts = append(p.facts, facts...)
	p.next()
}

// replace is what is to be stored from now on.
func (p *proposer) replace(facts []event.Event) {
	p.facts = facts
	p.version++
	p.next()
}

// batch appends the first facts of a log at once.
func (p *proposer) batch(facts []event.Event) {
	var all []log.Fact
	for _, e := range facts {
		all = append(all, p.fact(e))
	}
	p.client.AppendBatch(all, 0, appendPatience, func(_ uint64, err error) {
		if err != nil {
			p.batch(facts)
		}
	})
}

func (p *proposer) fact(e event.Event) log.Fact {
	record, err := event.Encode(e)
	if err != nil {
		panic(fmt.Sprintf("sim: %s proposes what is no fact: %v", p.name, err))
	}
	p.ids++
	return log.Fact{Record: record, ID: fmt.Sprintf("%s-%d", p.name, p.ids), Source: p.name}
}

const (
	appendPatience = 2 * time.Second
	retryAfter     = 20 * time.Millisecond
)

func (p *proposer) next() {
	if p.busy || p.dead || len(p.facts) == 0 || p.folded() < p.stored {
		return
	}
	p.busy = true
	version := p.version
	fact := p.fact(p.facts[0])
	p.client.LastOf(fact.Entity, func(last uint64, err error) {
		if err != nil || last > p.folded() || p.version != version {
			p.again()
			return
		}
		p.client.Append(fact, last, appendPatience, func(sequence uint64, err error) {
			switch {
			case err == nil && p.drop && p.version == version:
				p.facts = p.facts[1:]
			case err == nil && p.version == version:
				p.stored = sequence
			case err != nil && !errors.Is(err, log.ErrConflict):
				p.ids-- // the same fact again
			}
			p.again()
		})
	})
}

func (p *proposer) again() {
	wait := retryAfter
	p.world.After(wait, func() {
		p.busy = false
		p.next()
	})
}
