package kernel

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestEventsHappenInTheOrderOfTimeAndThenOfQueueing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := New(NewSeeded(1))
		type done struct {
			at     time.Duration
			number int
		}
		var want, got []done
		queued := 0
		queue := func(at time.Duration) {
			number := queued
			queued++
			want = append(want, done{max(at, k.Now()), number})
			k.At(at, Func(func() { got = append(got, done{k.Now(), number}) }))
		}
		for _, at := range rapid.SliceOf(rapid.IntRange(0, 20)).Draw(t, "events") {
			queue(time.Duration(at))
			if at%3 == 0 {
				k.Step()
			}
		}
		k.RunUntil(100)
		slices.SortStableFunc(want, func(a, b done) int { return int(a.at - b.at) })
		if !slices.Equal(got, want) || k.Now() != 100 || k.Happened() != uint64(queued) {
			t.Fatalf("happened %v, not %v", got, want)
		}
	})
}

func TestSeededChoicesStayWhatTheyAre(t *testing.T) {
	c := NewSeeded(7)
	var picks []int
	for range 5 {
		picks = append(picks, c.Pick("net", 100), c.Pick("disk", 10))
	}
	if want := []int{67, 9, 42, 4, 55, 9, 78, 5, 38, 2}; !slices.Equal(picks, want) {
		t.Fatalf("picks %v, not %v: recorded seeds no longer mean what they did", picks, want)
	}
	only := NewSeeded(7)
	for i := range 5 {
		if got := only.Pick("net", 100); got != picks[2*i] {
			t.Fatalf("pick %d of a stream by itself is %d, not %d", i, got, picks[2*i])
		}
	}
}

// Two streams of three messages, each delivered, lost or doubled, in all interleavings: C(6,3) * 3^6 = 14,580 runs.
func TestExhaustiveVisitsEveryRunOnce(t *testing.T) {
	c := &Exhaustive{}
	seen := map[string]bool{}
	runs := 0
	for more := true; more; more = c.Next() {
		runs++
		left := [2]int{3, 3}
		run := ""
		for left[0]+left[1] > 0 {
			stream := 0
			switch {
			case left[0] == 0:
				stream = 1
			case left[1] > 0:
				stream = c.Pick("order", 2)
			}
			left[stream]--
			run += string(rune('a'+stream)) + string(rune('0'+c.Pick("fate", 3)))
		}
		seen[run] = true
	}
	if runs != 14580 || len(seen) != runs {
		t.Fatalf("%d runs, %d different", runs, len(seen))
	}
}

func TestARecordingRepeats(t *testing.T) {
	rec := &Recording{Of: NewSeeded(3)}
	var first []int
	for n := range 20 {
		first = append(first, rec.Pick("x", n+1))
	}
	again := &Recorded{Picks: rec.Picks}
	for n := range 20 {
		if got := again.Pick("y", n+1); got != first[n] {
			t.Fatalf("pick %d: %d, not %d", n, got, first[n])
		}
	}
	if again.Pick("x", 9) != 0 {
		t.Fatal("after the recording the choice is the plainest")
	}
}
