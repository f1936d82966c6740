package explore

import "testing"

func TestOwnershipIsExclusiveInEveryStateOfSmallWorlds(t *testing.T) {
	for _, test := range []struct {
		name    string
		options OwnershipOptions
		limit   int
	}{
		{"two nodes, three facts", OwnershipOptions{Nodes: 2, Facts: 3, Crashes: 2}, 50_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			result := Explore(Ownership(test.options), test.limit, nil)
			t.Log(result)
			if result.Violation != "" {
				t.Error("violated")
			}
		})
	}
}
