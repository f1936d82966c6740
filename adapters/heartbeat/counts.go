package heartbeat

import "sync/atomic"

// Counts say what became of datagrams and messages since the start.
type Counts struct {
	Sent     uint64 // messages, each once however many datagrams it took or whether it was sent again to a new process
	Received uint64 // messages handed over
	Greeted  uint64 // hellos sent
	Sessions uint64 // sessions gone over to

	// Datagrams that arrived and were not heard.
	UnknownSender uint64 // of no peer
	Forged        uint64 // sealed by another key, or changed on the way
	Truncated     uint64 // shorter than the least datagram
	Oversized     uint64 // longer than MaxDatagram
	Replayed      uint64 // heard before, or too far behind to tell
	Malformed     uint64 // of an unknown version or type; or sealed by a peer, and no message
	Impostor      uint64 // sealed by a peer, in another's name
	NoSession     uint64 // of a session that has ended, or is not known yet
	Stale         uint64 // hellos that echo no open offer: first ones, those of a peer that has not heard of a restart, and recorded ones

	// Messages that did not leave, or did not arrive as a whole.
	Unsent     uint64 // no session came about in time, or a newer one took its place before
	Unwritten  uint64 // the socket failed
	Incomplete uint64 // words of which a part was lost
}

// reason is what became of a datagram or a message.
type reason int

const (
	sent reason = iota
	received
	greeted
	sessions
	unknownSender
	forged
	truncated
	oversized
	replayed
	malformed
	impostor
	noSession
	stale
	unsent
	unwritten
	incomplete
	reasons
)

type counts [reasons]atomic.Uint64

func (c *counts) add(r reason) { c[r].Add(1) }

// Counts gives the counts so far.
func (c *Conn) Counts() Counts {
	of := func(r reason) uint64 { return c.counts[r].Load() }
	return Counts{
		Sent: of(sent), Received: of(received), Greeted: of(greeted), Sessions: of(sessions),
		UnknownSender: of(unknownSender), Forged: of(forged), Truncated: of(truncated), Oversized: of(oversized),
		Replayed: of(replayed), Malformed: of(malformed), Impostor: of(impostor), NoSession: of(noSession), Stale: of(stale),
		Unsent: of(unsent), Unwritten: of(unwritten), Incomplete: of(incomplete),
	}
}
