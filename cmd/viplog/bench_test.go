package main

import (
	"fmt"
	"testing"

	"viplog/adapters/replica"
	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/event/eventtest"
	"viplog/core/ledger"
)

// BenchmarkExplainAndPlan asks a ledger of 100,000 Services what a person would: loading it is not timed.
func BenchmarkExplainAndPlan(b *testing.B) {
	const n = 100_000
	s := ledger.New("bench")
	apply := func(e event.Event) { s.Apply(e, s.Sequence()+1, s.TimeNanos()+1) }
	for _, e := range (eventtest.Churn{LogID: "bench", Nodes: 10}).Start() {
		apply(e)
	}
	for i := range n {
		apply(eventtest.Service(i, 0))
	}
	for _, subject := range [][2]string{{"service", "team-7/web-7"}, {"address", "10.4.0.8"}, {"node", "lb-1"}, {"pool", "a"}} {
		b.Run("explain "+subject[0], func(b *testing.B) {
			for b.Loop() {
				if _, err := explanationOf(s, subject[0], subject[1]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, more := range []int{1, 1000} {
		w := wanted{services: control.Observed{Source: sourceApply, Partial: true}}
		for i := range more {
			w.services.Services = append(w.services.Services, control.Service{Namespace: "new", Name: fmt.Sprint("web-", i)})
		}
		b.Run(fmt.Sprintf("plan %d Services", more), func(b *testing.B) {
			for b.Loop() {
				plan, err := planOf(s, w)
				if err != nil || len(plan.Changes) != 2*more {
					b.Fatal(len(plan.Changes), err)
				}
			}
		})
	}
	settings := event.DefaultSettings()
	settings.Pools = []event.PoolSettings{{Name: "a", OnEdit: event.OnEditEvict}}
	edited := event.PoolEdited{Pool: event.Pool{Name: "a", Addresses: []string{"10.5.0.0/16", "10.6.0.0/16"}}}
	b.Run("plan an edit that evicts 65,536 addresses", func(b *testing.B) {
		for b.Loop() {
			if _, err := replica.Rehearse(s.Clone(), []event.Event{settings, edited}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("plan a drain of one node", func(b *testing.B) {
		for b.Loop() {
			if _, err := replica.Rehearse(s.Clone(), []event.Event{event.NodeDrained{Address: eventtest.NodeAddress(0)}}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
