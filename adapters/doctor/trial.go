//go:build linux

package doctor

import (
	"context"
	"net/netip"
	"time"

	"github.com/mdlayher/arp"
)

// neighbour is an address with its MAC.
type neighbour struct {
	address netip.Addr
	mac     mac
}

// trial moves a spare address between this host's MAC and another one that it makes up, and sees to which of them the gateway sends.
//
// What the gateway sends is the answer to an ICMP echo request that has the spare address as its source. So nobody behind it is needed, and what
// is seen is the gateway's own neighbour cache. Before the move its questions for the address are answered; after it they are not: a gateway
// that asks would find the new MAC in any case, and what is to be seen is whether it has listened.
//
// A fabric that learns where addresses are from packets, and not by ARP, follows the echo request itself: that it follows is right, and that it
// listens to gratuitous ARP is then not proven.
type trial struct {
	*wire
	h        host
	gateway  neighbour
	address  netip.Addr
	second   mac
	sequence uint16
	next     time.Time // when the next request may be sent
}

// secondMAC is another one of this host's: locally administered, with the same last five bytes, so that no other host's is like it, and the same
// each time, so that a second trial finds what the first one left.
func secondMAC(own mac) mac {
	own[0] = own[0]&^1 ^ 0x40 | 0x02
	return own
}

// rounds is how often an address is announced and asked from before something is concluded: a frame may be lost, and some gateways take only
// one announcement a second.
const rounds = 3

// settle is left to switches and the gateway between an announcement and the request.
const settle = 100 * time.Millisecond

// reaction is what became of an echo request.
type reaction struct {
	replied bool
	to      mac  // of the reply
	asked   bool // somebody asked for the spare address instead, or before
}

func (t *trial) judge(ctx context.Context) Finding {
	const id = "gateway/follows"
	about := t.gateway.address.String()
	first, _, err := t.reach(ctx, t.me)
	if err == nil && ctx.Err() != nil {
		return skipped(id, about, again, interrupted)
	}
	switch {
	case err != nil:
		return skipped(id, about, "look at the interface", "%v", err)
	case !first.replied:
		return skipped(id, about, "let the gateway answer echo requests from its own subnet for a while; or look up "+t.address.String()+
			" in its ARP table after `arping -U` from one host, and then from another",
			"it answers no echo request from %s, so that nothing is seen of where it would send", t.address)
	case first.to != t.me:
		return t.deaf(first.to, t.me)
	}
	defer t.giveBack()
	then, announced, err := t.reach(ctx, t.second)
	switch {
	case err != nil:
		return skipped(id, about, "look at the interface", "%v", err)
	case ctx.Err() != nil && then.to != t.second:
		return skipped(id, about, again, interrupted)
	case then.replied && then.to == t.second && announced == 1:
		return fine(id, about, "it follows: %s was moved from %s to %s by gratuitous ARP, and the next packet came there", t.address, t.me, t.second)
	case then.replied && then.to == t.second:
		return doubtful(id, about, "look whether it, or a switch, limits ARP: a take-over is felt for as long as it ignores announcements",
			"it follows only the %d. announcement of %s, a second after the one before", announced, t.address)
	case then.replied:
		return t.deaf(then.to, t.second)
	case then.asked:
		return doubtful(id, about, "let it accept gratuitous ARP (RFC 5944 section 4.6)",
			"it asks for %s after it has moved, rather than take the announcement: a take-over is felt until it asks", t.address)
	}
	return skipped(id, about, "where a switch, a hypervisor or the card lets only one MAC pass, look up "+t.address.String()+
		" in the gateway's ARP table after `arping -U` from another host",
		"after the move to a second MAC (%s) nothing came to either: frames of a second MAC seem not to pass, so that it cannot be told whether the "+
			"gateway follows", t.second)
}

// deaf is the finding of a gateway that sends to where an address was.
func (t *trial) deaf(still, moved mac) Finding {
	return wrong("gateway/follows", t.gateway.address.String(),
		"let the gateway accept gratuitous ARP, and take static entries, IP-MAC binding and ARP inspection off the addresses of pools and the VIP",
		"it does not listen to gratuitous ARP: %s was moved to %s by %d announcements, and it still sends to %s. After a take-over clients behind it are "+
			"cut off until its entry ends, often after 20 minutes or 4 hours",
		t.address, moved, rounds, still)
}

// reach announces an address at a MAC and asks the gateway from there, until the answer comes to that MAC or the rounds are over. It gives the last
// reaction, but for silence after an answer, and how often the address was announced.
func (t *trial) reach(ctx context.Context, at mac) (last reaction, announced int, err error) {
	for announced = 1; announced <= rounds && ctx.Err() == nil; announced++ {
		if err := t.announce(at); err != nil {
			return last, announced, err
		}
		t.h.sleep(settle)
		r, err := t.echo(ctx, at)
		if err != nil {
			return last, announced, err
		}
		if r.replied || !last.replied {
			r.asked = r.asked || last.asked
			last = r
		}
		if r.replied && r.to == at {
			return last, announced, nil
		}
	}
	return last, rounds, nil
}

func (t *trial) announce(at mac) error {
	if err := t.send(announcement(at, t.address, false)); err != nil {
		return err
	}
	return t.send(announcement(at, t.address, true))
}

// echo sends a request from a MAC, and sees for as long as the next has to wait what comes. Questions are answered only from this host's own.
func (t *trial) echo(ctx context.Context, from mac) (r reaction, err error) {
	if wait := t.next.Sub(t.h.now()); wait > 0 {
		t.h.sleep(wait)
	}
	t.next = t.h.now().Add(t.askEach) // one request a second
	t.sequence++
	request := echo{echoRequest, from, t.gateway.mac, t.address, t.gateway.address, echoID, t.sequence}
	if err := t.send(request.bytes()); err != nil {
		return r, err
	}
	answering := error(nil)
	err = t.receive(ctx, t.askEach, func(b []byte) bool {
		if m, is := parseARP(b); is && m.isRequest && m.target == t.address && m.sender != t.address {
			r.asked = true
			if from == t.me {
				answering = t.answer(m)
			}
			return answering == nil
		}
		e, is := parseEcho(b)
		if is && e.kind == echoReply && e.id == echoID && e.sequence == t.sequence && e.address == t.address && e.source == t.gateway.address {
			r.replied, r.to = true, e.to
		}
		return !r.replied
	})
	if err == nil {
		err = answering
	}
	return r, err
}

// echoID marks the requests; their sequence tells them from each other.
const echoID = 0x7669 // "vi"

// answer tells who asks that the address is at this host's MAC.
func (t *trial) answer(m heardARP) error {
	return t.send(arpFrame(arp.OperationReply, t.me, m.senderMAC, t.address, m.senderMAC, m.sender))
}

// giveBack announces the address at this host's own MAC, so that no cache keeps one that does not exist.
func (t *trial) giveBack() { _ = t.announce(t.me) }
