package probe

import (
	"cmp"
	"slices"
	"time"
)

// stream makes figures of requests. Instants count from clock; sending ended at the last of them.
func (r *requests) stream(clock time.Time, ended time.Duration) Stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Stream{
		Name: r.name, Sent: len(r.sent), Unsent: r.unsent, Duplicates: r.duplicates, Outages: []Outage{}, Troubles: []Trouble{},
	}
	for _, t := range r.troubles {
		s.Troubles = append(s.Troubles, Trouble{t.what, t.count, wall(clock, t.first)})
	}
	s.latencies(r.sent, r.answered)
	silences := silencesOf(r.sent, r.answered, ended)
	longest := silence{}
	for _, q := range silences {
		if q.length() > longest.length() {
			longest = q
		}
	}
	s.LongestSilence, s.SilenceBegan = longest.length(), wall(clock, longest.begin)
	for _, o := range outagesOf(r.sent, r.answered, ended) {
		s.Lost += o.lost
		s.Late += o.late
		s.OutageCount++
		s.LongestGap = max(s.LongestGap, o.end-o.begin)
		s.Outages = append(s.Outages, Outage{
			Begin: wall(clock, o.begin), End: wall(clock, o.end), Gap: o.end - o.begin, Silence: longestIn(silences, o.begin, o.end),
			Lost: o.lost, Late: o.late, Open: o.open,
		})
	}
	s.InTime = s.Sent - s.Lost - s.Late
	s.Outages = theLongest(s.Outages)
	return s
}

// wall is an instant as wall time, without its monotonic part, so that it can be compared and printed.
func wall(clock time.Time, at time.Duration) time.Time { return clock.Add(at).Round(0) }

// theLongest keeps MaxOutages.
func theLongest(all []Outage) []Outage {
	if len(all) <= MaxOutages {
		return all
	}
	slices.SortStableFunc(all, func(a, b Outage) int { return cmp.Compare(b.Gap, a.Gap) })
	all = slices.Clone(all[:MaxOutages])
	slices.SortFunc(all, func(a, b Outage) int { return a.Begin.Compare(b.Begin) })
	return all
}

// outage is one before it has wall times.
type outage struct {
	begin, end time.Duration
	lost, late int
	open       bool
}

// outagesOf finds outages as the package comment defines them. sent is in order; ended is not before its last.
func outagesOf(sent, answered []time.Duration, ended time.Duration) (all []outage) {
	var now *outage
	for i, at := range sent {
		lost, late := answered[i] == never, answered[i] != never && answered[i]-at > Timeout
		if !lost && !late {
			if now != nil {
				now.end, now.open = at, false
				now = nil
			}
			continue
		}
		if now == nil {
			all = append(all, outage{begin: at, end: ended, open: true})
			now = &all[len(all)-1]
		}
		if lost {
			now.lost++
		} else {
			now.late++
		}
	}
	return all
}

// silence is a time between two answers.
type silence struct{ begin, end time.Duration }

func (s silence) length() time.Duration { return s.end - s.begin }

// silencesOf gives all times between answers, in order: from the first request, and to where sending ended.
func silencesOf(sent, answered []time.Duration, ended time.Duration) (all []silence) {
	if len(sent) == 0 {
		return nil
	}
	instants := []time.Duration{}
	for _, at := range answered {
		if at != never {
			instants = append(instants, at)
		}
	}
	slices.Sort(instants)
	last := sent[0]
	for _, at := range instants {
		all = append(all, silence{last, at})
		last = at
	}
	if ended > last {
		all = append(all, silence{last, ended})
	}
	return all
}

// longestIn is the longest silence that has a part in a time. Silences are in order, and follow each other.
func longestIn(silences []silence, begin, end time.Duration) (longest time.Duration) {
	first, _ := slices.BinarySearchFunc(silences, begin, func(s silence, at time.Duration) int {
		if s.end <= at {
			return -1
		}
		return 1
	})
	for _, s := range silences[first:] {
		if s.begin >= end {
			break
		}
		longest = max(longest, s.length())
	}
	return longest
}

func (s *Stream) latencies(sent, answered []time.Duration) {
	all := []time.Duration{}
	for i, at := range answered {
		if at != never {
			all = append(all, at-sent[i])
		}
	}
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	s.MinLatency, s.MedianLatency = all[0], all[len(all)/2]
	s.P99Latency, s.MaxLatency = all[len(all)*99/100], all[len(all)-1]
}
