package sim

import (
	"net/netip"
	"slices"
	"time"

	"viplog/core/lease"
	"viplog/sim/kernel"
)

// network carries datagrams between hosts: late, out of order, twice or not at all.
type network struct {
	world     *World
	cuts      []cut
	slowed    []slowed
	sender    map[netip.Addr]*Host // who used an address last: answers go there, as by a router's neighbour cache
	free      *datagram
	LoseOneIn int // 0: none by chance
	TwiceIn   int
}

// cut loses what one host sends to another.
type cut struct{ from, to *Host }

// slowed makes what one host sends to another later.
type slowed struct {
	cut
	by time.Duration
}

// datagram is on its way. There are many, so they are used again.
type datagram struct {
	network  *network
	from, to *Host
	what     content
	renew    lease.Renew
	answer   lease.Answer
	word     lease.Word
	resign   lease.Resign
	next     *datagram // in the list of those to be used again
}

type content uint8

const (
	renewal content = iota
	answer
	word
	resignation
)

func (n *network) take() *datagram {
	d := n.free
	if d == nil {
		return &datagram{network: n}
	}
	n.free = d.next
	return d
}

// send delivers a datagram, unless it is lost.
func (n *network) send(from, to *Host, d *datagram) {
	d.from, d.to = from, to
	w := n.world
	if !from.up || slices.Contains(n.cuts, cut{from, to}) || n.LoseOneIn > 0 && kernel.Chance(w, "net/loss", n.LoseOneIn) {
		n.drop(d)
		return
	}
	if n.TwiceIn > 0 && kernel.Chance(w, "net/twice", n.TwiceIn) {
		twin := n.take()
		*twin = *d
		w.At(w.Now()+w.between("net/delay", w.options.Link), twin)
	}
	late := time.Duration(0)
	for _, s := range n.slowed {
		if s.cut == (cut{from, to}) {
			late = s.by
		}
	}
	w.At(w.Now()+w.between("net/delay", w.options.Link)+late, d)
}

// slow lets what one host sends to another take longer; 0 ends it.
func (n *network) slow(from, to *Host, d time.Duration) {
	n.slowed = slices.DeleteFunc(n.slowed, func(s slowed) bool { return s.cut == cut{from, to} })
	if d > 0 {
		n.slowed = append(n.slowed, slowed{cut{from, to}, d})
	}
}

// at finds the host that answers to an address go to: of several that use it the one that sent last; nil for none.
func (n *network) at(a netip.Addr) *Host {
	if h := n.sender[a]; h != nil {
		return h
	}
	return n.world.hostOf(a)
}

func (n *network) drop(d *datagram) {
	*d = datagram{network: n, next: n.free}
	n.free = d
}

// Happen implements kernel.Event: the datagram arrives.
func (d *datagram) Happen() {
	if d.to.up && !slices.Contains(d.network.cuts, cut{d.from, d.to}) {
		switch d.what {
		case renewal:
			if d.from.clone || d.network.sender[d.from.Address] != nil {
				d.network.sender[d.from.Address] = d.from
			}
			d.to.hearRenewal(d.from, d.renew)
		case answer:
			d.to.hearAnswer(d.answer)
		case word:
			d.to.hearWord(d.word)
		case resignation:
			d.to.hearResign(d.resign)
		}
	}
	d.network.drop(d)
}

func (n *network) cut(from, to *Host) {
	if c := (cut{from, to}); !slices.Contains(n.cuts, c) {
		n.cuts = append(n.cuts, c)
	}
}

func (n *network) mend(from, to *Host) {
	n.cuts = slices.DeleteFunc(n.cuts, func(c cut) bool { return c == cut{from, to} })
}
