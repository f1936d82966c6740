package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"viplog/core/ledger"
	"viplog/sim"
	"viplog/sim/segment"
)

// failNode takes the power of a node's host, and returns when the voters have proven that, the log says so, and the client
// is served again. It tells how long each address was dark to the client.
func (c *devCluster) failNode(ctx context.Context, name string) error {
	n, err := c.named(name)
	if err != nil {
		return err
	}
	if err := c.mayFail(ctx, n); err != nil {
		return err
	}
	moves := movesFrom(c.controller.State(), n.Address)
	stop, err := c.watch(ctx, moves)
	if err != nil {
		return err
	}
	defer stop()
	var failedAt time.Duration
	err = c.time.Do(ctx, func(w *sim.World) {
		failedAt = w.Now()
		w.PowerOff(w.HostOf(n.Address))
	})
	if err != nil {
		return err
	}
	err = c.time.until(ctx, func(w *sim.World) string {
		if _, _, runs := w.Ledger().Running(n.Address); runs {
			return fmt.Sprintf("node %s is not yet proven to have failed", n.Name)
		}
		return servedAgain(w, moves, failedAt)
	})
	if err != nil {
		return err
	}
	if err := c.settle(ctx); err != nil {
		return err
	}
	return c.time.Do(ctx, func(w *sim.World) {
		for _, m := range moves {
			fmt.Fprintln(c.std.err, m.describe(w, n.Name))
		}
	})
}

// mayFail refuses to stop what does not run, and the voter without which nobody could be proven to have failed.
func (c *devCluster) mayFail(ctx context.Context, n ledger.NodeIdentity) error {
	var refused error
	err := c.time.Do(ctx, func(w *sim.World) {
		h := w.HostOf(n.Address)
		if h == nil || !h.Up() {
			refused = fmt.Errorf("node %s: it does not run", n.Name)
			return
		}
		members, _ := w.Ledger().Voters()
		left := 0
		votes := false
		for _, m := range members {
			voter := w.HostOf(m.Address)
			switch {
			case voter == h:
				votes = true
			case voter != nil && voter.Up():
				left++
			}
		}
		if votes && 2*left <= len(members) {
			refused = fmt.Errorf("node %s: without its voter %d of %d would be left, no majority: nobody could be proven to have failed",
				n.Name, left, len(members))
		}
	})
	return cmp.Or(err, refused)
}

// devMove is an address whose owner fails.
type devMove struct {
	addr   netip.Addr
	served bool // to the client, when its owner failed
}

func movesFrom(s *ledger.State, owner netip.Addr) (moves []*devMove) {
	s.EachList(func(a netip.Addr, list []ledger.Incarnation) {
		if len(list) > 0 && list[0].Node == owner {
			moves = append(moves, &devMove{addr: a})
		}
	})
	return moves
}

// The client asks each address that often; seldomer when they are so many that asking would be what the process does.
const (
	pollEvery   = 2 * time.Millisecond
	pollsPerSec = 20_000
)

// firstUse is longer than a node probes for an address that nobody had before (600 ms).
const firstUse = 2 * time.Second

// watch lets the client poll addresses and returns when their owner serves them all, or does not serve some for so long that
// it will not.
func (c *devCluster) watch(ctx context.Context, moves []*devMove) (stop func(), err error) {
	every := max(pollEvery, time.Duration(len(moves))*time.Second/pollsPerSec)
	var polls []*segment.Polling
	err = c.time.Do(ctx, func(w *sim.World) {
		w.Audit.Forget()
		for _, m := range moves {
			polls = append(polls, c.client.Poll(m.addr, every))
		}
	})
	stop = func() {
		_ = c.time.Do(context.WithoutCancel(ctx), func(*sim.World) {
			for _, p := range polls {
				p.Stop()
			}
		})
	}
	if err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, firstUse)
	defer cancel()
	err = c.time.until(bounded, func(w *sim.World) string {
		waiting := ""
		for _, m := range moves {
			by, _ := w.Audit.Served(m.addr)
			if m.served = by != nil && by == w.Owner(m.addr); !m.served {
				waiting = fmt.Sprintf("%s is not served", m.addr)
			}
		}
		return waiting
	})
	if ctx.Err() != nil || bounded.Err() == nil && err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// servedAgain says which address that has a new owner the client does not get answered by it, to a request sent after the
// failure.
func servedAgain(w *sim.World, moves []*devMove, failedAt time.Duration) string {
	for _, m := range moves {
		owner := w.Owner(m.addr)
		by, sent := w.Audit.Served(m.addr)
		if owner != nil && (by != owner || sent <= failedAt) {
			return fmt.Sprintf("%s is not served by %s yet", m.addr, owner.Name)
		}
	}
	return ""
}

// describe says who serves an address now, and for how long the client had no answer: from the sending of the last request
// that the old owner answered to that of the first one that was answered after it.
func (m *devMove) describe(w *sim.World, from string) string {
	owner := w.Owner(m.addr)
	dark, _ := w.Audit.Darkest(m.addr)
	switch {
	case owner == nil:
		return fmt.Sprintf("%s: %s -> nobody, dark", m.addr, from)
	case !m.served:
		return fmt.Sprintf("%s: %s -> %s, was not served before", m.addr, from, owner.Name)
	}
	return fmt.Sprintf("%s: %s -> %s, dark for %d ms", m.addr, from, owner.Name, dark.Milliseconds())
}

// joinNode gives the node's host its power back, or its first, and waits until it has joined.
func (c *devCluster) joinNode(ctx context.Context, name string) error {
	n, err := c.named(name)
	if err != nil {
		return err
	}
	before := ownersOf(c.controller.State())
	running := false
	err = c.time.Do(ctx, func(w *sim.World) {
		h := w.HostOf(n.Address)
		if h == nil { // a file that was applied has declared it
			h = w.AddHost(c.nodeHost(n.Address))
			h.SetMAC(devMAC(n.Address))
		}
		if running = h.Up(); !running {
			w.PowerOn(h)
		}
	})
	switch {
	case err != nil:
		return err
	case running:
		return fmt.Errorf("node %s: it runs already", name)
	}
	if err := c.time.until(ctx, func(w *sim.World) string { return hasJoined(w, n.Address) }); err != nil {
		return err
	}
	return c.handedOver(ctx, before)
}

// handedOver brings every replica to the head of the log and waits until the addresses that have gone from one owner to another since
// are announced by the new one alone.
func (c *devCluster) handedOver(ctx context.Context, before map[netip.Addr]netip.Addr) error {
	if err := c.settle(ctx); err != nil {
		return err
	}
	var moved []netip.Addr
	for a, owner := range ownersOf(c.controller.State()) {
		if was, had := before[a]; had && was != owner {
			moved = append(moved, a)
		}
	}
	slices.SortFunc(moved, netip.Addr.Compare)
	return c.time.until(ctx, func(w *sim.World) string {
		announcers := map[netip.Addr][]string{}
		for _, h := range w.Hosts {
			for _, a := range h.Announces() {
				announcers[a] = append(announcers[a], h.Name)
			}
		}
		for _, a := range moved {
			owner := w.Owner(a)
			if owner != nil && !slices.Equal(announcers[a], []string{owner.Name}) {
				return fmt.Sprintf("%s is %s's and announced by [%s]", a, owner.Name, strings.Join(announcers[a], " "))
			}
		}
		return ""
	})
}

// ownersOf is who owns the addresses that have an owner.
func ownersOf(s *ledger.State) map[netip.Addr]netip.Addr {
	owners := map[netip.Addr]netip.Addr{}
	s.EachList(func(a netip.Addr, list []ledger.Incarnation) {
		if len(list) > 0 {
			owners[a] = list[0].Node
		}
	})
	return owners
}
