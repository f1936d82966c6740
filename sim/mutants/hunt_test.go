package main

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"viplog/core/lease"
	"viplog/sim/campaign"
	"viplog/sim/explore"
	"viplog/sim/scenario"
)

// hunt looks for the harm that a mutation does.
type hunt struct {
	name string
	look func() (found string, trace []string)
}

// hunts are the quick ones, quickest first, and the long ones: those hunt what neither the quick ones nor the tests have found.
var hunts = map[string][]hunt{
	"quick": {
		{"a lease, 1 voter, 1 restart", leases(explore.LeaseOptions{Voters: 1, Restarts: 1, Timing: coarse}, 2_000)},
		{"a lease, 1 voter, clocks as far apart as they may be", leases(explore.LeaseOptions{Voters: 1, Restarts: 1, Skewed: true, Timing: coarse}, 3_000)},
		{"a planned move to a node that reads the log late", lateMove},
		{"a planned move while the log of a standby hangs", hungMove},
		{"an owner without a lease hears its successor", silenced},
		{"a lonely node without a lease", lonelyHold},
		{"an owner that is cut off from everything", whollyCut},
		{"a voter that crashes when its vote is heard", forgetfulVoter},
		{"2 nodes, 1 fact, snapshots, leaving, repeats", ownership(explore.OwnershipOptions{
			Voters: 1, Nodes: 2, Facts: 1, Crashes: 1, Snapshots: true, Leaves: true, Repeats: true,
		}, 5_000)},
		{"2 nodes, 2 facts", ownership(explore.OwnershipOptions{Voters: 1, Nodes: 2, Facts: 2, Crashes: 1}, 10_000)},
		{"2 nodes, 3 voters, 1 fact", ownership(explore.OwnershipOptions{Voters: 3, Nodes: 2, Facts: 1, Crashes: 1}, 5_000)},
		{"voters A, B added", changes(explore.ChangesOptions{From: []string{"A"}, Then: []string{"B+"}}, 8_000)},
		{"voters A, B added, A removed", changes(explore.ChangesOptions{From: []string{"A"}, Then: []string{"B+", "A-"}}, 4_000)},
		{"voters A, B added, A removed, 1 restart", changes(explore.ChangesOptions{From: []string{"A"}, Then: []string{"B+", "A-"}, Restarts: 1}, 2_000)},
	},
	"long": {
		{"2 nodes, 3 voters in real time", quorum(explore.QuorumOptions{Nodes: 2, Voters: 3, Crashes: 1, Restarts: 1}, 10_000)},
		{"random runs", campaigns},
		{"2 nodes, 3 facts", ownership(explore.OwnershipOptions{Voters: 1, Nodes: 2, Facts: 3, Crashes: 1}, 60_000)},
		{"2 nodes, 2 facts, snapshots, leaving, repeats", ownership(explore.OwnershipOptions{
			Voters: 1, Nodes: 2, Facts: 2, Crashes: 1, Snapshots: true, Leaves: true, Repeats: true,
		}, 60_000)},
		{"voters A, B added, A removed, 1 restart", changes(explore.ChangesOptions{From: []string{"A"}, Then: []string{"B+", "A-"}, Restarts: 1}, 40_000)},
	},
}

// coarse is a pace of few deadlines: what matters is their order.
var coarse = lease.Timing{Heartbeat: 200 * time.Millisecond, Lease: 400 * time.Millisecond}

func leases(o explore.LeaseOptions, limit int) func() (string, []string) {
	return func() (string, []string) { return explored(explore.Leases(o), limit) }
}

func ownership(o explore.OwnershipOptions, limit int) func() (string, []string) {
	return func() (string, []string) { return explored(explore.Ownership(o), limit) }
}

func quorum(o explore.QuorumOptions, limit int) func() (string, []string) {
	return func() (string, []string) { return explored(explore.Quorum(o), limit) }
}

func changes(o explore.ChangesOptions, limit int) func() (string, []string) {
	return func() (string, []string) { return explored(explore.Changes(o), limit) }
}

func explored(world explore.World, limit int) (string, []string) {
	r := explore.Explore(world, limit, nil)
	if r.Violation == "" {
		return "", nil
	}
	return fmt.Sprintf("%s; %d steps, %d states", r.Violation, len(r.Trace), r.States), r.Trace
}

func campaigns() (string, []string) {
	for seed := range uint64(80) {
		r := campaign.RunSeed(context.Background(), seed, campaign.Options{}, scenario.Seeded)
		if r.Failed() {
			return fmt.Sprintf("seed %d: %s", seed, r.Result.Why), nil
		}
	}
	return "", nil
}

// TestHunt fails with what it finds: on the code as it is, nothing.
func TestHunt(t *testing.T) {
	chosen := os.Getenv("VIPLOG_HUNT")
	if chosen == "" {
		t.Skip("only task mutants hunts")
	}
	for _, hunt := range hunts[chosen] {
		found, trace := func() (found string, trace []string) {
			defer func() {
				if p := recover(); p != nil {
					found = fmt.Sprint("panic: ", p)
				}
			}()
			return hunt.look()
		}()
		if found == "" {
			continue
		}
		fmt.Printf("FOUND\t%s\t%s\n", hunt.name, found)
		for _, step := range trace {
			fmt.Printf("STEP\t%s\n", step)
		}
		t.FailNow()
	}
}
