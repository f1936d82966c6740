package explore

import "testing"

// Worlds that close within seconds; docs/figures.md has the large ones.
func TestEveryStateOfSmallWorlds(t *testing.T) {
	for _, test := range []struct {
		name  string
		world World
	}{
		{"two nodes, two facts, two crashes", Ownership(OwnershipOptions{Voters: 1, Nodes: 2, Facts: 2, Crashes: 1})},
		{"two nodes, one fact, snapshots, leaving, repeated joins", Ownership(OwnershipOptions{
			Nodes: 2, Facts: 1, Crashes: 1, Snapshots: true, Leaves: true, Repeats: true,
		})},
		{"three nodes, one fact", Ownership(OwnershipOptions{Voters: 1, Nodes: 3, Facts: 1, Crashes: 1})},
		{"a voter is added", Changes(ChangesOptions{From: []string{"A"}, Then: []string{"B+"}})},
	} {
		t.Run(test.name, func(t *testing.T) {
			result := Visit(test.world, 1_000_000, nil)
			t.Log(result)
			if result.Violation != "" || !result.Complete {
				t.Error("violated, or not all was visited")
			}
		})
	}
}
