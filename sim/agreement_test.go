package sim

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"viplog/core/forecast"
	"viplog/core/ledger"
)

// disagreements compare what was foretold of a ledger's failure with a world in which it has happened and that is at rest.
func disagreements(w *World, before *ledger.State, o forecast.Outcome) (all []string) {
	byLog, byWire := map[netip.Addr]netip.Addr{}, map[netip.Addr]netip.Addr{}
	before.EachList(func(a netip.Addr, list []ledger.Incarnation) { byLog[a] = ownerIn(list) })
	for _, m := range o.Moves {
		byLog[m.Address] = m.To
	}
	for a, owner := range byLog {
		byWire[a] = owner
	}
	for _, d := range o.Dark {
		byWire[d.Address] = netip.Addr{}
		if o.Proven { // else nobody tells the log
			byLog[d.Address] = netip.Addr{}
		}
	}
	inUse := 0
	w.Ledger().EachList(func(a netip.Addr, list []ledger.Incarnation) {
		inUse++
		nobody := !o.Proven && o.Voters.Majority // then all but the last one that renewed may be proven dead, or not
		if got := ownerIn(list); got != byLog[a] && !nobody {
			all = append(all, fmt.Sprintf("%s belongs to %s by the log, not to %s", a, got, byLog[a]))
		}
		if got := w.answering(a); got != byWire[a] {
			all = append(all, fmt.Sprintf("%s is answered for by %s, not by %s", a, got, byWire[a]))
		}
		silent := !o.Proven && w.hostOf(byLog[a]) != nil && w.hostOf(byLog[a]).up // by onIsolation: its kernel forwards still
		if got, asked := w.answeredLast(a); asked && got != byWire[a] && !(silent && got == byLog[a]) {
			all = append(all, fmt.Sprintf("%s: a client was last answered by %s, not by %s", a, got, byWire[a]))
		}
	})
	if inUse != len(byLog) {
		all = append(all, fmt.Sprintf("%d addresses are in use, not %d", inUse, len(byLog)))
	}
	return all
}

func ownerIn(list []ledger.Incarnation) netip.Addr {
	if len(list) == 0 {
		return netip.Addr{}
	}
	return list[0].Node
}

// answering is the node that answers for an address; the zero address for none.
func (w *World) answering(a netip.Addr) (node netip.Addr) {
	for _, h := range w.Hosts {
		if slices.Contains(h.Announces(), a) {
			if node.IsValid() {
				return netip.IPv6Unspecified() // two do
			}
			node = h.Address
		}
	}
	return node
}

// answeredLast is the node that answered a client's last request whose outcome is known; false for an address that nobody asks.
func (w *World) answeredLast(a netip.Addr) (node netip.Addr, asked bool) {
	for _, h := range w.Hosts {
		s := w.Audit.views[view{w.Clients[0], a}]
		switch {
		case s == nil:
			return netip.Addr{}, false
		case h.port != nil && h.port.MAC == s.by && !s.dark:
			return h.Address, true
		}
	}
	return netip.Addr{}, true
}

// agreement counts what was compared.
type agreement struct {
	ledgers, failures, unproven, orders, addresses, moves, darkened, disagreements int

	gaps         []int // of the addresses that moved, in thousandths of the lease
	below, above int   // how many of them are out of the bounds, with the allowance
	worst        time.Duration
}

// allowance is what a take-over needs beside the voters' suspicion: a vote's sync, datagrams, the first frame, and the spacing
// of a client's requests at both ends.
const allowance = 10 * time.Millisecond

func (s *agreement) count(w *World, f *forecast.Forecast, o forecast.Outcome) {
	s.failures++
	s.moves += len(o.Moves)
	s.darkened += len(o.Dark)
	w.Ledger().EachList(func(netip.Addr, []ledger.Incarnation) { s.addresses++ })
	if !o.Proven {
		s.unproven++
	}
	if len(o.Dead) == 2 {
		reversed := f.Failure(o.Dead[1].Address, o.Dead[0].Address)
		if !slices.Equal(reversed.Moves, o.Moves) || !slices.Equal(reversed.Dark, o.Dark) {
			s.orders++
		}
	}
	least, most := f.BlackHole()
	for _, m := range o.Moves {
		if !m.From.IsValid() {
			continue
		}
		gap, _ := w.Audit.Darkest(m.Address)
		s.gaps = append(s.gaps, int(1000*gap/w.options.Timing.Lease))
		s.worst = max(s.worst, gap-most)
		if gap < least {
			s.below++
		}
		if gap > most+allowance {
			s.above++
		}
	}
}

func (s agreement) String() string {
	text := fmt.Sprintf("%d ledgers, %d failures (%d of two nodes whose order matters, %d that nobody can prove), %d addresses compared: %d disagreements",
		s.ledgers, s.failures, s.orders, s.unproven, s.addresses, s.disagreements)
	text += fmt.Sprintf("; %d moves, %d addresses dark", s.moves, s.darkened)
	if len(s.gaps) > 0 {
		slices.SortFunc(s.gaps, cmp.Compare[int])
		text += fmt.Sprintf("; black hole per mille of the lease: %d / %d / %d (min / median / max), %d below the bound, %d above it by more than %v, at most %v above it",
			s.gaps[0], s.gaps[len(s.gaps)/2], s.gaps[len(s.gaps)-1], s.below, s.above, allowance, s.worst)
	}
	return text
}
