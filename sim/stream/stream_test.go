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

// The request is lost, or the answer: after 2 s the log is read, and only then the fact sent again.
func TestALostAppendIsReadAndThenSentAgain(t *testing.T) {
	sc := set(t)
	sc.s.LoseNextRequest()
	sc.append(10*ms, time.Minute)
	sc.stored(5*time.Second, 2060*ms, 2065*ms)
	sc = set(t)
	sc.s.LoseNextAck()
	sc.append(10*ms, time.Minute)
	sc.stored(5*time.Second, 2010*ms, 2015*ms)
}

func TestALostAnswerIsUnknownWhenTheTimeIsOver(t *testing.T) {
	sc := set(t)
	sc.s.LoseNextAck()
	sc.append(10*ms, time.Second)
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

func TestWithoutALeaderNothingIsStoredOrAnswered(t *testing.T) {
	sc := set(t)
	sc.s.LeaderGone(6 * time.Second)
	sc.append(10*ms, time.Minute)
	failed := 0
	sc.k.At(20*ms, kernel.Func(func() {
		sc.appender.Head(func(_ log.Head, err error) {
			if err != nil {
				failed++
			}
		})
	}))
	sc.k.RunUntil(6 * time.Second)
	if len(sc.s.Entries())+len(sc.answers)+len(sc.folds) > 0 || failed != 1 {
		t.Fatalf("%d stored, %d answered, %d folded, %d reads failed", len(sc.s.Entries()), len(sc.answers), len(sc.folds), failed)
	}
	sc.stored(15*time.Second, 6010*ms, 8100*ms)
	if len(sc.folds) != 1 {
		t.Fatalf("folds: %v", sc.folds)
	}
}

// An append that met a leaderless log and ended before it was done: what it says is what may be, also where it was sent
// twice.
func TestAnAppendThatEndsWithoutALeader(t *testing.T) {
	for _, twice := range []int{0, 1} {
		unknown, refused, stored := 0, 0, 0
		for seed := range uint64(200) {
			k := kernel.New(kernel.NewSeeded(seed))
			s := New(k)
			s.OneInDuplicates = twice
			s.LeaderGone(6 * time.Second)
			var end error
			s.Connect("a").Append(logtest.NewFact("node.a", 1), 0, 100*ms, func(_ uint64, err error) { end = err })
			k.RunUntil(time.Minute)
			stored += len(s.Entries())
			switch {
			case errors.Is(end, log.ErrUnknown):
				unknown++
			case errors.Is(end, ErrNoLeader) && len(s.Entries()) == 0:
				refused++
			default:
				t.Fatalf("seed %d: %v, %d stored", seed, end, len(s.Entries()))
			}
		}
		if unknown == 0 || refused == 0 && twice == 0 || stored == 0 || stored > unknown {
			t.Fatalf("twice %d: %d unknown, %d refused, %d stored later", twice, unknown, refused, stored)
		}
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

func TestACutEndsAllTraffic(t *testing.T) {
	sc := set(t)
	sc.s.Cut("follower")
	sc.append(10*ms, time.Minute)
	sc.stored(3*time.Second, 10*ms, 12*ms)
	if len(sc.folds) > 0 {
		t.Fatal("a cut follower got an entry")
	}
	sc.s.Heal("follower")
	sc.k.RunUntil(10 * time.Second)
	sc.within("fold", sc.folds[0].at, 3*time.Second, 5500*ms) // a check that was lost is repeated after its 2 s
	sc = set(t)
	sc.s.Cut("appender")
	sc.append(10*ms, 5*time.Second)
	if a := sc.answered(time.Minute); !errors.Is(a.err, log.ErrUnknown) || a.at != 5010*ms || len(sc.s.Entries()) > 0 {
		t.Fatalf("a cut appender: %+v, %d stored", a, len(sc.s.Entries()))
	}
}

func TestACutLosesAnAnswerOnItsWay(t *testing.T) {
	sc := set(t)
	sc.s.Request, sc.s.Answer = Range{2 * ms, 2 * ms}, Range{5 * ms, 5 * ms}
	sc.append(20*ms, time.Minute)
	sc.k.RunUntil(24 * ms)
	sc.s.Cut("appender")
	sc.k.RunUntil(100 * ms)
	sc.s.Heal("appender")
	sc.stored(5*time.Second, 2027*ms, 2027*ms)
}

// Some requests of a cut client are stored after Heal, though it has given up.
func TestARequestMayArriveAfterACut(t *testing.T) {
	stored := 0
	for seed := range uint64(20) {
		k := kernel.New(kernel.NewSeeded(seed))
		s := New(k)
		s.Cut("a")
		s.Connect("a").Append(logtest.NewFact("node.a", 1), 0, 100*ms, func(uint64, error) {})
		k.RunUntil(time.Minute)
		if len(s.Entries()) > 0 {
			t.Fatal("stored despite the cut")
		}
		s.Heal("a")
		k.RunUntil(2 * time.Minute)
		stored += len(s.Entries())
	}
	if stored == 0 || stored == 20 {
		t.Fatalf("%d of 20 were stored after the cut", stored)
	}
}

func TestALagDelaysPushesInOrder(t *testing.T) {
	sc := set(t)
	sc.s.Lag("follower", 3*time.Second)
	sc.append(10*ms, time.Minute)
	sc.append(20*ms, time.Minute)
	sc.k.RunUntil(100 * ms)
	sc.s.Lag("follower", 0)
	sc.append(110*ms, time.Minute)
	sc.k.RunUntil(10 * time.Second)
	if len(sc.folds) != 3 || sc.folds[2].sequence != 3 {
		t.Fatalf("folds: %v", sc.folds)
	}
	sc.within("first fold", sc.folds[0].at, 3010*ms, 3012*ms)
	sc.within("third fold", sc.folds[2].at, 3020*ms, 3022*ms)
}

func TestAHungFollowerCatchesUp(t *testing.T) {
	sc := set(t)
	sc.s.Hang("follower", 5*time.Second)
	for n := range 10 {
		sc.append(time.Duration(n+1)*100*ms, time.Minute)
	}
	sc.append(6*time.Second, time.Minute)
	sc.k.RunUntil(10 * time.Second)
	if len(sc.folds) != 11 || sc.folds[9].at != 5010*ms || sc.folds[0].at != 5010*ms {
		t.Fatalf("folds: %v", sc.folds)
	}
	sc.within("fold after the hang", sc.folds[10].at, 6000*ms, 6003*ms)
}

// Pushes and answers on their way are lost; following goes on as soon as there is a connection again.
func TestAResetLosesWhatIsOnItsWay(t *testing.T) {
	sc := set(t)
	sc.s.Request, sc.s.Push, sc.s.Answer = Range{2 * ms, 2 * ms}, Range{5 * ms, 5 * ms}, Range{5 * ms, 5 * ms}
	sc.append(20*ms, time.Minute)
	sc.k.RunUntil(24 * ms)
	if len(sc.s.Entries()) != 1 {
		t.Fatal("not stored yet")
	}
	sc.s.Reset("appender")
	sc.s.Reset("follower")
	sc.stored(10*time.Second, 2020*ms, 2040*ms)
	if len(sc.folds) != 1 {
		t.Fatalf("folds: %v", sc.folds)
	}
	sc.within("fold", sc.folds[0].at, 36*ms, 80*ms)
}

func TestAResetLosesPushesThatLag(t *testing.T) {
	sc := set(t)
	sc.s.Lag("follower", 3*time.Second)
	sc.append(20*ms, time.Minute)
	sc.k.RunUntil(30 * ms)
	sc.s.Lag("follower", 0)
	sc.s.Reset("follower")
	sc.k.RunUntil(10 * time.Second)
	if len(sc.folds) != 1 {
		t.Fatalf("folds: %v", sc.folds)
	}
	sc.within("fold", sc.folds[0].at, 35*ms, 60*ms)
}

func TestAReplacedLogEndsFollowing(t *testing.T) {
	sc := set(t)
	sc.append(20*ms, time.Minute)
	sc.k.RunUntil(100 * ms)
	before := sc.s.Head()
	sc.s.Replace()
	sc.k.RunUntil(time.Second)
	if head := sc.s.Head(); len(sc.ends) != 1 || !errors.Is(sc.ends[0], log.ErrOtherLog) || head.ID == before.ID || head.Last != 0 {
		t.Fatalf("ends %v, head %+v", sc.ends, head)
	}
}

func TestAPurgeEndsFollowingOfWhatIsGone(t *testing.T) {
	sc := set(t)
	sc.s.Cut("follower")
	sc.append(20*ms, time.Minute)
	sc.append(30*ms, time.Minute)
	sc.k.RunUntil(100 * ms)
	sc.s.Purge(1)
	sc.s.Heal("follower")
	sc.k.RunUntil(5 * time.Second)
	if len(sc.ends) != 1 || !errors.Is(sc.ends[0], log.ErrPurged) || len(sc.folds) > 0 {
		t.Fatalf("ends %v, folds %v", sc.ends, sc.folds)
	}
}

func TestAFactThatWasPurgedIsNotFound(t *testing.T) {
	sc := set(t)
	sc.append(20*ms, time.Minute)
	sc.append(30*ms, time.Minute)
	sc.k.RunUntil(100 * ms)
	sc.s.Purge(1)
	sc.answers = nil
	sc.appender.Append(logtest.NewFact("node.a", 0), 0, time.Second, func(sequence uint64, err error) {
		sc.answers = append(sc.answers, answer{sc.k.Now(), sequence, err})
	})
	if a := sc.answered(5 * time.Second); !errors.Is(a.err, log.ErrConflict) {
		t.Fatalf("answer %+v", a)
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
