package sim

import (
	"fmt"
	"runtime/debug"
	"testing"
	"time"

	"viplog/sim/kernel"
)

// BenchmarkSimulate says how much faster than time worlds at rest and in trouble are, all auditors on.
func BenchmarkSimulate(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(1600)) // as campaigns of `viplog sim run` have it
	for _, size := range []struct{ nodes, addresses int }{{5, 20}, {50, 1000}} {
		b.Run(fmt.Sprintf("nodes=%d,addresses=%d", size.nodes, size.addresses), func(b *testing.B) {
			w := New(kernel.NewSeeded(1), Options{Nodes: size.nodes, Clients: 1, Pool: "10.1.0.0/20", Drift: true})
			w.RunUntil(2 * time.Second)
			for i := range size.addresses {
				w.Append(Service(fmt.Sprint("web-", i)))
			}
			w.RunUntil(60 * time.Second)
			if why := w.Audit.Converged(); why != "" {
				b.Fatal(why)
			}
			from, events := w.Now(), w.Happened()
			for b.Loop() {
				w.RunUntil(w.Now() + time.Second)
			}
			b.ReportMetric((w.Now()-from).Seconds()/b.Elapsed().Seconds(), "virtual/wall")
			b.ReportMetric(float64(w.Happened()-events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
