package stream

import (
	"errors"
	"slices"
	"testing"
	"time"

	"viplog/core/log"
	"viplog/core/log/logtest"
	"viplog/sim/kernel"
)

const ms = time.Millisecond

// scene is a log with one appender and one follower, and what they saw.
type scene struct {
	*testing.T
	k        *kernel.Kernel
	s        *Stream
	appender *Client
	follower *Client
	answers  []answer
	folds    []fold
	ends     []error
	facts    int
}

type answer struct {
	at       time.Duration
	sequence uint64
	err      error
}

type fold struct {
	at       time.Duration
	sequence uint64
}

func set(t *testing.T) *scene {
	t.Helper()
	k := kernel.New(kernel.NewSeeded(1))
	s := New(k)
	sc := &scene{T: t, k: k, s: s, appender: s.Connect("appender"), follower: s.Connect("follower")}
	sc.follower.Follow(0, sc.folded, sc.ended)
	k.RunUntil(10 * ms)
	return sc
}

func (sc *scene) folded(e log.Entry) { sc.folds = append(sc.folds, fold{sc.k.Now(), e.Sequence}) }
func (sc *scene) ended(err error)    { sc.ends = append(sc.ends, err) }

// append appends the next fact about node.a at a time.
func (sc *scene) append(at, timeout time.Duration) {
	n := sc.facts
	sc.facts++
	sc.k.At(at, kernel.Func(func() {
		sc.appender.Append(logtest.NewFact("node.a", n), sc.s.Head().Last, timeout, func(sequence uint64, err error) {
			sc.answers = append(sc.answers, answer{sc.k.Now(), sequence, err})
		})
	}))
}

// within holds a time against its bounds.
func (sc *scene) within(what string, at, from, to time.Duration) {
	sc.Helper()
	if at < from || at > to {
		sc.Fatalf("%s at %v, not between %v and %v", what, at, from, to)
	}
}

// answered runs the world and gives the only answer.
func (sc *scene) answered(until time.Duration) answer {
	sc.Helper()
	sc.k.RunUntil(until)
	if len(sc.answers) != 1 {
		sc.Fatalf("%d answers: %v", len(sc.answers), sc.answers)
	}
	return sc.answers[0]
}

func (sc *scene) stored(at, from, to time.Duration) {
	sc.Helper()
	a := sc.answered(at)
	if a.err != nil || a.sequence != 1 || len(sc.s.Entries()) != 1 {
		sc.Fatalf("answer %+v, %d stored", a, len(sc.s.Entries()))
	}
	sc.within("answer", a.at, from, to)
}

func TestAnAppendTakesWhatALANTakes(t *testing.T) {
	sc := set(t)
	sc.append(10*ms, time.Minute)
	sc.stored(time.Second, 10*ms+350*time.Microsecond, 12*ms)
	sc.within("fold", sc.folds[0].at, 10*ms+100*time.Microsecond, 10*ms+1500*time.Microsecond)
	if at := sc.s.Entries()[0].Time; at.Before(Epoch.Add(10*ms)) || at.After(Epoch.Add(11*ms)) {
		t.Fatalf("stored at %v", at)
	}
}

// The request is lost, or the answer: the fact is sent again under the same guard, and stored once.
func TestALostAppendIsSentAgain(t *testing.T) {
	sc := set(t)
	sc.s.LoseNextRequest()
	sc.append(10*ms, time.Minute)
	sc.stored(5*time.Second, 110*ms, 115*ms)
	sc = set(t)
	sc.s.LoseNextAck()
	sc.append(10*ms, time.Minute)
	sc.stored(5*time.Second, 110*ms, 115*ms)
}

func TestALostAnswerIsUnknownWhenTheTimeIsOver(t *testing.T) {
	sc := set(t)
	sc.s.LoseNextAck()
	sc.append(10*ms, time.Second)
	sc.k.RunUntil(50 * ms)
	sc.s.Cut("appender")
	if a := sc.answered(5 * time.Second); !errors.Is(a.err, log.ErrUnknown) || a.at != 1010*ms || len(sc.s.Entries()) != 1 {
		t.Fatalf("answer %+v, %d stored", a, len(sc.s.Entries()))
	}
}

func TestChancesLoseAndDouble(t *testing.T) {
	sc := set(t)
	sc.s.Chances = Chances{OneInLosesRequest: 1}
	sc.append(10*ms, 5*time.Second)
	if a := sc.answered(20 * time.Second); !errors.Is(a.err, log.ErrUnknown) || len(sc.s.Entries()) != 0 {
		t.Fatalf("all requests are lost: %+v, %d stored", a, len(sc.s.Entries()))
	}
	sc = set(t)
	sc.s.Chances = Chances{OneInLosesAck: 1}
	sc.append(10*ms, 5*time.Second)
	if a := sc.answered(20 * time.Second); !errors.Is(a.err, log.ErrUnknown) || len(sc.s.Entries()) != 1 {
		t.Fatalf("all answers are lost: %+v, %d stored", a, len(sc.s.Entries()))
	}
	sc = set(t)
	sc.s.Chances = Chances{OneInDuplicates: 1}
	before := sc.k.Happened()
	sc.append(10*ms, 5*time.Second)
	sc.stored(20*time.Second, 10*ms, 12*ms)
	if len(sc.folds) != 1 || sc.k.Happened()-before < 6 {
		t.Fatalf("all is sent twice: %d folds, %d events", len(sc.folds), sc.k.Happened()-before)
	}
}

// A push that is lost is noticed by the next one, or by the check every 500 ms since following began.
func TestALostPushIsFetched(t *testing.T) {
	sc := set(t)
	sc.s.Chances = Chances{OneInLosesPush: 1}
	sc.append(600*ms, time.Minute)
	sc.k.RunUntil(5 * time.Second)
	sc.within("fold after a check", sc.folds[0].at, 1000*ms, 1003*ms)
	sc = set(t)
	sc.s.Chances = Chances{OneInLosesPush: 1}
	sc.append(600*ms, time.Minute)
	sc.k.RunUntil(610 * ms)
	sc.s.Chances = Chances{}
	sc.append(620*ms, time.Minute)
	sc.k.RunUntil(5 * time.Second)
	sc.within("fold after a push", sc.folds[0].at, 620*ms, 625*ms)
	if len(sc.folds) != 2 {
		t.Fatalf("folds: %v", sc.folds)
	}
}

func TestAStaleReadShowsAnOlderLog(t *testing.T) {
	sc := set(t)
	sc.append(10*ms, time.Minute)
	sc.k.RunUntil(20 * ms)
	sc.s.Chances = Chances{OneInStale: 1}
	sc.s.Behind = Range{time.Second, time.Second}
	var heads, lasts []uint64
	look := func() {
		sc.appender.Head(func(head log.Head, _ error) { heads = append(heads, head.Last) })
		sc.appender.LastOf("node.a", func(last uint64, _ error) { lasts = append(lasts, last) })
	}
	look()
	sc.k.RunUntil(1500 * ms)
	look()
	sc.k.RunUntil(2 * time.Second)
	if want := []uint64{0, 1}; !slices.Equal(heads, want) || !slices.Equal(lasts, want) {
		t.Fatalf("heads %v, lasts %v, want %v", heads, lasts, want)
	}
}

// A client may send the next append before the last one is answered.
func TestRequestsArriveInOrder(t *testing.T) {
	sc := set(t)
	for n := range uint64(50) {
		sc.appender.Append(logtest.NewFact("node.a", int(n)), n, time.Second, func(sequence uint64, err error) {
			if sequence != n+1 || err != nil {
				t.Errorf("append %d: %d, %v", n, sequence, err)
			}
			sc.answers = append(sc.answers, answer{sc.k.Now(), sequence, err})
		})
	}
	sc.k.RunUntil(100 * ms)
	if len(sc.answers) != 50 || !slices.IsSortedFunc(sc.answers, func(a, b answer) int { return int(a.sequence) - int(b.sequence) }) {
		t.Fatalf("answers %v", sc.answers)
	}
}

func TestADeadProcessIsNotCalled(t *testing.T) {
	stored := 0
	for seed := range uint64(20) {
		k := kernel.New(kernel.NewSeeded(seed))
		s := New(k)
		c := s.Connect("a")
		call := func() { t.Fatalf("seed %d: a dead process was called", seed) }
		c.Follow(0, func(log.Entry) { call() }, func(error) { call() })
		c.Append(logtest.NewFact("node.a", 1), 0, time.Second, func(uint64, error) { call() })
		c.Head(func(log.Head, error) { call() })
		c.Close()
		k.RunUntil(time.Minute)
		stored += len(s.Entries())
	}
	if stored == 0 || stored == 20 {
		t.Fatalf("%d of 20 were stored", stored)
	}
}

// A fact that is appended again is the same one while its id is remembered, under any guard; then only its own guard
// tells.
func TestIDsAreRememberedForTenMinutes(t *testing.T) {
	for _, idsFirst := range []bool{false, true} {
		k := kernel.New(kernel.NewSeeded(1))
		s := New(k)
		s.IDsFirst = idsFirst
		c := s.Connect("a")
		var got []uint64
		appendAt := func(at time.Duration, n int, guard uint64) {
			k.RunUntil(at)
			c.Append(logtest.NewFact("node.a", n), guard, time.Second, func(sequence uint64, err error) {
				if err != nil {
					t.Error(err)
				}
				got = append(got, sequence)
			})
		}
		appendAt(0, 1, 0)
		appendAt(time.Minute, 2, 1)
		appendAt(9*time.Minute, 1, 2)  // remembered
		appendAt(11*time.Minute, 1, 0) // under its own guard: refused, and found
		appendAt(12*time.Minute, 1, 2) // forgotten: stored again
		k.RunUntil(13 * time.Minute)
		if want := []uint64{1, 2, 1, 1, 3}; !slices.Equal(got, want) {
			t.Fatalf("ids first %t: sequences %v, want %v", idsFirst, got, want)
		}
	}
}
