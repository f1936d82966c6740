package main

import (
	"fmt"
	"net/netip"
	"time"

	"viplog/core/event"
	"viplog/sim"
	"viplog/sim/kernel"
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
