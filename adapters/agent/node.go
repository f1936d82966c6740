package agent

import (
	"context"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"

	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/node"
)

// Wire answers for addresses and sends frames (adapters/l2).
type Wire interface {
	Serve(stop []netip.Addr, start []node.Served, until lease.Instant)
	Send(frames []node.Frame)
	Listen()
}

// NodeConfig says what a node is made of.
type NodeConfig struct {
	Host
	Identity node.Identity
	Folder   string // its disk: one process at a time
	Wire     Wire
	// Send sends a lease.Renew or lease.Resign to the host of a voter. It does not wait; what cannot be sent is lost.
	Send func(to netip.Addr, message any)
	// Members is called in the node's goroutine when the voters have changed, before anything is sent to them.
	Members func(Members)
}

// Node is a load-balancer node's process. Its methods may be called from any goroutine.
type Node struct {
	config NodeConfig
	path   string
	disk   node.Disk // as it is to be: the next machine need not wait for a disk that fails; of Run's goroutine

	mu         sync.Mutex
	interfaces node.Linked
	dataPlane  node.DataPlane
	linked     chan struct{} // closed when interfaces are known
	isLinked   bool
	leaving    chan struct{}
	leave      sync.Once

	life atomic.Pointer[nodeLife]
}

// NewNode makes a node that has not started.
func NewNode(config NodeConfig) *Node {
	return &Node{
		config: config, path: filepath.Join(config.Folder, "node.json"),
		linked: make(chan struct{}), leaving: make(chan struct{}), dataPlane: node.ServesThrough(node.ServesAll),
	}
}

// Linked takes the host's interfaces as they are now. The node starts with the first.
func (n *Node) Linked(in node.Linked) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.interfaces = in
	if !n.isLinked {
		n.isLinked = true
		close(n.linked)
	}
	if life := n.life.Load(); life != nil {
		life.loop.post(func() { life.step(in) })
	}
}

// DataPlane takes how the data plane stands now. One that is never told serves everything.
func (n *Node) DataPlane(in node.DataPlane) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dataPlane = in
	if life := n.life.Load(); life != nil {
		life.loop.post(func() { life.step(in) })
	}
}

// Heard takes a frame in which another uses an address.
func (n *Node) Heard(in node.Heard) {
	if life := n.life.Load(); life != nil {
		life.loop.offer(func() { life.step(in) })
	}
}

// Listened takes note that another host has sent a frame since Wire.Listen was called.
func (n *Node) Listened() {
	if life := n.life.Load(); life != nil {
		life.loop.offer(func() { life.step(node.Listened{}) })
	}
}

// Answered takes a voter's answer.
func (n *Node) Answered(a lease.Answer) {
	if life := n.life.Load(); life != nil {
		life.loop.offer(func() { life.step(node.Answered{Answer: a}) })
	}
}

// Leave hands the addresses over to others; Run then returns.
func (n *Node) Leave() { n.leave.Do(func() { close(n.leaving) }) }

// Responds waits until the machine has done what it was to do, if there is one.
func (n *Node) Responds(ctx context.Context) error {
	if l := n.life.Load(); l != nil {
		return l.loop.responds(ctx)
	}
	return nil
}

// Run goes on until the context ends, which leaves its addresses to the process that follows, or the node has left. When it returns the
// wire answers for nothing.
func (n *Node) Run(ctx context.Context) error {
	select {
	case <-n.linked:
	case <-n.leaving:
		return nil
	case <-ctx.Done():
		return nil
	}
	if err := readDisk(n.path, &n.disk); err != nil {
		return err
	}
	for {
		opening, opened := n.untilLeaving(ctx)
		s, head, err := n.config.begin(opening)
		opened()
		if err != nil {
			return nil // it has been told to end before it was there
		}
		if left := n.run(ctx, s, head); left || ctx.Err() != nil {
			return nil
		}
	}
}

// untilLeaving is a context that also ends when the node is to leave.
func (n *Node) untilLeaving(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-n.leaving:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// nodeLife is a node on one log, with one pace.
type nodeLife struct {
	*NodeConfig
	machine  *node.Machine
	pace     pace
	loop     *loop
	follower *follower
	proposer *proposer
	saver    *saver[node.Disk]
	digester *digester
	members  Members
	heads    chan struct{}
	end      context.CancelFunc
	disk     func(node.Disk) // takes what the next machine starts with
	left     bool
}

// run lets a machine live until the context ends, it has left, or another one must start.
func (n *Node) run(parent context.Context, s *ledger.State, head log.Head) (left bool) {
	ctx, end := context.WithCancel(parent)
	defer end()
	l := &nodeLife{
		NodeConfig: &n.config, loop: newLoop(n.config.Now), proposer: newProposer(&n.config.Host),
		heads: make(chan struct{}, 1), end: end, disk: func(disk node.Disk) { n.disk = disk },
	}
	l.pace = paceOf(s)
	l.machine = node.New(n.config.Identity, l.pace.timing, head.ID, n.disk)
	l.loop.wake = func() { l.step(node.Woken{}) }
	l.saver = newSaver(&n.config.Host, n.path, func(node.Disk) {})
	l.digester = newDigester(func(d lease.Digest) { l.loop.post(func() { l.step(node.Digested{Digest: d}) }) })
	f := &follower{
		Host: &n.config.Host, loop: l.loop, id: head.ID, ledger: l.machine.Ledger,
		fold:     func(entries []log.Entry) { l.step(node.Folded{Entries: entries}) },
		replaced: func() { l.step(node.LogReplaced{}); end() },
	}
	l.follower = f

	n.mu.Lock()
	first, plane := n.interfaces, n.dataPlane
	l.loop.post(func() { l.step(first) })
	l.loop.post(func() { l.step(plane) })
	if s.Sequence() > 0 {
		l.loop.post(func() { l.step(node.Restored{Ledger: s}) })
	}
	n.life.Store(l)
	n.mu.Unlock()
	if n.disk.Log != "" { // the machine before may have ended while the disk failed
		l.saver.save(n.disk)
	}

	f.attach()
	var running sync.WaitGroup
	running.Go(func() { f.follow(ctx, s.Sequence()) })
	running.Go(func() { l.proposer.run(ctx) })
	running.Go(func() { l.saver.run(ctx) })
	running.Go(func() { l.digester.run(ctx) })
	running.Go(func() { l.readHeads(ctx) })
	running.Go(func() {
		select {
		case <-n.leaving:
			l.loop.post(func() { l.step(node.Leaving{}) })
		case <-ctx.Done():
		}
	})
	l.loop.run(ctx)
	n.config.Wire.Serve(l.machine.Addresses(), nil, 0)
	n.life.Store(nil)
	end()
	running.Wait()
	return l.left
}

func (l *nodeLife) step(in node.Input) {
	ready := l.machine.Step(l.Now(), in)
	if ready.Persist != nil {
		l.disk(*ready.Persist)
		l.saver.save(*ready.Persist)
	}
	for _, note := range ready.Notes {
		l.tell(note)
	}
	l.Wire.Serve(ready.Stop, ready.Start, ready.Until)
	l.follow()
	for _, r := range ready.Renewals {
		if to, known := l.members.HostOf(r.Voter); known {
			l.Send(to, r.Renew)
		}
	}
	for _, r := range ready.Resigns {
		for _, to := range l.members.Hosts() {
			l.Send(to, r)
		}
	}
	if len(ready.Frames) > 0 {
		l.Wire.Send(ready.Frames)
	}
	if ready.Listen {
		l.Wire.Listen()
	}
	l.proposer.folds(l.machine.Ledger())
	if ready.Propose != nil {
		l.proposer.replace(ready.Propose)
	}
	if ready.ReadHead {
		l.askHead()
	}
	if ready.Digest != nil {
		l.digester.digest(ready.Digest)
	}
	l.loop.due = ready.Wake
	switch {
	case ready.Left:
		l.left = true
		l.end()
	case ready.Refold:
		l.Logger.Error("the ledger is wrong, says a majority: the log is folded anew")
		l.end()
	}
}

// follow tells who votes, if that has changed, and goes over to another pace.
func (l *nodeLife) follow() {
	s := l.machine.Ledger()
	if m := MembersOf(s); !m.equal(l.members) {
		l.members = m
		l.Members(m)
	}
	l.pace.follow(s, l.loop, false, func() {
		l.Logger.Info("the profile has changed: the node goes on with other times", "profile", s.Settings().Profile)
		l.end() // the next machine goes on as this incarnation
	})
}

func (l *nodeLife) askHead() {
	select {
	case l.heads <- struct{}{}:
	default:
	}
}

// readHeads reads the log's head when the machine asks for it, and tries until it can.
func (l *nodeLife) readHeads(ctx context.Context) {
	for {
		select {
		case <-l.heads:
		case <-ctx.Done():
			return
		}
		for {
			bounded, cancel := context.WithTimeout(ctx, appendPatience)
			head, err := l.Log.Head(bounded)
			cancel()
			if err == nil {
				l.loop.post(func() { l.step(node.HeadRead{Last: head.Last}) })
				break
			}
			if pause(ctx, retryPause) != nil {
				return
			}
		}
	}
}
