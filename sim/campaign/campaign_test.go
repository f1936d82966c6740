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

// TestShrinkSeed shows the smallest scenario that fails as the one of the seed that VIPLOG_SEED names.
func TestShrinkSeed(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv("VIPLOG_SEED"), 10, 64)
	if err != nil {
		t.Skip("VIPLOG_SEED names no seed")
	}
	shrunk, err := Shrink(t.Context(), "seed", Script(seed, Options{}), nil, scenario.Seeded, nil)
	t.Logf("%v\n%d runs\n%s", err, shrunk.Runs, shrunk.File("seed"))
}
