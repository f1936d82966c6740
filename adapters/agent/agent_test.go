package agent

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
)

var vip = netip.MustParseAddr("10.0.0.100")

// serving starts a cluster whose one Service is answered for, and gives its owner.
func serving(t *testing.T, profile string) (*cluster, *host) {
	c := newCluster(t, profile, 3)
	c.append(event.ServiceApplied{
		Namespace: "default", Name: "web", Source: "test", UID: "1", Families: []string{event.FamilyIPv4}, FamilyPolicy: event.SingleStack,
		TrafficPolicy: event.TrafficCluster, Ports: []event.Port{{Protocol: "TCP", Port: 80}},
	})
	c.until("three voters, and one node answers", 20*time.Second, func() bool {
		members, _ := c.state().Voters()
		_, former := c.state().FormerVoters()
		return len(members) == 3 && former == 0 && len(c.answering()) == 1
	})
	return c, c.answering()[0]
}

func (c *cluster) answering() []*host {
	return slices.DeleteFunc(slices.Clone(c.hosts), func(h *host) bool { return !h.answers(vip) })
}

func TestAnAddressMovesWhenItsOwnerIsCutOff(t *testing.T) {
	c, owner := serving(t, event.ProfileDefault)
	before, _ := c.state().List(vip)
	owner.cut.Store(true)
	took := c.until("the first standby answers", 2*time.Second, func() bool { return c.host(before[1].Node).answers(vip) })
	t.Logf("after %s", took)
	if least, _ := lease.Default.Suspicion(); took < least-lease.Default.Heartbeat {
		t.Errorf("it answered %s after the cut, before the lease of the owner can have ended", took)
	}
	c.until("the log says that it failed", 2*time.Second, func() bool { return len(c.state().Live()) == 2 })
	owner.cut.Store(false)
	c.until("the node that failed has joined anew, and nothing has moved", 10*time.Second, func() bool {
		list, _ := c.state().List(vip)
		return len(c.state().Live()) == 3 && list[0] == before[1]
	})
}

func TestANodeThatLeavesHandsOver(t *testing.T) {
	c, owner := serving(t, event.ProfileDefault)
	p := owner.runs.Load()
	p.node.Leave()
	lastAnswered, longest := time.Now(), time.Duration(0)
	for ended := false; !ended; time.Sleep(time.Millisecond) {
		if len(c.answering()) > 0 {
			longest = max(longest, time.Since(lastAnswered))
			lastAnswered = time.Now()
		}
		select {
		case <-p.nodeEnded:
			ended = true
		default:
		}
	}
	t.Logf("nobody answered for %s at most", longest)
	if longest > 200*time.Millisecond { // a round trip between processes, on a machine that does other things
		t.Errorf("nobody answered for %s in a hand-over", longest)
	}
	if owner.answers(vip) {
		t.Error("a node that has left answers")
	}
	c.until("another one answers and the log says that the node left", time.Second, func() bool {
		return len(c.answering()) == 1 && len(c.state().Live()) == 2
	})
}

func TestANewProcessGoesOnAsTheOneBefore(t *testing.T) {
	c, owner := serving(t, event.ProfileDefault)
	before, _ := c.state().List(vip)
	owner.kill()
	owner.start()
	c.until("it answers again", 2*time.Second, func() bool { return owner.answers(vip) })
	if list, _ := c.state().List(vip); !slices.Equal(list, before) {
		t.Errorf("the list was %v and is %v", before, list)
	}
}

func TestAnotherProfileTakesEffectWithoutALoss(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 13 s")
	}
	c, _ := serving(t, event.ProfileDefault)
	settings := c.state().Settings()
	settings.Profile = event.ProfileFast
	c.append(settings)
	time.Sleep(paceDelay + time.Second) // all have gone over
	if live := c.state().Live(); len(live) != 3 {
		t.Errorf("%d nodes are left of 3", len(live))
	}
	c.until("it is answered for", time.Second, func() bool { return len(c.answering()) == 1 })
	owner := c.answering()[0]
	owner.cut.Store(true)
	took := c.until("the next one answers", 2*time.Second, func() bool {
		return slices.ContainsFunc(c.answering(), func(h *host) bool { return h != owner })
	})
	if _, most := lease.Fast.Suspicion(); took > most+lease.Default.Lease/2 {
		t.Errorf("it took %s: the profile is not in force", took)
	}
}
