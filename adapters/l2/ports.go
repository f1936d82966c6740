//go:build linux

package l2

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
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
		r.bell.note(func(c *changes) { c.all = true }) // what was heard is lost
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
	r.tellMissed(heard, opened) // before Linked, to which the handler may answer by Serve and Send
	r.tellLinked(links)
	for _, p := range opened {
		r.listen(p, p.arp, parseARP)
		r.listen(p, p.ndp, parseNDP)
	}
	for _, p := range append(changed, opened...) {
		p.groups.renew(r.table.groupsOn(p.identity.Load().name))
	}
	for _, p := range kept {
		p.groups.lacking = false
	}
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
		if p == nil || !p.lasts() {
			continue
		}
		delete(before, l.index)
		kept[l.name] = p
		was, is := p.identity.Load(), &identity{l.name, l.mac, l.up}
		p.identity.Store(is)
		if *was != *is || heard.all || heard.touched[l.index] {
			changed = append(changed, p)
		}
	}
	return kept, changed, slices.Collect(maps.Values(before))
}

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
			r.tryAgain()
			continue
		}
		all[l.name] = p
		opened = append(opened, p)
	}
	return opened, nil
}

// listen starts a reader. One that fails, for a reason that nobody has thought of, is told of, and its port is opened anew.
func (r *Responder) listen(p *port, conn *packet.Conn, parse func([]byte) (message, error)) {
	p.readers.Go(func() {
		if err := p.read(conn, func(frame []byte) { r.take(p, frame, parse) }); err != nil {
			p.failed.Store(true)
			r.trouble(err)
			r.bell.ring()
		}
	})
}

// changeGroups lets groups be joined and left as the table says.
func (r *Responder) changeGroups() {
	ports := *r.ports.Load()
	for _, key := range r.table.changedGroups() {
		if p := ports[key.name]; p != nil { // else all its groups are joined when it is opened
			p.groups.due[key.group] = true
		}
	}
}

// groupsWait gives a channel that is closed if groups wait to be joined or left.
func (r *Responder) groupsWait() <-chan struct{} {
	for _, p := range *r.ports.Load() {
		if p.groups.waits() {
			return always
		}
	}
	return nil
}

var always = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// workOnGroups joins and leaves some groups.
func (r *Responder) workOnGroups() {
	deadline := time.Now().Add(groupsFor)
	for name, p := range *r.ports.Load() {
		if !p.groups.waits() {
			continue
		}
		err := p.groups.work(func(group netip.Addr) bool { return r.table.needs(groupKey{name, group}) }, deadline)
		if err == nil {
			continue
		}
		r.tryAgain()
		if p.identity.Load().up {
			r.trouble(fmt.Errorf("l2: solicited-node groups on %s: %w", name, err))
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
func (r *Responder) tellMissed(heard changes, opened []*port) {
	for name, p := range *r.ports.Load() {
		if !p.identity.Load().up || !heard.all && !heard.flapped[p.index] && !slices.Contains(opened, p) {
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
