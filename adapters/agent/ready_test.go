package agent

import (
	"errors"
	"testing"
	"time"

	"viplog/core/event"
)

// Whoever updates hosts one after the other goes on when the last one is ready: it has to mean that it does its part.
func TestAHostIsReadyWhileItFollowsTheLogAndItsNodeHasALease(t *testing.T) {
	c, owner := serving(t, event.ProfileDefault)
	other := c.hosts[0]
	if other == owner {
		other = c.hosts[1]
	}
	p := other.runs.Load()
	ready := func() error { return p.node.Ready(t.Context()) }
	c.until("the node is ready", 10*time.Second, func() bool { return ready() == nil })
	if err := errors.Join(p.voter.Ready(t.Context()), p.controller.Ready(t.Context())); err != nil {
		t.Error(err)
	}
	other.cut.Store(true)
	c.until("the node that is cut off is not", 5*time.Second, func() bool { return errors.Is(ready(), errNoLease) })
	if err := p.voter.Ready(t.Context()); err != nil {
		t.Errorf("a voter that follows the log: %v", err)
	}
	other.cut.Store(false)
	c.until("it is again", 10*time.Second, func() bool { return ready() == nil })
}

func TestNobodyIsReadyWhoDoesNotFollowTheLog(t *testing.T) {
	for name, err := range map[string]error{
		"a node":       NewNode(NodeConfig{}).Ready(t.Context()),
		"a controller": NewController(ControllerConfig{}).Ready(t.Context()),
	} {
		if !errors.Is(err, errBegins) {
			t.Errorf("%s that has not begun: %v", name, err)
		}
	}
	if err := (&follower{stuck: true}).ready(); !errors.Is(err, errStuck) {
		t.Errorf("one that has met a fact which it cannot read: %v", err)
	}
}
