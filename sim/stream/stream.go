// Package stream models the log on NATS JetStream, with its network and its faults, on a kernel's virtual time.
//
// It keeps the promises of core/log, and what it does to an append, a read or a push is what adapters/jetstream can meet.
// A Client does what that adapter does: after a time-out it reads before it sends again, and follows by pushes and
// fetches. At rest it costs nothing: the check of a silent feed, which the adapter makes every 500 ms, is queued only
// where it would find something.
package stream

import (
	"fmt"
	"slices"
	"time"

	"viplog/core/log"
	"viplog/sim/kernel"
)

// Epoch is the server's clock at the world's start.
var Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Range is the durations that something may take.
type Range struct{ From, To time.Duration }

// Delays are how long things take.
type Delays struct {
	Request   Range // from a client to the server
	Sync      Range // from storing to the answer to an append
	Answer    Range // from the server to a client
	Push      Range // of an entry, from storing to a follower
	Reconnect Range // after a connection was reset
	Behind    Range // how old what a stale read shows is
}

// LAN is a log of three servers on disks of their own: an append takes 0.4 to 2 ms (1.3 ms were measured).
var LAN = Delays{
	Request:   Range{50 * time.Microsecond, 500 * time.Microsecond},
	Sync:      Range{250 * time.Microsecond, time.Millisecond},
	Answer:    Range{50 * time.Microsecond, 500 * time.Microsecond},
	Push:      Range{50 * time.Microsecond, time.Millisecond},
	Reconnect: Range{5 * time.Millisecond, 27 * time.Millisecond},
	Behind:    Range{0, 100 * time.Millisecond},
}

// Chances let things go wrong by themselves, each in one of so many cases; 0 is never.
type Chances struct {
	OneInLosesRequest int // any request
	OneInLosesAck     int // any answer
	OneInLosesPush    int
	OneInDuplicates   int // an append's request or a push arrives twice
	OneInStale        int // Head, LastOf or a follower's read is answered by a server that is behind
}

// Stream is the log's servers and the network around them.
type Stream struct {
	Delays
	Chances
	Epoch    time.Time // the server's clock at the world's start
	IDsFirst bool      // ids are checked before guards, as several servers do; one server does the reverse

	kernel     *kernel.Kernel
	store      *store
	made       int                 // logs so far
	stations   []*station          // in the order they were named
	named      map[string]*station // for look-ups
	followings []*Following        // in the order they came
	watchers   []func(log.Entry)

	leaderless             time.Duration // until then
	held                   []*request    // that wait for a leader
	losesRequest, losesAck bool
	holding                []holding
}

// New makes an empty log.
func New(k *kernel.Kernel) *Stream {
	s := &Stream{Delays: LAN, Epoch: Epoch, kernel: k, named: map[string]*station{}}
	s.renew()
	return s
}

// Load puts a log that was recorded in the place of the empty one.
func (s *Stream) Load(id string, entries []log.Entry) {
	s.store = newStore(id)
	for _, e := range entries {
		s.store.entries = append(s.store.entries, e)
		s.store.entities[e.Entity] = append(s.store.entities[e.Entity], e.Sequence)
	}
}

func (s *Stream) renew() {
	s.made++
	s.store = newStore(fmt.Sprintf("stream-%d", s.made))
}

// Entries are what is stored now. They are not to be changed.
func (s *Stream) Entries() []log.Entry { return slices.Clip(s.store.entries) }

// Head is the truth of now, which a Client learns only later.
func (s *Stream) Head() log.Head {
	return log.Head{ID: s.store.id, First: s.store.first, Last: s.store.last()}
}

func (s *Stream) now() time.Time { return s.Epoch.Add(s.kernel.Now()) }

// station is where a client runs: what befell it outlives the process there.
type station struct {
	name   string
	client *Client // the newest
	cut    bool
	lag    time.Duration
	hung   time.Duration // until then
	held   []*request    // that wait for the end of a cut

	// Names of the streams of choices: what befalls one client shifts no other's.
	request, sync, answer, push, reconnect, behind, fate         string
	losesRequest, losesAnswer, losesPush, sendsTwice, readsStale string
}

func (s *Stream) station(name string) *station {
	st := s.named[name]
	if st == nil {
		of := func(what string) string { return "log/" + name + "/" + what }
		st = &station{
			name: name, request: of("request"), sync: of("sync"), answer: of("answer"), push: of("push"),
			reconnect: of("reconnect"), behind: of("behind"), fate: of("fate"), losesRequest: of("loses request"),
			losesAnswer: of("loses answer"), losesPush: of("loses push"), sendsTwice: of("sends twice"), readsStale: of("reads stale"),
		}
		s.named[name] = st
		s.stations = append(s.stations, st)
	}
	return st
}

func (s *Stream) between(stream string, r Range) time.Duration {
	return kernel.Between(s.kernel, stream, r.From, r.To)
}

func (s *Stream) chance(stream string, oneIn int) bool {
	return oneIn > 0 && kernel.Chance(s.kernel, stream, oneIn)
}

// upTo is the last sequence that the server which answers a read has.
func (s *Stream) upTo(st *station) uint64 {
	if !s.chance(st.readsStale, s.OneInStale) {
		return s.store.last()
	}
	return s.store.lastBefore(s.now().Add(-s.between(st.behind, s.Behind)))
}

// headFor is a head that may be old.
func (s *Stream) headFor(st *station) log.Head {
	upTo := s.upTo(st)
	return log.Head{ID: s.store.id, First: s.store.first, Last: upTo}
}

// publish pushes what was stored after a sequence to every follower: one push each, however many entries.
func (s *Stream) publish(after uint64) {
	entries := s.store.read(after+1, s.store.last(), len(s.store.entries))
	if len(entries) == 0 {
		return
	}
	for _, watch := range s.watchers {
		for _, e := range entries {
			watch(e)
		}
	}
	for _, f := range s.followings {
		f.push(entries)
	}
}

// Watch lets an auditor see every entry as it is stored.
func (s *Stream) Watch(stored func(log.Entry)) { s.watchers = append(s.watchers, stored) }

func (s *Stream) subscribe(f *Following) {
	if !slices.Contains(s.followings, f) {
		s.followings = append(s.followings, f)
	}
}

func (s *Stream) unsubscribe(f *Following) {
	s.followings = slices.DeleteFunc(s.followings, func(other *Following) bool { return other == f })
}
