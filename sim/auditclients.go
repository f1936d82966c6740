package sim

import (
	"net/netip"
	"time"

	"viplog/core/trace"
	"viplog/sim/segment"
)

// view is what a client sees of an address.
type view struct {
	client *segment.Client
	addr   netip.Addr
}

type seen struct {
	answered time.Duration // when the last request that was answered was sent
	lost     int
	count    int
	darkest  time.Duration // the longest time between two answered requests
	by       segment.MAC
	dark     bool // the last request whose outcome is known was lost
}

// outcome takes what became of a client's request.
func (a *Audit) outcome(client *segment.Client, o segment.Outcome) {
	key := view{client, o.Address}
	s := a.views[key]
	if s == nil {
		s = &seen{answered: -1}
		a.views[key] = s
		a.order = append(a.order, key)
	}
	s.count++
	if !o.Answered {
		s.lost++
		if !s.dark && s.answered >= 0 && o.Sent > s.answered {
			s.dark = true
			a.world.tell(client.Port().Name, trace.Note{Kind: trace.Dark, Address: o.Address, Gap: a.world.Now() - s.answered})
		}
		return
	}
	gap := time.Duration(0)
	if s.answered >= 0 {
		gap = o.Sent - s.answered
		s.darkest = max(s.darkest, gap)
	}
	if gap > tellDark || s.by != o.By {
		a.world.tell(client.Port().Name, trace.Note{Kind: trace.Served, Address: o.Address, By: a.nameOf(o.By), Gap: max(gap, 0)})
	}
	s.answered, s.by, s.dark = max(s.answered, o.Sent), o.By, false
}

// tellDark is how long an address must not have been answered to be worth a line.
const tellDark = 100 * time.Millisecond

func (a *Audit) nameOf(mac segment.MAC) string {
	for _, h := range a.world.Hosts {
		if h.port != nil && h.port.MAC == mac {
			return h.Name
		}
	}
	return mac.String()
}

// Darkest is the longest time between two answered requests of any client to an address, since the last Forget, and how many requests
// were lost.
func (a *Audit) Darkest(addr netip.Addr) (gap time.Duration, lost int) {
	for _, key := range a.order {
		if key.addr == addr {
			gap, lost = max(gap, a.views[key].darkest), lost+a.views[key].lost
		}
	}
	return gap, lost
}

// Forget begins to count anew.
func (a *Audit) Forget() { a.views, a.order = map[view]*seen{}, nil }
