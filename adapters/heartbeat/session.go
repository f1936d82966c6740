package heartbeat

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// The sizes of a datagram's fields, in bytes.
const (
	// MaxDatagram is the most that a datagram holds, in all: with the headers of IPv6 and UDP it fits an Ethernet frame, and most tunnels.
	MaxDatagram = 1400

	senderSize = 8
	nameSize   = 4
	helloHead  = 2 + senderSize
	dataHead   = 2 + senderSize + nameSize + 8
	tagSize    = 16
	maxPayload = MaxDatagram - dataHead - tagSize
)

// sealVersion is that of datagrams: of headers, sealing and hellos.
const sealVersion = 1

const (
	typeHello = 1
	typeData  = 2
)

// offer is one host's half of a session. The zero offer is none.
type offer [16]byte

func newOffer() (o offer) {
	_, _ = rand.Read(o[:]) // never fails: crypto/rand
	return o
}

// session is what two offers make.
type session struct {
	own, peer offer
	process   offer // of the peer
	made      time.Time
	confirmed time.Time // when the peer was first known to have it; zero for not yet
	seal      cipher.AEAD
	sealName  [nameSize]byte
	sealed    uint64 // counter of the last datagram
	open      cipher.AEAD
	openName  [nameSize]byte
	window    window
	nonce     [chacha20poly1305.NonceSize]byte // of the datagram in hand
}

func newSession(p pair, own, peer, process offer, now time.Time) *session {
	s := &session{own: own, peer: peer, process: process, made: now}
	s.seal, s.sealName = p.dataKey(p.out(), own, peer)
	s.open, s.openName = p.dataKey(p.in(), peer, own)
	return s
}

// count sets the nonce to a counter, behind 32 bits of zeros (RFC 8439, section 2.8): the key is of one sender and one session.
func (s *session) count(counter uint64) []byte {
	binary.BigEndian.PutUint64(s.nonce[4:], counter)
	return s.nonce[:]
}

// sealData appends a datagram to an empty slice.
func (s *session) sealData(b []byte, sender [senderSize]byte, payload []byte) []byte {
	s.sealed++
	b = append(append(b, sealVersion, typeData), sender[:]...)
	b = append(b, s.sealName[:]...)
	b = binary.BigEndian.AppendUint64(b, s.sealed)
	return s.seal.Seal(b, s.count(s.sealed), payload, b)
}

// openData opens a datagram and takes its counter. reason says why it is not to be heard.
func (s *session) openData(b, datagram []byte) (payload []byte, reason reason) {
	head, sealed := datagram[:dataHead], datagram[dataHead:]
	counter := binary.BigEndian.Uint64(head[dataHead-8:])
	payload, err := s.open.Open(b, s.count(counter), sealed, head)
	switch {
	case err != nil:
		return nil, forged
	case !s.window.take(counter):
		return nil, replayed
	}
	return payload, received
}

// nameOf is which session a datagram with data names.
func nameOf(datagram []byte) [nameSize]byte {
	return [nameSize]byte(datagram[2+senderSize:])
}
