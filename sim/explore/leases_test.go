package explore

import (
	"testing"

	"viplog/core/lease"
)

// small is a pace of few deadlines: what matters is their order.
var small = lease.Timing{Heartbeat: 200_000_000, Lease: 400_000_000}

func TestTheLemmaHoldsInEveryStateOfSmallWorlds(t *testing.T) {
	for _, test := range []struct {
		name    string
		options LeaseOptions
		limit   int
	}{
		{"one voter, one restart", LeaseOptions{Voters: 1, Restarts: 1, Timing: small}, 300_000},
		{"one voter, skewed clocks", LeaseOptions{Voters: 1, Restarts: 1, Skewed: true, Timing: small}, 50_000},
		{"three voters", LeaseOptions{Voters: 3, Timing: small}, 10_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			result := Explore(Leases(test.options), test.limit, nil)
			t.Log(result)
			if result.Violation != "" {
				t.Error("violated")
			}
		})
	}
}
