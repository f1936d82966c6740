package ledger

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"viplog/core/event"
)

func TestWhatIsSaidOfDataPlanes(t *testing.T) {
	s := running(2)
	other := declared("web")
	apply(s, other)
	shown := declared("api")
	shown.Source = event.SourceKubernetes
	apply(s, shown)
	for _, name := range []string{"web", "api"} {
		v, _ := s.service(ServiceKey{"default", name})
		e, _ := s.ExplainAddress(v.addresses[0])
		waits := slices.ContainsFunc(e.Steps, func(step Step) bool { return step.Rule == "data plane" })
		if is := name == "api"; waits != is || s.IsUsedBy(v.addresses[0], event.SourceKubernetes) != is {
			t.Errorf("%s may have waited for a data plane: %t", name, waits)
		}
	}

	// One of two names no interfaces, as it does when its data plane is dead.
	var nodes []netip.Addr
	for _, n := range s.nodes.rows {
		nodes = append(nodes, n.address)
	}
	who, _, _ := s.Running(nodes[0])
	apply(s, event.NodeChanged{Address: nodes[0], Incarnation: who.Join, Interfaces: []event.Interface{}})
	if s.OthersMayAnnounce(nodes[1]) || !s.OthersMayAnnounce(nodes[0]) {
		t.Error("it counts as one that may announce, or the other does not")
	}
	v, _ := s.service(ServiceKey{"default", "web"})
	e, _ := s.ExplainAddress(v.addresses[0])
	if !slices.ContainsFunc(e.Steps, func(step Step) bool { return strings.Contains(step.Detail, reasonNamesNone) }) {
		t.Errorf("it is not said why it is no candidate: %+v", e.Steps)
	}
	apply(s, event.NodeDrained{Address: nodes[1]})
	if s.OthersMayAnnounce(nodes[0]) {
		t.Error("a drained node counts as one that may announce")
	}
}
