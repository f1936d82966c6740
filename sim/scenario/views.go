package scenario

import (
	"net/netip"
	"time"

	"viplog/core/lease"
	"viplog/sim/segment"
)

// view is what a client sees of an address that it asks.
type view struct {
	client   *segment.Client
	addr     netip.Addr
	asked    time.Duration // for the first time
	answered time.Duration // when the last request that was answered was sent
	darkest  time.Duration // so far
	requests int
	lost     int
}

const (
	defaultPoll = 5 * time.Millisecond
	// lastAnswers is how long the world goes on when clients have stopped to ask, so that each request has its outcome.
	lastAnswers = 2*time.Second + 100*time.Millisecond
)

// poll lets every client ask an address that it does not ask yet.
func (r *run) poll(addr netip.Addr, every time.Duration) {
	for _, v := range r.views {
		if v.addr == addr {
			r.idle("clients", "they ask it already")
			return
		}
	}
	for _, c := range r.world.Clients {
		now := r.world.Now()
		r.views = append(r.views, &view{client: c, addr: addr, asked: now, answered: now})
		r.polls = append(r.polls, c.Poll(addr, every))
	}
}

// pollAll lets clients ask every address that has an owner.
func (r *run) pollAll() {
	var all []netip.Addr
	r.world.Ledger().EachList(func(addr netip.Addr, list []lease.Incarnation) {
		for _, v := range r.views {
			if v.addr == addr {
				return
			}
		}
		if len(list) > 0 {
			all = append(all, addr)
		}
	})
	for _, addr := range all {
		r.poll(addr, defaultPoll)
	}
}

// outcome takes what became of a request.
func (r *run) outcome(c *segment.Client, o segment.Outcome) {
	for _, v := range r.views {
		if v.client != c || v.addr != o.Address {
			continue
		}
		v.requests++
		if !o.Answered {
			v.lost++
		} else if o.Sent > v.answered {
			v.darkest = max(v.darkest, o.Sent-v.answered)
			v.answered = o.Sent
		}
	}
}

// linger lets the last requests have their outcome.
func (r *run) linger() {
	r.ended = r.world.Now()
	for _, p := range r.polls {
		p.Stop()
	}
	if len(r.polls) > 0 {
		r.advance(r.world.Now() + lastAnswers)
	}
}

func (r *run) darkest(addr netip.Addr) (longest time.Duration) {
	for _, v := range r.views {
		if v.addr == addr {
			longest = max(longest, v.darkest, r.ended-v.answered)
		}
	}
	return longest
}

func (r *run) lost(addr netip.Addr) (n int64) {
	for _, v := range r.views {
		if v.addr == addr {
			n += int64(v.lost)
		}
	}
	return n
}

func (v *view) seen(ended time.Duration) Seen {
	return Seen{
		Client: v.client.Port().Name, Address: v.addr.String(), Requests: v.requests, Lost: v.lost,
		Darkest: max(v.darkest, ended-v.answered),
	}
}
