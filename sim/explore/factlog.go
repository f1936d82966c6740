package explore

import (
	"slices"
	"time"

	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
)

// factLog is the log of a small world, and what it adds up to. Copies share what is stored.
type factLog struct {
	entries []log.Entry
	events  []event.Event // those of the entries
	ledger  *ledger.State
}

func newFactLog(id string) factLog { return factLog{ledger: ledger.New(id)} }

func (l *factLog) head() uint64 { return uint64(len(l.entries)) }

// store appends a fact; the log server's clock is at as many seconds as there are facts.
func (l *factLog) store(e event.Event) log.Entry {
	record, err := event.Encode(e)
	if err != nil {
		panic("explore: " + err.Error())
	}
	sequence := l.head() + 1
	entry := log.Entry{Fact: log.Fact{Record: record}, Sequence: sequence, Time: time.Unix(int64(sequence), 0).UTC()}
	l.entries = append(slices.Clip(l.entries), entry)
	l.events = append(slices.Clip(l.events), e)
	l.ledger.Apply(e, sequence, entry.Time.UnixNano())
	return entry
}

// copied is the same log for another world. It counts as a write.
func (l *factLog) copied() factLog { return factLog{l.entries, l.events, l.ledger.Clone()} }
