package stream

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"viplog/core/log"
)

// Window is how long the server remembers the ids of facts (adapters/jetstream sets it so).
const Window = 10 * time.Minute

// store is what the server holds on disk: one log.
type store struct {
	id       string
	first    uint64
	entries  []log.Entry         // those not purged, without holes; what is in it never changes
	ids      map[string]stamp    // of everything that was ever stored
	entities map[string][]uint64 // the sequences of each entity's facts, also of purged ones
}

type stamp struct {
	sequence uint64
	at       time.Time
}

func newStore(id string) *store {
	return &store{id: id, first: 1, ids: map[string]stamp{}, entities: map[string][]uint64{}}
}

func (s *store) last() uint64 { return s.first + uint64(len(s.entries)) - 1 }

// lastBefore is where a replica ends that has got nothing since a time.
func (s *store) lastBefore(at time.Time) uint64 {
	return s.first + uint64(sort.Search(len(s.entries), func(i int) bool { return s.entries[i].Time.After(at) })) - 1
}

// newest is the sequence of an entity's newest fact, of those up to a sequence; 0 for none.
func (s *store) newest(entity string, upTo uint64) uint64 {
	sequences := s.entities[entity]
	after := sort.Search(len(sequences), func(i int) bool { return sequences[i] > upTo })
	if after == 0 || sequences[after-1] < s.first {
		return 0
	}
	return sequences[after-1]
}

// append stores a fact, or says why not, as the server does. One server checks guards before ids; several check ids
// first.
func (s *store) append(fact log.Fact, last uint64, now time.Time, idsFirst bool) (uint64, error) {
	known, dup := s.remembers(fact.ID, now)
	if dup && idsFirst {
		return known, nil
	}
	if newest := s.newest(fact.Entity, s.last()); newest != last {
		return 0, fmt.Errorf("%w: %s is at %d, not %d", log.ErrConflict, fact.Entity, newest, last)
	}
	if dup {
		return known, nil
	}
	return s.add(fact, now), nil
}

// appendBatch stores facts or none. An id that is remembered spoils the batch, as an atomic batch of JetStream.
func (s *store) appendBatch(facts []log.Fact, head uint64, now time.Time) (uint64, error) {
	if last := s.last(); last != head {
		return 0, fmt.Errorf("%w: it is at %d, not %d", log.ErrConflict, last, head)
	}
	seen := make(map[string]bool, len(facts))
	for i := range facts {
		id := facts[i].ID
		if _, dup := s.remembers(id, now); dup || seen[id] {
			return 0, fmt.Errorf("%w: fact %s is stored already", log.ErrConflict, id)
		}
		seen[id] = true
	}
	for i := range facts {
		s.add(facts[i], now)
	}
	return s.last(), nil
}

func (s *store) remembers(id string, now time.Time) (uint64, bool) {
	known, ok := s.ids[id]
	return known.sequence, ok && now.Sub(known.at) < Window
}

func (s *store) add(fact log.Fact, now time.Time) uint64 {
	fact.Data = slices.Clone(fact.Data)
	sequence := s.last() + 1
	s.entries = append(s.entries, log.Entry{Fact: fact, Sequence: sequence, Time: now})
	s.ids[fact.ID] = stamp{sequence, now}
	s.entities[fact.Entity] = append(s.entities[fact.Entity], sequence)
	return sequence
}

// read gives entries from a sequence on, or from the first that is left; at most count, and none beyond a sequence.
func (s *store) read(from, upTo uint64, count int) []log.Entry {
	from = max(from, s.first)
	upTo = min(upTo, s.last(), from+uint64(count)-1)
	if from > upTo {
		return nil
	}
	return s.entries[from-s.first : upTo-s.first+1]
}

// find says what became of a fact that was sent under a guard: its sequence; ErrConflict if another fact took its
// place; 0 if it may still be stored.
func (s *store) find(fact log.Fact, last uint64) (uint64, error) {
	if known, ok := s.ids[fact.ID]; ok && known.sequence >= s.first {
		return known.sequence, nil
	}
	if newest := s.newest(fact.Entity, s.last()); newest > last {
		return 0, fmt.Errorf("%w: %s has the fact %d after %d", log.ErrConflict, fact.Entity, newest, last)
	}
	return 0, nil
}

// findBatch does it for a batch, which is stored whole, at one place and time.
func (s *store) findBatch(facts []log.Fact, head uint64) (uint64, error) {
	end := head + uint64(len(facts))
	if head+1 < s.first || head+1 > s.last() {
		return 0, nil
	}
	first := s.entries[head+1-s.first].ID
	if first == facts[0].ID && end <= s.last() && s.entries[end-s.first].ID == facts[len(facts)-1].ID {
		return end, nil
	}
	return 0, fmt.Errorf("%w: %s is at %d, not %s", log.ErrConflict, first, head+1, facts[0].ID)
}

func (s *store) purge(through uint64) {
	if through = min(through, s.last()); through >= s.first {
		s.entries = s.entries[through-s.first+1:]
		s.first = through + 1
	}
}
