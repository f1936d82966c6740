// Package log is the port to the log: one totally ordered, durable sequence of facts, guarded per entity.
//
// Implementations (adapters/jetstream, the in-memory log of logtest) pass the contract suite in logtest.
package log

import (
	"context"
	"errors"
	"iter"
	"time"

	"viplog/core/event"
)

// Fact is what an appender brings.
type Fact struct {
	event.Record
	ID     string // unique for ever; the same ID is the same fact, stored once while appends repeat its guard
	Source string // who appends: "control/cp-1", "node/10.0.0.5", "cli/admin"
}

// Entry is a fact as the log holds it.
type Entry struct {
	Fact
	Sequence uint64    // from 1, without holes except below what was purged
	Time     time.Time // the log server's clock at storing, UTC
}

// Head is what a log holds now.
type Head struct {
	ID    string // identity: another ID is another log, whatever it holds
	First uint64 // the first sequence not purged; Last+1 where none is left
	Last  uint64 // the last sequence, 0 for an empty log
}

// Log is one cluster's log. All methods may be used concurrently.
type Log interface {
	// Head reads the log's identity and bounds. They may be old by the time they arrive.
	Head(ctx context.Context) (Head, error)

	// LastOf reads the sequence of the newest fact about an entity; 0 if there is none, or it was purged. It may be
	// old: only an append guarded by it proves it.
	LastOf(ctx context.Context, entity string) (uint64, error)

	// Append stores one fact if the newest fact about its entity has the sequence last (0: none), and returns its
	// sequence once it is durable. ErrConflict: not stored, something newer is there. Appending a fact that is already
	// stored again, under the guard that it was stored with, is a success with the sequence that it has; under
	// another guard it is within minutes only, for as long as the log remembers IDs. A fact that has no answer
	// yet is sent again under its guard; where none comes for long the log is read. ErrUnknown: the context ended while it was open
	// whether the fact is stored.
	Append(ctx context.Context, fact Fact, last uint64) (uint64, error)

	// AppendBatch stores all facts or none, one after the other, if the log's last sequence is head, and returns the
	// sequence of the last one. Errors as for Append.
	AppendBatch(ctx context.Context, facts []Fact, head uint64) (uint64, error)

	// Follow yields every entry after the sequence, in order, each once, and then waits for more until the context
	// ends or the consumer stops. It ends with an error that it yields last: ErrPurged if the next entry was purged,
	// ErrDamaged if it is missing otherwise, ErrOtherLog if the log is not the one it was when Follow began or is
	// shorter than what was asked for.
	Follow(ctx context.Context, after uint64) iter.Seq2[Entry, error]

	// Purge drops the entries up to and including the sequence; a reader that needs them starts from a snapshot.
	Purge(ctx context.Context, through uint64) error
}

// MaxBatch is the most facts that AppendBatch takes (NATS ADR-50).
const MaxBatch = 1000

var (
	// ErrConflict marks an append whose guard did not hold.
	ErrConflict = errors.New("log: the log moved on")
	// ErrUnknown marks an append of which nobody can say whether it was stored.
	ErrUnknown = errors.New("log: unknown whether it was stored")
	// ErrPurged marks a read of entries that are no longer there.
	ErrPurged = errors.New("log: entries were purged")
	// ErrDamaged marks a log with a hole that no purge made.
	ErrDamaged = errors.New("log: an entry is missing")
	// ErrOtherLog marks a log that is not the one that was followed.
	ErrOtherLog = errors.New("log: another log")
	// ErrTooLarge marks a fact or batch over the limits.
	ErrTooLarge = errors.New("log: too large")
)
