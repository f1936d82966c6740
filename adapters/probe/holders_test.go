package probe

import (
	"reflect"
	"testing"
	"time"
)

var macA, macB = mac{2, 0, 0, 0, 0, 1}, mac{2, 0, 0, 0, 0, 2}

// answered lets MACs answer each in a time, to questions that are 5 ms apart, a millisecond after each.
func answered(ended int, times ...struct {
	by         mac
	begin, end int
},
) *answers {
	a := newAnswers(newRequests("arp", 1000), 5*ms)
	for at := 0; at < ended; at += 5 {
		a.send(time.Duration(at) * ms)
		for _, q := range times {
			if at >= q.begin && at < q.end {
				a.take(q.by, time.Duration(at+1)*ms)
			}
		}
	}
	return a
}

type answersIn = struct {
	by         mac
	begin, end int
}

func TestWhoHoldsAnAddress(t *testing.T) {
	type change struct{ at, gap, overlap int }
	for _, c := range []struct {
		name    string
		times   []answersIn
		holders string
		changes []change
		unique  int // requests with an answer
	}{
		{"one", []answersIn{{macA, 0, 1000}}, "A", nil, 200},
		{"one with a pause", []answersIn{{macA, 0, 300}, {macA, 600, 1000}}, "A", nil, 140},
		{"a change with a gap", []answersIn{{macA, 0, 300}, {macB, 600, 1000}}, "AB", []change{{601, 305, 0}}, 140},
		{"a change with an overlap", []answersIn{{macA, 0, 600}, {macB, 300, 1000}}, "AB", []change{{301, 0, 295}}, 200},
		{"one that comes back", []answersIn{{macA, 0, 300}, {macB, 400, 600}, {macA, 590, 1000}}, "ABA", []change{{401, 105, 0}, {591, 0, 5}}, 180},
		{"one that answers beside another", []answersIn{{macA, 0, 1000}, {macB, 400, 600}}, "AB", []change{{401, 0, 195}}, 200},
		{"short pauses are none", []answersIn{{macA, 0, 300}, {macA, 330, 1000}, {macB, 100, 800}}, "AB", []change{{101, 0, 695}}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := answered(1000, c.times...)
			holders, got := a.holders(time.Unix(0, 0))
			names := ""
			for _, h := range holders {
				names += map[string]string{macA.String(): "A", macB.String(): "B"}[h.MAC]
			}
			var changes []change
			for _, g := range got {
				changes = append(changes, change{int(g.At.Sub(time.Unix(0, 0)) / ms), int(g.Gap / ms), int(g.Overlap / ms)})
			}
			if names != c.holders || !reflect.DeepEqual(changes, c.changes) {
				t.Errorf("%s, %v", names, changes)
			}
			if s := a.stream(time.Unix(0, 0), time.Second); s.InTime != c.unique || s.MinLatency < 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A prober that has no time reads two answers when the second question has left.
func TestAnswersThatAreReadTogetherAreForDifferentQuestions(t *testing.T) {
	a := newAnswers(newRequests("arp", 10), 5*ms)
	a.send(0)
	a.send(5 * ms)
	a.take(macA, 6*ms)
	a.take(macA, 6*ms)
	a.take(macA, 6*ms) // and one too many
	a.send(10 * ms)
	if s := a.stream(time.Unix(0, 0), 15*ms); s.InTime != 2 || s.Lost != 1 || s.Duplicates != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAnAnswerIsNotForALaterQuestion(t *testing.T) {
	a := newAnswers(newRequests("arp", 10), 5*ms)
	a.send(0)
	a.send(5 * ms)
	a.take(macA, 4*ms)
	if s := a.stream(time.Unix(0, 0), 10*ms); s.MinLatency != 4*ms || s.InTime != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAnnouncementsAreCountedApart(t *testing.T) {
	a := newAnswers(newRequests("arp", 10), 5*ms)
	a.send(0)
	a.hear(macA)
	a.take(macA, ms)
	a.hear(macA)
	a.hear(macB)
	holders, _ := a.holders(time.Unix(0, 0))
	if len(holders) != 1 || holders[0].Announcements != 2 || holders[0].Answers != 1 {
		t.Errorf("%+v", holders)
	}
}

// The kernel asks too when an address has not answered it for a while.
func TestAFurtherAnswerDoesNotBringBackALostRequest(t *testing.T) {
	a := newAnswers(newRequests("arp", 10), 5*ms)
	for n := range 6 {
		a.send(time.Duration(5*n) * ms)
	}
	for range 4 {
		a.take(macA, 26*ms)
	}
	if s := a.stream(time.Unix(0, 0), 30*ms); s.Lost != 4 || s.Duplicates != 2 || s.OutageCount != 1 {
		t.Errorf("%+v", s)
	}
}
