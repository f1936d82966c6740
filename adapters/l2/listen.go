//go:build linux

package l2

import "github.com/vishvananda/netlink"

// Listen asks for Handler.Listened: at once if an interface that is served has received anything since Listen was called before, else with
// the next frame of another host that is read here. It does not wait.
func (r *Responder) Listen() {
	r.listens.Store(true)
	select {
	case r.ask <- struct{}{}:
	default: // it is being asked
	}
}

// hasReceived looks at the kernel's counts of all that interfaces have received, whatever it was.
func (r *Responder) hasReceived() {
	ports := *r.ports.Load()
	more := false
	now := make(map[int]uint64, len(ports))
	for _, p := range ports { // each by itself: a host of Kubernetes has hundreds of others
		l, err := netlink.LinkByIndex(p.index)
		if err != nil || l.Attrs().Statistics == nil {
			continue // the next frame tells
		}
		now[p.index] = l.Attrs().Statistics.RxPackets
		before, known := r.received[p.index]
		more = more || known && now[p.index] > before
	}
	r.received = now
	if more {
		r.listened()
	}
}

// listened tells that another host is heard, if that was asked for.
func (r *Responder) listened() {
	if r.listens.CompareAndSwap(true, false) {
		r.tell(Handler.Listened)
	}
}
