package event

import (
	"slices"
	"strings"
)

// Who appends a type of fact: the values of Type.By.
const (
	ByOperator = byOperator
	ByControl  = byControl
	ByNode     = byNode
)

// KindsOf lists the kinds of entities that facts of one of Type.By are about, sorted. A kind is of two of
// them only if each of its facts is.
func KindsOf(by string) []string {
	var kinds []string
	for _, f := range forms {
		if f.by == by || f.also == by {
			kind, _, _ := strings.Cut(f.zero.Entity(), ".")
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// NodeEntities are the entities that the facts of one node are about. The second is a prefix: further tokens follow it.
func NodeEntities(address string) (itself, conflicts string) {
	return entity(kindNode, address), entity(kindConflict, address)
}
