package heartbeat

import (
	"bytes"
	"fmt"

	"viplog/core/lease"
)

// What does not fit one datagram goes in several, and nothing is left out:
//
//   - An answer with many votes becomes answers that differ in their votes only. Each stands for itself. Each repeats the
//     progress, because the serial that a node echoes says that it has heard that; and a lost one costs its votes until the next
//     heartbeat, but no grant.
//   - A word takes the place of its voter's last one, so that half of one would take back suspicions. It is cut into parts, and is
//     delivered when all have arrived; one with a lost part is lost, and said again with the next heartbeat.

// part is one piece of an encoded word.
type part struct {
	word  uint64 // counts the sender's words that were cut, by receiver
	index int    // from 0 on
	count int    // 2 to maxParts
	bytes []byte // of the encoded word
}

// maxParts suffices for a word of 256 suspects and 256 votes with IPv6 addresses, whose numbers are as long as they can be.
const maxParts = 32

// partHeader is the most that stands before a part's bytes.
const partHeader = 2 + 10 + 1 + 1

// payloads encodes a message into payloads of at most maxPayload bytes each, and adds them to those given, whose memory beyond
// their length is used again. word numbers a word that must be cut.
func payloads(all [][]byte, message any, word uint64) ([][]byte, error) {
	all, last := next(all)
	whole, err := appendMessage(*last, message)
	*last = whole
	switch answer, isAnswer := message.(lease.Answer); {
	case err != nil:
		return all, err
	case len(whole) <= maxPayload:
		return all, nil
	case isAnswer:
		return splitAnswer(all[:len(all)-1], answer)
	case kindOf(message) == kindWord:
		return cut(all[:len(all)-1], bytes.Clone(whole), word)
	}
	return all, fmt.Errorf("%w: it has %d bytes, a datagram takes %d", ErrUnsendable, len(whole), maxPayload)
}

// next adds an empty payload, and gives its place.
func next(all [][]byte) ([][]byte, *[]byte) {
	if len(all) < cap(all) {
		all = all[:len(all)+1]
	} else {
		all = append(all, make([]byte, 0, 256))
	}
	last := &all[len(all)-1]
	*last = (*last)[:0]
	return all, last
}

func splitAnswer(all [][]byte, answer lease.Answer) ([][]byte, error) {
	votes := answer.Votes
	answer.Votes = nil
	bare, err := appendMessage(nil, answer)
	for err == nil && len(votes) > 0 {
		size, n := len(bare), 0
		for ; n < len(votes); n++ {
			var w writer
			if w.vote(votes[n], answer.Voter); size+len(w.bytes) > maxPayload {
				break
			}
			size += len(w.bytes)
		}
		if n == 0 {
			return all, fmt.Errorf("%w: an answer of %d bytes leaves no room for a vote", ErrUnsendable, len(bare))
		}
		answer.Votes, votes = votes[:n], votes[n:]
		var last *[]byte
		all, last = next(all)
		*last, err = appendMessage(*last, answer)
	}
	return all, err
}

func cut(all [][]byte, whole []byte, word uint64) ([][]byte, error) {
	const most = maxPayload - partHeader
	count := (len(whole) + most - 1) / most
	if count > maxParts {
		return all, fmt.Errorf("%w: a word of %d bytes needs %d datagrams, %d are the most", ErrUnsendable, len(whole), count, maxParts)
	}
	for i := range count {
		var last *[]byte
		all, last = next(all)
		*last = appendPart(*last, part{word, i, count, whole[i*most : min((i+1)*most, len(whole))]})
	}
	return all, nil
}

func appendPart(b []byte, p part) []byte {
	w := writer{bytes: b}
	w.begin(kindPart)
	w.number(p.word)
	w.bytes = append(w.bytes, byte(p.index), byte(p.count))
	return append(w.bytes, p.bytes...)
}

func (r *reader) part() part {
	p := part{word: r.number(), index: int(r.byte()), count: int(r.byte())}
	r.want(2 <= p.count && p.count <= maxParts && p.index < p.count && len(r.bytes) > 0)
	p.bytes = r.take(len(r.bytes))
	return p
}

// assembly gathers the parts of one word of a peer, the newest of which a part has arrived.
type assembly struct {
	word  uint64
	parts [][]byte
	left  int
}

// add takes a part, and gives the encoded word when it was the last that lacked. lost tells that an older word will never be whole.
func (a *assembly) add(p part) (whole []byte, lost bool) {
	if p.word < a.word {
		return nil, false // late
	}
	if p.word > a.word || a.parts == nil {
		lost = a.left > 0
		*a = assembly{word: p.word, parts: make([][]byte, p.count), left: p.count}
	}
	if a.left == 0 || len(a.parts) != p.count || a.parts[p.index] != nil {
		return nil, lost
	}
	a.parts[p.index] = bytes.Clone(p.bytes)
	if a.left--; a.left > 0 {
		return nil, lost
	}
	whole = bytes.Join(a.parts, nil)
	a.parts = a.parts[:0:0]
	return whole, lost
}
