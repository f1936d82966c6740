package heartbeat

import (
	"crypto/cipher"
	"crypto/ed25519"
	"net/netip"
	"slices"
	"sync"
	"time"

	"viplog/core/lease"
)

// Peer is a host that is heard and may be sent to. It speaks for nobody but the node and the voters that stand here: a host whose key was
// stolen cannot speak as another.
type Peer struct {
	Key     ed25519.PublicKey
	Address netip.AddrPort // where datagrams to it go; from where they come is not looked at
	Node    netip.Addr     // that renews and resigns; the zero address for none
	Voters  []string       // ids that answer and say words: one, or also that of a disk which it lost; none for a host that is no voter
}

// speaks tells whether a message is said in the peer's own name.
func (p Peer) speaks(message any) bool {
	switch m := message.(type) {
	case lease.Renew:
		return m.From.Node == p.Node
	case lease.Resign:
		return m.Who.Node == p.Node
	case lease.Answer:
		return slices.Contains(p.Voters, m.Voter)
	case lease.Word:
		return slices.Contains(p.Voters, m.Voter)
	}
	return false
}

// peer is what is known of a Peer.
type peer struct {
	pair             pair
	idIn, idOut      [senderSize]byte
	helloIn          cipher.AEAD
	helloOut         cipher.AEAD
	mu               sync.Mutex
	said             Peer       // as SetPeers said last
	offer            offer      // that is open; zero for none
	offered          time.Time  // when it was made
	sessions         []*session // the newest first, all of one process
	sending          *session   // under which datagrams go; nil for none
	greeted, heardAt time.Time
	greetWait        time.Duration
	answers          bucket
	kept             [keptMost]kept
	words            uint64 // that were cut
	assembly         assembly
	names            names
	scratch          [][]byte
	datagram         []byte // that goes out
	plain            []byte // that came in
}

func newPeer(secrets pair) *peer {
	p := &peer{pair: secrets, datagram: make([]byte, 0, MaxDatagram), plain: make([]byte, 0, MaxDatagram)}
	p.idIn, p.idOut = secrets.sender(secrets.in()), secrets.sender(secrets.out())
	p.helloIn, p.helloOut = secrets.helloKey(secrets.in()), secrets.helloKey(secrets.out())
	return p
}

const (
	keptMost = 4                      // messages
	keepFor  = 250 * time.Millisecond // longer, and the next heartbeat says something newer
	lingers  = 10 * time.Second       // how long sessions stay open after a newer one is confirmed
)

// kept is a message that goes out once there is a session with the peer's present process: one for which there was none, or that may
// have gone to the process before.
type kept struct {
	topic    topic
	at       time.Time
	payloads [][]byte
	unsent   bool
}

// topic is what a later message takes the place of an earlier one in: a node between two voter sets sends two renewals at once.
type topic struct {
	kind kind
	set  uint64
	who  lease.Incarnation
}

func topicOf(message any) topic {
	t := topic{kind: kindOf(message)}
	switch m := message.(type) {
	case lease.Renew:
		t.set, t.who = m.Set, m.From
	case lease.Answer:
		t.set, t.who = m.Set, m.To
	case lease.Resign:
		t.who = m.Who
	}
	return t
}

// send sends a message, or keeps it and asks for a session.
func (p *peer) send(c *Conn, message any, now time.Time) error {
	encoded, err := payloads(p.scratch[:0], message, p.words+1)
	p.scratch = encoded
	if err != nil {
		return err
	}
	if len(encoded) > 1 {
		p.words++
	}
	k := p.place(topicOf(message))
	if k.unsent {
		c.counts.add(unsent)
	}
	k.payloads, p.scratch = encoded, k.payloads
	k.topic, k.at, k.unsent = topicOf(message), now, p.sending == nil
	if p.sending == nil {
		p.greetFirst(c, now)
		return nil
	}
	err = p.transmit(c, k.payloads)
	if c.isOld(p.sending, now) && !p.isOpening(now) {
		p.greetFirst(c, now)
	}
	return err
}

// place is where a message is kept: that of the one before it, or the oldest.
func (p *peer) place(t topic) *kept {
	oldest := &p.kept[0]
	for i := range p.kept {
		if k := &p.kept[i]; k.topic == t {
			return k
		} else if k.at.Before(oldest.at) {
			oldest = k
		}
	}
	return oldest
}

// isOpening tells whether there is a newer session that the peer is not known to have yet.
func (p *peer) isOpening(now time.Time) bool {
	return len(p.sessions) > 0 && p.sessions[0].confirmed.IsZero() && now.Sub(p.sessions[0].made) < confirmFor
}

func (p *peer) transmit(c *Conn, encoded [][]byte) error {
	for _, payload := range encoded {
		p.datagram = p.sending.sealData(p.datagram[:0], p.idOut, payload)
		if err := c.write(p, p.datagram); err != nil {
			return err
		}
	}
	c.counts.add(sent)
	return nil
}

// sendKept sends what the peer's new process has not heard.
func (p *peer) sendKept(c *Conn, now time.Time) {
	for i := range p.kept {
		k := &p.kept[i]
		switch {
		case k.topic.kind == 0:
		case now.Sub(k.at) <= keepFor:
			_ = p.transmit(c, k.payloads) // counted
		case k.unsent:
			c.counts.add(unsent)
		}
		k.unsent = false
	}
}

// tick is the passing of time: hellos that were not answered are said again, and old sessions end.
func (p *peer) tick(c *Conn, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.sending; s != nil && !s.confirmed.IsZero() && now.Sub(s.confirmed) > lingers {
		p.sessions = slices.DeleteFunc(p.sessions, func(other *session) bool { return other.made.Before(s.made) })
	}
	waits := false
	for i := range p.kept {
		k := &p.kept[i]
		if k.unsent && now.Sub(k.at) > keepFor {
			k.unsent = false
			c.counts.add(unsent)
		}
		waits = waits || k.unsent
	}
	switch {
	case p.isOpening(now):
		if p.mayGreet(now) {
			p.greet(c, p.sessions[0].greeting(c))
		}
	case waits:
		p.greetFirst(c, now)
	}
}

// hear opens a datagram with data, and gives the message that it completes; nil for none.
func (p *peer) hear(c *Conn, datagram []byte, now time.Time) any {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := nameOf(datagram)
	i := slices.IndexFunc(p.sessions, func(s *session) bool { return s.openName == name })
	if i < 0 {
		c.counts.add(noSession)
		if now.Sub(p.heardAt) > quietFor {
			p.greetFirst(c, now) // it may have a session with the process before this one
		}
		return nil
	}
	payload, reason := p.sessions[i].openData(p.plain[:0], datagram)
	if reason != received {
		c.counts.add(reason)
		return nil
	}
	p.heardAt = now
	p.confirm(p.sessions[i], now)
	return p.message(c, payload)
}

// message reads a payload. Only a whole message that is said in the peer's own name is one.
func (p *peer) message(c *Conn, payload []byte) any {
	message, err := decode(payload, &p.names)
	if piece, isPart := message.(part); isPart {
		whole, lost := p.assembly.add(piece)
		if lost {
			c.counts.add(incomplete)
		}
		if whole == nil {
			return nil
		}
		if message, err = decode(whole, &p.names); kindOf(message) != kindWord {
			err = ErrMalformed
		}
	}
	switch {
	case err != nil:
		c.counts.add(malformed)
		return nil
	case !p.said.speaks(message):
		c.counts.add(impostor)
		return nil
	}
	c.counts.add(received)
	return message
}
