package l2

import "sync/atomic"

// Counts say what became of frames since the start.
type Counts struct {
	Requests      uint64 // questions that were answered or should have been
	Replies       uint64 // answers that left by a socket
	Announcements uint64 // frames that announce, each form counts
	Probes        uint64
	Heard         uint64 // told to the handler

	Own        uint64 // received, and sent by this node
	Malformed  uint64 // received, and no ARP or neighbour discovery as the RFCs have it
	Overflowed uint64 // that a socket had no room for: nobody knows what they were

	Unsent   uint64 // answers, announcements and probes that a socket did not take
	Unneeded uint64 // announcements whose address was stopped, or whose time had passed, before their turn
}

// reason is what became of a frame.
type reason int

const (
	requests reason = iota
	replies
	announcements
	probes
	heardOthers
	ownFrames
	malformed
	overflowed
	unsent
	unneeded
	reasons
)

type counts [reasons]atomic.Uint64

func (c *counts) add(r reason) { c[r].Add(1) }

func (c *counts) read() Counts {
	of := func(r reason) uint64 { return c[r].Load() }
	return Counts{
		Requests: of(requests), Replies: of(replies), Announcements: of(announcements), Probes: of(probes), Heard: of(heardOthers),
		Own: of(ownFrames), Malformed: of(malformed), Overflowed: of(overflowed), Unsent: of(unsent), Unneeded: of(unneeded),
	}
}
