package agent

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"viplog/core/control"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
)

// ControllerConfig says what a controller is made of.
type ControllerConfig struct {
	Host
	// Wanted are the voters that there are to be, by the controller's ledger: those that are none yet only if they are there. It is
	// called in the controller's goroutine, and does not wait.
	Wanted func(*ledger.State) []ledger.Voter
	// Members is called in the controller's goroutine when the voters have changed.
	Members func(Members)
}

// Controller is a controller's process, as far as it watches over nodes and voters. Its methods may be called from any
// goroutine.
type Controller struct {
	config ControllerConfig
	life   atomic.Pointer[controllerLife]
}

// NewController makes a controller that has not started.
func NewController(config ControllerConfig) *Controller { return &Controller{config: config} }

// Heard takes a voter's word.
func (c *Controller) Heard(w lease.Word) {
	if l := c.life.Load(); l != nil {
		l.loop.offer(func() {
			l.machine.Heard(w)
			l.act()
		})
	}
}

// Responds waits until the machine has done what it was to do, if there is one.
func (c *Controller) Responds(ctx context.Context) error {
	if l := c.life.Load(); l != nil {
		return l.loop.responds(ctx)
	}
	return nil
}

// Run goes on until the context ends.
func (c *Controller) Run(ctx context.Context) error {
	for {
		s, head, err := c.config.begin(ctx)
		if err != nil {
			return nil
		}
		if c.run(ctx, s, head); ctx.Err() != nil {
			return nil
		}
	}
}

// controllerLife is a controller on one log.
type controllerLife struct {
	*ControllerConfig
	machine  *control.Controller
	loop     *loop
	follower *follower
	proposer *proposer
	members  Members
}

// lookAgain is how often a controller looks at what is due by time alone.
const lookAgain = time.Second

func (c *Controller) run(parent context.Context, s *ledger.State, head log.Head) {
	ctx, end := context.WithCancel(parent)
	defer end()
	l := &controllerLife{
		ControllerConfig: &c.config, machine: control.NewController(head.ID, head.Last),
		loop: newLoop(c.config.Now), proposer: newProposer(&c.config.Host),
	}
	l.loop.wake = l.act
	f := &follower{
		Host: &c.config.Host, loop: l.loop, id: head.ID, ledger: func() *ledger.State { return l.machine.Ledger },
		fold: func(entries []log.Entry) {
			l.machine.Folded(entries)
			l.act()
		},
		replaced: end,
	}
	l.follower = f
	l.loop.post(func() {
		l.machine.Restored(s)
		l.act()
	})
	c.life.Store(l)

	f.attach()
	var running sync.WaitGroup
	running.Go(func() { f.follow(ctx, s.Sequence()) })
	running.Go(func() { l.proposer.run(ctx) })
	l.loop.run(ctx)
	c.life.Store(nil)
	end()
	running.Wait()
}

func (l *controllerLife) act() {
	s := l.machine.Ledger
	if m := MembersOf(s); !m.equal(l.members) {
		l.members = m
		l.Members(m)
	}
	l.machine.Want(l.Wanted(s))
	l.proposer.folds(s)
	l.proposer.replace(l.machine.Due(time.Now().UnixNano()))
	l.loop.due = l.Now().Add(lookAgain)
}
