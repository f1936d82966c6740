//go:build linux

package main

import (
	"testing"
	"time"

	"viplog/adapters/probe"
	"viplog/fixtures/lab"
)

// An owner that is gone, in whatever way, is followed by the next one, and two never answer; when it is back nothing moves.
func TestAnAddressMovesAsItsOwnerGoesAndDoesNotMoveBack(t *testing.T) {
	n := newLAN(t, 3, lab.ClusterOptions{Nodes: 3, Controllers: 3})
	vip := n.vips[0]
	for _, fault := range []struct {
		name     string
		lasts    time.Duration
		do, mend func(*lab.ClusterHost)
	}{
		{
			"its link is cut", 3 * time.Second,
			func(h *lab.ClusterHost) { n.net.Cut(h.Host, "eth0") },
			func(h *lab.ClusterHost) { n.net.Mend(h.Host, "eth0") },
		},
		{
			"its link carries nothing and has its carrier", 10 * time.Second,
			func(h *lab.ClusterHost) { n.net.Sever(h.Host, "eth0") },
			func(h *lab.ClusterHost) { n.net.Join(h.Host, "eth0") },
		},
		{
			"its process is killed", 3 * time.Second,
			func(h *lab.ClusterHost) { h.Viplog.Kill() },
			func(h *lab.ClusterHost) { h.Start() },
		},
		{
			"its process stands still", 3 * time.Second,
			func(h *lab.ClusterHost) { h.Viplog.Pause() },
			func(h *lab.ClusterHost) { h.Viplog.Continue() },
		},
	} {
		t.Run(fault.name, func(t *testing.T) {
			n := n.as(t)
			owner := n.answering(vip, 5*time.Second, nil)
			gone := n.ask(vip, fault.lasts, func() { fault.do(owner) }, probe.ARP)
			next := n.answering(vip, 5*time.Second, []*lab.ClusterHost{owner})
			if len(gone.Changes) != 1 || gone.Changes[0].To != next.MAC("eth0").String() {
				t.Errorf("%s was followed by %+v", owner.Name, gone.Changes)
			}
			neverTwo(t, gone)
			t.Logf("%s after %s: silent for %s", fault.name, owner.Name, gone.Streams[0].LongestSilence)

			back := n.ask(vip, 3*time.Second, func() { fault.mend(owner) }, probe.ARP)
			if len(back.Changes) != 0 {
				t.Errorf("when %s was back: %+v", owner.Name, back.Changes)
			}
			n.joined(owner, 20*time.Second)
			if by := n.answering(vip, 5*time.Second, nil); by != next {
				t.Errorf("%s answers, and not %s", by.Name, next.Name)
			}
		})
	}
}

// Planned moves lose no request: each is answered within two seconds.
func TestPlannedMovesLoseNoRequest(t *testing.T) {
	n := newLAN(t, 3, lab.ClusterOptions{Nodes: 3})
	vip := n.vips[0]
	for _, move := range []struct {
		name string
		do   func(*lab.ClusterHost)
		then func(*lab.ClusterHost)
	}{
		{"a drain", func(h *lab.ClusterHost) { n.Run("drain", h.Name) }, func(h *lab.ClusterHost) { n.Run("undrain", h.Name) }},
		{"SIGTERM", func(h *lab.ClusterHost) {
			h.Viplog.Terminate()
			if err := h.Viplog.Wait(20 * time.Second); err != nil {
				t.Error(err)
			}
		}, func(h *lab.ClusterHost) { h.Start() }},
	} {
		t.Run(move.name, func(t *testing.T) {
			n := n.as(t)
			owner := n.answering(vip, 5*time.Second, nil)
			r := n.ask(vip, 3*time.Second, func() { move.do(owner) }, probe.UDP, probe.TCP, probe.ARP)
			if len(r.Changes) != 1 {
				t.Errorf("%+v", r.Changes)
			}
			neverTwo(t, r)
			noneLost(t, r)
			move.then(owner)
			n.joined(owner, 20*time.Second)
		})
	}
	t.Run("a restart of all hosts, one after the other", func(t *testing.T) {
		n := n.as(t)
		r := n.ask(vip, 2*time.Second, func() {
			for _, h := range n.Hosts {
				h.Viplog.Terminate()
				if err := h.Viplog.Wait(20 * time.Second); err != nil {
					t.Error(err)
				}
				h.Start()
				n.joined(h, 20*time.Second)
			}
		}, probe.UDP, probe.ARP)
		neverTwo(t, r)
		noneLost(t, r)
	})
}

// Without controllers, and so without voters and a log, owners go on answering; when those are back, so are leases.
func TestOwnersGoOnWithoutControllers(t *testing.T) {
	n := newLAN(t, 3, lab.ClusterOptions{Nodes: 2, Controllers: 3})
	vip := n.vips[0]
	r := n.ask(vip, 5*time.Second, func() {
		for _, h := range n.Hosts[2:] {
			h.Viplog.Kill()
		}
	}, probe.ARP, probe.UDP)
	if len(r.Changes) > 0 || len(r.Holders) != 1 {
		t.Errorf("%+v", r.Holders)
	}
	noneLost(t, r)
	for _, h := range n.Hosts[2:] {
		h.Start()
	}
	owner := n.answering(vip, 5*time.Second, nil)
	n.leased(owner, 2, 40*time.Second)
	n.net.Cut(owner.Host, "eth0")
	n.answering(vip, 10*time.Second, []*lab.ClusterHost{owner})
}
