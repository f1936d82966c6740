package event

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestEveryKindHasOneWhoAppendsIt(t *testing.T) {
	seen, also := map[string]string{}, map[string]string{}
	for _, of := range Types() {
		if kind, _, _ := strings.Cut(of.Zero.Entity(), "."); of.Also != "" {
			also[kind] = of.Also
		}
	}
	for _, by := range []string{ByOperator, ByControl, ByNode} {
		kinds := KindsOf(by)
		if len(kinds) == 0 {
			t.Errorf("%s appends nothing", by)
		}
		for _, kind := range kinds {
			if by == also[kind] {
				continue
			}
			if other, twice := seen[kind]; twice {
				t.Errorf("%s is appended by %s and by %s: one subject prefix cannot be one permission", kind, other, by)
			}
			seen[kind] = by
		}
	}
	for _, of := range Types() {
		kind, _, _ := strings.Cut(of.Zero.Entity(), ".")
		if seen[kind] != of.By || also[kind] != of.Also {
			t.Errorf("%s is of %s, its kind %s of %s", of.Name, of.By, kind, seen[kind])
		}
	}
}

func TestANodesFactsLieUnderItsEntities(t *testing.T) {
	a, vip := netip.MustParseAddr("10.200.0.5"), netip.MustParseAddr("10.200.0.72")
	itself, conflicts := NodeEntities(a.String())
	if got := KindsOf(ByNode); !slices.Equal(got, []string{"conflict", "node"}) {
		t.Fatalf("a node's kinds are %q: NodeEntities does not know them", got)
	}
	for _, e := range []Event{NodeJoined{Address: a}, NodeChanged{Address: a}, NodeLeft{Address: a}} {
		if e.Entity() != itself {
			t.Errorf("%T is about %s, not %s", e, e.Entity(), itself)
		}
	}
	for _, e := range []Event{VIPConflictSeen{Node: a, Address: vip}, VIPConflictCleared{Node: a, Address: vip}} {
		if e.Entity() != conflicts+"."+EscapeToken(vip.String()) {
			t.Errorf("%T is about %s, which is not below %s", e, e.Entity(), conflicts)
		}
	}
}
