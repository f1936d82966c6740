//go:build linux

package main

import (
	"testing"
	"time"

	"viplog/adapters/probe"
	"viplog/fixtures/lab"
)

// Without the log, addresses move as long as voters live: who is next was said before.
func TestAnAddressMovesWithoutTheLog(t *testing.T) {
	n := newQuietLAN(t, lab.ClusterOptions{Nodes: 3, Controllers: 3, External: true})
	nats := n.Hosts[5].StartNATS()
	n.Services(1)
	n.begin(1)
	vip := n.vips[0]
	owner := n.answering(vip, 5*time.Second, nil)
	r := n.ask(vip, 3*time.Second, func() { nats.Kill() }, probe.UDP, probe.ARP)
	noneLost(t, r)
	if len(r.Changes) > 0 {
		t.Errorf("%+v", r.Changes)
	}
	r = n.ask(vip, 4*time.Second, func() { n.net.Cut(owner.Host, "eth0") }, probe.ARP)
	tell(t, r)
	neverTwo(t, r)
	n.answering(vip, 10*time.Second, []*lab.ClusterHost{owner})

	n.net.Mend(owner.Host, "eth0")
	next := n.answering(vip, 5*time.Second, nil)
	n.Hosts[5].StartNATS()
	n.joined(owner, 30*time.Second)
	if by := n.answering(vip, 5*time.Second, nil); by != next {
		t.Errorf("%s answers, and not %s, when the log is back", by.Name, next.Name)
	}
}
