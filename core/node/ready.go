package node

import (
	"net/netip"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/trace"
)

// Input is what a Machine is told.
type Input interface{ isInput() }

type (
	// Folded are the next entries of the log.
	Folded struct{ Entries []log.Entry }
	// Restored is a snapshot from which the node goes on, because what it has not folded yet was purged. The machine
	// keeps the ledger.
	Restored struct{ Ledger *ledger.State }
	// HeadRead answers Ready.ReadHead: the log held that much after it was asked.
	HeadRead struct{ Last uint64 }
	// Answered is a voter's answer.
	Answered struct{ Answer lease.Answer }
	// Linked are the node's interfaces as they are now.
	Linked struct{ Interfaces []event.Interface }
	// Heard is a frame in which another MAC uses an address: it answers for it, announces it or probes for it.
	Heard struct {
		Address   netip.Addr
		Interface string
		MAC       string
	}
	// Listened answers Ready.Listen: another host has sent a frame.
	Listened struct{}
	// Digested answers Ready.Digest.
	Digested struct{ Digest lease.Digest }
	// DataPlane is how the node's data plane stands, which forwards what comes for an address (kube-proxy). Until it is told the node takes it
	// to serve everything.
	DataPlane struct {
		State DataPlaneState
		// IPv4 and IPv6 are sequences: the data plane serves each address of the family that a fact up to there gave to a Service of Kubernetes.
		// One that serves all says ServesAll.
		IPv4, IPv6 uint64
	}
	// Woken is the passing of time.
	Woken struct{}
	// Leaving says that the process is to end, and its addresses to go to others before.
	Leaving struct{}
	// LogReplaced says that the log is another one: all is dropped, and a new Machine must start.
	LogReplaced struct{}
)

func (Folded) isInput()      {}
func (Restored) isInput()    {}
func (HeadRead) isInput()    {}
func (Answered) isInput()    {}
func (Linked) isInput()      {}
func (Heard) isInput()       {}
func (Listened) isInput()    {}
func (Digested) isInput()    {}
func (DataPlane) isInput()   {}
func (Woken) isInput()       {}
func (Leaving) isInput()     {}
func (LogReplaced) isInput() {}

// Ready is what the shell must do. But for Persist and Digest, which go on in the background, it does so in the order of the fields, each
// before the next is begun, and before it calls Step again.
type Ready struct {
	// Persist is to be made durable while all else goes on, the newest only if there are more; nil: as it is. A process that does not find
	// its incarnation on the disk joins as another.
	Persist *Disk

	// Stop and then Start change the addresses that the responder answers for, and Until is the instant up to which it
	// answers at all. When the responder has taken this, no answer for a stopped address is under way.
	Stop  []netip.Addr
	Start []Served
	Until lease.Instant

	// Renewals and Resigns are messages, each to be sent at most once; a Resign goes to all voters of both sets.
	Renewals []lease.Renewal
	Resigns  []lease.Resign

	// Frames are to be sent, paced; announcements while Until has not passed.
	Frames []Frame

	// Listen asks to be told by Listened, once: at once if any frame has come in since it was asked before, else with the next question or
	// announcement of another host.
	Listen bool

	// Propose, if not nil, replaces the facts that the shell tries to append, the first one first, each guarded by its
	// entity, until it is told otherwise.
	Propose []event.Event

	// ReadHead asks for the log's head, to be told by HeadRead.
	ReadHead bool

	// Digest is to be digested in the background, and told by Digested; a newer one may replace one that waits. Nil for none.
	Digest *ledger.State

	// Left says that the process may end.
	Left bool

	// Refold says that the ledger is wrong: this machine is done, and a new one must start, which folds the log anew.
	Refold bool

	// Notes are what happened.
	Notes []trace.Note

	// Wake is when Step(Woken) is due, if nothing else happens before.
	Wake lease.Instant
}

// Served is an address that the responder answers for, on some of the node's interfaces.
type Served struct {
	Address    netip.Addr
	Interfaces []string
}

// Frame is a frame about an address.
type Frame struct {
	Kind      FrameKind
	Address   netip.Addr
	Interface string
}

// FrameKind is what a frame is for.
type FrameKind uint8

const (
	// Announce tells everyone that this node has the address: a gratuitous request and reply (RFC 5944 section 4.6; facts
	// of Linux: both forms are needed), or an unsolicited neighbour advertisement (RFC 4861 section 7.2.6).
	Announce FrameKind = iota
	// Probe asks whether anyone has the address, without using it (RFC 5227 section 2.1.1, RFC 4862 section 5.4.2).
	Probe
)
