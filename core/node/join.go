package node

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/trace"
)

// The waits before a node joins again: after one incarnation that came to nothing, after two in a row, and so on. One that
// lived for the longest wait came to something.
const (
	firstBackOff = time.Second
	maxBackOff   = time.Minute
)

// greeting asks the voters whether they hear this node, before it joins.
type greeting struct {
	number uint64
	nextAt lease.Instant
	heard  []greeted // by voter
}

type greeted struct {
	voter string
	at    lease.Instant
}

// answered counts an answer to a greeting of the last lease: one that was longer on its way says nothing of now.
func (g *greeting) answered(a lease.Answer, timing lease.Timing, now lease.Instant) {
	if a.Number > g.number || time.Duration(g.number-a.Number)*timing.Heartbeat > timing.Lease {
		return
	}
	g.heard = slices.DeleteFunc(g.heard, func(h greeted) bool { return h.voter == a.Voter })
	g.heard = append(g.heard, greeted{a.Voter, now})
}

// hears tells whether a majority of a set has answered within a lease.
func (g *greeting) hears(set lease.VoterSet, timing lease.Timing, now lease.Instant) bool {
	n := 0
	for _, h := range g.heard {
		if set.Has(h.voter) && now.Since(h.at) <= timing.Lease {
			n++
		}
	}
	return 2*n > len(set.Voters)
}

// join joins once the node has folded what the log held when it was asked, and a majority of voters hears it; or goes on
// as the incarnation of the process before, if that is still the node's and the host has not been started anew.
func (m *Machine) join() {
	if m.now < m.backOff {
		m.headAsked, m.headKnown = false, false
		m.wakeAt(m.backOff)
		return
	}
	if !m.headKnown {
		m.ready.ReadHead = !m.headAsked
		m.headAsked = true
		return
	}
	voters := m.membership.Now
	if m.phase == joining || m.ledger.Sequence() < m.head || m.digesting > 0 || voters.Version == 0 || m.leaving {
		return
	}
	if !m.ledger.IsDeclared(m.identity.Address) {
		return // a fact says when it is
	}
	if who, _, runs := m.ledger.Running(m.identity.Address); runs && m.canResume(who) {
		m.begin(who, true)
		m.run()
		return
	}
	if m.lookBack(); m.now < m.backOff {
		m.headAsked, m.headKnown = false, false
		m.wakeAt(m.backOff)
		return
	}
	if !m.mayJoin() {
		return
	}
	if m.now >= m.greeting.nextAt {
		m.greeting.number++
		m.greeting.nextAt = m.now.Add(m.timing.Heartbeat)
		for _, voter := range voters.Voters {
			m.ready.Renewals = append(m.ready.Renewals, lease.Renewal{Voter: voter, Renew: lease.Renew{
				Log: m.disk.Log, Set: voters.Version, Number: m.greeting.number,
				From: lease.Incarnation{Node: m.identity.Address},
			}})
		}
	}
	m.wakeAt(m.greeting.nextAt)
	if m.greeting.hears(voters, m.timing, m.now) {
		m.starts++
		m.startID = fmt.Sprintf("%s-%d", m.identity.Start, m.starts)
		m.phase, m.proposeAnew = joining, true
	}
}

// lookBack counts the incarnation of a process before, which is dead, as one that came to nothing if it did: a process that crashes
// again and again joins less and less often.
func (m *Machine) lookBack() {
	if m.lookedBack {
		return
	}
	m.lookedBack = true
	if len(m.disk.Incarnations) > 0 && m.deaths == 0 && m.now.Since(m.disk.JoinedAt) < maxBackOff {
		m.joinedAt, m.falls = m.disk.JoinedAt, m.disk.Falls
		m.fall()
	}
}

// fall counts the incarnation that has ended, and lets the node wait before it joins again.
func (m *Machine) fall() {
	if m.now.Since(m.joinedAt) >= maxBackOff {
		m.falls = 0
	}
	m.backOff = m.now.Add(min(firstBackOff<<min(m.falls, 6), maxBackOff))
	m.falls++
}

// canResume tells whether the incarnation that runs by the log is the one of the process before.
func (m *Machine) canResume(who lease.Incarnation) bool {
	return m.deaths == 0 && m.disk.Boot == m.identity.Boot && slices.Contains(m.disk.Incarnations, who)
}

// begin starts, or goes on as, an incarnation.
func (m *Machine) begin(who lease.Incarnation, resumed bool) {
	m.me, m.phase, m.joinedAt, m.proposeAnew = who, running, m.now, true
	kind, number := trace.Joined, uint64(0)
	if resumed {
		m.joinedAt, m.falls = m.disk.JoinedAt, m.disk.Falls
		kind, number = trace.Resumed, uint64(m.now) // beyond any renewal that was sent since the boot
	}
	m.note(kind, netip.Addr{}, who.Join, "")
	m.disk.Boot, m.disk.JoinedAt, m.disk.Falls, m.disk.Incarnations = m.identity.Boot, m.joinedAt, m.falls, slices.Clone(m.disk.Incarnations)
	m.disk.Incarnations = slices.DeleteFunc(m.disk.Incarnations, func(i lease.Incarnation) bool { return i == who || m.membership.IsOut(i) })
	m.disk.Incarnations = append(m.disk.Incarnations, who)
	disk := m.disk
	m.ready.Persist = &disk
	m.holder = lease.NewHolder(m.disk.Log, who, number, m.timing, m.isSigned, m.now)
	m.holder.Digested(m.digest)
	m.proven, m.votesTaken, m.leased, m.until = nil, 0, false, 0
	m.hearing = hearing{at: m.now}
	m.startClaims()
	m.firstUses()
	m.held(m.holder.Fold(m.now, m.membership))
}

// isSigned checks that a vote is its voter's.
func (m *Machine) isSigned(v lease.Vote) bool {
	if m.verify != nil {
		return m.verify(v)
	}
	return lease.IsSigned(v, m.ledger)
}

// end gives up the running incarnation: nothing is announced any more, and the node joins anew after a while.
func (m *Machine) end(why string) {
	if m.phase == running {
		m.dropAll(why)
		m.note(trace.Ended, netip.Addr{}, m.me.Join, why)
		m.fall()
		m.deaths++
	}
	m.phase, m.headAsked, m.headKnown, m.holder, m.claims = following, false, false, nil, nil
	m.leased, m.until, m.holderWake = false, 0, lease.Never
	m.proven, m.conflicts, m.dirty, m.allDirty = nil, nil, nil, false
	m.greeting = greeting{number: m.greeting.number}
	m.proposeAnew = true
	if m.leaving {
		m.phase, m.ready.Left = ended, true
		m.note(trace.Left, netip.Addr{}, 0, "")
	}
}

// leave hands the addresses over: the log is told that the node names no interface any more, so that others take over
// while it still answers; then it is silent, and only then it has left.
func (m *Machine) leave() {
	m.leaving, m.proposeAnew = true, true
	if m.phase != running {
		m.end("")
		return
	}
	m.silenceAt = m.now.Add(ownerLast)
}

// hasHandedOver tells whether a leaving node has nothing left that others may wait for.
func (m *Machine) hasHandedOver() bool {
	return m.vips.Len() == 0 && len(m.ledger.InterfacesOf(m.identity.Address)) == 0
}

// fallSilent ends the answering of a node that leaves. What follows is its NodeLeft and its word to the voters.
func (m *Machine) fallSilent() {
	m.dropAll("leaves")
	m.until, m.leased, m.silenceAt = 0, false, 0
	m.held(m.holder.Resign(m.now))
	m.proposeAnew = true
}

// isDismissed tells whether the cluster file has ended the running incarnation, even if it declares the node again by now. What that still
// announces it hands over.
func (m *Machine) isDismissed() bool {
	who, _, runs := m.ledger.Running(m.identity.Address)
	return m.phase == running && !m.leaving && (!runs || who != m.me)
}

// isSilent tells whether a leaving node has stopped answering.
func (m *Machine) isSilent() bool { return m.leaving && m.silenceAt == 0 }

// resignOld says again each heartbeat that the incarnations of this host that are gone act no more.
func (m *Machine) resignOld() {
	gone := slices.DeleteFunc(slices.Clone(m.disk.Incarnations), func(who lease.Incarnation) bool { return !m.isGone(who) })
	if len(gone) == 0 {
		return
	}
	if m.now >= m.resignAt {
		m.resignAt = m.now.Add(m.timing.Heartbeat)
		for _, who := range gone {
			m.ready.Resigns = append(m.ready.Resigns, lease.Resign{Log: m.disk.Log, Who: who})
		}
	}
	m.wakeAt(m.resignAt)
}

// isGone tells whether an incarnation of this host acts no more, and the log does not say so yet.
func (m *Machine) isGone(who lease.Incarnation) bool {
	switch {
	case m.membership.IsOut(who) || who.Join > m.membership.Sequence:
		return false
	case m.phase == running:
		return who != m.me || m.isSilent()
	case m.deaths > 0 || m.phase == ended:
		return true
	}
	running, _, runs := m.ledger.Running(m.identity.Address)
	return m.headKnown && m.ledger.Sequence() >= m.head && !(runs && who == running && m.canResume(who))
}

// propose says which facts the log lacks.
func (m *Machine) propose() {
	if !m.proposeAnew {
		return
	}
	m.proposeAnew = false
	m.ready.Propose = []event.Event{}
	add := func(e event.Event) { m.ready.Propose = append(m.ready.Propose, e) }
	switch {
	case m.phase == joining:
		add(event.NodeJoined{
			Address: m.identity.Address, Name: m.identity.Name, StartID: m.startID, MachineID: m.identity.MachineID,
			Interfaces: m.interfaces, Rules: m.identity.Rules, Key: m.identity.Key,
		})
	case m.phase != running || m.isDismissed():
	case m.isSilent():
		add(event.NodeLeft{Address: m.identity.Address, Incarnation: m.me.Join})
	case m.leaving:
		if len(m.ledger.InterfacesOf(m.identity.Address)) > 0 {
			add(event.NodeChanged{Address: m.identity.Address, Incarnation: m.me.Join, Interfaces: []event.Interface{}})
		}
	default:
		newer := uint64(0) // rules that the process before did not know
		if m.identity.Rules > m.ledger.RulesOf(m.identity.Address) {
			newer = m.identity.Rules
		}
		interfaces := m.interfaces
		if m.isWithdrawn {
			interfaces = []event.Interface{}
		}
		if newer > 0 || !sameInterfaces(interfaces, m.ledger.InterfacesOf(m.identity.Address)) {
			add(event.NodeChanged{Address: m.identity.Address, Incarnation: m.me.Join, Interfaces: interfaces, Rules: newer})
		}
		for _, fact := range m.conflictFacts() {
			add(fact)
		}
	}
}

func sameInterfaces(a, b []event.Interface) bool {
	return slices.EqualFunc(a, b, func(x, y event.Interface) bool {
		return x.Name == y.Name && x.MAC == y.MAC && x.Up == y.Up && slices.Equal(x.Prefixes, y.Prefixes)
	})
}
