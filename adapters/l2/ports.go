//go:build linux

package l2

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mdlayher/packet"

	"viplog/core/event"
	"viplog/core/node"
)

// refresh lists all links and makes the ports those of the links. It gives an error when nothing can be listed or opened at all.
func (r *Responder) refresh() error {
	heard := r.bell.collect()
	links, own, err := listLinks(r.config.Ignored)
	if err != nil {
		return err
	}
	r.own.Store(&own)
	kept, changed, ended := r.keep(links, heard)
	// What stays is found under its name of now before anything waits for a socket.
	r.ports.Store(&kept)
	for _, p := range ended {
		r.counts[overflowed].Add(p.overflows())
		p.close()
	}
	opened, err := r.openNew(links)
	if err != nil {
		return err
	}
	r.tellLinked(links)
	// The kernel walks a list for each group that is joined: ten thousand of them take seconds, for which nobody should wait.
	for _, p := range append(changed, opened...) {
		r.rejoin(p)
	}
	r.tellMissed(heard)
	return nil
}

// keep gives the ports of links that stay, by name, those of them about which something was said, and the ports that have lost their link.
func (r *Responder) keep(links []link, heard changes) (kept map[string]*port, changed, ended []*port) {
	before := map[int]*port{}
	for _, p := range *r.ports.Load() {
		before[p.index] = p
	}
	kept = map[string]*port{}
	for _, l := range links {
		p := before[l.index]
		if p == nil || heard.gone[l.index] { // another link may have the index of one that is gone
			continue
		}
		delete(before, l.index)
		kept[l.name] = p
		was, is := p.identity.Load(), &identity{l.name, l.mac, l.up}
		p.identity.Store(is)
		if *was != *is || heard.all || heard.touched[l.index] || p.lacking {
			changed = append(changed, p)
		}
	}
	return kept, changed, slices.Collect(maps.Values(before))
}

// openAgain is when a link that could not be listened on is tried again, if nothing changes before.
const openAgain = 5 * time.Second

// openNew opens ports for links that have none. A link that cannot be listened on counts as down: nothing can be announced there.
func (r *Responder) openNew(links []link) (opened []*port, err error) {
	all := maps.Clone(*r.ports.Load())
	defer func() { r.ports.Store(&all) }()
	for i := range links {
		l := &links[i]
		if all[l.name] != nil {
			continue
		}
		p, err := openPort(*l)
		switch {
		case errors.Is(err, ErrPermission):
			return nil, err
		case err != nil:
			l.up = false
			r.trouble(err)
			time.AfterFunc(openAgain, func() { r.bell.ring(func(*changes) {}) })
			continue
		}
		all[l.name] = p
		opened = append(opened, p)
		r.listen(p, p.arp, parseARP)
		r.listen(p, p.ndp, parseNDP)
	}
	return opened, nil
}

// listen starts a reader. One that fails, for a reason that nobody has thought of, is told of, and its port is opened anew.
func (r *Responder) listen(p *port, conn *packet.Conn, parse func([]byte) (message, error)) {
	p.readers.Go(func() {
		if err := p.read(conn, func(frame []byte) { r.take(p, frame, parse) }); err != nil {
			r.trouble(err)
			r.bell.ring(func(c *changes) { c.gone[p.index] = true })
		}
	})
}

// rejoin joins all groups of a link anew.
func (r *Responder) rejoin(p *port) {
	name := p.identity.Load().name
	err := p.groups.rejoin(r.table.groupsOn(name))
	p.lacking = err != nil
	if err != nil && p.identity.Load().up {
		r.trouble(fmt.Errorf("l2: solicited-node groups on %s: %w", name, err))
	}
}

// changeGroups joins and leaves what the table says.
func (r *Responder) changeGroups() {
	ports := *r.ports.Load()
	for key, needed := range r.table.changedGroups() {
		p := ports[key.name]
		switch {
		case p == nil: // all its groups are joined when it is opened
		case !needed:
			p.groups.leave(key.group)
		default:
			if err := p.groups.join(key.group); err != nil {
				p.lacking = true
				r.trouble(fmt.Errorf("l2: solicited-node groups on %s: %w", key.name, err))
			}
		}
	}
}

// tellLinked tells the interfaces if they are not those that were told last.
func (r *Responder) tellLinked(links []link) {
	interfaces := make([]event.Interface, len(links))
	for i, l := range links {
		interfaces[i] = l.describe()
	}
	same := func(a, b event.Interface) bool {
		return a.Name == b.Name && a.MAC == b.MAC && a.Up == b.Up && slices.Equal(a.Prefixes, b.Prefixes)
	}
	if r.linkedOnce && slices.EqualFunc(interfaces, r.linked, same) {
		return
	}
	r.linked, r.linkedOnce = interfaces, true
	r.tell(func(h Handler) { h.Linked(node.Linked{Interfaces: slices.Clone(interfaces)}) })
}

// tellMissed announces what is held on a link that was down, or gone, for so short that the interfaces are the same again: the node's
// machine has seen nothing of it, but switches may have forgotten.
func (r *Responder) tellMissed(heard changes) {
	for name, p := range *r.ports.Load() {
		if !p.identity.Load().up || !heard.all && !heard.flapped[p.index] && !heard.gone[p.index] {
			continue
		}
		var frames []node.Frame
		for _, a := range r.table.servedOn(name) {
			frames = append(frames, node.Frame{Kind: node.Announce, Address: a, Interface: name})
		}
		r.queue.put(frames)
	}
}

func (r *Responder) trouble(err error) { r.tell(func(h Handler) { h.Troubled(err) }) }

// tell calls the handler, one call at a time. No lock of the table is held.
func (r *Responder) tell(what func(Handler)) {
	r.telling.Lock()
	defer r.telling.Unlock()
	what(r.config.Handler)
}
