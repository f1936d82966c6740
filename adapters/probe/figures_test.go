package probe

import (
	"reflect"
	"testing"
	"time"
)

const ms = time.Millisecond

// told makes requests from pairs of milliseconds: sent, answered (-1: never).
func told(pairs ...int) *requests {
	r := newRequests("udp", 100)
	for i := 0; i < len(pairs); i += 2 {
		r.send(time.Duration(pairs[i]) * ms)
	}
	for i := 1; i < len(pairs); i += 2 {
		if pairs[i] >= 0 {
			r.answer(i/2, time.Duration(pairs[i])*ms)
		}
	}
	return r
}

func TestOutages(t *testing.T) {
	began := time.Unix(1000, 0)
	at := func(n int) time.Time { return began.Add(time.Duration(n) * ms).Round(0) }
	for _, c := range []struct {
		name    string
		pairs   []int
		ended   int
		outages []Outage
		silence int
	}{
		{"none", []int{0, 1, 5, 6, 10, 11}, 15, []Outage{}, 5},
		{"nothing sent", nil, 15, []Outage{}, 0},
		{
			"one lost request is an outage of one spacing",
			[]int{0, 1, 5, -1, 10, 11},
			15,
			[]Outage{{Begin: at(5), End: at(10), Gap: 5 * ms, Silence: 10 * ms, Lost: 1}},
			10,
		},
		{
			"lost ones in a row are one",
			[]int{0, 1, 5, -1, 10, -1, 15, 17, 20, 21},
			25,
			[]Outage{{Begin: at(5), End: at(15), Gap: 10 * ms, Silence: 16 * ms, Lost: 2}},
			16,
		},
		{
			"one that lasts to the end is open",
			[]int{0, 1, 5, -1, 10, -1},
			15,
			[]Outage{{Begin: at(5), End: at(15), Gap: 10 * ms, Silence: 14 * ms, Lost: 2, Open: true}},
			14,
		},
		{
			"one from the beginning",
			[]int{0, -1, 5, -1, 10, 11},
			15,
			[]Outage{{Begin: at(0), End: at(10), Gap: 10 * ms, Silence: 11 * ms, Lost: 2}},
			11,
		},
		{
			"late is not lost, and not in time",
			[]int{0, 1, 5, 2006, 10, -1, 2005, 2007},
			2010,
			[]Outage{{Begin: at(5), End: at(2005), Gap: 2000 * ms, Silence: 2005 * ms, Lost: 1, Late: 1}},
			2005,
		},
		{"kept for less than the timeout is in time", []int{0, 1, 5, 1005, 10, 1005, 1005, 1006}, 1010, []Outage{}, 1004},
		{"silence begins with the first request", []int{100, 101, 105, 106}, 110, []Outage{}, 5},
		{"just in time", []int{0, 2000}, 5, []Outage{}, 2000},
		{
			"two, of which one is longer",
			[]int{0, -1, 5, 6, 10, -1, 15, -1, 20, 21},
			25,
			[]Outage{{Begin: at(0), End: at(5), Gap: 5 * ms, Silence: 6 * ms, Lost: 1}, {Begin: at(10), End: at(20), Gap: 10 * ms, Silence: 15 * ms, Lost: 2}},
			15,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := told(c.pairs...).stream(began, time.Duration(c.ended)*ms)
			if !reflect.DeepEqual(s.Outages, c.outages) {
				t.Errorf("%+v\nwanted %+v", s.Outages, c.outages)
			}
			longest, lost, late := time.Duration(0), 0, 0
			for _, o := range c.outages {
				longest, lost, late = max(longest, o.Gap), lost+o.Lost, late+o.Late
			}
			if s.LongestGap != longest || s.LongestSilence != time.Duration(c.silence)*ms || s.OutageCount != len(c.outages) ||
				s.Lost != lost || s.Late != late || s.InTime != len(c.pairs)/2-lost-late {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestOfManyOutagesTheLongestAreListed(t *testing.T) {
	var pairs []int
	for i := range 2 * MaxOutages {
		pairs = append(pairs, 15*i, -1, 15*i+5, 15*i+6)
		if i%2 == 1 {
			pairs[len(pairs)-2]++ // these are longer
		}
	}
	s := told(pairs...).stream(time.Unix(0, 0), time.Hour)
	if s.OutageCount != 2*MaxOutages || len(s.Outages) != MaxOutages || s.Lost != 2*MaxOutages {
		t.Fatalf("%d, %d, %d", s.OutageCount, len(s.Outages), s.Lost)
	}
	for i, o := range s.Outages {
		if o.Gap != 6*ms || i > 0 && !o.Begin.After(s.Outages[i-1].Begin) {
			t.Fatalf("%d: %+v", i, o)
		}
	}
}

func TestLatenciesAreOfAllAnswers(t *testing.T) {
	s := told(0, 1, 5, 8, 10, 3000, 15, -1).stream(time.Unix(0, 0), time.Hour)
	if s.MinLatency != ms || s.MedianLatency != 3*ms || s.P99Latency != 2990*ms || s.MaxLatency != 2990*ms {
		t.Errorf("%+v", s)
	}
}

func TestASecondAnswerIsNoAnswer(t *testing.T) {
	r := told(0, 1, 5, -1)
	r.answer(0, 4*ms)
	if r.answer(2, 7*ms) {
		t.Error("a request that was never sent is answered")
	}
	if s := r.stream(time.Unix(0, 0), 10*ms); s.Duplicates != 1 || s.Lost != 1 || s.MaxLatency != ms {
		t.Errorf("%+v", s)
	}
}
