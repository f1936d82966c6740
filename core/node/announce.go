package node

import (
	"net/netip"
	"slices"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/trace"
)

// ownerLast is how long an announcer that a fact demotes waits for the others to read that fact.
const ownerLast = time.Second

// vip is an address that this node announces, or is about to.
type vip struct {
	addr       netip.Addr
	stage      stage
	interfaces []string
	under      uint64 // the version of the list that it is announced under
	replaced   uint64 // the first fact after that one which changed the list and that is not acted upon; 0 for none
	before     []lease.Incarnation
	keepUntil  lease.Instant // with replaced: not longer
	told       bool          // with replaced: it is noted that it is handed over
	sent       int           // frames of the running schedule
	next       lease.Instant // the next one
	defended   lease.Instant
	waitsSince lease.Instant // nobody objects, and the data plane does not serve it yet; 0 before
}

type stage int

const (
	probing    stage = iota // nobody may use it
	disputed                // somebody does: it waits, and probes again
	announcing              // the responder answers
)

// replaced takes what a fact did to a list.
func (m *Machine) replaced(change ledger.ListChange, version uint64) {
	if m.phase != running {
		return
	}
	m.claims.replaced(version, change.Address, change.Before, m.progressOf)
	if v, ok := m.vip(change.Address); ok && v.replaced == 0 {
		v.replaced, v.before, v.keepUntil = version, change.Before, m.now.Add(ownerLast)
		m.demoted = append(m.demoted, v)
	}
	delete(m.fresh, change.Address)
	if len(change.Before) == 0 && change.After[0] == m.me {
		m.fresh[change.Address] = true
	}
	m.takeNew(change, version)
	if m.leased {
		m.dirty = append(m.dirty, change.Address)
	} else {
		m.allDirty = true
	}
}

// firstUses are the addresses that nobody had before this node joined.
func (m *Machine) firstUses() {
	m.ledger.EachList(func(a netip.Addr, list []lease.Incarnation) {
		if _, version := m.ledger.List(a); len(list) > 0 && list[0] == m.me && version == m.me.Join {
			m.fresh[a] = true
		}
	})
}

func (m *Machine) vip(a netip.Addr) (*vip, bool) { return m.vips.Get(&vip{addr: a}) }

// mayAnnounce is the second and third rule: everyone before this node in the newest list is out, and nobody may still be
// at an older list in which they stood before it.
func (m *Machine) mayAnnounce(a netip.Addr) (version uint64, may bool) {
	list, version := m.ledger.List(a)
	at := slices.Index(list, m.me)
	if at < 0 || m.claims.isPending(a) {
		return version, false
	}
	return version, !slices.ContainsFunc(list[:at], func(who lease.Incarnation) bool { return !m.isOut(who) })
}

// run follows the lease and looks at what has changed.
func (m *Machine) run() {
	if m.silenceAt == 0 && m.leaving {
		m.wakeAt(m.holderWake)
		return
	}
	m.followLease()
	if m.leased {
		m.takeCleared()
		m.evaluate()
		m.handOver()
	}
	if m.isDismissed() && m.vips.Len() == 0 {
		m.report() // who is next need not wait for votes
		if m.phase == running {
			m.end("the cluster file has ended it")
		}
		return
	}
	if m.leaving && (m.hasHandedOver() || m.now >= m.silenceAt) {
		m.report() // who is next need not wait for votes
		if m.phase == running {
			m.fallSilent()
		}
		return
	}
	m.wakeAt(m.silenceAt)
	m.sendDue()
	m.forgetConflicts()
	m.report()
	m.wakeAt(m.holderWake)
}

// followLease takes note that the lease has begun or ended.
func (m *Machine) followLease() {
	until := m.holder.Until()
	leased := until > m.now
	switch {
	case leased && !m.leased:
		m.note(trace.Leased, netip.Addr{}, 0, "")
		m.allDirty = true
		if m.now >= m.lapse { // others may have told clients something else
			m.tellAnew()
		}
	case !leased && m.leased:
		m.lapse = m.until
		m.loseLease()
	}
	m.leased = leased
	m.ready.Listen = m.vips.Len() > 0 && m.hearing.isDue(m.now, m.timing)
	switch {
	case leased:
		m.hearing.isDeaf, m.hearing.checkedAt = false, 0
		m.until = until
		m.wakeAt(until)
	case m.vips.Len() > 0:
		m.hold()
	default:
		m.until = 0
	}
}

// loseLease holds what is announced, or yields it, by the setting; what is not announced yet is given up.
func (m *Machine) loseLease() {
	yields := m.ledger.Settings().OnIsolation == event.OnIsolationYield
	m.note(trace.LeaseLost, netip.Addr{}, 0, m.ledger.Settings().OnIsolation)
	for _, v := range m.vips.Items() {
		switch {
		case yields:
			m.drop(v, "it holds no lease")
		case v.stage != announcing:
			m.drop(v, "it holds no lease")
		default:
			m.at(v, m.now.Add(spread(v.addr, holdProbe)))
		}
	}
}

func (m *Machine) takeCleared() {
	for _, a := range m.claims.cleared {
		if a == everyAddress {
			m.allDirty = true
		} else {
			m.dirty = append(m.dirty, a)
		}
	}
	m.claims.cleared = nil
}

// evaluate claims and gives up addresses, of those that may have changed.
func (m *Machine) evaluate() {
	if m.allDirty {
		m.dirty = m.dirty[:0]
		m.vips.Scan(func(v *vip) bool {
			m.dirty = append(m.dirty, v.addr)
			return true
		})
		m.ledger.EachList(func(a netip.Addr, list []lease.Incarnation) {
			if slices.Contains(list, m.me) {
				m.dirty = append(m.dirty, a)
			}
		})
	}
	if len(m.dirty) == 0 {
		return
	}
	slices.SortFunc(m.dirty, netip.Addr.Compare)
	for _, a := range slices.Compact(m.dirty) {
		m.evaluateOne(a)
	}
	m.dirty, m.allDirty = m.dirty[:0], false
}

func (m *Machine) evaluateOne(a netip.Addr) {
	version, may := m.mayAnnounce(a)
	v, has := m.vip(a)
	switch {
	case !may && has && v.replaced == 0:
		panic("node: an address is given up only after a fact has replaced its list: " + a.String())
	case !may && has && !v.told: // it is handed over
		v.told = true
		if v.stage == announcing {
			m.note(trace.Demoted, a, v.replaced, "")
		}
	case !may:
	case has:
		v.under = version
		m.keep(v)
	default:
		m.claim(a, version)
	}
}

// keep ends the handing over of an address that is this node's again.
func (m *Machine) keep(v *vip) {
	if v.replaced > 0 {
		v.replaced, v.before, v.told = 0, nil, false
		m.demoted = slices.DeleteFunc(m.demoted, func(d *vip) bool { return d == v })
	}
	m.moveInterfaces(v)
}

// claim begins to announce an address. One that nobody had before is probed for first, and then waits for the data plane.
func (m *Machine) claim(a netip.Addr, version uint64) {
	v := &vip{addr: a, under: version, interfaces: m.ledger.InterfacesFor(a, m.identity.Address, m.interfaces)}
	if len(v.interfaces) == 0 {
		return
	}
	m.vips.Set(v)
	if m.fresh[a] || !m.isServed(a) {
		delete(m.fresh, a)
		m.note(trace.Probing, a, version, "")
		m.at(v, m.now)
		return
	}
	m.announce(v)
}

func (m *Machine) announce(v *vip) {
	v.stage, v.sent = announcing, 0
	m.ready.Start = append(m.ready.Start, Served{v.addr, v.interfaces})
	m.noteAnnounced(v)
	m.at(v, m.now)
}

// moveInterfaces lets an address be announced on the interfaces that it is to be announced on now.
func (m *Machine) moveInterfaces(v *vip) {
	interfaces := m.ledger.InterfacesFor(v.addr, m.identity.Address, m.interfaces)
	if slices.Equal(interfaces, v.interfaces) {
		return
	}
	v.interfaces = interfaces
	if v.stage == announcing {
		m.ready.Start = append(m.ready.Start, Served{v.addr, interfaces})
		v.sent = 0
		m.at(v, m.now)
	}
}

// handOver stops announcing what facts have given to others, once all of those have read the fact, so that a planned move
// is never dark because someone is late; after a second in any case.
func (m *Machine) handOver() {
	for _, v := range slices.Clone(m.demoted) {
		list, version := m.ledger.List(v.addr)
		switch {
		case v.stage != announcing:
			m.drop(v, "is another's")
		case len(v.interfaces) == 0:
			m.drop(v, "has no interface for it")
		case m.haveFolded(max(version, v.replaced), v.before, list):
			m.drop(v, "is another's")
		case m.now >= v.keepUntil:
			m.drop(v, "is another's, although some have not read that yet")
		default:
			m.wakeAt(v.keepUntil)
		}
	}
}

// haveFolded tells whether all members of lists, but this node and those that are out, have read a fact.
func (m *Machine) haveFolded(version uint64, lists ...[]lease.Incarnation) bool {
	for _, list := range lists {
		for _, who := range list {
			folded, _ := m.holder.ProgressOf(who)
			if who != m.me && !m.isOut(who) && folded < version {
				return false
			}
		}
	}
	return true
}

func (m *Machine) drop(v *vip, why string) {
	m.unschedule(v)
	m.vips.Delete(v)
	m.demoted = slices.DeleteFunc(m.demoted, func(d *vip) bool { return d == v })
	started := slices.IndexFunc(m.ready.Start, func(s Served) bool { return s.Address == v.addr })
	if started >= 0 {
		m.ready.Start = slices.Delete(m.ready.Start, started, started+1)
	}
	if v.stage == announcing {
		m.ready.Stop = append(m.ready.Stop, v.addr)
		m.note(trace.Stopped, v.addr, v.replaced, why)
	}
	m.dropConflict(v.addr)
}

func (m *Machine) dropAll(why string) {
	for _, v := range m.vips.Items() {
		m.drop(v, why)
	}
}

// report tells the voters how far this node is: it has acted upon a fact when nothing is announced any more under a list
// that the fact replaced.
func (m *Machine) report() {
	folded := m.ledger.Sequence()
	applied := folded
	for _, v := range m.demoted {
		if v.stage == announcing {
			applied = min(applied, v.replaced-1)
		}
	}
	m.held(m.holder.Report(m.now, folded, applied, m.claims.everyone()))
}
