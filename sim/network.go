package sim

import (
	"slices"

	"viplog/sim/kernel"
)

// network carries datagrams between hosts: late, out of order, twice or not at all.
type network struct {
	world     *World
	cuts      []cut
	LoseOneIn int // 0: none by chance
	TwiceIn   int
}

// cut loses what one host sends to another.
type cut struct{ from, to *Host }

// send delivers a datagram, unless it is lost.
func (n *network) send(from, to *Host, deliver func()) {
	w := n.world
	if !from.up || slices.Contains(n.cuts, cut{from, to}) || n.LoseOneIn > 0 && kernel.Chance(w, "net/loss", n.LoseOneIn) {
		return
	}
	arrive := kernel.Func(func() {
		if to.up && !slices.Contains(n.cuts, cut{from, to}) {
			deliver()
		}
	})
	w.At(w.Now()+w.between("net/delay", w.options.Link), arrive)
	if n.TwiceIn > 0 && kernel.Chance(w, "net/twice", n.TwiceIn) {
		w.At(w.Now()+w.between("net/delay", w.options.Link), arrive)
	}
}

func (n *network) cut(from, to *Host) {
	if c := (cut{from, to}); !slices.Contains(n.cuts, c) {
		n.cuts = append(n.cuts, c)
	}
}

func (n *network) mend(from, to *Host) {
	n.cuts = slices.DeleteFunc(n.cuts, func(c cut) bool { return c == cut{from, to} })
}
