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
	all, err := whole(netlink.LinkList)
	if err != nil {
		return // the next frame tells
	}
	served := map[int]bool{}
	for _, p := range *r.ports.Load() {
		served[p.index] = true
	}
	more := false
	now := make(map[int]uint64, len(served))
	for _, l := range all {
		if a := l.Attrs(); served[a.Index] && a.Statistics != nil {
			now[a.Index] = a.Statistics.RxPackets
			before, known := r.received[a.Index]
			more = more || known && now[a.Index] > before
		}
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
