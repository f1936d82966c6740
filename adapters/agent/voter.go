package agent

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/trace"
)

// VoterConfig says what a voter is made of.
type VoterConfig struct {
	Host
	Folder string                      // its disk: one process at a time
	Sign   func(message []byte) []byte // by the host's Ed25519 key
	// Answer sends a lease.Answer to a node; Say sends a lease.Word to the hosts of the other voters and to all controllers. They do
	// not wait; what cannot be sent is lost.
	Answer func(to netip.Addr, message lease.Answer)
	Say    func(others []netip.Addr, message lease.Word)
	// Members is called in the voter's goroutine when the voters have changed, before anything is sent to them.
	Members func(Members)
}

// Voter is a voter's process. Its methods may be called from any goroutine.
type Voter struct {
	config VoterConfig
	path   string
	id     string
	file   voterFile // what is on its disk, as far as is known; of Run's goroutine
	life   atomic.Pointer[voterLife]
}

// NewVoter reads the voter's disk. A host without one gets a new voter, whose id is on its disk when NewVoter returns.
func NewVoter(config VoterConfig) (*Voter, error) {
	v := &Voter{config: config, path: filepath.Join(config.Folder, "voter.json")}
	if err := readDisk(v.path, &v.file); err != nil {
		return nil, err
	}
	if v.file.Voter == "" {
		v.file.Voter = rand.Text()
		if err := writeDisk(v.path, v.file); err != nil {
			return nil, err
		}
	}
	v.id = v.file.Voter
	return v, nil
}

// ID is the voter's identity: random per disk.
func (v *Voter) ID() string { return v.id }

// Renewed takes a node's renewal.
func (v *Voter) Renewed(m lease.Renew) {
	v.offer(func(l *voterLife) lease.VoterReady { return l.machine.Renewed(l.Now(), m) })
}

// Resigned takes a node's word that an incarnation acts no more.
func (v *Voter) Resigned(m lease.Resign) {
	v.offer(func(l *voterLife) lease.VoterReady { return l.machine.Resigned(l.Now(), m) })
}

// Heard takes a voter's word. That of the voter itself is not heard.
func (v *Voter) Heard(m lease.Word) {
	if m.Voter == v.ID() {
		return
	}
	v.offer(func(l *voterLife) lease.VoterReady { return l.machine.Heard(l.Now(), m) })
}

func (v *Voter) offer(f func(*voterLife) lease.VoterReady) {
	if l := v.life.Load(); l != nil {
		l.loop.offer(func() { l.perform(f(l)) })
	}
}

// Responds waits until the machine has done what it was to do, if there is one.
func (v *Voter) Responds(ctx context.Context) error {
	if l := v.life.Load(); l != nil {
		return l.loop.responds(ctx)
	}
	return nil
}

// Run goes on until the context ends.
func (v *Voter) Run(ctx context.Context) error {
	for {
		s, head, err := v.config.begin(ctx)
		if err != nil {
			return nil
		}
		if v.run(ctx, s, head); ctx.Err() != nil {
			return nil
		}
	}
}

// voterLife is a voter on one log, with one pace.
type voterLife struct {
	*VoterConfig
	machine  *lease.VotingReplica
	pace     pace
	loop     *loop
	follower *follower
	saver    *saver[voterFile]
	newest   lease.VoterDisk // that is to be made durable
	promised promises
	fresh    bool // it came from another log
	digester *digester
	members  Members
	doubted  []lease.Incarnation
	end      context.CancelFunc
}

// run lets a machine live until the context ends or another one must start. One that comes from another log forgets its votes,
// which count there only, and keeps out of everything for as long as its promises may last.
func (v *Voter) run(parent context.Context, s *ledger.State, head log.Head) {
	ctx, end := context.WithCancel(parent)
	defer end()
	l := &voterLife{VoterConfig: &v.config, loop: newLoop(v.config.Now), pace: paceOf(s), end: end}
	if v.promiseLonger(ctx, l.pace.timing) != nil {
		return
	}
	fresh := v.file.Fresh || v.file.Log != "" && v.file.Log != head.ID
	if v.file.Log != head.ID {
		v.file.VoterDisk = lease.VoterDisk{Voter: v.id, Log: head.ID}
	}
	now := v.config.Now()
	l.newest, l.promised, l.fresh = v.file.VoterDisk, promisesOf(v.file, now), fresh
	l.machine = lease.NewVotingReplica(v.file.VoterDisk, l.pace.timing, v.config.Sign, lease.VoterStart{
		Now: now, Serial: randomSerial(), Fresh: fresh, Promised: l.promised.until,
	})
	l.loop.wake = func() { l.perform(l.machine.Wake(l.Now())) }
	l.saver = newSaver(&v.config.Host, v.path, func(file voterFile) {
		l.loop.post(func() {
			l.saved(v.file.VoterDisk, file.VoterDisk)
			v.file = file
			l.perform(l.machine.Persisted(l.Now(), file.VoterDisk))
		})
	})
	l.digester = newDigester(func(d lease.Digest) { l.loop.post(func() { l.perform(l.machine.Digested(l.Now(), d)) }) })
	f := &follower{
		Host: &v.config.Host, loop: l.loop, id: head.ID, ledger: func() *ledger.State { return l.machine.Ledger },
		fold:     func(entries []log.Entry) { l.perform(l.machine.Folded(l.Now(), entries)) },
		replaced: end,
	}
	l.follower = f
	l.loop.post(func() { l.perform(l.machine.Wake(l.Now())) })
	if s.Sequence() > 0 {
		l.loop.post(func() { l.perform(l.machine.Restored(l.Now(), s)) })
	}
	v.life.Store(l)
	if fresh || v.file.Lease != l.pace.timing.Lease { // so that the next start need not wait so long
		over := time.AfterFunc(l.promised.until.Since(now)+time.Millisecond, func() { l.loop.post(l.save) })
		defer over.Stop()
	}

	f.attach()
	var running sync.WaitGroup
	running.Go(func() { f.follow(ctx, s.Sequence()) })
	running.Go(func() { l.saver.run(ctx) })
	running.Go(func() { l.digester.run(ctx) })
	l.loop.run(ctx)
	v.life.Store(nil)
	end()
	running.Wait()
	v.reread()
}

// reread takes what the machine that has ended has stored last: it may have been stored and not told.
func (v *Voter) reread() {
	file := voterFile{}
	if err := readDisk(v.path, &file); err == nil && file.Voter == v.id {
		v.file = file
	} else if err != nil {
		v.config.Logger.Error("the disk failed", "path", v.path, "error", err)
	}
}

// randomSerial is far from those of earlier processes, and leaves room to count from it.
func randomSerial() uint64 {
	var random [8]byte
	_, _ = rand.Read(random[:]) // it never fails
	return binary.BigEndian.Uint64(random[:]) >> 1
}

func (l *voterLife) perform(ready lease.VoterReady) {
	l.follow()
	for _, a := range ready.Answers {
		l.Answer(a.To.Node, a)
	}
	if ready.Word != nil {
		others := slices.DeleteFunc(l.members.Hosts(), func(a netip.Addr) bool { return a == l.Address })
		l.Say(others, *ready.Word)
		l.doubt()
	}
	if ready.Digest != nil {
		l.digester.digest(ready.Digest)
	}
	if ready.Persist != nil {
		l.newest = *ready.Persist
		l.save()
	}
	l.loop.due = ready.Wake
}

func (l *voterLife) save() {
	now := l.Now()
	l.saver.save(voterFile{l.newest, l.promised.longest(l.pace.timing, now), l.fresh && now < l.promised.until})
}

func (l *voterLife) follow() {
	s := l.machine.Ledger
	if m := MembersOf(s); !m.equal(l.members) {
		l.members = m
		l.Members(m)
	}
	l.pace.follow(s, l.loop, true, func() {
		l.Logger.Info("the profile has changed: the voter goes on with other times", "profile", s.Settings().Profile)
		l.end()
	})
}

// saved tells of votes that are durable now.
func (l *voterLife) saved(before, after lease.VoterDisk) {
	for _, who := range after.Dead {
		if !slices.Contains(before.Dead, who) {
			l.tell(trace.Note{Kind: trace.Voted, Address: who.Node, Sequence: who.Join})
		}
	}
}

// doubt tells whose ledger is newly found to be another.
func (l *voterLife) doubt() {
	doubted := l.machine.Doubted()
	for _, who := range doubted {
		if !slices.Contains(l.doubted, who) {
			l.tell(trace.Note{Kind: trace.Doubted, Address: who.Node, Sequence: who.Join})
		}
	}
	l.doubted = doubted
}
