package segment

import (
	"slices"
	"testing"
	"time"
)

// asks runs the world, and tells when and where to the client asked.
func (w *world) asks(d time.Duration) (at []time.Duration, to []MAC) {
	start := w.k.Now()
	w.s.Watch(func(now time.Duration, from *Port, f Frame) {
		if from == w.client.Port() && (f.Kind == Request || f.Kind == Solicitation) {
			at, to = append(at, now-start), append(to, f.Destination)
		}
	})
	w.run(d)
	return at, to
}

// Measured on 6.18 with requests each 100 ms: three unicast requests 1 s apart, and broadcasts from the next packet on.
func TestASilentOwnerIsProbedThreeTimesAndThenAskedForByBroadcast(t *testing.T) {
	w := newWorld(t, Linux())
	w.client.Poll(vip, 100*time.Millisecond)
	w.run(time.Second)
	w.old.owns = nil
	at, to := w.asks(60 * time.Second)
	if len(to) < 6 {
		t.Fatalf("asked %d times", len(to))
	}
	for i, mac := range []MAC{oldMAC, oldMAC, oldMAC, Broadcast, Broadcast, Broadcast} {
		if to[i] != mac {
			t.Fatalf("ask %d went to %s", i, to[i])
		}
		if i > 0 && (at[i]-at[i-1] < time.Second || at[i]-at[i-1] > 1100*time.Millisecond) {
			t.Fatalf("ask %d came %s after the one before", i, at[i]-at[i-1])
		}
	}
	// Reachable for 15 to 45 s, then 5 s of Delay.
	if first := at[0] + time.Second; first < 20*time.Second || first > 50*time.Second {
		t.Fatalf("first probe %s after the entry was made", first)
	}
}

// mcast_resolicit, which is 0 by default.
func TestReprobesAreBroadcastWithoutANextPacket(t *testing.T) {
	o := Linux()
	o.BroadcastReprobes = 2
	w := newWorld(t, o)
	w.resolve(vip)
	w.run(50 * time.Second)
	w.old.owns = nil
	w.client.Request(vip)
	_, to := w.asks(time.Minute)
	if !slices.Equal(to, []MAC{oldMAC, oldMAC, oldMAC, Broadcast, Broadcast}) {
		t.Fatalf("asked %v", to)
	}
	w.want(vip, Failed, 0)
}

func TestAnEntryGoesFromReachableOverDelayAndProbeBackToReachable(t *testing.T) {
	w := newWorld(t, Linux())
	var seen []State
	w.client.Poll(vip, 100*time.Millisecond)
	for range 5000 {
		w.run(10 * time.Millisecond)
		if state, _ := w.client.Neighbour(vip); len(seen) == 0 || seen[len(seen)-1] != state {
			seen = append(seen, state)
		}
	}
	if len(seen) < 3 || seen[0] != Reachable || seen[1] != Delay || seen[2] != Reachable || w.old.count(Request) != 2 || w.lost() > 0 {
		t.Fatalf("%v, %d requests, %d lost", seen, w.old.count(Request), w.lost())
	}
}

func TestAnIdleEntryGoesStaleAndCostsNothing(t *testing.T) {
	w := newWorld(t, Linux())
	w.resolve(vip)
	w.run(50 * time.Second)
	w.want(vip, Stale, oldMAC)
	happened := w.k.Happened()
	w.run(24 * time.Hour)
	if w.k.Happened() != happened || w.k.Waiting() > 0 {
		t.Fatalf("%d events in a day of rest, %d to come", w.k.Happened()-happened, w.k.Waiting())
	}
	// Below gc_thresh1 nothing is collected: the old MAC is used after a day (measured: a v4 and a v6 entry after 170 s).
	w.want(vip, Stale, oldMAC)
}

func TestAFullCacheCollectsWhatWasNotUsedFor60Seconds(t *testing.T) {
	o := Linux()
	o.GCThreshold = 1
	w := newWorld(t, o)
	w.resolve(vip)
	w.run(59 * time.Second)
	w.want(vip, Stale, oldMAC)
	reply, _ := AnswerFor(Ask(vip, clientV4, clientMAC), oldMAC)
	w.old.port.Send(reply) // confirms it, which counts as a use
	w.run(59 * time.Second)
	w.want(vip, Stale, oldMAC)
	w.run(2 * time.Second)
	w.want(vip, Absent, 0)
	w.new.port.Send(GratuitousRequest(vip, newMAC))
	w.run(time.Millisecond)
	w.want(vip, Absent, 0)
}

func TestAnswersOfTCPConfirmTheMACThatWasAsked(t *testing.T) {
	o := Linux()
	o.Confirms = true
	w := newWorld(t, o)
	w.client.Poll(vip, 100*time.Millisecond)
	w.run(10 * time.Minute)
	if asked := w.old.count(Request); asked != 1 {
		t.Fatalf("asked %d times", asked)
	}
	// A request on its way, the next one, the entry's timer, and the one for the answers.
	if w.k.Waiting() > 4 {
		t.Fatalf("%d events to come: timers pile up", w.k.Waiting())
	}
}

func TestRequestsWaitForTheMAC(t *testing.T) {
	w := newWorld(t, Linux())
	w.old.owns = nil
	w.client.Poll(vip, 100*time.Millisecond)
	w.run(950 * time.Millisecond)
	w.want(vip, Incomplete, 0)
	w.takeOver()
	w.run(100 * time.Millisecond)
	if len(w.outcomes) != 11 || w.lost() != 0 {
		t.Fatalf("%d outcomes, %d lost", len(w.outcomes), w.lost())
	}
	if first := w.outcomes[0]; first.Sent != 0 || first.At < time.Second || first.To != newMAC || first.By != newMAC {
		t.Fatalf("the first request: %+v", first)
	}
}

func TestARequestIsLostAfterTwoSeconds(t *testing.T) {
	w := newWorld(t, Linux())
	w.resolve(vip)
	w.old.owns = nil
	w.run(time.Second)
	sent := w.k.Now()
	number := w.client.Request(vip)
	w.run(2*time.Second - 1)
	if len(w.outcomes) != 1 {
		t.Fatalf("%d outcomes too soon", len(w.outcomes))
	}
	w.run(1)
	want := Outcome{Address: vip, Number: number, Sent: sent, At: sent + 2*time.Second, To: oldMAC}
	if len(w.outcomes) != 2 || w.outcomes[1] != want {
		t.Fatalf("outcomes %+v", w.outcomes)
	}
}

func TestPollingStops(t *testing.T) {
	w := newWorld(t, Linux())
	polling := w.client.Poll(vip, 10*time.Millisecond)
	w.run(95 * time.Millisecond)
	polling.Stop()
	w.run(time.Hour)
	if len(w.outcomes) != 10 || w.lost() > 0 || w.k.Waiting() > 0 {
		t.Fatalf("%d outcomes, %d lost, %d events to come", len(w.outcomes), w.lost(), w.k.Waiting())
	}
}

// neigh_carrier_down; arp_evict_nocarrier and ndisc_evict_nocarrier are 1.
func TestALostCarrierEmptiesTheCache(t *testing.T) {
	w := newWorld(t, Linux())
	w.resolve(vip)
	w.resolve(vip6)
	w.client.Port().SetCarrier(false)
	w.want(vip, Absent, 0)
	w.want(vip6, Absent, 0)
	w.client.Port().SetCarrier(true)
	w.resolve(vip)
	w.want(vip, Reachable, oldMAC)
}
