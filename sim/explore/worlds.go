package explore

// Named is a small world that is visited whole.
type Named struct {
	Name string
	Says string
	New  func() World
}

// Worlds are those that `viplog sim explore` visits, the quickest first. Facts and crashes count from a cluster at rest whose
// nodes have joined and whose one Service has its address.
func Worlds() []Named {
	owned := func(o OwnershipOptions) func() World { return func() World { return Ownership(o) } }
	timed := func(o QuorumOptions) func() World { return func() World { return Quorum(o) } }
	changed := func(o ChangesOptions) func() World { return func() World { return Changes(o) } }
	return []Named{
		{"lease", "one incarnation and one voter that may restart, in real time", func() World {
			return Leases(LeaseOptions{Voters: 1, Restarts: 1, Timing: changesTiming})
		}},
		{"snapshots", "2 nodes, 2 facts, 1 crash; nodes go on from snapshots, leave, and joins are stored twice", owned(OwnershipOptions{
			Voters: 1, Nodes: 2, Facts: 2, Crashes: 1, Snapshots: true, Leaves: true, Repeats: true,
		})},
		{"crashes", "2 nodes, 2 facts, 2 crashes and rejoins", owned(OwnershipOptions{Voters: 1, Nodes: 2, Facts: 2, Crashes: 2})},
		{"quorum", "2 nodes, 3 voters, 1 crash, in real time, whatever links between them carry", timed(QuorumOptions{
			Nodes: 2, Voters: 3, Crashes: 1,
		})},
		{"quorum-facts", "2 nodes, 1 voter, 1 fact, 1 crash, in real time, whatever links between them carry", timed(QuorumOptions{
			Nodes: 2, Voters: 1, Facts: 1, Crashes: 1,
		})},
		{"voter-added", "the voters become A, B under one incarnation's lease", changed(ChangesOptions{From: []string{"A"}, Then: []string{"B+"}})},
		{"voter-restarted", "the voters become A, B; one of them restarts", changed(ChangesOptions{From: []string{"A"}, Then: []string{"B+"}, Restarts: 1})},
		{"voter-replaced", "the voters become A, B, then B", changed(ChangesOptions{From: []string{"A"}, Then: []string{"B+", "A-"}})},
		{"quorum-restarted", "2 nodes, 3 voters, 1 crash, and a voter that restarts", timed(QuorumOptions{
			Nodes: 2, Voters: 3, Crashes: 1, Restarts: 1,
		})},
		{"three-voters", "2 nodes, 3 voters, 3 facts; nodes that are voted dead join again", owned(OwnershipOptions{Voters: 3, Nodes: 2, Facts: 3})},
		{"three-nodes", "3 nodes, 3 facts, 1 crash", owned(OwnershipOptions{Voters: 1, Nodes: 3, Facts: 3, Crashes: 1})},
		{"five-facts", "2 nodes, 5 facts, 1 crash and rejoin", owned(OwnershipOptions{Voters: 1, Nodes: 2, Facts: 5, Crashes: 1})},
	}
}
