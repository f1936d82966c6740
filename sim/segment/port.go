package segment

import (
	"slices"
	"time"

	"viplog/sim/kernel"
)

// Port is a network interface and its link to the switch.
type Port struct {
	Name        string
	MAC         MAC
	Promiscuous bool // takes unicast frames to other MACs too
	Receive     func(Frame)
	Carrier     func(up bool) // called when the carrier changes; may be nil

	segment *Segment
	part    *part
	station *station // where the table has the source of the last frame
	arrival time.Duration
	flaps   int
	carrier bool

	// hindered is whether the slow look at a frame to this port is needed.
	hindered     bool
	cut          Direction
	deafTo       []*Port
	forwardsFrom time.Duration
	loseSent     int
	loseReceived int
	loseOneIn    int
	arrivals     string // the stream of the losses of this port
}

// Direction is of the frames of a port.
type Direction uint8

const (
	// Sent is the frames from the port.
	Sent Direction = 1 << iota
	// Received is the frames to the port.
	Received
	// Both is all of its frames.
	Both = Sent | Received
)

// Send sends a frame; false without carrier. The receivers get it in a later event.
func (p *Port) Send(f Frame) bool {
	if !p.carrier {
		return false
	}
	p.segment.send(p, f)
	return true
}

// Up tells whether there is carrier.
func (p *Port) Up() bool { return p.carrier }

// SetCarrier gives or takes the carrier. The switch forgets what it learned at a port that lost it; frames on their way
// from it and to it are lost.
func (p *Port) SetCarrier(up bool) {
	if p.carrier == up {
		return
	}
	p.carrier = up
	if !up {
		p.flaps++
	} else if wait := p.segment.options.ForwardDelay; wait > 0 {
		p.forwardsFrom = p.segment.Kernel.Now() + wait
		p.segment.Kernel.After(wait, p.reconsider)
	}
	p.reconsider()
	if p.Carrier != nil {
		p.Carrier(up)
	}
}

// Cut loses the port's frames in these directions and in no other, without a sign of it at the port; Cut(0) mends it.
func (p *Port) Cut(d Direction) {
	p.cut = d
	p.reconsider()
}

// LoseOneIn loses frames to this port alone at random; 0 ends it.
func (p *Port) LoseOneIn(n int) {
	p.loseOneIn = n
	p.reconsider()
}

// CutOneWay loses the frames from one port to another. The switch still learns from them.
func (s *Segment) CutOneWay(from, to *Port) {
	if !slices.Contains(to.deafTo, from) {
		to.deafTo = append(to.deafTo, from)
	}
	to.reconsider()
}

// MendOneWay ends a CutOneWay.
func (s *Segment) MendOneWay(from, to *Port) {
	to.deafTo = slices.DeleteFunc(to.deafTo, func(p *Port) bool { return p == from })
	to.reconsider()
}

func (p *Port) reconsider() {
	p.hindered = !p.carrier || p.cut&Received != 0 || p.forwardsFrom > p.segment.Kernel.Now() ||
		len(p.deafTo) > 0 || p.loseReceived > 0 || p.loseOneIn > 0
}

// lost tells whether the frame that is sent now does not come to the switch.
func (p *Port) lost() bool {
	s := p.segment
	switch {
	case p.cut&Sent != 0, p.forwardsFrom > s.Kernel.Now():
		return true
	case p.loseSent > 0:
		p.loseSent--
		return true
	default:
		return s.loseOneIn > 0 && kernel.Chance(s.Kernel, "segment/loss", s.loseOneIn)
	}
}

// take gives the port a frame that the switch sends out of it. The network card filters before anything is counted.
func (p *Port) take(from *Port, f *Frame) {
	if p == from || f.Destination != p.MAC && !f.Destination.Group() && !p.Promiscuous {
		return
	}
	if p.hindered && p.missed(from) {
		return
	}
	p.Receive(*f)
}

func (p *Port) missed(from *Port) bool {
	switch {
	case !p.carrier, p.cut&Received != 0, p.forwardsFrom > p.segment.Kernel.Now(), slices.Contains(p.deafTo, from):
		return true
	case p.loseReceived > 0:
		p.loseReceived--
		p.reconsider()
		return true
	default:
		return p.loseOneIn > 0 && kernel.Chance(p.segment.Kernel, p.arrivals, p.loseOneIn)
	}
}
