//go:build linux

package main

import (
	"strings"
	"testing"
	"time"

	"viplog/adapters/probe"
	"viplog/fixtures/lab"
)

// heartbeatsAndLog are what reaches voters and the log, by the default ports.
var heartbeatsAndLog = []string{"udp dport 7947", "udp sport 7947", "tcp dport 4222", "tcp sport 4222"}

// One cluster has all of the faults, one after the other.
func TestOwnersInFaults(t *testing.T) {
	n := newLAN(t, 3, lab.ClusterOptions{Nodes: 3, Controllers: 3})
	for _, part := range []struct {
		name string
		test func(*testing.T, *lan)
	}{
		{"an address moves as its owner goes, and does not move back", addressesMoveAndDoNotMoveBack},
		{"an owner goes on without controllers", ownersGoOnWithoutControllers},
		{"an owner is cut off or gets no time", ownersThatAreCutOffOrGetNoTime}, // the last one: it ends without controllers
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, n.as(t)) })
	}
}

// An owner that is gone, in whatever way, is followed by the next one, and two never answer; when it is back nothing moves.
func addressesMoveAndDoNotMoveBack(t *testing.T, n *lan) {
	vip := n.vips[0]
	for _, fault := range []struct {
		name     string
		lasts    time.Duration
		do, mend func(*lab.ClusterHost)
	}{
		{
			"its link is cut", 1500 * time.Millisecond,
			func(h *lab.ClusterHost) { n.net.Cut(h.Host, "eth0") },
			func(h *lab.ClusterHost) { n.net.Mend(h.Host, "eth0") },
		},
		{
			"its link carries nothing and has its carrier", 10 * time.Second,
			func(h *lab.ClusterHost) { n.net.Sever(h.Host, "eth0") },
			func(h *lab.ClusterHost) { n.net.Join(h.Host, "eth0") },
		},
		{
			"its process is killed", 1500 * time.Millisecond,
			func(h *lab.ClusterHost) { h.Viplog.Kill() },
			func(h *lab.ClusterHost) { h.Start() },
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

			back := n.ask(vip, 500*time.Millisecond, func() {
				fault.mend(owner)
				n.joined(owner, 20*time.Second)
			}, probe.ARP)
			if len(back.Changes) != 0 {
				t.Errorf("when %s was back: %+v", owner.Name, back.Changes)
			}
			if by := n.answering(vip, 5*time.Second, nil); by != next {
				t.Errorf("%s answers, and not %s", by.Name, next.Name)
			}
		})
	}
}

// Without controllers, and so without voters and a log, owners go on answering; when those are back, so are leases.
func ownersGoOnWithoutControllers(t *testing.T, n *lan) {
	vip := n.vips[0]
	owner := n.answering(vip, 5*time.Second, nil)
	leases := strings.Count(owner.Viplog.Said(), `"msg":"leased"`)
	r := n.ask(vip, 4*time.Second, func() {
		for _, h := range n.Hosts[3:] {
			h.Viplog.Kill()
		}
	}, probe.ARP, probe.UDP)
	if len(r.Changes) > 0 || len(r.Holders) != 1 {
		t.Errorf("%+v", r.Holders)
	}
	noneLost(t, r)
	for _, h := range n.Hosts[3:] {
		h.Start()
	}
	n.leased(owner, leases+1, 40*time.Second)
	n.net.Cut(owner.Host, "eth0")
	n.answering(vip, 10*time.Second, []*lab.ClusterHost{owner})
	n.net.Mend(owner.Host, "eth0")
	n.joined(owner, 20*time.Second)
}

// An owner that is cut off, or gets no time, does what it may and no more.
func ownersThatAreCutOffOrGetNoTime(t *testing.T, n *lan) {
	vip := n.vips[0]

	t.Run("clients lose nothing when it is cut from voters and log", func(t *testing.T) {
		n := n.as(t)
		owner := n.answering(vip, 5*time.Second, nil)
		r := n.ask(vip, 2500*time.Millisecond, func() { owner.Block(heartbeatsAndLog...) }, probe.UDP, probe.ARP)
		noneLost(t, r)
		next := n.answering(vip, 10*time.Second, []*lab.ClusterHost{owner})
		if len(r.Changes) != 1 || r.Changes[0].To != next.MAC("eth0").String() {
			t.Errorf("%s was followed by %+v", owner.Name, r.Changes)
		} else if r.Changes[0].Overlap > time.Second {
			t.Errorf("%s answered for %s after %s did", owner.Name, r.Changes[0].Overlap, next.Name)
		}
		owner.Block()
		n.joined(owner, 20*time.Second)
		if by := n.answering(vip, 5*time.Second, nil); by != next {
			t.Errorf("%s answers, and not %s", by.Name, next.Name)
		}
	})

	t.Run("it is killed and starts again", func(t *testing.T) {
		n := n.as(t)
		owner := n.answering(vip, 5*time.Second, nil)
		r := n.ask(vip, 2500*time.Millisecond, func() {
			owner.Viplog.Kill()
			time.Sleep(200 * time.Millisecond)
			owner.Start()
		}, probe.UDP, probe.ARP)
		tell(t, r)
		neverTwo(t, r)
		by := n.answering(vip, 10*time.Second, nil)
		t.Logf("%s was killed, %s answers", owner.Name, by.Name)
		n.joined(owner, 20*time.Second)
	})

	t.Run("it stands still, and sends nothing when it goes on", func(t *testing.T) {
		n := n.as(t)
		owner := n.answering(vip, 5*time.Second, nil)
		frames := n.watch(vip)
		var wentOn time.Time
		r := n.ask(vip, 1500*time.Millisecond, func() {
			owner.Viplog.Pause()
			time.Sleep(5 * time.Second)
			wentOn = time.Now()
			owner.Viplog.Continue()
		}, probe.ARP)
		tell(t, r)
		neverTwo(t, r)
		if len(r.Changes) != 1 {
			t.Errorf("%+v", r.Changes)
		}
		before, after := 0, 0
		for _, f := range frames() {
			switch {
			case f.mac != owner.MAC("eth0").String():
			case f.at.Before(wentOn):
				before++
			default:
				after++
			}
		}
		if before == 0 || after > 0 {
			t.Errorf("%d frames of %s say that it has the address before it stood still, and %d when it went on", before, owner.Name, after)
		}
		n.joined(owner, 20*time.Second)
	})

	n.Configure("onIsolation: yield")
	t.Run("it is silent when it is cut from voters and is to yield", func(t *testing.T) {
		n := n.as(t)
		owner := n.answering(vip, 5*time.Second, nil)
		frames := n.watch(vip)
		cut := time.Now()
		r := n.ask(vip, 2500*time.Millisecond, func() {
			cut = time.Now()
			owner.Block(heartbeatsAndLog...)
		}, probe.ARP)
		tell(t, r)
		neverTwo(t, r)
		if len(r.Changes) != 1 {
			t.Errorf("%+v", r.Changes)
		}
		var last time.Time
		for _, f := range frames() {
			if f.mac == owner.MAC("eth0").String() {
				last = f.at
			}
		}
		t.Logf("its last frame came %s after the cut", last.Sub(cut))
		owner.Block()
		n.joined(owner, 20*time.Second)
	})
	t.Run("all are silent without voters when they are to yield", func(t *testing.T) {
		n := n.as(t)
		for _, h := range n.Hosts {
			if !h.IsNode {
				h.Viplog.Kill()
			}
		}
		r := n.ask(vip, 2500*time.Millisecond, func() {}, probe.ARP)
		tell(t, r)
		if last := n.once(vip); len(last.Holders) > 0 {
			t.Errorf("without voters it is answered for by %+v", last.Holders)
		}
	})
}
