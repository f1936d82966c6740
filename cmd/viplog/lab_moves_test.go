//go:build linux

package main

import (
	"testing"
	"time"

	"viplog/adapters/probe"
	"viplog/fixtures/lab"
)

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
