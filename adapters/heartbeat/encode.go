package heartbeat

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"

	"viplog/core/lease"
)

// wireVersion is that of the messages' encoding. A receiver counts one that it does not know as malformed.
const wireVersion = 1

// kind says what a payload holds.
type kind byte

const (
	kindRenew  kind = 1
	kindAnswer kind = 2
	kindWord   kind = 3
	kindResign kind = 4
	kindPart   kind = 5 // of a word that does not fit one datagram
)

// The most that a message may hold. An answer has as many entries of progress as core/lease gives it at most. 128 nodes may have two
// incarnations each that are not out: one voted dead and one that joined after it.
const (
	maxText     = 64 // bytes of a log's or a voter's name; a log's has 30 and a voter's 22
	maxProgress = 24
	maxSuspects = 256
	maxVotes    = 256
)

const (
	flagGranted = 1 << 0
	flagOut     = 1 << 1
)

// appendMessage encodes a lease.Renew, Answer, Word or Resign. Numbers are unsigned LEB128 of the least length, texts and lists have
// their length before them. ErrUnsendable: a part of it is past the limits above, or is no value of its kind.
func appendMessage(b []byte, message any) ([]byte, error) {
	w := writer{bytes: b}
	switch m := message.(type) {
	case lease.Renew:
		w.renew(m)
	case lease.Answer:
		w.answer(m)
	case lease.Word:
		w.word(m)
	case lease.Resign:
		w.begin(kindResign)
		w.text("log", m.Log)
		w.incarnation(m.Who)
	default:
		w.fail("a %T is no lease message", message)
	}
	return w.bytes, w.err
}

// kindOf is the kind of a message that appendMessage takes.
func kindOf(message any) kind {
	switch message.(type) {
	case lease.Renew:
		return kindRenew
	case lease.Answer:
		return kindAnswer
	case lease.Word:
		return kindWord
	case lease.Resign:
		return kindResign
	}
	return 0
}

// writer appends to bytes until something cannot be encoded.
type writer struct {
	bytes []byte
	err   error
}

func (w *writer) begin(k kind) { w.bytes = append(w.bytes, wireVersion, byte(k)) }

func (w *writer) renew(m lease.Renew) {
	w.begin(kindRenew)
	w.text("log", m.Log)
	w.number(m.Set)
	w.incarnation(m.From)
	w.number(m.Number)
	w.serial(m.Heard)
	w.number(m.Folded)
	w.number(m.Applied)
	w.number(m.Awaits)
	w.digest(m.Digest)
	if m.Lease < 0 {
		w.fail("a lease of %s", m.Lease)
	}
	w.number(uint64(m.Lease))
}

func (w *writer) answer(m lease.Answer) {
	w.begin(kindAnswer)
	w.text("log", m.Log)
	w.text("voter", m.Voter)
	w.incarnation(m.To)
	w.serial(m.Serial)
	w.number(m.Number)
	w.number(m.Set)
	var flags byte
	if m.Granted {
		flags |= flagGranted
	}
	if m.Out {
		flags |= flagOut
	}
	w.bytes = append(w.bytes, flags)
	w.digest(m.Digest)
	w.count("entries of progress", len(m.Progress), maxProgress)
	for _, p := range m.Progress {
		w.incarnation(p.Who)
		w.number(p.Folded)
		w.number(p.Applied)
	}
	w.votes(m.Votes, m.Voter)
}

func (w *writer) word(m lease.Word) {
	w.begin(kindWord)
	w.text("log", m.Log)
	w.text("voter", m.Voter)
	w.number(m.Set)
	w.number(m.Applied)
	w.digest(m.Digest)
	w.count("suspects", len(m.Suspects), maxSuspects)
	for _, who := range m.Suspects {
		w.incarnation(who)
	}
	w.votes(m.Votes, m.Voter)
}

func (w *writer) votes(votes []lease.Vote, own string) {
	w.count("votes", len(votes), maxVotes)
	for _, v := range votes {
		w.vote(v, own)
	}
}

// vote names its voter only where that is another than the message's own, which it hardly ever is.
func (w *writer) vote(v lease.Vote, own string) {
	if v.Voter == own {
		w.bytes = append(w.bytes, 0)
	} else {
		w.bytes = append(w.bytes, 1)
		w.text("voter", v.Voter)
	}
	w.number(v.Set)
	w.incarnation(v.Dead)
	if len(v.Signature) != ed25519.SignatureSize {
		w.fail("a signature of %d bytes", len(v.Signature))
	}
	w.bytes = append(w.bytes, v.Signature...)
}

func (w *writer) number(n uint64) { w.bytes = binary.AppendUvarint(w.bytes, n) }

// serial writes a number that is random, and so takes fewer bytes as it is.
func (w *writer) serial(n uint64) { w.bytes = binary.BigEndian.AppendUint64(w.bytes, n) }

func (w *writer) count(what string, n, most int) {
	if n > most {
		w.fail("%d %s, %d are the most", n, what, most)
	}
	w.number(uint64(n))
}

func (w *writer) text(what, s string) {
	if len(s) > maxText {
		w.fail("the name of a %s has %d bytes, %d are the most", what, len(s), maxText)
	}
	w.number(uint64(len(s)))
	w.bytes = append(w.bytes, s...)
}

// incarnation writes the length of the node's address, the address and the join.
func (w *writer) incarnation(i lease.Incarnation) {
	w.address(i.Node)
	w.number(i.Join)
}

func (w *writer) address(a netip.Addr) {
	switch {
	case a.Is4():
		b := a.As4()
		w.bytes = append(append(w.bytes, 4), b[:]...)
	case a.Is6() && a.Zone() == "":
		b := a.As16()
		w.bytes = append(append(w.bytes, 16), b[:]...)
	default:
		w.fail("%s is no node's address", a)
	}
}

// digest writes the sum only where there is one: sequence 0 means that there is none yet.
func (w *writer) digest(d lease.Digest) {
	w.number(d.Sequence)
	if d.Sequence > 0 {
		w.bytes = append(w.bytes, d.Sum[:]...)
	}
}

func (w *writer) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("%w: "+format, append([]any{ErrUnsendable}, args...)...)
	}
}

// maxDuration bounds a lease on the wire: a time.Duration is signed.
const maxDuration = math.MaxInt64

// ErrUnsendable marks a message that no datagram can carry. It says why; nothing of the message was sent.
var ErrUnsendable = errors.New("heartbeat: the message cannot be sent")
