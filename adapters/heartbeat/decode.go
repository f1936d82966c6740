package heartbeat

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"viplog/core/lease"
)

// names are what a peer said last, so that a name that is said with every heartbeat is allocated once.
type names struct{ log, voter string }

// decode reads a payload: a lease.Renew, Answer, Word or Resign, or a part. It is total, takes no more memory than the limits of
// encode.go allow, and takes one encoding of each value only: what decodes encodes to the same bytes. It keeps nothing of the
// bytes of a whole message; a part's are those given. ErrMalformed: the bytes are no payload.
func decode(b []byte, known *names) (any, error) {
	r := reader{bytes: b, known: known}
	if r.byte() != wireVersion {
		return nil, ErrMalformed
	}
	var message any
	switch kind(r.byte()) {
	case kindRenew:
		message = r.renew()
	case kindAnswer:
		message = r.answer()
	case kindWord:
		message = r.word()
	case kindResign:
		message = lease.Resign{Log: r.text(&r.known.log), Who: r.incarnation()}
	case kindPart:
		message = r.part()
	default:
		r.failed = true
	}
	if r.failed || len(r.bytes) > 0 {
		return nil, ErrMalformed
	}
	return message, nil
}

// reader takes from the front of bytes. After the first failure it gives zeros.
type reader struct {
	bytes  []byte
	known  *names
	failed bool
}

func (r *reader) renew() lease.Renew {
	m := lease.Renew{
		Log: r.text(&r.known.log), Set: r.number(), From: r.incarnation(), Number: r.number(), Heard: r.serial(),
		Folded: r.number(), Applied: r.number(), Awaits: r.number(), Digest: r.digest(),
	}
	length := r.number()
	r.want(length <= maxDuration)
	m.Lease = time.Duration(length)
	return m
}

func (r *reader) answer() lease.Answer {
	m := lease.Answer{
		Log: r.text(&r.known.log), Voter: r.text(&r.known.voter), To: r.incarnation(), Serial: r.serial(),
		Number: r.number(), Set: r.number(),
	}
	flags := r.byte()
	r.want(flags&^(flagGranted|flagOut) == 0)
	m.Granted, m.Out = flags&flagGranted > 0, flags&flagOut > 0
	m.Digest = r.digest()
	if n := r.count(maxProgress); n > 0 {
		m.Progress = make([]lease.Progress, 0, n)
		for range n {
			m.Progress = append(m.Progress, lease.Progress{Who: r.incarnation(), Folded: r.number(), Applied: r.number()})
		}
	}
	m.Votes = r.votes(m.Voter)
	return m
}

func (r *reader) word() lease.Word {
	m := lease.Word{
		Log: r.text(&r.known.log), Voter: r.text(&r.known.voter), Set: r.number(), Applied: r.number(), Digest: r.digest(),
	}
	if n := r.count(maxSuspects); n > 0 {
		m.Suspects = make([]lease.Incarnation, 0, n)
		for range n {
			m.Suspects = append(m.Suspects, r.incarnation())
		}
	}
	m.Votes = r.votes(m.Voter)
	return m
}

func (r *reader) votes(own string) []lease.Vote {
	n := r.count(maxVotes)
	if n == 0 {
		return nil
	}
	votes := make([]lease.Vote, 0, n)
	for range n {
		v := lease.Vote{Voter: own}
		switch r.byte() {
		case 0:
		case 1:
			other := own
			v.Voter = r.text(&other)
			r.want(v.Voter != own)
		default:
			r.failed = true
		}
		v.Set, v.Dead = r.number(), r.incarnation()
		v.Signature = bytes.Clone(r.take(ed25519.SignatureSize))
		votes = append(votes, v)
	}
	return votes
}

func (r *reader) want(holds bool) { r.failed = r.failed || !holds }

func (r *reader) take(n int) []byte {
	if r.failed || len(r.bytes) < n {
		r.failed = true
		return nil
	}
	taken := r.bytes[:n]
	r.bytes = r.bytes[n:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// number takes the least encoding of a number only: no group of zeros at its end.
func (r *reader) number() uint64 {
	n, length := binary.Uvarint(r.bytes)
	if length <= 0 || length > 1 && r.bytes[length-1] == 0 {
		r.failed = true
		return 0
	}
	r.take(length)
	return n
}

func (r *reader) serial() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// count is the length of a list. One that promises more entries than there are bytes left is refused before it is made.
func (r *reader) count(most int) int {
	n := r.number()
	r.want(n <= uint64(most) && n <= uint64(len(r.bytes)))
	if r.failed {
		return 0
	}
	return int(n)
}

func (r *reader) text(known *string) string {
	n := r.number()
	r.want(n <= maxText)
	b := r.take(int(min(n, maxText)))
	if string(b) != *known {
		*known = string(b)
	}
	return *known
}

func (r *reader) incarnation() lease.Incarnation {
	return lease.Incarnation{Node: r.address(), Join: r.number()}
}

func (r *reader) address() netip.Addr {
	switch r.byte() {
	case 4:
		if b := r.take(4); b != nil {
			return netip.AddrFrom4([4]byte(b))
		}
	case 16:
		if b := r.take(16); b != nil {
			return netip.AddrFrom16([16]byte(b))
		}
	}
	r.failed = true
	return netip.Addr{}
}

func (r *reader) digest() lease.Digest {
	d := lease.Digest{Sequence: r.number()}
	if d.Sequence > 0 {
		copy(d.Sum[:], r.take(len(d.Sum)))
	}
	return d
}

// ErrMalformed marks bytes that are no payload.
var ErrMalformed = errors.New("heartbeat: malformed")
