package sim

import (
	"slices"

	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/trace"
)

// stored folds what the log stores. No address may move from a node that nothing has happened to.
func (a *Audit) stored(e log.Entry) {
	changes := a.ledger.ApplyEntry(e)
	a.countMembers()
	a.world.showDataPlanes(e.Sequence)
	a.world.tell("log", trace.Note{Kind: trace.Appended, Sequence: e.Sequence, Text: e.Type + " " + e.Entity})
	for _, c := range changes {
		switch {
		case c.Kind == ledger.Rejected:
			a.world.tell("log", trace.Note{Kind: trace.Refused, Sequence: e.Sequence, Text: c.Reason})
		case c.Kind == ledger.Moved && c.From.IsValid():
			a.Moves++
			if _, _, runs := a.ledger.Running(c.From); runs && slices.Contains(unmoving, e.Type) {
				a.violate("moves", "%s moved from %s, which runs, by %s", c.Address, c.From, e.Type)
			}
		}
	}
}

// unmoving are the facts that move addresses only from a node that has gone.
var unmoving = []string{
	"viplog.NodeFailed.v1", "viplog.NodeLeft.v1", "viplog.ServiceDeleted.v1",
	"viplog.NodeUndrained.v1", "viplog.PoolAdded.v1", "viplog.VoterAdded.v1", "viplog.VoterRemoved.v1",
	"viplog.VotersSettled.v1",
}

func (a *Audit) countMembers() {
	var version uint64
	a.members, version = a.ledger.Voters()
	a.sets[version] = len(a.members)
	for _, m := range a.members {
		a.counted[m.ID] = true
	}
}
