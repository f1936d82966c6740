// Package logtest holds the contract of the log port as a test suite, and a log in memory that passes it.
package logtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"viplog/core/event"
	"viplog/core/log"
)

// Memory is a log in memory, for tests and the simulator.
type Memory struct {
	id  string
	now func() time.Time

	mu      sync.Mutex
	entries []log.Entry // those not purged, without holes
	first   uint64
	byID    map[string]uint64
	newest  map[string]uint64 // by entity, of those not purged
	grown   chan struct{}     // closed by the next append or purge
}

var _ log.Log = (*Memory)(nil)

var memories atomic.Uint64

// NewMemory makes an empty log that stamps its entries with now; nil means the machine's clock.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{
		id: fmt.Sprintf("memory-%d", memories.Add(1)), now: now, first: 1,
		byID: map[string]uint64{}, newest: map[string]uint64{}, grown: make(chan struct{}),
	}
}

// Head implements log.Log.
func (m *Memory) Head(ctx context.Context) (log.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return log.Head{ID: m.id, First: m.first, Last: m.last()}, ctx.Err()
}

// LastOf implements log.Log.
func (m *Memory) LastOf(ctx context.Context, entity string) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newest[entity], ctx.Err()
}

// Append implements log.Log.
func (m *Memory) Append(ctx context.Context, fact log.Fact, last uint64) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := check(fact); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if sequence, ok := m.byID[fact.ID]; ok {
		return sequence, nil
	}
	if newest := m.newest[fact.Entity]; newest != last {
		return 0, fmt.Errorf("%w: %s is at %d, not %d", log.ErrConflict, fact.Entity, newest, last)
	}
	m.store(fact)
	return m.last(), nil
}

// AppendBatch implements log.Log.
func (m *Memory) AppendBatch(ctx context.Context, facts []log.Fact, head uint64) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if len(facts) == 0 {
		return 0, errors.New("log: an empty batch")
	}
	if len(facts) > log.MaxBatch {
		return 0, fmt.Errorf("%w: %d facts, at most %d are allowed", log.ErrTooLarge, len(facts), log.MaxBatch)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	stored, ids := true, map[string]bool{}
	for i, fact := range facts {
		if err := check(fact); err != nil {
			return 0, err
		}
		stored = stored && m.byID[fact.ID] == head+uint64(i)+1
	}
	if stored {
		return head + uint64(len(facts)), nil
	}
	if m.last() != head {
		return 0, fmt.Errorf("%w: it is at %d, not %d", log.ErrConflict, m.last(), head)
	}
	for _, fact := range facts {
		if _, ok := m.byID[fact.ID]; ok || ids[fact.ID] {
			return 0, fmt.Errorf("%w: fact %s is stored already", log.ErrConflict, fact.ID)
		}
		ids[fact.ID] = true
	}
	for _, fact := range facts {
		m.store(fact)
	}
	return m.last(), nil
}

// Follow implements log.Log.
func (m *Memory) Follow(ctx context.Context, after uint64) iter.Seq2[log.Entry, error] {
	return func(yield func(log.Entry, error) bool) {
		for next := after + 1; ; {
			if err := ctx.Err(); err != nil {
				yield(log.Entry{}, err)
				return
			}
			entries, grown, err := m.from(next)
			if err != nil {
				yield(log.Entry{}, err)
				return
			}
			for _, entry := range entries {
				if ctx.Err() != nil {
					break
				}
				if !yield(entry, nil) {
					return
				}
				next++
			}
			if len(entries) > 0 {
				continue
			}
			select {
			case <-grown:
			case <-ctx.Done():
			}
		}
	}
}

// Purge implements log.Log.
func (m *Memory) Purge(ctx context.Context, through uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.entries) > 0 && m.first <= through {
		if gone := m.entries[0]; m.newest[gone.Entity] == gone.Sequence {
			delete(m.newest, gone.Entity)
		}
		m.entries = m.entries[1:]
		m.first++
	}
	m.wake()
	return ctx.Err()
}

func (m *Memory) from(next uint64) ([]log.Entry, <-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case next > m.last()+1:
		return nil, nil, fmt.Errorf("%w: it ends at %d, before %d", log.ErrOtherLog, m.last(), next-1)
	case next < m.first:
		return nil, nil, fmt.Errorf("%w: %d is gone, %d is the first", log.ErrPurged, next, m.first)
	}
	return slices.Clone(m.entries[next-m.first:]), m.grown, nil
}

func (m *Memory) last() uint64 { return m.first + uint64(len(m.entries)) - 1 }

func (m *Memory) store(fact log.Fact) {
	fact.Data = slices.Clone(fact.Data)
	sequence := m.last() + 1
	m.entries = append(m.entries, log.Entry{Fact: fact, Sequence: sequence, Time: m.now().UTC()})
	m.byID[fact.ID], m.newest[fact.Entity] = sequence, sequence
	m.wake()
}

func (m *Memory) wake() {
	close(m.grown)
	m.grown = make(chan struct{})
}

func check(fact log.Fact) error {
	switch {
	case fact.ID == "" || fact.Entity == "":
		return errors.New("log: a fact needs an ID and an entity")
	case len(fact.Data) > event.MaxDataBytes:
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", log.ErrTooLarge, len(fact.Data), event.MaxDataBytes)
	}
	return nil
}
