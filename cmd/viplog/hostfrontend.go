package main

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"viplog/adapters/identity"
	"viplog/adapters/staticpod"
	"viplog/core/frontend"
	"viplog/core/ledger"
)

// hostFrontend keeps the control plane's front end on this host as the log has it. What it has written stays when viplog stops: the control
// plane needs its VIP then too.
type hostFrontend struct {
	identity *identity.Identity
	logger   *slog.Logger
	keeper   *staticpod.Keeper // nil: nobody wants one here
	interval time.Duration

	planned atomic.Pointer[planned] // nil: the log was not read to its end yet

	last    planned
	stable  int // for how many polls it is the last one
	said    string
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// planned is what the log says, in one moment.
type planned struct {
	plan       frontend.Plan
	remembered bool // by the log, not only foretold: then it is the same on each node and stays so
	err        error
}

const (
	// frontendInterval is how often files are looked at.
	frontendInterval = time.Second
	// stablePolls is for how many of them a plan must be the same: edits of a cluster file come in several facts.
	stablePolls = 3
)

func newHostFrontend(i *identity.Identity, options hostOptions, logger *slog.Logger) *hostFrontend {
	f := &hostFrontend{identity: i, logger: logger.With("role", "frontend"), interval: frontendInterval, cancel: func() {}}
	if options.frontend != nil {
		f.keeper = &staticpod.Keeper{Options: *options.frontend}
	}
	return f
}

// folded takes what the log says, in the goroutine of a machine.
func (f *hostFrontend) folded(s *ledger.State) {
	if f.keeper == nil {
		return
	}
	plan, err := frontend.Of(s)
	f.planned.Store(&planned{plan, frontend.Due(s) == nil && s.Frontend().RouterID != 0, err})
}

func (f *hostFrontend) start(ctx context.Context) error {
	if f.keeper == nil {
		return nil
	}
	var run context.Context
	run, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	f.running.Go(func() {
		tick := time.NewTicker(f.interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f.look()
			case <-run.Done():
				return
			}
		}
	})
	return nil
}

func (f *hostFrontend) stop(context.Context) error {
	f.cancel()
	f.running.Wait()
	return nil
}

// look puts right what is not as the plan has it, once that is at rest. Where it is not known what is right, it sees to a dead Keepalived's VIP.
func (f *hostFrontend) look() {
	files, leaves, err := f.wanted()
	var changes []staticpod.Change
	var failed error
	switch {
	case leaves:
		changes, _, failed = f.keeper.Remove()
	case files != nil:
		changes, failed = f.keeper.Keep(files)
	default: // what was written before stays
		changes, failed = f.keeper.Guard()
	}
	f.tell(changes, errors.Join(err, failed))
}

// wanted are the files that this host is to have; leaves tells that it is to have none. Neither: that is not known.
func (f *hostFrontend) wanted() (files []staticpod.File, leaves bool, err error) {
	now := f.planned.Load()
	if now == nil {
		return nil, false, nil
	}
	if f.stable++; !reflect.DeepEqual(*now, f.last) {
		f.last, f.stable = *now, 1
	}
	if f.stable < stablePolls {
		return nil, false, nil
	}
	self := f.identity.Self.Address
	_, carries := now.plan.Member(self)
	switch {
	case errors.Is(now.err, frontend.ErrNotOurs) || now.err == nil && !carries:
		return nil, true, nil
	case now.err != nil:
		return nil, false, now.err
	case !now.remembered:
		return nil, false, errNotRemembered
	}
	local, err := staticpod.Find(self)
	if err != nil {
		return nil, false, err
	}
	files, err = staticpod.Render(now.plan, local, f.keeper.Options)
	return files, false, err
}

var errNotRemembered = errors.New("the log does not yet remember the router id and priorities of the control plane's VIP: a controller tells it once all nodes know rules 2")

// tell says what was done, and what is wrong once.
func (f *hostFrontend) tell(changes []staticpod.Change, err error) {
	for _, c := range changes {
		level := slog.LevelInfo
		if c.What == staticpod.Restored || c.What == staticpod.TakenOff || c.What == staticpod.Cleaned {
			level = slog.LevelWarn
		}
		f.logger.Log(context.Background(), level, "front end: "+string(c.What), "of", c.Of, "why", c.Why)
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != f.said {
		f.logger.Error("the control plane's front end is not as the log has it; what was there before stays", "error", err)
	}
	f.said = text
}
