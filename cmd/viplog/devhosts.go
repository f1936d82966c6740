package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/sim"
	"viplog/sim/kernel"
	"viplog/sim/segment"
)

// The client of a dev cluster has addresses of networks for benchmarks, which no cluster has (RFC 2544, RFC 5180).
var (
	devClient4   = netip.MustParseAddr("198.18.0.1")
	devClient6   = netip.MustParseAddr("2001:2::1")
	devClientMAC = segment.MAC(0x02_01_00_00_00_01)
)

// startWorld makes the hosts and lets them go on from the head of the log.
func (c *devCluster) startWorld(head log.Head) {
	c.time = newRealtime()
	c.worldLog = newDevLog(c.store.log, c.time.post, c.sourceOf)
	w := sim.New(kernel.NewSeeded(rand.Uint64()), sim.Options{
		Hosts: c.hosts(), Log: c.worldLog, Epoch: time.Now(), Timing: lease.TimingOf(c.file.Settings.Profile),
		Notes: c.trace.note,
	})
	w.GoOn(head)
	for _, v := range c.voters {
		if !v.wanted {
			w.SetVoter(w.HostOf(v.address), false)
		}
	}
	for _, h := range w.Hosts {
		if h.Port() != nil {
			h.SetMAC(devMAC(h.Address))
		}
	}
	c.client = w.AddClient("client", devClientMAC, devClient4, devClient6)
	c.time.start(w)
}

// hosts are the declared nodes, each with its voter, and one more host for the controller, which never fails.
func (c *devCluster) hosts() []sim.HostSpec {
	var hosts []sim.HostSpec
	for _, n := range c.file.Cluster.Nodes {
		hosts = append(hosts, c.nodeHost(n.Address))
	}
	for _, v := range c.voters {
		i := slices.IndexFunc(hosts, func(h sim.HostSpec) bool { return h.Address == v.address })
		if i < 0 { // a voter of the log whose host is declared no more
			i = len(hosts)
			hosts = append(hosts, sim.HostSpec{Name: v.address.String(), Address: v.address})
		}
		hosts[i].Voter, hosts[i].Key, hosts[i].VoterID = true, v.key, v.id
	}
	return append(hosts, sim.HostSpec{Name: "dev", Controller: true})
}

func (c *devCluster) nodeHost(a netip.Addr) sim.HostSpec {
	return sim.HostSpec{Name: devName(c.file.Cluster.Nodes, a), Address: a, Node: true, Prefixes: devPrefixes(c.file)}
}

// sourceOf tells who appends, by the name of a process in the world: nodes go by their addresses.
func (c *devCluster) sourceOf(process string) string {
	kind, host, _ := strings.Cut(process, "/")
	for _, n := range c.file.Cluster.Nodes {
		if kind == "node" && devName(c.file.Cluster.Nodes, n.Address) == host {
			return "node/" + n.Address.String()
		}
	}
	return process
}

// allThere waits until every declared node has joined and the voters are those that there are to be.
func (c *devCluster) allThere(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.time.until(ctx, func(w *sim.World) string {
		for _, n := range c.file.Cluster.Nodes {
			if missing := hasJoined(w, n.Address); missing != "" {
				return missing
			}
		}
		members, _ := w.Ledger().Voters()
		_, before := w.Ledger().FormerVoters()
		wanted := 0
		for _, v := range c.voters {
			isMember := slices.ContainsFunc(members, func(m ledger.Voter) bool { return m.ID == v.id })
			if v.wanted != isMember {
				return fmt.Sprintf("the voter %s is not yet as it is to be", v.address)
			}
			if v.wanted {
				wanted++
			}
		}
		if before != 0 || len(members) != wanted {
			return "the voters are not settled"
		}
		return ""
	})
}

// hasJoined says what is missing until a node has joined, by the log and by its own word.
func hasJoined(w *sim.World, a netip.Addr) string {
	h := w.HostOf(a)
	if _, _, runs := w.Ledger().Running(a); runs && h != nil {
		if _, joined := h.NodeLedger(); joined {
			return ""
		}
	}
	return fmt.Sprintf("node %s has not joined", a)
}
