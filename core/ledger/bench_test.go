package ledger_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/event/eventtest"
	"viplog/core/ledger"
)

// The figures of docs/figures.md; `task bench` prints them. Beside the ledger runs what it replaces: a scan for the first
// free address over a map, which is told nothing but names and knows no owners.

const benchLog = "2026-01-01T00:00:00Z"

// begun is a ledger after the facts before the first Service.
func begun(nodes int) *ledger.State {
	s := ledger.New(benchLog)
	for _, e := range (eventtest.Churn{LogID: benchLog, Nodes: nodes}).Start() {
		fold(s, e)
	}
	return s
}

// arrived is a ledger with so many nodes and Services.
func arrived(nodes, services int) *ledger.State {
	s := begun(nodes)
	for i := range services {
		fold(s, eventtest.Service(i, 0))
	}
	return s
}

// fold applies a fact 10 ms after the one before.
func fold(s *ledger.State, e event.Event) []ledger.Change {
	return s.Apply(e, s.Sequence()+1, s.TimeNanos()+10_000_000)
}

// firstFree is the plain way: from the pool's first address on until one is not taken.
type firstFree struct {
	pool  netip.Prefix
	taken map[netip.Addr]string
	given map[string]netip.Addr
}

func newFirstFree(pool string) *firstFree {
	return &firstFree{pool: netip.MustParsePrefix(pool), taken: map[netip.Addr]string{}, given: map[string]netip.Addr{}}
}

func (m *firstFree) apply(name string) bool {
	for a := m.pool.Addr(); m.pool.Contains(a); a = a.Next() {
		if _, taken := m.taken[a]; !taken {
			m.taken[a], m.given[name] = name, a
			return true
		}
	}
	return false
}

func (m *firstFree) delete(name string) {
	delete(m.taken, m.given[name])
	delete(m.given, name)
}

// perOperation times two operations that undo each other; making them is not timed.
func perOperation(b *testing.B, operations func(i int) (applyOne, deleteOne func())) {
	runtime.GC()
	var applying, deleting time.Duration
	i := 0
	for b.Loop() {
		applyOne, deleteOne := operations(i)
		start := time.Now()
		applyOne()
		applied := time.Now()
		deleteOne()
		applying, deleting = applying+applied.Sub(start), deleting+time.Since(applied)
		i++
	}
	b.ReportMetric(float64(applying.Nanoseconds())/float64(i), "ns/applied")
	b.ReportMetric(float64(deleting.Nanoseconds())/float64(i), "ns/deleted")
}

func BenchmarkApplyOneService(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("ledger/%d", n), func(b *testing.B) {
			s := arrived(10, n)
			b.ReportAllocs()
			perOperation(b, func(i int) (func(), func()) {
				e := eventtest.Service(n+i, 0)
				return func() { fold(s, e) }, func() {
					fold(s, event.ServiceDeleted{Namespace: e.Namespace, Name: e.Name, Source: e.Source})
				}
			})
		})
		b.Run(fmt.Sprintf("first-free/%d", n), func(b *testing.B) {
			m := newFirstFree("10.4.0.0/14")
			for i := range n { // as they would stand: without scanning for each
				a := netip.AddrFrom4([4]byte{10, byte(4 + i>>16), byte(i >> 8), byte(i)})
				m.taken[a], m.given[fmt.Sprint(i)] = fmt.Sprint(i), a
			}
			perOperation(b, func(i int) (func(), func()) {
				name := fmt.Sprint("new", i)
				return func() { m.apply(name) }, func() { m.delete(name) }
			})
		})
	}
}

// BenchmarkFill gives out every address of a pool, and then one more, which must wait.
func BenchmarkFill(b *testing.B) {
	for _, pool := range []string{"10.4.0.0/20", "10.4.0.0/18", "10.4.0.0/16"} {
		prefix := netip.MustParsePrefix(pool)
		n := 1 << (32 - prefix.Bits())
		b.Run("ledger "+pool[len(pool)-3:], func(b *testing.B) {
			for b.Loop() {
				s := ledger.New(benchLog)
				for _, e := range (eventtest.Churn{LogID: benchLog, Nodes: 10}).Start() {
					if added, ok := e.(event.PoolAdded); ok {
						added.Addresses = []string{pool}
						e = added
					}
					fold(s, e)
				}
				for i := range n {
					fold(s, eventtest.Service(i, 0)) // the last waits: the ingressVIP is reserved
				}
				if p := s.PoolViews()[0]; !p.Available.IsZero() || p.Assigned != n-1 {
					b.Fatalf("%d of %d given, %s are free", p.Assigned, n, p.Available)
				}
			}
		})
		if n > 1<<14 {
			continue // minutes: it costs the square
		}
		b.Run("first-free "+pool[len(pool)-3:], func(b *testing.B) {
			for b.Loop() {
				m := newFirstFree(pool)
				for i := range n {
					if !m.apply(fmt.Sprint(i)) {
						b.Fatal("it is full too early")
					}
				}
			}
		})
	}
}

// BenchmarkFailOwnerOfHalf fails a node that owns 5,000 of 10,000 addresses. With ten nodes every list that it was in is
// refilled; with three there is nobody to refill with, which leaves the promotion of standbys: owners moved.
func BenchmarkFailOwnerOfHalf(b *testing.B) {
	const addresses = 10_000
	for _, test := range []struct {
		name  string
		nodes int
	}{{"owners moved and lists refilled, 10 nodes", 10}, {"owners moved, 3 nodes", 3}} {
		b.Run(test.name, func(b *testing.B) {
			s := begun(test.nodes)
			drainOthers := func(fact func(netip.Addr) event.Event) {
				for i := 1; i < test.nodes; i++ {
					fold(s, fact(eventtest.NodeAddress(i)))
				}
			}
			drainOthers(func(a netip.Addr) event.Event { return event.NodeDrained{Address: a} })
			for i := range addresses / 2 {
				fold(s, eventtest.Service(i, 0))
			}
			drainOthers(func(a netip.Addr) event.Event { return event.NodeUndrained{Address: a} })
			for i := addresses / 2; i < addresses; i++ {
				fold(s, eventtest.Service(i, 0))
			}
			first, _ := s.NodeNamed("lb-1")
			_, set := s.Voters()
			death := eventtest.Failed(benchLog, 0, first.Incarnation, set)
			for b.Loop() {
				b.StopTimer()
				copied := s.Clone()
				runtime.GC()
				b.StartTimer()
				moved := 0
				for _, change := range fold(copied, death) {
					if change.Kind == ledger.Moved && change.From == first.Address {
						moved++
					}
				}
				if moved != addresses/2 {
					b.Fatalf("%d owners moved", moved)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/death")
		})
	}
}

// BenchmarkFold folds a long log; the mean per fact is what a replica spends on each.
func BenchmarkFold(b *testing.B) {
	const n = 1_000_000
	for _, live := range []int{1_000, 10_000, 100_000} {
		churn := eventtest.Churn{LogID: benchLog, Nodes: 10, Services: live}
		facts := slices.Collect(churn.Facts(n))
		b.Run(fmt.Sprintf("decoded/1M facts, %d live", live), func(b *testing.B) {
			for b.Loop() {
				s := ledger.New(benchLog)
				rejected := 0
				for _, e := range facts {
					for _, change := range fold(s, e) {
						if change.Kind == ledger.Rejected {
							rejected++
						}
					}
				}
				if rejected > 0 {
					b.Fatalf("%d facts were rejected", rejected)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/fact")
		})
		if live != 10_000 {
			continue
		}
		records := make([]event.Record, n)
		for i, e := range facts {
			record, err := event.Encode(e)
			if err != nil {
				b.Fatal(err)
			}
			records[i] = record
		}
		b.Run("decoding/1M facts", func(b *testing.B) {
			for b.Loop() {
				for _, record := range records {
					if _, err := event.Decode(record); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/fact")
		})
	}
}

func BenchmarkSnapshotAndRestore(b *testing.B) {
	s := arrived(10, 100_000)
	snapshot := s.Snapshot()
	b.Run("snapshot of 100,000", func(b *testing.B) {
		for b.Loop() {
			if again := s.Clone().Snapshot(); again.Digest != snapshot.Digest {
				b.Fatal("another digest")
			}
		}
		b.ReportMetric(float64(len(snapshot.Data))/100_000, "encoded-B/service")
	})
	b.Run("restore of 100,000", func(b *testing.B) {
		for b.Loop() {
			if _, err := ledger.Restore(snapshot); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkBytesPerService is the heap that a ledger of 100,000 Services holds, beside that of the plain maps.
func BenchmarkBytesPerService(b *testing.B) {
	const n = 100_000
	held := func(build func() any) float64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		kept := build()
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(kept)
		return float64(after.HeapAlloc-before.HeapAlloc) / n
	}
	b.Run("ledger", func(b *testing.B) {
		for b.Loop() {
			b.ReportMetric(held(func() any { return arrived(10, n) }), "B/service")
		}
	})
	b.Run("specs alone", func(b *testing.B) {
		for b.Loop() {
			b.ReportMetric(held(func() any {
				specs := make([]event.ServiceApplied, n)
				for i := range specs {
					specs[i] = eventtest.Service(i, 0)
				}
				return specs
			}), "B/service")
		}
	})
}

// BenchmarkRebalanceAfterAPowerCycle plans for the worst start: the first node back has everything.
func BenchmarkRebalanceAfterAPowerCycle(b *testing.B) {
	for _, nodes := range []int{3, 10, 100} {
		b.Run(fmt.Sprint(nodes, " nodes, 10,000 addresses"), func(b *testing.B) {
			s := ledger.New(benchLog)
			start := (eventtest.Churn{LogID: benchLog, Nodes: nodes}).Start()
			for _, e := range start[:4] { // up to the first join
				fold(s, e)
			}
			for i := range 10_000 {
				fold(s, eventtest.Service(i, 0))
			}
			for _, e := range start[4:] {
				fold(s, e)
			}
			for b.Loop() {
				fold(s.Clone(), event.RebalanceRequested{Reason: event.RebalanceAfterStart})
			}
		})
	}
}
