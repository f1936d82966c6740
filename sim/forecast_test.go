package sim

import (
	"flag"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/forecast"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/sim/kernel"
	"viplog/sim/stream"
)

var randomLedgers = flag.Uint64("ledgers", 20, "random ledgers whose forecasts are held to the simulator")

// TestForecastsAgreeWithTheSimulator draws ledgers, foretells failures of one and of two nodes, and lets them happen: who owns
// each address by the log, who answers for it on the wire, and who answered a client last must be as foretold.
func TestForecastsAgreeWithTheSimulator(t *testing.T) {
	var sum agreement
	for seed := uint64(1); seed <= *randomLedgers; seed++ {
		l := newRandomLog(seed)
		id, entries := l.ledger.LogID(), atRest(t, l, seed)
		past, err := NewPast(id, entries)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		f, err := forecast.Of(past.Ledger)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		sum.ledgers++
		for _, dead := range failuresOf(f, seed) {
			w := worldAtRest(t, l, entries, seed)
			if got, want := w.Ledger().Digest(), past.Ledger.Digest(); got != want {
				t.Fatalf("seed %d: a log at rest goes on with facts of its own", seed)
			}
			o := happen(w, f, dead)
			sum.count(w, f, o)
			for _, d := range disagreements(w, past.Ledger, o) {
				sum.disagreements++
				t.Errorf("seed %d, %v dead: %s", seed, dead, d)
			}
			noViolation(t, w)
		}
	}
	t.Log(sum)
	if sum.below+sum.above > 0 {
		t.Errorf("%d black holes are shorter than foretold, %d longer", sum.below, sum.above)
	}
}

// TestADisagreementIsFound changes what was foretold.
func TestADisagreementIsFound(t *testing.T) {
	for seed := uint64(1); seed < 20; seed++ {
		l := newRandomLog(seed)
		entries := atRest(t, l, seed)
		w := worldAtRest(t, l, entries, seed)
		before := w.Ledger().Clone()
		f, err := forecast.Of(before)
		if err != nil {
			t.Fatal(err)
		}
		node := f.Nodes()[0].Address
		o := happen(w, f, []netip.Addr{node})
		if len(o.Moves) == 0 {
			continue
		}
		if all := disagreements(w, before, o); len(all) > 0 {
			t.Fatal(all)
		}
		o.Moves[0].To = node
		if len(disagreements(w, before, o)) == 0 {
			t.Error("a move to the dead node was not found")
		}
		o.Moves = o.Moves[1:]
		if len(disagreements(w, before, o)) == 0 {
			t.Error("a missing move was not found")
		}
		return
	}
	t.Fatal("no failure moves an address: other seeds are needed")
}

// atRest lets a cluster go on from a random log until nothing is due any more, not even a rebalance, and gives the log then.
func atRest(t *testing.T, l *randomLog, seed uint64) []log.Entry {
	t.Helper()
	w := worldAtRest(t, l, l.entries, seed)
	w.RunUntil(w.Now() + ledger.RebalanceAfter + time.Minute)
	untilSettled(t, w, seed)
	return slices.Clone(w.Stream.Entries())
}

func worldAtRest(t *testing.T, l *randomLog, entries []log.Entry, seed uint64) *World {
	t.Helper()
	past, err := NewPast(l.ledger.LogID(), entries)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	w := New(kernel.NewSeeded(seed), Options{Past: past, Timing: past.Timing(), Clients: 1, Drift: true, Rules: &l.rules})
	untilSettled(t, w, seed)
	return w
}

func untilSettled(t *testing.T, w *World, seed uint64) {
	t.Helper()
	for end := w.Now() + 2*time.Minute; ; w.RunUntil(w.Now() + 50*time.Millisecond) {
		why := w.Settled()
		if why == "" {
			return
		}
		if w.Now() > end {
			t.Fatalf("seed %d: not at rest: %s", seed, why)
		}
	}
}

// failuresOf are one of a node and one of two, drawn; and, where there are such, one of two whose order matters, one that
// nobody can prove although nodes are left, and one that darkens an address.
func failuresOf(f *forecast.Forecast, seed uint64) (all [][]netip.Addr) {
	kinds := make([][]forecast.Outcome, 5)
	for o := range f.Each() {
		for kind, is := range []bool{
			len(o.Dead) == 1, len(o.Dead) == 2, o.OrderMatters, !o.Proven && len(o.Loads) > 0, o.Proven && len(o.Dark) > 0,
		} {
			if is {
				kinds[kind] = append(kinds[kind], o)
			}
		}
	}
	random := rand.New(rand.NewPCG(seed, 11))
	for _, of := range kinds {
		if len(of) == 0 {
			continue
		}
		var dead []netip.Addr
		for _, n := range of[random.IntN(len(of))].Dead {
			dead = append(dead, n.Address)
		}
		if !slices.ContainsFunc(all, func(other []netip.Addr) bool { return slices.Equal(other, dead) }) {
			all = append(all, dead)
		}
	}
	return all
}

// happen lets nodes die at one time while a client asks, waits until all is at rest where that can be, and gives what was
// foretold for the order in which the log took the deaths.
func happen(w *World, f *forecast.Forecast, dead []netip.Addr) forecast.Outcome {
	w.Ledger().EachList(func(a netip.Addr, list []ledger.Incarnation) {
		if len(list) > 0 {
			w.Clients[0].Poll(a, 5*time.Millisecond)
		}
	})
	w.RunUntil(w.Now() + time.Second + w.between("forecast", stream.Range{To: 2 * w.options.Timing.Heartbeat}))
	before := w.Ledger().Sequence()
	for _, a := range dead {
		w.PowerOff(w.hostOf(a))
	}
	w.RunUntil(w.Now() + 3*w.options.Timing.Lease + time.Second)
	for end := w.Now() + time.Minute; f.Failure(dead...).Proven && w.Settled() != "" && w.Now() < end; {
		w.RunUntil(w.Now() + 50*time.Millisecond)
	}
	w.RunUntil(w.Now() + 3*time.Second) // the outcomes of requests
	return f.Failure(provenOrder(w, before, dead)...)
}

// provenOrder is that in which the log took deaths after a fact; what was given if it took none.
func provenOrder(w *World, after uint64, dead []netip.Addr) (order []netip.Addr) {
	for _, entry := range w.Stream.Entries()[after:] {
		e, err := event.Decode(entry.Record)
		if failed, is := e.(event.NodeFailed); err == nil && is && slices.Contains(dead, failed.Address) && !slices.Contains(order, failed.Address) {
			order = append(order, failed.Address)
		}
	}
	if len(order) < len(dead) {
		return dead
	}
	return order
}
