package main

import (
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"viplog/core/event"
	"viplog/sim"
	"viplog/sim/kernel"
	"viplog/sim/segment"
	"viplog/sim/stream"
)

// webAddress is the one that the Service web gets.
var webAddress = netip.MustParseAddr("192.0.2.0")

// announced is a world at rest with one address, and its owner.
func announced(seed uint64) (w *sim.World, addr netip.Addr, owner *sim.Host) {
	w = sim.New(kernel.NewSeeded(seed), sim.Options{Clients: 1, Drift: true})
	w.RunUntil(2 * time.Second)
	w.Append(sim.Service("web"))
	w.RunUntil(10 * time.Second)
	return w, webAddress, w.Owner(webAddress)
}

// lateMove drains the owner while its successor reads the log 300 ms late: clients must not notice.
func lateMove() (string, []string) {
	w, addr, owner := announced(1)
	for _, h := range w.Hosts {
		if h != owner {
			w.Stream.Lag("node/"+h.Name, 300*time.Millisecond)
		}
	}
	w.Clients[0].Poll(addr, 5*time.Millisecond)
	ask := func() {}
	ask = func() {
		w.Clients[0].Flush()
		w.After(5*time.Millisecond, ask)
	}
	ask()
	w.RunUntil(w.Now() + time.Second)
	w.Append(event.NodeDrained{Address: owner.Address})
	w.RunUntil(w.Now() + 3*time.Second)
	if gap, lost := w.Audit.Darkest(addr); gap > 40*time.Millisecond || lost > 0 {
		return fmt.Sprintf("dark for %v, %d requests lost", gap, lost), nil
	}
	return moved(w, owner), nil
}

// moved says what is wrong if not the first of the list alone announces the address, or if it is still the drained owner.
func moved(w *sim.World, drained *sim.Host) string {
	next := w.Owner(webAddress)
	for _, h := range w.Hosts {
		if announces := len(h.Announces()) > 0; announces != (h == next) {
			return fmt.Sprintf("%s announces: %t", h.Name, announces)
		}
	}
	if next == drained {
		return "the drained owner keeps the address"
	}
	return ""
}

// hungMove drains the owner while the log of the second standby hangs: the first must get the address all the same.
func hungMove() (string, []string) {
	w, addr, owner := announced(1)
	list, _ := w.Ledger().List(addr)
	if len(list) < 3 {
		return fmt.Sprintf("of 3 nodes at rest %d may announce", len(list)), nil
	}
	for _, h := range w.Hosts {
		if h.Address == list[2].Node {
			w.Stream.Hang("node/"+h.Name, 10*time.Second)
		}
	}
	w.Append(event.NodeDrained{Address: owner.Address})
	w.RunUntil(w.Now() + 2*time.Second)
	return moved(w, owner), nil
}

// lonelyHold cuts the only node off from voters and log for a minute, and not from clients: it holds, and asks from time to time.
func lonelyHold() (string, []string) {
	w := sim.New(kernel.NewSeeded(1), sim.Options{Nodes: 1, Clients: 1})
	w.RunUntil(2 * time.Second)
	w.Append(sim.Service("web"))
	w.RunUntil(10 * time.Second)
	owner := w.Owner(webAddress)
	w.Clients[0].Poll(webAddress, 50*time.Millisecond)
	w.Isolate(owner)
	w.RunUntil(w.Now() + time.Minute)
	if len(owner.Announces()) == 0 {
		return fmt.Sprintf("%s has stopped answering", owner.Name), nil
	}
	return violated(w), nil
}

// whollyCut cuts the owner off from everything, and then not from the segment any more: it must never answer beside its successor.
func whollyCut() (string, []string) {
	w, addr, owner := announced(1)
	w.Isolate(owner)
	owner.Port().Cut(segment.Both)
	w.RunUntil(w.Now() + 3*time.Second)
	owner.Port().Cut(0)
	w.Clients[0].Flush()
	w.Clients[0].Request(addr)
	w.RunUntil(w.Now() + time.Second)
	if w.Audit.Overlap > 0 {
		return fmt.Sprintf("two answered for %v", w.Audit.Overlap), nil
	}
	return violated(w), nil
}

// violated is what auditors found first.
func violated(w *sim.World) string {
	if len(w.Audit.Violations) == 0 {
		return ""
	}
	return w.Audit.Violations[0].String()
}

// forgetfulVoter lets the only voter's process crash as soon as its vote is heard, while its disk is slow and nobody tells the log, and
// the node that it voted against reach it again. What a crash leaves of a write is a matter of luck.
func forgetfulVoter() (string, []string) {
	for seed := range uint64(10) {
		hosts := []sim.HostSpec{{
			Name: "cp-1", Address: netip.MustParseAddr("10.0.0.2"), Voter: true, VoterID: "voter",
			Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)),
		}}
		for i := range byte(2) {
			hosts = append(hosts, sim.HostSpec{
				Name: fmt.Sprint("lb-", i+1), Address: netip.AddrFrom4([4]byte{10, 0, 1, 1 + i}), Node: true,
				Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("192.0.2.0/24")},
			})
		}
		w := sim.New(kernel.NewSeeded(seed), sim.Options{Hosts: hosts, Disk: stream.Range{From: 50 * time.Millisecond, To: 50 * time.Millisecond}})
		w.RunUntil(2 * time.Second)
		w.Append(sim.Service("web"))
		w.RunUntil(10 * time.Second)
		owner, voter := w.Owner(webAddress), w.Hosts[0]
		w.Isolate(owner)
		for range 2000 {
			w.RunUntil(w.Now() + time.Millisecond)
			if slices.ContainsFunc(w.Hosts, func(h *sim.Host) bool { return h != owner && len(h.Announces()) > 0 }) {
				break
			}
		}
		w.CrashVoter(voter)
		w.StartVoter(voter)
		w.Rejoin(owner)
		w.RunUntil(w.Now() + 5*time.Second)
		if found := violated(w); found != "" {
			return found, nil
		}
	}
	return "", nil
}

// silenced cuts the owner off from voters and log, but not from the segment: its successor's announcement must silence it.
func silenced() (string, []string) {
	w, addr, owner := announced(1)
	w.Isolate(owner)
	w.RunUntil(w.Now() + 3*time.Second)
	if len(owner.Announces()) > 0 {
		return fmt.Sprintf("%s still answers for %s", owner.Name, addr), nil
	}
	if w.Audit.Overlap > 10*time.Millisecond {
		return fmt.Sprintf("two answered for %v", w.Audit.Overlap), nil
	}
	return "", nil
}
