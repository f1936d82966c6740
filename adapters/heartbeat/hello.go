package heartbeat

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// hello is what hosts tell each other to have a session.
type hello struct {
	offer   offer // its sender's
	echo    offer // its receiver's, as far as the sender knows one; zero for none
	process offer // drawn when the sender's process started
	done    bool  // the sender has the session of both
}

const (
	helloBody = 3*16 + 1
	helloSize = helloHead + chacha20poly1305.NonceSizeX + helloBody + tagSize
)

// sealHello appends a datagram to an empty slice.
func sealHello(b []byte, key cipher.AEAD, sender [senderSize]byte, h hello) []byte {
	var body [helloBody]byte
	copy(body[:], h.offer[:])
	copy(body[16:], h.echo[:])
	copy(body[32:], h.process[:])
	if h.done {
		body[48] = 1
	}
	var nonce [chacha20poly1305.NonceSizeX]byte
	_, _ = rand.Read(nonce[:]) // never fails: crypto/rand
	b = append(append(b, sealVersion, typeHello), sender[:]...)
	head := len(b)
	b = append(b, nonce[:]...)
	return key.Seal(b, nonce[:], body[:], b[:head])
}

// openHello reads a datagram of the right size.
func openHello(key cipher.AEAD, datagram []byte) (hello, reason) {
	head, rest := datagram[:helloHead], datagram[helloHead:]
	body, err := key.Open(nil, rest[:chacha20poly1305.NonceSizeX], rest[chacha20poly1305.NonceSizeX:], head)
	switch {
	case err != nil:
		return hello{}, forged
	case body[48] > 1:
		return hello{}, malformed
	}
	h := hello{offer([16]byte(body)), offer([16]byte(body[16:])), offer([16]byte(body[32:])), body[48] == 1}
	if h.offer == (offer{}) {
		return hello{}, malformed
	}
	return h, received
}

// The times and numbers of hellos.
const (
	offerLife    = 5 * time.Second        // how old an open offer may be: so a hello that was held back is soon worth nothing
	greetSoon    = 25 * time.Millisecond  // after how long a hello is said again, the first time
	greetLate    = 200 * time.Millisecond // and at most; it doubles in between
	answerEvery  = 100 * time.Millisecond // how often hellos are answered that prove nothing, in the long run
	answerBurst  = 10                     // and how many at once
	confirmFor   = 10 * time.Second       // how long a host goes on saying that it has a session
	quietFor     = 500 * time.Millisecond // how long nothing was heard from a peer whose unknown session is asked about
	openSessions = 4                      // of one process whose data is opened
)

// heardHello goes over to a session if the hello proves that its sender has heard the offer that is open, and answers. What else it says
// is not believed, since it may be recorded; an answer goes to the peer's address, and helps the peer alone.
func (p *peer) heardHello(c *Conn, h hello, now time.Time) {
	if s := p.session(h.echo, h.offer); s != nil {
		if h.done {
			p.confirm(s, now)
		} else if p.answers.take(now) {
			p.greet(c, s.greeting(c))
		}
		return
	}
	if h.echo == (offer{}) || h.echo != p.offer || now.Sub(p.offered) > offerLife {
		c.counts.add(stale)
		if p.answers.take(now) {
			p.greet(c, hello{offer: p.openOffer(now), echo: h.offer, process: c.process})
		}
		return
	}
	p.goOver(c, h, now)
}

// goOver begins a session. The offer is taken: no other hello can use it. One of a new process ends the sessions of the old one,
// for good: what the old one knew of this host's offers is all taken.
func (p *peer) goOver(c *Conn, h hello, now time.Time) {
	s := newSession(p.pair, p.offer, h.offer, h.process, now)
	p.offer, p.greetWait = offer{}, 0
	isNew := len(p.sessions) == 0 || p.sessions[0].process != h.process
	if isNew {
		p.sessions, p.sending, p.assembly = nil, nil, assembly{}
	}
	p.sessions = append([]*session{s}, p.sessions[:min(len(p.sessions), openSessions-1)]...)
	c.counts.add(sessions)
	if h.done {
		p.confirm(s, now)
	}
	p.greet(c, s.greeting(c))
	if isNew {
		p.sending = s
		p.sendKept(c, now)
	}
}

// greeting tells the peer that this host has a session.
func (s *session) greeting(c *Conn) hello {
	return hello{offer: s.own, echo: s.peer, process: c.process, done: true}
}

// session finds an open one by its offers.
func (p *peer) session(own, of offer) *session {
	for _, s := range p.sessions {
		if s.own == own && s.peer == of {
			return s
		}
	}
	return nil
}

// confirm takes note that the peer has a session, and sends under it from now on unless there is a newer one.
func (p *peer) confirm(s *session, now time.Time) {
	if !s.confirmed.IsZero() {
		return
	}
	s.confirmed = now
	for _, newer := range p.sessions {
		if newer == p.sending {
			return
		}
		if newer == s {
			p.sending = s
			return
		}
	}
}

// openOffer is the offer that a hello names: a fresh one if the last is taken or too old.
func (p *peer) openOffer(now time.Time) offer {
	if p.offer == (offer{}) || now.Sub(p.offered) > offerLife/2 {
		p.offer, p.offered = newOffer(), now
	}
	return p.offer
}

// greetFirst asks for a session, unless it did so a moment ago.
func (p *peer) greetFirst(c *Conn, now time.Time) {
	if p.mayGreet(now) {
		p.greet(c, hello{offer: p.openOffer(now), process: c.process})
	}
}

// mayGreet spaces hellos that nobody asked for: one that is not answered is said again, ever later.
func (p *peer) mayGreet(now time.Time) bool {
	if now.Sub(p.greeted) < p.greetWait {
		return false
	}
	p.greeted, p.greetWait = now, min(max(2*p.greetWait, greetSoon), greetLate)
	return true
}

func (p *peer) greet(c *Conn, h hello) {
	p.datagram = sealHello(p.datagram[:0], p.helloOut, p.idOut, h)
	if err := c.write(p, p.datagram); err == nil {
		c.counts.add(greeted)
	}
}

// bucket allows a number at once and then one an interval.
type bucket struct{ next time.Time }

func (b *bucket) take(now time.Time) bool {
	if earliest := now.Add(-(answerBurst - 1) * answerEvery); b.next.Before(earliest) {
		b.next = earliest
	}
	if b.next.After(now) {
		return false
	}
	b.next = b.next.Add(answerEvery)
	return true
}

// ErrUnknownPeer marks a key that SetPeers was not given.
var ErrUnknownPeer = errors.New("heartbeat: no such peer")
