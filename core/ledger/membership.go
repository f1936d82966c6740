package ledger

import (
	"fmt"
	"slices"
)

// An incarnation is out when the log says that it left or failed. A join of its node, or the cluster file that drops the
// node, ends it in all lists and does not put it out: the process may still run somewhere, and announce. Until it is out
// the ownership protocol counts on it.

// Live lists the incarnations that are not out, by node and join: those that run, and those that linger.
func (s *State) Live() []Member {
	all := slices.Clone(s.lingering)
	for _, n := range s.nodes.rows {
		if n.status == nodeJoined {
			all = append(all, Member{n.address, n.incarnation})
		}
	}
	slices.SortFunc(all, Member.compare)
	return all
}

func (f *fold) linger(n *node) {
	who := Member{n.address, n.incarnation}
	i, _ := slices.BinarySearchFunc(f.lingering, who, Member.compare)
	f.lingering = slices.Insert(slices.Clone(f.lingering), i, who)
}

func (s *State) isLingering(who Member) bool {
	_, found := slices.BinarySearchFunc(s.lingering, who, Member.compare)
	return found
}

func (f *fold) putOut(who Member, reason string) {
	f.lingering = slices.DeleteFunc(slices.Clone(f.lingering), func(m Member) bool { return m == who })
	f.add(Change{Kind: NodeChanged, Node: who.Node, Reason: fmt.Sprintf("its older incarnation %d %s", who.Incarnation, reason)})
}
