package sim

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"viplog/core/lease"
	"viplog/sim/kernel"
	"viplog/sim/segment"
)

// BenchmarkBlackHole prints for how long a client that asks every 5 ms gets no answer, over as many seeds as there are iterations
// (-benchtime 200x).
func BenchmarkBlackHole(b *testing.B) {
	for _, profile := range []struct {
		name   string
		timing lease.Timing
	}{{"default", lease.Default}, {"fast", lease.Fast}} {
		for _, fault := range []struct {
			name string
			do   func(*World, *Host)
		}{
			{"power loss", (*World).PowerOff},
			{"power loss of the log's leader", func(w *World, h *Host) {
				w.PowerOff(h)
				w.Stream.LeaderGone(8 * time.Second)
			}},
			{"link cut", func(w *World, h *Host) {
				w.Isolate(h)
				h.port.Cut(segment.Both)
			}},
		} {
			b.Run(profile.name+"/"+fault.name, func(b *testing.B) {
				var gaps []time.Duration
				for seed := uint64(1); b.Loop(); seed++ {
					w, addr, owner := announced(b, seed, Options{Timing: profile.timing})
					w.Clients[0].Poll(addr, 5*time.Millisecond)
					w.RunUntil(w.Now() + time.Second + w.between("figures", longerThanHeartbeat))
					fault.do(w, owner)
					w.RunUntil(w.Now() + 4*time.Second)
					gap, _ := w.Audit.Darkest(addr)
					gaps = append(gaps, gap)
					noViolation(b, w)
				}
				report(b, gaps, "dark")
			})
		}
	}
}

// BenchmarkHandOver prints what clients see of a planned move: how many requests are lost of one client whose cache is warm and
// of one that asks for the MAC before each request, and the longest time between two answers to the latter.
func BenchmarkHandOver(b *testing.B) {
	var gaps []time.Duration
	lost := 0
	for seed := uint64(1); b.Loop(); seed++ {
		w, addr, owner := announced(b, seed, Options{Clients: 2})
		warm, cold := w.Clients[0], w.Clients[1]
		warm.Poll(addr, 5*time.Millisecond)
		var ask func()
		ask = func() {
			cold.Flush()
			cold.Request(addr)
			w.After(5*time.Millisecond, ask)
		}
		ask()
		w.RunUntil(w.Now() + time.Second + w.between("figures", longerThanHeartbeat))
		if seed%2 == 0 {
			w.Leave(owner)
		} else {
			w.Append(drained(owner))
		}
		w.RunUntil(w.Now() + 4*time.Second)
		gap, n := w.Audit.Darkest(addr)
		gaps, lost = append(gaps, gap), lost+n
		if list, _ := w.Ledger().List(addr); list[0].Node == owner.Address {
			b.Fatal("the address did not move")
		}
		noViolation(b, w)
	}
	b.ReportMetric(float64(lost), "lost-requests")
	report(b, gaps, "gap")
}

// announced is a world in which an address is announced by its owner, and all is at rest.
func announced(tb testing.TB, seed uint64, o Options) (w *World, addr netip.Addr, owner *Host) {
	tb.Helper()
	o.Drift, o.Clients = true, max(o.Clients, 1)
	w = New(kernel.NewSeeded(seed), o)
	w.RunUntil(2 * time.Second)
	for i := range 3 {
		w.Append(Service(fmt.Sprint("web-", i)))
	}
	w.RunUntil(10 * time.Second)
	if why := w.Audit.Converged(); why != "" {
		tb.Fatalf("seed %d: %s", seed, why)
	}
	addr = netip.MustParseAddr("192.0.2.0")
	list, _ := w.Ledger().List(addr)
	return w, addr, w.hostOf(list[0].Node)
}

func noViolation(tb testing.TB, w *World) {
	tb.Helper()
	if len(w.Audit.Violations) > 0 {
		tb.Fatal(w.Audit.Violations)
	}
}

// report prints the median and the extremes.
func report(b *testing.B, all []time.Duration, what string) {
	slices.SortFunc(all, cmp.Compare[time.Duration])
	milliseconds := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(milliseconds(all[0]), what+"-min-ms")
	b.ReportMetric(milliseconds(all[len(all)/2]), what+"-median-ms")
	b.ReportMetric(milliseconds(all[len(all)-1]), what+"-max-ms")
	b.ReportMetric(0, "ns/op")
}
