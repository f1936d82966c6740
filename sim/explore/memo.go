package explore

import (
	"crypto/ed25519"
	"encoding/binary"
	"sync"

	"viplog/core/event"
	"viplog/core/ledger"
)

// Worlds encode, decode and check the same few facts again and again: what that gives is remembered.

// memo is what a function gave, by its arguments. It may be used concurrently.
type memo[V any] struct {
	lock  sync.RWMutex
	known map[string]V
}

func (m *memo[V]) of(key []byte, find func() V) V {
	m.lock.RLock()
	v, ok := m.known[string(key)]
	m.lock.RUnlock()
	if ok {
		return v
	}
	v = find()
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.known == nil {
		m.known = map[string]V{}
	}
	m.known[string(key)] = v
	return v
}

// exploredBinary folds ledgers as production does, but decodes each fact and checks each signature once.
var exploredBinary = ledger.Binary{Rules: ledger.RulesKnown, Decode: decoded, Verify: verified}

type decodedFact struct {
	event event.Event
	err   error
}

var decodedFacts memo[decodedFact]

func decoded(r event.Record) (event.Event, error) {
	var room [512]byte
	key := append(room[:0], r.Type...)
	key = append(append(key, 0), r.Entity...)
	key = append(append(key, 0), r.Data...)
	fact := decodedFacts.of(key, func() decodedFact {
		e, err := event.Decode(r)
		return decodedFact{e, err}
	})
	return fact.event, fact.err
}

var verifiedSignatures memo[bool]

func verified(key ed25519.PublicKey, message, signature []byte) bool {
	var room [512]byte
	of := append(room[:0], key...)
	of = binary.AppendUvarint(of, uint64(len(message)))
	of = append(append(of, message...), signature...)
	return verifiedSignatures.of(of, func() bool { return ed25519.Verify(key, message, signature) })
}

var encodedFacts sync.Map // records by events that are comparable

// encoded is the record of a fact that is right.
func encoded(e event.Event) event.Record {
	switch e.(type) {
	case event.NodeDrained, event.NodeUndrained, event.ServiceDeleted, event.VoterRemoved, event.VotersSettled:
		if known, ok := encodedFacts.Load(e); ok {
			return known.(event.Record)
		}
		record := encode(e)
		encodedFacts.Store(e, record)
		return record
	}
	return encode(e)
}

func encode(e event.Event) event.Record {
	record, err := event.Encode(e)
	if err != nil {
		panic("explore: " + err.Error())
	}
	return record
}
