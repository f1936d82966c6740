package campaign

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"testing"

	"viplog/sim/scenario"
)

// TestManySeeds runs as many random runs as VIPLOG_SEEDS says, 30 by default.
func TestManySeeds(t *testing.T) {
	n, err := strconv.ParseUint(os.Getenv("VIPLOG_SEEDS"), 10, 64)
	if err != nil {
		n = 30
	}
	RunSeeds(context.Background(), 1, n, runtime.GOMAXPROCS(0), Options{}, scenario.Seeded, func(r Run) {
		if r.Failed() {
			t.Errorf("seed %d: %s %s (line %d)\n%s", r.Seed, r.Result.Verdict, r.Result.Why, r.Result.Line, r.Result.Stack)
		}
	})
}
