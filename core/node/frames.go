package node

import (
	"net/netip"
	"time"

	"viplog/core/lease"
)

// When frames are sent. A lost frame cannot be noticed, so it is repeated: early, because one must not cost a second, and
// later as MetalLB does; then for as long as the address is held, since switches forget after 300 s and routers after 1200 s.
var burst = []time.Duration{
	0, 50 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	1100 * time.Millisecond, 2200 * time.Millisecond, 3300 * time.Millisecond, 4400 * time.Millisecond,
}

const (
	refresh       = 60 * time.Second // at the latest
	probeSpacing  = 200 * time.Millisecond
	probes        = 3                // RFC 5227 PROBE_NUM, at a faster pace (section 2.2)
	holdProbe     = 30 * time.Second // how often a node without a lease asks whether somebody else has an address
	disputeProbe  = 30 * time.Second // how often a disputed address is probed for again
	defend        = 10 * time.Second // RFC 5227 DEFEND_INTERVAL
	defendOurs    = time.Second      // against another node, which the frame silences
	conflictStays = 60 * time.Second // a conflict that was not seen for so long is over
)

// due is an address and when its next frame is due.
type due struct {
	at   lease.Instant
	addr netip.Addr
}

func (a due) less(b due) bool { return a.at < b.at || a.at == b.at && a.addr.Less(b.addr) }

// at schedules an address's next frame.
func (m *Machine) at(v *vip, at lease.Instant) {
	m.unschedule(v)
	v.next = at
	m.schedule.Set(due{at, v.addr})
}

func (m *Machine) unschedule(v *vip) { m.schedule.Delete(due{v.next, v.addr}) }

// tellAnew announces everything again from the beginning of the burst.
func (m *Machine) tellAnew() {
	for _, v := range m.vips.Items() {
		if v.stage == announcing {
			v.sent = 0
			m.at(v, m.now)
		}
	}
}

// sendDue sends what is due and says when the next is.
func (m *Machine) sendDue() {
	for {
		next, any := m.schedule.Min()
		if !any {
			return
		}
		if next.at > m.now {
			m.wakeAt(next.at)
			return
		}
		v, _ := m.vip(next.addr)
		m.sendNext(v)
	}
}

func (m *Machine) sendNext(v *vip) {
	switch {
	case v.stage == announcing && !m.leased:
		m.send(v, Probe)
		if m.hearing.checkedAt > m.now {
			m.at(v, m.now.Add(m.timing.Heartbeat))
		} else {
			m.at(v, m.now.Add(spread(v.addr, holdProbe)))
		}
	case v.stage == announcing:
		m.send(v, Announce)
		v.sent++
		if v.sent < len(burst) {
			m.at(v, m.now.Add(burst[v.sent]-burst[v.sent-1]))
		} else {
			m.at(v, m.now.Add(spread(v.addr, refresh)))
		}
	case v.stage == disputed:
		v.stage, v.sent = probing, 0
		m.at(v, m.now)
	case v.sent == probes && m.waitsForDataPlane(v):
	case v.sent == probes:
		m.announce(v)
	default:
		m.send(v, Probe)
		v.sent++
		m.at(v, m.now.Add(probeSpacing))
	}
}

func (m *Machine) send(v *vip, kind FrameKind) {
	for _, ifi := range v.interfaces {
		m.ready.Frames = append(m.ready.Frames, Frame{kind, v.addr, ifi})
	}
}

// spread shortens an interval by up to a quarter, each address by its own part, so that not all are due at once.
func spread(a netip.Addr, interval time.Duration) time.Duration {
	bytes := a.As16()
	part := (uint64(bytes[14])<<8 | uint64(bytes[15])) * 2654435761 >> 8 & 0xff // Knuth's multiplicative hash
	return interval - interval/4*time.Duration(part)/256
}

// heard takes a frame in which another MAC uses an address of this node. Another node's silences one that holds the
// address without a lease; with a lease this node tells everyone anew. A foreign one is a conflict.
func (m *Machine) heard(in Heard) {
	m.listened()
	v, has := m.vip(in.Address)
	if !has || m.phase != running {
		return
	}
	if owner, ours := m.ledger.NodeOfMAC(in.MAC); ours {
		switch {
		case owner == m.identity.Address:
		case !m.leased:
			m.drop(v, "another node announces it")
		case v.stage == announcing && v.replaced == 0 && m.now.Since(v.defended) >= defendOurs:
			v.defended = m.now
			v.sent = 0
			m.at(v, m.now)
		}
		return
	}
	m.see(conflict{address: in.Address, ifi: in.Interface, mac: in.MAC, seen: m.now})
	switch {
	case v.stage == announcing && m.leased && m.now.Since(v.defended) >= defend:
		v.defended = m.now
		m.send(v, Announce)
	case v.stage == probing:
		v.stage = disputed
		m.at(v, m.now.Add(disputeProbe))
	}
}
