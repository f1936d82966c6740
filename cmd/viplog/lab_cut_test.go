//go:build linux

package main

import (
	"testing"
	"time"

	"viplog/adapters/probe"
	"viplog/fixtures/lab"
)

// heartbeatsAndLog are what reaches voters and the log, by the default ports.
var heartbeatsAndLog = []string{"udp dport 7947", "udp sport 7947", "tcp dport 4222", "tcp sport 4222"}

// An owner that is cut off, or gets no time, does what it may and no more.
func TestAnOwnerThatIsCutOffOrGetsNoTime(t *testing.T) {
	n := newLAN(t, 1, lab.ClusterOptions{Nodes: 3, Controllers: 3})
	vip := n.vips[0]

	t.Run("clients lose nothing when it is cut from voters and log", func(t *testing.T) {
		n := n.as(t)
		owner := n.answering(vip, 5*time.Second, nil)
		r := n.ask(vip, 4*time.Second, func() { owner.Block(heartbeatsAndLog...) }, probe.UDP, probe.ARP)
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
		r := n.ask(vip, 4*time.Second, func() {
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
		r := n.ask(vip, 4*time.Second, func() {
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
		r := n.ask(vip, 4*time.Second, func() {
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
		r := n.ask(vip, 4*time.Second, func() {}, probe.ARP)
		tell(t, r)
		if last := n.once(vip); len(last.Holders) > 0 {
			t.Errorf("without voters it is answered for by %+v", last.Holders)
		}
	})
}
