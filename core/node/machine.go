package node

import (
	"net/netip"
	"slices"

	"github.com/tidwall/btree"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/trace"
)

// Identity is what a node says of itself when it joins.
type Identity struct {
	Address   netip.Addr
	Name      string
	MachineID string
	Key       string // of its host
	Rules     uint64 // the highest that it supports
	Boot      string // of the host's running kernel: CLOCK_BOOTTIME counts from it
	Start     string // random, of this process
}

// Disk is what a node must not forget.
type Disk struct {
	Log          string
	Boot         string
	Incarnations []lease.Incarnation // of this host, that may not be out yet; the newest last
	JoinedAt     lease.Instant       // the newest of them
	Falls        int                 // incarnations before it that came to nothing, in a row
	Wrong        lease.Digest        // of a ledger that voters and nodes have found to be wrong
}

// Machine is one node. It keeps a ledger of its own, which the shell may read between two steps.
type Machine struct {
	identity Identity
	timing   lease.Timing
	verify   func(lease.Vote) bool // nil: by the keys that the ledger holds
	ledger   *ledger.State
	disk     Disk
	ready    Ready // of the step under way
	now      lease.Instant
	wake     lease.Instant

	membership  lease.Membership
	ownVoters   []string // those on this host
	interfaces  []event.Interface
	phase       phase
	headAsked   bool
	headKnown   bool
	head        uint64
	starts      int    // joins proposed by this process
	startID     string // of the newest
	greeting    greeting
	deaths      int           // of incarnations of this process
	falls       int           // incarnations that came to nothing in a row, those of earlier processes too
	backOff     lease.Instant // no join before
	lookedBack  bool          // at what the process before has left
	joinedAt    lease.Instant
	resignAt    lease.Instant // when the incarnations that are gone say so again
	leaving     bool
	silenceAt   lease.Instant // a leaving node answers no longer
	proposeAnew bool
	conflicts   []conflict
	dataPlane   DataPlane
	isWithdrawn bool // it names no interfaces to the log, because its data plane is dead
	stays       bool // it names them although it is dead, since nobody else does
	saidWaits   bool // that it does not join before its data plane has served
	digest      lease.Digest
	digesting   uint64 // the fact whose digest is not known yet; 0 for none
	digestEvery uint64

	// Of the incarnation that runs:
	me         lease.Incarnation
	holder     *lease.Holder
	holderWake lease.Instant
	leased     bool
	until      lease.Instant
	lapse      lease.Instant // when the last lease that was lost would have ended
	hearing    hearing
	claims     *claims
	proven     []lease.Incarnation // dead by votes, and not yet out by the log
	votesTaken int
	vips       *btree.BTreeG[*vip]
	schedule   *btree.BTreeG[due]
	demoted    []*vip // announced under a list that was replaced
	fresh      map[netip.Addr]bool
	unserved   map[netip.Addr]uint64 // addresses of Services of Kubernetes that nobody has announced yet, with the fact that gave them to this node
	dirty      []netip.Addr          // to be looked at again
	allDirty   bool
}

type phase int

const (
	following phase = iota // the log, to join when it may
	joining                // its NodeJoined is proposed
	running
	ended // for good
)

// New makes the machine of a process that starts, on a log that it reads from its first fact. Disk is what the process before it
// on this host has left; if the host was not booted since, that one is gone, and its responder with it.
func New(identity Identity, timing lease.Timing, logID string, disk Disk) *Machine {
	if disk.Log != logID {
		disk = Disk{Log: logID}
	}
	if disk.Boot != identity.Boot { // a copy of the host may run elsewhere: nothing is known of who acts there
		disk.Incarnations = nil
	}
	return &Machine{
		identity: identity, timing: timing, disk: disk, ledger: ledger.New(logID), wake: lease.Never, holderWake: lease.Never,
		silenceAt: lease.Never, digestEvery: lease.DigestEvery,
		vips:     treeOf(func(a, b *vip) bool { return a.addr.Less(b.addr) }),
		schedule: treeOf(due.less), fresh: map[netip.Addr]bool{}, unserved: map[netip.Addr]uint64{},
		dataPlane: ServesThrough(ServesAll),
	}
}

func treeOf[T any](less func(a, b T) bool) *btree.BTreeG[T] {
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
}

// VerifyBy lets something else than signatures tell who voted: worlds without keys, and those that check each signature once.
func (m *Machine) VerifyBy(verify func(lease.Vote) bool) { m.verify = verify }

// DigestsEvery lets digests lie another number of facts apart: the same on every host of a cluster.
func (m *Machine) DigestsEvery(facts uint64) { m.digestEvery = facts }

// Ledger is what the node has folded. It is to be read between two steps only.
func (m *Machine) Ledger() *ledger.State { return m.ledger }

// IsLeased tells whether the node has joined and its lease lasts, as of the last step. It may be asked between two steps only.
func (m *Machine) IsLeased() bool { return m.phase == running && m.leased }

// Step takes an input and says what is to be done. The first input is Linked.
func (m *Machine) Step(now lease.Instant, in Input) Ready {
	before := m.now
	m.now, m.ready = now, Ready{}
	m.stoodStill(before)
	switch in := in.(type) {
	case Folded:
		m.fold(in.Entries)
	case Restored:
		m.restore(in.Ledger)
	case HeadRead:
		m.headKnown, m.head = true, in.Last
	case Answered:
		m.answered(in.Answer)
	case Linked:
		m.linked(in.Interfaces)
	case Heard:
		m.heard(in)
	case Listened:
		m.listened()
	case Digested:
		m.digested(in.Digest)
	case DataPlane:
		m.served(in)
	case Woken:
		m.woken()
	case Leaving:
		m.leave()
	case LogReplaced:
		m.end("the log is another one")
		m.phase = ended
	}
	m.settle()
	return m.ready
}

// settle does what is due after any input: it follows the lease, claims and gives up addresses, sends what is
// scheduled, and says when to be woken.
func (m *Machine) settle() {
	m.wake = lease.Never
	m.judgeDataPlane()
	if m.ready.Refold {
		m.ready.Until, m.ready.Wake = m.until, m.wake
		return
	}
	switch m.phase {
	case following, joining:
		m.join()
	case running:
		m.run()
	case ended:
	}
	m.resignOld()
	m.propose()
	m.ready.Until, m.ready.Wake = m.until, m.wake
}

func (m *Machine) wakeAt(at lease.Instant) { m.wake = min(m.wake, at) }

func (m *Machine) note(kind trace.Kind, addr netip.Addr, sequence uint64, text string) {
	m.ready.Notes = append(m.ready.Notes, trace.Note{Kind: kind, Address: addr, Sequence: sequence, Text: text})
}

// fold applies entries one by one: what a fact does to lists counts from that fact on.
func (m *Machine) fold(entries []log.Entry) {
	members := false
	for _, e := range entries {
		changes := m.ledger.ApplyEntry(e)
		lists := m.ledger.TakeListChanges()
		concerned := slices.ContainsFunc(changes, func(c ledger.Change) bool {
			return c.Kind == ledger.NodeChanged || c.Kind == ledger.VoterSet || c.Kind == ledger.Configured
		})
		m.membership.Sequence = e.Sequence
		if e.Sequence%m.digestEvery == 0 {
			m.ready.Digest, m.digesting = m.ledger.Clone(), e.Sequence
		}
		m.proposeAnew = m.proposeAnew || slices.ContainsFunc(changes, func(c ledger.Change) bool {
			return (c.Kind == ledger.Conflicted || c.Kind == ledger.Undisputed) && c.Node == m.identity.Address
		})
		if concerned {
			members = true
			m.membersChanged()
		}
		for _, change := range lists {
			m.replaced(change, e.Sequence)
		}
	}
	if members || m.membership.Now.Version == 0 {
		m.membership = lease.MembershipOf(m.ledger)
	}
	if m.holder != nil {
		m.held(m.holder.Fold(m.now, m.membership))
	}
}

// restore goes on from a snapshot: the node has not seen what it skips, so it drops what it announces and waits for
// everyone.
func (m *Machine) restore(s *ledger.State) {
	if s.LogID() != m.disk.Log || s.Sequence() < m.ledger.Sequence() {
		panic("node: a snapshot is of the same log and beyond what is folded")
	}
	m.ledger = s
	m.membership = lease.MembershipOf(s)
	m.proposeAnew = true
	m.membersChanged()
	if m.phase != running {
		return
	}
	m.dropAll("goes on from a snapshot")
	m.startClaims()
	m.held(m.holder.Fold(m.now, m.membership))
}

// startClaims begins to count who is waited for: everyone who is not out must have acted upon what is folded now.
func (m *Machine) startClaims() {
	m.ledger.TrackLists()
	m.claims = newClaims(m.me)
	m.claims.snapshot(m.ledger.Sequence(), m.membership.Live, m.progressOf)
	m.fresh, m.dirty, m.allDirty = map[netip.Addr]bool{}, nil, true
	m.unserved = map[netip.Addr]uint64{}
}

// progressOf is how far an incarnation is known to have acted, and whether it is out.
func (m *Machine) progressOf(who lease.Incarnation) (applied uint64, out bool) {
	_, applied = m.holder.ProgressOf(who)
	return applied, m.isOut(who)
}

func (m *Machine) isOut(who lease.Incarnation) bool {
	return m.membership.IsOut(who) || slices.Contains(m.proven, who)
}

// membersChanged looks at who is out since a fact about nodes, and at the node itself.
func (m *Machine) membersChanged() {
	before := m.membership.Live
	m.membership = lease.MembershipOf(m.ledger)
	m.ownVoters = ownVoters(m.ledger, m.identity.Address)
	m.proposeAnew = true
	if m.phase == running && m.membership.IsOut(m.me) {
		m.end("it is out by the log")
	}
	who, startID, runs := m.ledger.Running(m.identity.Address)
	switch {
	case m.phase == running && runs && who != m.me:
		m.end("its node has joined anew")
	case m.phase == joining && runs && startID == m.startID:
		m.begin(who, false)
	}
	if m.phase != running {
		return
	}
	for _, who := range before {
		if m.membership.IsOut(who) {
			m.claims.gone(who)
		}
	}
	m.proven = slices.DeleteFunc(m.proven, m.membership.IsOut)
	m.allDirty = true
}

// answered takes a voter's answer to a greeting or to the running incarnation.
func (m *Machine) answered(a lease.Answer) {
	if a.Log != m.disk.Log {
		return
	}
	if a.To.Join == 0 {
		m.greeting.answered(a, m.timing, m.now)
		return
	}
	if m.holder == nil || a.To != m.me {
		return
	}
	switch {
	case a.Out:
		m.end("a voter has read that it is out")
		return
	case m.digest.Differs(a.Digest):
		m.refold()
		return
	}
	if !slices.Contains(m.ownVoters, a.Voter) {
		m.listened()
	}
	m.held(m.holder.Answered(m.now, a))
	if m.phase != running {
		return
	}
	for _, p := range a.Progress {
		_, applied := m.holder.ProgressOf(p.Who)
		m.claims.progressed(p.Who, applied)
	}
	if taken := m.holder.VotesTaken(); taken != m.votesTaken {
		m.votesTaken = taken
		m.countVotes()
	}
}

// countVotes looks for incarnations that are newly proven dead.
func (m *Machine) countVotes() {
	for _, who := range m.holder.Accused() {
		if m.isOut(who) || m.holder.Proof(who) == nil {
			continue
		}
		if who == m.me && m.isSilent() {
			continue // by its own word; the log is told that it has left
		}
		if who == m.me {
			m.end("it is proven dead")
			return
		}
		m.proven = append(m.proven, who)
		m.note(trace.Dead, who.Node, who.Join, "by votes")
		m.claims.gone(who)
		m.allDirty = true
	}
}

// held does what the lease's machine says.
func (m *Machine) held(ready lease.HolderReady) {
	m.ready.Renewals = append(m.ready.Renewals, ready.Renewals...)
	m.holderWake = ready.Wake
	if m.phase == running && m.holder.HasResigned() && !m.isSilent() {
		why := "a voter voted against it while it held no lease"
		if m.holder.KeepsVotersUnsettled() {
			why = "a voter voted against it, and no change of voters can be settled before it is out"
		}
		m.end(why)
	}
}

func (m *Machine) woken() {
	if m.holder != nil {
		m.held(m.holder.Wake(m.now))
	}
}

// linked takes the interfaces. Those that have come up again get what is announced on them told anew.
func (m *Machine) linked(interfaces []event.Interface) {
	before := m.interfaces
	m.interfaces = interfaces
	m.proposeAnew = true
	for _, ifi := range interfaces {
		same := slices.ContainsFunc(before, func(b event.Interface) bool { return b.Name == ifi.Name && b.Up && b.MAC == ifi.MAC })
		if ifi.Up && !same {
			m.tellAnew()
			break
		}
	}
	m.vips.Scan(func(v *vip) bool {
		m.moveInterfaces(v)
		return true
	})
	m.allDirty = true
}
