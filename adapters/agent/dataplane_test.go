package agent

import (
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/node"
)

func TestANodeFollowsItsDataPlane(t *testing.T) {
	c, owner := serving(t, event.ProfileDefault)
	list, _ := c.state().List(vip)
	standby := c.host(list[1].Node)

	// A host that was down joins when its data plane has served.
	standby.kill()
	c.until("it is out", 5*time.Second, func() bool { return len(c.state().Live()) == 2 })
	standby.plane = node.DataPlane{State: node.DataPlaneStarting}
	standby.start()
	time.Sleep(2 * time.Second)
	if n := len(c.state().Live()); n != 2 {
		t.Fatalf("%d nodes have joined, and one has to wait for its data plane", n)
	}
	standby.runs.Load().node.DataPlane(node.ServesThrough(node.ServesAll))
	c.until("it joins", 5*time.Second, func() bool { return len(c.state().Live()) == 3 })

	// The owner's dies: another one answers, and the owner goes on as it is.
	owner.runs.Load().node.DataPlane(node.DataPlane{State: node.DataPlaneDead})
	c.until("another node answers", 5*time.Second, func() bool {
		now := c.answering()
		return len(now) == 1 && now[0] != owner
	})
	if n := len(c.state().InterfacesOf(owner.address)); n != 0 || len(c.state().Live()) != 3 {
		t.Errorf("it has %d interfaces by the log, and %d nodes have joined", n, len(c.state().Live()))
	}
	owner.runs.Load().node.DataPlane(node.ServesThrough(node.ServesAll))
	c.until("it is a candidate again", 5*time.Second, func() bool { return len(c.state().InterfacesOf(owner.address)) == 1 })
}
