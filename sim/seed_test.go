package sim

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// TestSeed runs the one random run that VIPLOG_SEED names, and shows all of it.
func TestSeed(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv("VIPLOG_SEED"), 10, 64)
	if err != nil {
		t.Skip("VIPLOG_SEED names no seed")
	}
	c := Campaign{Options: Options{Drift: true, Nodes: int(2 + seed%3), Voters: int(1 + seed%2*2), Yield: seed%5 == 0, Notes: printed(t)}, Seed: seed, Services: 6, Trouble: 60 * time.Second}
	t.Log(c.Run())
}

// TestManySeeds runs as many random runs as VIPLOG_SEEDS says.
func TestManySeeds(t *testing.T) {
	n, err := strconv.ParseUint(os.Getenv("VIPLOG_SEEDS"), 10, 64)
	if err != nil {
		t.Skip("VIPLOG_SEEDS says no number")
	}
	for seed := range n {
		c := Campaign{Options: Options{Drift: true, Nodes: int(2 + seed%3), Voters: int(1 + seed%2*2), Yield: seed%5 == 0}, Seed: seed, Services: 6, Trouble: 60 * time.Second}
		if r := c.Run(); r.Verdict != OK {
			t.Error(seed, r.Verdict, r.Why)
		}
	}
}
