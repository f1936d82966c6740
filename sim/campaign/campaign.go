// Package campaign looks for what is wrong by chance: it makes scenarios of random trouble from seeds, runs them, counts what they
// have reached, and makes of each that fails the smallest one that fails alike. A seed is worth something for one version of the
// code; the scenario stays.
package campaign

import (
	"context"
	"sync"
	"time"

	"viplog/sim"
	"viplog/sim/scenario"
)

// Options is what the runs of a campaign are like. What is zero each seed chooses by itself.
type Options struct {
	Nodes     int
	Voters    int
	Services  int
	Trouble   time.Duration // how long a run has trouble; zero: a minute
	Profile   string
	Isolation string
}

// Run is the run of one seed, done twice.
type Run struct {
	Seed     uint64
	Script   string // the scenario, which has the same trace by itself
	Scenario *scenario.Scenario
	Result   scenario.Result
	Marks    []string // that it has hit
}

// RunSeed runs the scenario of a seed.
func RunSeed(ctx context.Context, seed uint64, o Options, choose scenario.Chooser) Run {
	r := Run{Seed: seed, Script: Script(seed, o)}
	s, err := scenario.Parse("seed", []byte(r.Script), nil)
	if err != nil {
		panic("campaign: a seed's script is no scenario: " + err.Error())
	}
	r.Scenario = s
	r.Result = s.Run(ctx, choose)
	r.Marks = MarksOf(r.Result.Timeline)
	return r
}

// RunSeeds runs the seeds from one to another on so many processors, and gives each run to each, one at a time, in no order.
func RunSeeds(ctx context.Context, from, to uint64, jobs int, o Options, choose scenario.Chooser, each func(Run)) {
	next := make(chan uint64)
	var lock sync.Mutex
	var workers sync.WaitGroup
	for range jobs {
		workers.Go(func() {
			for seed := range next {
				r := RunSeed(ctx, seed, o, choose)
				lock.Lock()
				each(r)
				lock.Unlock()
			}
		})
	}
	for seed := from; seed <= to && ctx.Err() == nil; seed++ {
		select {
		case next <- seed:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
}

// Failed tells whether a run shows that something is wrong: not that it was stopped, or that an assumption was broken.
func (r Run) Failed() bool {
	return r.Result.Verdict == sim.Violates || r.Result.Verdict == scenario.NotDeterministic
}
