// Package segment is a simulated Ethernet segment on virtual time: a learning switch, its ports, and hosts whose
// neighbour caches are those of Linux as measured (RFC 826, RFC 4861, arp_process and neigh_update of Linux 6.18).
package segment

import (
	"time"

	"viplog/sim/kernel"
)

// Options of a segment. What is zero is a default of Defaults.
type Options struct {
	Ageing       time.Duration // of the MAC table
	DelayFrom    time.Duration // of a frame from its sender to its receivers, in whole microseconds
	DelayTo      time.Duration
	ForwardDelay time.Duration // a port forwards only so long after its carrier came: 30 s with the spanning tree; 0 is an edge port
}

// Defaults of a segment: switches keep a MAC for 300 s (IEEE 802.1Q table 8-6).
var Defaults = Options{Ageing: 300 * time.Second, DelayFrom: 20 * time.Microsecond, DelayTo: 100 * time.Microsecond}

// Segment is one broadcast domain: a learning switch, which Split parts into several.
type Segment struct {
	Kernel *kernel.Kernel
	// Drop, if set, loses the frames for which it is true, before the switch: dynamic ARP inspection, or a scenario's own loss.
	Drop func(from *Port, f Frame) bool

	options   Options
	ports     []*Port
	parts     []*part
	watchers  []func(at time.Duration, from *Port, f Frame)
	loseOneIn int
	free      *flight
	flooded   int
}

// part is the ports that reach each other, and the MAC table of their switch.
type part struct {
	ports []*Port // in the order in which they were attached
	table *table
}

// New makes a segment without ports.
func New(k *kernel.Kernel, o Options) *Segment {
	if o.Ageing == 0 {
		o.Ageing = Defaults.Ageing
	}
	if o.DelayTo == 0 {
		o.DelayFrom, o.DelayTo = Defaults.DelayFrom, Defaults.DelayTo
	}
	if o.DelayFrom > o.DelayTo {
		panic("segment: the least delay is above the greatest")
	}
	return &Segment{Kernel: k, options: o, parts: []*part{{table: newTable()}}}
}

// Attach plugs a port in, with carrier. Receivers get a broadcast in the order of Attach.
func (s *Segment) Attach(p *Port) *Port {
	if p.segment != nil {
		panic("segment: a port is attached twice")
	}
	p.segment, p.carrier = s, true
	p.arrivals = "segment/arrival/" + p.Name
	p.part = s.parts[0]
	s.ports = append(s.ports, p)
	p.part.ports = append(p.part.ports, p)
	return p
}

// Watch calls a function for each frame when it is sent on the wire of its port. A frame that is then cut or lost was
// sent too; one that was sent without carrier was not.
func (s *Segment) Watch(f func(at time.Duration, from *Port, f Frame)) {
	s.watchers = append(s.watchers, f)
}

// Flooded counts the unicast frames whose destination the MAC table did not have.
func (s *Segment) Flooded() int { return s.flooded }

// LoseOneIn loses frames at random, before the switch; 0 ends it.
func (s *Segment) LoseOneIn(n int) { s.loseOneIn = n }

// LoseNext loses the next frames that a port sends.
func (s *Segment) LoseNext(p *Port, n int) { p.loseSent = n }

// MissNext loses the next frames on their way out to a port, so that only it misses a broadcast.
func (s *Segment) MissNext(p *Port, n int) {
	p.loseReceived = n
	p.reconsider()
}

// flight is a frame on its way: one event, however many receive it.
type flight struct {
	from  *Port
	frame Frame
	next  *flight // of those to use again
}

func (s *Segment) send(from *Port, f Frame) {
	now := s.Kernel.Now()
	for _, watch := range s.watchers {
		watch(now, from, f)
	}
	if from.lost() || s.Drop != nil && s.Drop(from, f) {
		return
	}
	delay := s.options.DelayFrom
	if delay < s.options.DelayTo {
		delay = kernel.Between(s.Kernel, "segment/delay", delay, s.options.DelayTo)
	}
	// A frame does not overtake another of its sender (IEEE 802.1Q section 6.5.3).
	from.arrival = max(from.arrival, now+delay)
	flying := s.free
	if flying == nil {
		flying = &flight{}
	} else {
		s.free = flying.next
	}
	flying.from, flying.frame = from, f
	s.Kernel.At(from.arrival, flying)
}

// Happen implements kernel.Event.
func (a *flight) Happen() {
	from, f, s := a.from, a.frame, a.from.segment
	a.next, s.free = s.free, a
	if !from.carrier {
		return
	}
	now, part := s.Kernel.Now(), from.part
	part.table.learn(f.Source, from, now)
	if f.Destination.Group() {
		for _, to := range part.ports {
			to.take(from, &f)
		}
		return
	}
	if to := part.table.find(f.Destination, now, s.options.Ageing); to != nil {
		to.take(from, &f)
		return
	}
	s.flooded++
	for _, to := range part.ports {
		to.take(from, &f)
	}
}
