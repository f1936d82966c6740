package dataplane

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"pgregory.net/rapid"

	"viplog/core/node"
)

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return epoch.Add(d) }

func newTestPlane(isRequired, justBooted bool) *plane {
	return newPlane(epoch, isRequired, justBooted, slog.New(slog.DiscardHandler))
}

func joins(p *plane, now time.Duration) { p.joins(at(now)) }

// synced is an answer of a healthy kube-proxy at an instant, whose last sync of IPv4 ended at another.
func synced(end, now time.Duration) health {
	return health{isHealthy: true, stamps: map[string]stamp{"IPv4": {at(end), now - end}}}
}

var errAway = errors.New("connection refused")

// proxy is kube-proxy as its runner would have it: a change waits for its minSyncPeriod after the end of the sync before.
type proxy struct {
	minSync time.Duration
	changes []time.Duration // when it knew of each, in order
	takes   func() time.Duration
	begins  []time.Duration
	ends    []time.Duration
}

// run lets it sync, up to an instant.
func (p *proxy) run(until time.Duration) {
	ended, next := -time.Minute, 0
	p.begins, p.ends = []time.Duration{ended}, []time.Duration{ended}
	for next < len(p.changes) {
		begin := max(p.changes[next], ended+p.minSync)
		if begin > until {
			return
		}
		ended = begin + p.takes()
		p.begins, p.ends = append(p.begins, begin), append(p.ends, ended)
		for next < len(p.changes) && p.changes[next] <= begin {
			next++
		}
	}
}

// last is the end of the last sync that had ended by an instant.
func (p *proxy) last(now time.Duration) (end time.Duration) {
	for _, e := range p.ends {
		if e <= now {
			end = e
		}
	}
	return end
}

// serves tells whether a change that it knew of at an instant is served.
func (p *proxy) serves(known, now time.Duration) bool {
	for i, end := range p.ends {
		if p.begins[i] >= known && end <= now {
			return true
		}
	}
	return false
}

func TestNothingIsSaidToBeServedBeforeKubeProxyServesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(most/time.Millisecond)).Draw(t, name)) * time.Millisecond
		}
		const horizon = 20 * time.Second
		type status struct{ said, known time.Duration }
		var statuses []status
		kube := proxy{
			minSync: rapid.SampledFrom([]time.Duration{0, 200 * time.Millisecond, minSync}).Draw(t, "minSyncPeriod"),
			takes:   func() time.Duration { return draw("sync", syncTakes) },
		}
		for now := time.Millisecond + draw("idle", 8*time.Second); now < horizon-4*time.Second; now += draw("pause", 3*time.Second) + time.Millisecond {
			known := now + draw("watch", watchTakes)
			if rapid.Bool().Draw(t, "status") {
				statuses = append(statuses, status{now + draw("say", 60*time.Millisecond), known})
			}
			kube.changes = append(kube.changes, known)
		}
		for i := 1; i < len(kube.changes); i++ { // it hears of one after the other
			kube.changes[i] = max(kube.changes[i], kube.changes[i-1])
		}
		kube.run(horizon)

		p := newTestPlane(false, false)
		said := 0
		for now := time.Duration(0); now < horizon; {
			p.took(synced(kube.last(now), now), nil, at(now))
			for i := range p.serves() {
				if s := statuses[i]; !kube.serves(s.known, now) {
					t.Fatalf("status %d, said at %v and known at %v, is served at %v, it says; syncs end at %v", i+1, s.said, s.known, now, kube.ends)
				}
			}
			for i, s := range statuses[:said] {
				if now > s.said+2500*time.Millisecond && p.serves() < uint64(i+1) {
					t.Fatalf("status %d, said at %v, is not served at %v, it says; syncs end at %v", i+1, s.said, now, kube.ends)
				}
			}
			next := now + p.pause(at(now))
			if said < len(statuses) && statuses[said].said <= next { // it asks at once
				next = max(now, statuses[said].said)
				said++
				p.say(uint64(said), at(next))
			}
			now = next
		}
	})
}

// step is what a plane is told at an instant, and how it stands then.
type step struct {
	at    time.Duration
	tell  func(p *plane, now time.Duration)
	state node.DataPlaneState
	// through is the number that is served; -1 for all.
	through  int
	through4 uint64 // that of IPv4, if it is another
}

func answers(end time.Duration) func(*plane, time.Duration) {
	return func(p *plane, now time.Duration) { p.took(synced(end, now), nil, at(now)) }
}

func ill(p *plane, now time.Duration) {
	h := synced(0, now)
	h.isHealthy = false
	p.took(h, nil, at(now))
}

func away(p *plane, now time.Duration) { p.took(health{}, errAway, at(now)) }

func old(p *plane, now time.Duration) { p.took(health{isHealthy: true, hasNone: true}, nil, at(now)) }

func says(n uint64) func(*plane, time.Duration) {
	return func(p *plane, now time.Duration) { p.say(n, at(now)) }
}

func TestHowADataPlaneStands(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	up, starting, dead := node.DataPlaneUp, node.DataPlaneStarting, node.DataPlaneDead
	for name, test := range map[string]struct {
		isRequired, justBooted bool
		steps                  []step
	}{
		"a boot, after which an agent starts beside a kube-proxy that runs": {false, true, []step{
			{0, answers(-time.Minute), starting, -1, 0},
			{5 * s, answers(-time.Minute), up, -1, 0},
		}},
		"a boot, in which the clock is set after kube-proxy has started": {false, true, []step{
			{0, away, starting, -1, 0},
			{100 * ms, answers(-2 * time.Hour), starting, -1, 0},
			{3 * s, answers(-2 * time.Hour), starting, -1, 0},
			{4 * s, answers(3900 * ms), up, -1, 0},
		}},
		"one that starts anew, and the clock is set then": {false, false, []step{
			{0, answers(-time.Hour), up, -1, 0},
			{1 * s, says(5), up, 0, 0},
			{1100 * ms, away, up, 0, 0},
			{1200 * ms, answers(-2 * time.Hour), up, 0, 0}, // no sync
			{3 * s, answers(-2 * time.Hour), up, 0, 0},
			{3100 * ms, answers(3050 * ms), up, 5, 0},
		}},
		"a boot, in which the first stamp is of no sync": {false, true, []step{
			{0, away, starting, -1, 0},
			{10 * s, answers(9900 * ms), starting, -1, 0},
			{11 * s, answers(10500 * ms), up, -1, 0},
		}},
		"a boot, after which nothing is to be synced": {false, true, []step{
			{10 * s, answers(9900 * ms), starting, -1, 0},
			{14800 * ms, answers(9900 * ms), starting, -1, 0},
			{15 * s, answers(9900 * ms), up, -1, 0},
		}},
		"a boot of all hosts, after which the log comes late, and the API server later": {false, true, []step{
			{0, away, starting, -1, 0},
			{300 * s, away, starting, -1, 0},
			{301 * s, joins, starting, -1, 0},
			{320 * s, away, starting, -1, 0},
			{330 * s, answers(329900 * ms), starting, -1, 0},
			{331 * s, answers(330700 * ms), up, -1, 0},
		}},
		"a boot without a kube-proxy": {false, true, []step{
			{0, joins, starting, -1, 0},
			{59 * s, away, starting, -1, 0},
			{60 * s, away, up, -1, 0},
			{61 * s, says(5), up, -1, 0},
		}},
		"no boot, and no kube-proxy": {false, false, []step{
			{0, away, up, -1, 0},
			{1 * s, says(5), up, -1, 0},
			{100 * s, away, up, -1, 0},
		}},
		"a kube-proxy that is required and away": {true, false, []step{
			{0, away, starting, -1, 0}, // when the host was booted does not matter: it may have had no API server
			{0, joins, starting, -1, 0},
			{1 * s, says(5), starting, 0, 0},
			{59 * s, away, starting, 0, 0},
			{60 * s, away, dead, 0, 0},
			{70 * s, answers(69 * s), dead, 0, 0},
			{75 * s, answers(69 * s), up, 5, 0},
		}},
		"a kube-proxy that is required, and begins after the agent": {true, false, []step{
			{0, away, starting, -1, 0},
			{3 * s, answers(2900 * ms), starting, -1, 0},
			{5 * s, answers(4500 * ms), up, -1, 0},
		}},
		"an agent that starts beside a kube-proxy that is required and runs": {true, false, []step{
			{0, answers(-time.Minute), up, -1, 0},
		}},
		"an agent that starts beside one that is not healthy": {false, false, []step{
			{0, ill, up, -1, 0},
			{1 * s, says(5), up, 0, 0},
			{60 * s, ill, dead, 0, 0},
		}},
		"a boot, in which one that is required does not start": {true, true, []step{
			{0, joins, starting, -1, 0},
			{0, away, starting, -1, 0},
			{59 * s, away, starting, -1, 0},
			{60 * s, away, dead, -1, 0},
		}},
		"one of an old version": {false, false, []step{
			{0, old, up, -1, 0},
			{8 * s, says(5), up, 0, 0},
			{9100 * ms, old, up, 0, 0},
			{9200 * ms, old, up, 5, 0},
		}},
		"one of an old version that starts anew": {false, false, []step{
			{0, old, up, -1, 0},
			{8 * s, away, up, -1, 0},
			{9 * s, old, up, -1, 0},
			{9100 * ms, says(5), up, 0, 0},
			{11 * s, old, up, 0, 0}, // it may not have synced yet
			{14 * s, old, up, 5, 0},
		}},
		"one that is away for less than a minute, and then for longer": {false, false, []step{
			{0, answers(-time.Hour), up, -1, 0},
			{2 * s, away, up, -1, 0},
			{61 * s, away, up, -1, 0},
			{61500 * ms, answers(61 * s), up, -1, 0},
			{70 * s, away, up, -1, 0},
			{130 * s, away, dead, -1, 0},
			{140 * s, answers(139 * s), dead, -1, 0}, // another process, which has synced nothing yet
			{143 * s, answers(142 * s), up, -1, 0},
		}},
		"one that is dead, and each process of it ends before it has synced": {false, false, []step{
			{0, answers(-time.Hour), up, -1, 0},
			{2 * s, away, up, -1, 0},
			{62 * s, away, dead, -1, 0},
			{64 * s, answers(63 * s), dead, -1, 0},
			{66 * s, answers(63 * s), dead, -1, 0},
			{67 * s, away, dead, -1, 0},
			{370 * s, answers(369 * s), dead, -1, 0},
		}},
		"one that was not healthy for long, and is": {false, false, []step{
			{0, answers(-time.Hour), up, -1, 0},
			{2 * s, ill, up, -1, 0},
			{62 * s, ill, dead, -1, 0},
			{64 * s, answers(63 * s), up, -1, 0},
		}},
		"one that is not healthy": {false, false, []step{
			{0, answers(-time.Hour), up, -1, 0},
			{1 * s, says(5), up, 0, 0},
			{2 * s, ill, up, 0, 0},
			{20 * s, ill, up, 0, 0},
			{62 * s, ill, dead, 0, 0},
		}},
		"one that starts anew while something waits": {false, false, []step{
			{0, answers(-time.Hour), up, -1, 0},
			{1 * s, says(5), up, 0, 0},
			{1100 * ms, away, up, 0, 0},
			{1200 * ms, answers(1190 * ms), up, 0, 0}, // no sync
			{3 * s, answers(1190 * ms), up, 0, 0},
			{3100 * ms, answers(3050 * ms), up, 5, 0}, // a second after that, so that it began after the start
		}},
		"a clock that is set back": {false, false, []step{
			{0, answers(-time.Hour), up, -1, 0},
			{8 * s, answers(7900 * ms), up, -1, 0},
			{8500 * ms, says(5), up, 0, 0},
			{9 * s, func(p *plane, now time.Duration) {
				p.took(health{isHealthy: true, stamps: map[string]stamp{"IPv4": {at(-30 * time.Minute), -time.Second}}}, nil, at(now))
			}, up, 5, 0},
		}},
		"the other family is behind": {false, false, []step{
			{0, both(-1*time.Hour, -1*time.Hour), up, -1, 0},
			{8 * s, both(7900*ms, 7900*ms), up, -1, 0},
			{8500 * ms, says(5), up, 0, 0},
			{9 * s, both(8950*ms, 7900*ms), up, 0, 5},
			{9600 * ms, both(8950*ms, 7900*ms), up, 0, 5},
			{9650 * ms, both(8950*ms, 9630*ms), up, 5, 0},
		}},
		"a kube-proxy that is set to sync more often": {false, false, []step{
			{0, answers(-time.Hour), up, -1, 0},
			{8 * s, answers(7900 * ms), up, -1, 0},
			{8450 * ms, answers(8400 * ms), up, -1, 0},
			{8500 * ms, says(5), up, 0, 0},
			{8600 * ms, answers(8400 * ms), up, 0, 0},
			{8900 * ms, answers(8800 * ms), up, 0, 0}, // it may have begun before
			{9300 * ms, answers(9200 * ms), up, 5, 0},
		}},
		"a number that goes back": {false, false, []step{
			{0, answers(-time.Hour), up, -1, 0},
			{1 * s, says(50), up, 0, 0},
			{3 * s, answers(-time.Hour), up, 50, 0},
			{3100 * ms, says(40), up, 50, 0}, // of one that writes no more
			{9 * s, says(7), up, 0, 0},       // of another log
			{11 * s, answers(-time.Hour), up, 7, 0},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestPlane(test.isRequired, test.justBooted)
			for _, s := range test.steps {
				s.tell(p, s.at)
				want := node.ServesThrough(uint64(s.through))
				if s.through < 0 {
					want = node.ServesThrough(node.ServesAll)
				}
				want.State = s.state
				got := p.state()
				if s.through4 > 0 {
					want.IPv4 = s.through4
				}
				if got != want {
					t.Errorf("at %v it is %+v, want %+v", s.at, got, want)
				}
			}
		})
	}
}

func both(v4, v6 time.Duration) func(*plane, time.Duration) {
	return func(p *plane, now time.Duration) {
		h := synced(v4, now)
		h.stamps["IPv6"] = stamp{at(v6), now - v6}
		p.took(h, nil, at(now))
	}
}

func TestNumbersThatWaitTakeBoundedMemory(t *testing.T) {
	p := newTestPlane(true, false)
	for n := range uint64(10 * maxMarks) {
		p.say(n+1, at(time.Duration(n)*time.Millisecond))
	}
	if len(p.marks) != maxMarks {
		t.Errorf("%d numbers are kept", len(p.marks))
	}
	p.took(synced(-time.Hour, time.Minute), nil, at(time.Minute))
	if got := p.state().IPv4; got != 10*maxMarks {
		t.Errorf("served is %d", got)
	}
}
