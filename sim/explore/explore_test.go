package explore

import (
	"maps"
	"testing"

	"viplog/core/lease"
)

// Worlds that close within seconds; docs/figures.md has the large ones.
func TestEveryStateOfSmallWorlds(t *testing.T) {
	for _, test := range []struct {
		name  string
		world World
	}{
		{"two nodes, two facts, one crash", Ownership(OwnershipOptions{Voters: 1, Nodes: 2, Facts: 2, Crashes: 1})},
		{"two nodes, one fact, snapshots, leaving, repeated joins", Ownership(OwnershipOptions{
			Voters: 1, Nodes: 2, Facts: 1, Crashes: 1, Snapshots: true, Leaves: true, Repeats: true,
		})},
		{"two nodes, three voters, one fact", Ownership(OwnershipOptions{Voters: 3, Nodes: 2, Facts: 1, Crashes: 1})},
		{"three nodes, one fact", Ownership(OwnershipOptions{Voters: 1, Nodes: 3, Facts: 1, Crashes: 1})},
		{"two nodes and three voters in real time", Quorum(QuorumOptions{Nodes: 2, Voters: 3})},
		{"a voter is added", Changes(ChangesOptions{From: []string{"A"}, Then: []string{"B+"}})},
	} {
		t.Run(test.name, func(t *testing.T) {
			result := Visit(t.Context(), test.world, 1_000_000, nil)
			t.Log(result)
			if result.Violation != "" || !result.Complete {
				t.Error("violated, or not all was visited")
			}
		})
	}
}

// States whose canonical bytes are the same are visited once: so the same must be possible in them.
func TestStatesThatCountAsOneBehaveAlike(t *testing.T) {
	for name, start := range map[string]World{
		"lease":  Leases(LeaseOptions{Voters: 1, Restarts: 1, Timing: small}),
		"quorum": Quorum(QuorumOptions{Nodes: 2, Voters: 1, Facts: 1}),
		"voters": Ownership(OwnershipOptions{Voters: 3, Nodes: 2, Facts: 1, Crashes: 1}),
		"nodes":  Ownership(OwnershipOptions{Voters: 1, Nodes: 2, Facts: 1, Crashes: 1, Snapshots: true, Leaves: true, Repeats: true}),
		"change": Changes(ChangesOptions{From: []string{"A"}, Then: []string{"B+"}, Restarts: 1}),
	} {
		first := map[[16]byte]World{key(&lease.Canon{}, start): start}
		merged := 0
		for queue := []World{start}; len(queue) > 0 && merged < 500; queue = queue[1:] {
			for _, step := range queue[0].Steps() {
				next := step.Do()
				before, known := first[key(&lease.Canon{}, next)]
				if !known {
					first[key(&lease.Canon{}, next)] = next
					queue = append(queue, next)
					continue
				}
				merged++
				if after := possible(before); !maps.Equal(after, possible(next)) {
					t.Fatalf("%s: after %q a state counts as one that it is not", name, step.Name)
				}
			}
		}
	}
}

// possible are the states that can be next.
func possible(w World) map[[16]byte]bool {
	all := map[[16]byte]bool{}
	for _, step := range w.Steps() {
		all[key(&lease.Canon{}, step.Do())] = true
	}
	return all
}
