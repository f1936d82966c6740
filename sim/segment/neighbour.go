package segment

import (
	"net/netip"
	"time"
)

// State is of an entry of a neighbour cache (RFC 4861 section 7.3.2; Linux has the same for ARP).
type State uint8

const (
	// Absent is no entry.
	Absent State = iota
	// Incomplete is being resolved.
	Incomplete
	// Reachable is confirmed.
	Reachable
	// Stale is to be confirmed when it is next used.
	Stale
	// Delay is used unconfirmed, and soon to be probed.
	Delay
	// Probing is used and probed; Linux calls it PROBE.
	Probing
	// Failed is given up; the next packet resolves anew.
	Failed
)

var stateNames = [...]string{"absent", "incomplete", "reachable", "stale", "delay", "probe", "failed"}

func (s State) String() string { return stateNames[s] }

// valid tells whether packets are sent to the entry's MAC (NUD_VALID).
func (s State) valid() bool { return s >= Reachable && s <= Probing }

// neighbour is an entry; one that is Absent stays as an object.
type neighbour struct {
	client    *Client
	addr      netip.Addr
	state     State
	mac       MAC
	probes    int
	updated   time.Duration // when state or MAC last changed
	confirmed time.Duration
	used      time.Duration
	waiting   []int // numbers of the requests that wait for the MAC

	due    time.Duration // when the timer runs out; 0 is never
	queued time.Duration // of the kernel's event that looks at it; 0 is none
}

// strength is what a frame may do to a valid entry that has another MAC.
type strength uint8

const (
	weak       strength = iota // nothing
	suspecting                 // makes it Stale if it was Reachable (RFC 4861 section 7.2.5, Override clear)
	overriding
)

// waitingMost is how many packets wait for a MAC (Linux unres_qlen); the oldest go.
const waitingMost = 101

// update is Linux's neigh_update.
func (n *neighbour) update(mac MAC, state State, how strength) {
	now, old := n.client.now(), n.state
	if state == Reachable {
		n.confirmed = now // even if the MAC is not taken
	}
	if old.valid() {
		switch {
		case mac == n.mac && state == Stale:
			state = old
		case mac == n.mac || how == overriding:
		case how == suspecting && old == Reachable:
			mac, state = n.mac, Stale
		default:
			return
		}
	}
	if state != old || mac != n.mac {
		n.updated = now
	}
	if state != old {
		n.enter(state)
	}
	if mac != n.mac {
		n.mac = mac
		if state != Reachable {
			n.confirmed = now - 2*n.client.options.BaseReachable
		}
	}
	if !old.valid() {
		waiting := n.waiting
		n.waiting = nil
		for _, number := range waiting {
			n.transmit(number)
		}
	}
}

func (n *neighbour) enter(state State) {
	if n.state == Absent {
		n.client.entries++
	}
	if state == Absent {
		n.client.entries--
	}
	n.state, n.due = state, 0
	switch o := &n.client.options; state {
	case Reachable:
		n.arm(n.client.now() + n.reachable())
	case Delay:
		n.arm(n.client.now() + o.DelayFirstProbe)
	case Incomplete, Probing:
		n.probes = 0
		n.arm(n.client.now() + o.Retrans)
	case Absent, Stale, Failed: // no timer
	}
}

// transmit sends a client's request to the MAC, or resolves that first (__neigh_event_send).
func (n *neighbour) transmit(number int) {
	now := n.client.now()
	n.used = now
	switch n.state {
	case Absent, Failed:
		n.updated = now
		n.enter(Incomplete)
		n.waiting = append(n.waiting, number)
		n.probe()
		return
	case Incomplete:
		if len(n.waiting) == waitingMost {
			n.waiting = n.waiting[1:]
		}
		n.waiting = append(n.waiting, number)
		return
	case Stale:
		n.updated = now
		n.enter(Delay)
	case Reachable, Delay, Probing:
	}
	n.client.transmit(n, number)
}

// probe asks the known MAC alone while Probing, and everyone while Incomplete (arp_solicit, ndisc_solicit).
func (n *neighbour) probe() {
	c := n.client
	n.probes++
	f := Ask(n.addr, c.own(n.addr), c.port.MAC)
	if n.state == Probing && n.probes <= c.options.UnicastProbes {
		f.Destination = n.mac
	}
	c.port.Send(f)
}

// timer is Linux's neigh_timer_handler.
func (n *neighbour) timer() {
	now, o := n.client.now(), &n.client.options
	switch n.state {
	case Reachable:
		switch until := n.confirmed + n.reachable(); {
		case now < until:
			n.arm(until)
		case n.ages():
			n.enter(Absent)
		case now <= n.used+o.DelayFirstProbe:
			n.updated = now
			n.enter(Delay)
		default:
			n.updated = now
			n.enter(Stale)
		}
	case Delay:
		n.updated = now
		if now <= n.confirmed+o.DelayFirstProbe {
			n.enter(Reachable)
			n.arm(n.confirmed + n.reachable())
			return
		}
		n.enter(Probing)
		n.probe()
	case Incomplete, Probing:
		most := o.BroadcastProbes
		if n.state == Probing {
			most = o.UnicastProbes + o.BroadcastReprobes
		}
		if n.probes >= most {
			n.updated, n.waiting = now, nil
			n.enter(Failed)
			return
		}
		n.arm(now + o.Retrans)
		n.probe()
	case Absent, Stale, Failed:
		panic("segment: the timer of a state that has none")
	}
}

// ages tells whether the entry lives by a time-out alone, as in a router.
func (n *neighbour) ages() bool { return n.client.options.ARPTimeout > 0 && n.addr.Is4() }

func (n *neighbour) reachable() time.Duration {
	if n.ages() {
		return n.client.options.ARPTimeout
	}
	return n.client.reachable()
}

// collect drops an entry as Linux's garbage collection would have by now (neigh_periodic_work). It is looked at when the
// entry is, so that a cache at rest costs nothing.
func (n *neighbour) collect() {
	c := n.client
	if n.state != Stale && n.state != Failed || c.entries < c.options.GCThreshold || n.ages() {
		return
	}
	if n.state == Failed || c.now()-max(n.used, n.confirmed) > c.options.GCStale {
		n.enter(Absent)
	}
}

// arm sets the timer. Happen looks when the time comes, and queues anew if it was put off: a timer is one event in the
// queue, not one for each time it was set.
func (n *neighbour) arm(at time.Duration) {
	n.due = at
	if n.queued == 0 || at < n.queued {
		n.queued = at
		n.client.kernel.At(at, n)
	}
}

// Happen implements kernel.Event.
func (n *neighbour) Happen() {
	now := n.client.now()
	if now != n.queued {
		return // an earlier one took its place
	}
	n.queued = 0
	switch {
	case n.due == 0:
	case now < n.due:
		n.arm(n.due)
	default:
		n.due = 0
		n.timer()
	}
}
