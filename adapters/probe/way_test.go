//go:build linux

package probe

import (
	"testing"

	"github.com/vishvananda/netlink"
)

func TestAnEntryIsDeletedWhenNothingWaitsInIt(t *testing.T) {
	type look struct {
		state      int
		unanswered bool
		held       bool
	}
	for name, looks := range map[string][]look{
		"nobody answers":              {{netlink.NUD_INCOMPLETE, true, true}, {netlink.NUD_INCOMPLETE, true, true}},
		"all is answered":             {{netlink.NUD_REACHABLE, false, false}},
		"resolved a moment ago":       {{netlink.NUD_INCOMPLETE, true, true}, {netlink.NUD_REACHABLE, true, true}, {netlink.NUD_REACHABLE, true, false}},
		"resolved and all answered":   {{netlink.NUD_INCOMPLETE, true, true}, {netlink.NUD_REACHABLE, false, false}},
		"who is in the cache is dead": {{netlink.NUD_STALE, true, true}, {netlink.NUD_DELAY, true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			var n neighbour
			for i, l := range looks {
				if held := n.mayHoldRequests(l.state, l.unanswered); held != l.held {
					t.Errorf("look %d, state %d, unanswered %v: requests may be held: %v", i, l.state, l.unanswered, held)
				}
			}
		})
	}
}
