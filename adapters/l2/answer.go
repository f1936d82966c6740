//go:build linux

package l2

import (
	"fmt"

	"viplog/core/node"
)

// take does what a received frame asks for: one look-up for the address that is asked for and one for that which is used.
func (r *Responder) take(p *port, received []byte, parse func([]byte) (message, error)) {
	m, err := parse(received)
	if err != nil {
		r.counts.add(malformed)
		return
	}
	me := p.identity.Load()
	// Another interface of this node may be on the same segment, and a loop brings back anything.
	if own := *r.own.Load(); own[m.source] || own[m.usedBy] {
		r.counts.add(ownFrames)
		return
	}
	if !m.to.isMulticast() && m.to != me.mac {
		return // it was sent to the MAC before
	}
	if r.listens.Load() {
		r.listened()
	}
	r.table.mu.RLock()
	now := r.config.Now() // with the lock: whoever changes a large table has it for milliseconds
	if m.asked.IsValid() && now < r.table.until && r.table.serves(m.asked, me.name) {
		r.counts.add(requests)
		if err := p.send(m.answer(me.mac)); err != nil {
			r.counts.add(unsent)
		} else {
			r.counts.add(replies)
		}
	}
	minds := m.used.IsValid() && r.table.minds(m.used, me.name, m.usedBy, now)
	r.table.mu.RUnlock()
	if minds {
		r.counts.add(heardOthers)
		r.tell(func(h Handler) {
			h.Heard(node.Heard{Address: m.used, Interface: me.name, MAC: m.usedBy.String()})
		})
	}
}

// sendQueued sends a form of a frame that has waited for its turn.
func (r *Responder) sendQueued(f node.Frame, second bool) {
	err := r.sendForm(f, second)
	if err == nil && f.Kind == node.Announce && plain(f.Address).Is4() && !second {
		r.queue.putAgain(f)
		return
	}
	if err != nil {
		verb := "announce"
		if f.Kind == node.Probe {
			verb = "probe for"
		}
		err = fmt.Errorf("%s %s on %s: %w", verb, f.Address, f.Interface, err)
	}
	r.tell(func(h Handler) { h.Sent(f, err) })
}

func (r *Responder) sendForm(f node.Frame, second bool) error {
	p := (*r.ports.Load())[f.Interface]
	if p == nil {
		r.counts.add(unsent)
		return ErrNoInterface
	}
	me, address := p.identity.Load(), plain(f.Address)
	if !me.up {
		r.counts.add(unsent)
		return ErrDown
	}
	r.table.mu.RLock()
	defer r.table.mu.RUnlock()
	switch {
	case f.Kind == node.Announce && r.config.Now() >= r.table.until: // a probe claims nothing
		r.counts.add(unneeded)
		return ErrPassed
	case !address.IsValid() || f.Kind == node.Announce && !r.table.serves(address, f.Interface):
		r.counts.add(unneeded)
		return ErrNotServed
	}
	if err := p.send(form(f.Kind, me.mac, address, second)); err != nil {
		r.counts.add(unsent)
		return err
	}
	if f.Kind == node.Announce {
		r.counts.add(announcements)
	} else {
		r.counts.add(probes)
	}
	return nil
}
