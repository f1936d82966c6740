package stream

import (
	"errors"
	"testing"
	"time"

	"viplog/core/log"
	"viplog/core/log/logtest"
	"viplog/sim/kernel"
)

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
	sc.stored(5*time.Second, 120*ms, 140*ms)
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

// The feed has the same subjects: a follower that is where the new log begins folds entries of it until the next check of
// the head. adapters/jetstream does so too.
func TestAReplacedLogIsNoticedOnlyByACheck(t *testing.T) {
	sc := set(t)
	sc.k.RunUntil(600 * ms)
	sc.s.Replace()
	sc.append(700*ms, time.Minute)
	sc.k.RunUntil(999 * ms)
	if len(sc.folds) != 1 || len(sc.ends) != 0 {
		t.Fatalf("folds %v, ends %v", sc.folds, sc.ends)
	}
	sc.k.RunUntil(1010 * ms)
	if len(sc.ends) != 1 || !errors.Is(sc.ends[0], log.ErrOtherLog) {
		t.Fatalf("ends %v", sc.ends)
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
