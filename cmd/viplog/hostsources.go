package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"viplog/adapters/identity"
	"viplog/adapters/manifest"
	"viplog/adapters/replica"
	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/ledger"
)

// hostSources bring what a controller's folder of Service manifests shows into the log. Several controllers may have the same folder; what one
// has appended the others find there. The cluster file is an operator's: `viplog apply`.
type hostSources struct {
	options hostOptions
	source  string
	logger  *slog.Logger
	log     *hostLog

	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newHostSources(i *identity.Identity, options hostOptions, logger *slog.Logger, l *hostLog) *hostSources {
	return &hostSources{
		options: options, source: "control/" + i.Self.Address.String(), logger: logger.With("role", "sources"), log: l, cancel: func() {},
	}
}

func (s *hostSources) start(ctx context.Context) error {
	if !s.options.roles.controller || s.options.services == "" {
		return nil
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	s.running.Go(func() {
		for run.Err() == nil {
			if err := s.run(run); err != nil && run.Err() == nil {
				s.logger.Warn("the log is not followed", "error", err)
			}
			select {
			case <-time.After(time.Second):
			case <-run.Done():
			}
		}
	})
	return nil
}

func (s *hostSources) stop(context.Context) error {
	s.cancel()
	s.running.Wait()
	return nil
}

// run follows the log and brings it what files show, until the context ends or the log cannot be followed.
func (s *hostSources) run(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	r, err := replica.Open(ctx, &s.log.log, s.source, nil)
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	var ended error
	running.Go(func() {
		ended = r.Run(ctx)
		cancel()
	})
	if err := r.CatchUp(ctx); err != nil {
		cancel()
		return err
	}
	running.Go(func() { s.followServices(ctx, r) })
	<-ctx.Done()
	running.Wait()
	return ended
}

// watchAgain is how soon a folder is looked for again that is missing.
const watchAgain = 10 * time.Second

// followServices applies the manifests in the folder, and again whenever they have changed, until the context ends.
func (s *hostSources) followServices(ctx context.Context, r *replica.Replica) {
	for ctx.Err() == nil {
		err := s.watchServices(ctx, r)
		if err == nil {
			return
		}
		s.logger.Error("the folder of manifests is not watched", "error", err)
		select {
		case <-time.After(watchAgain):
		case <-ctx.Done():
		}
	}
}

func (s *hostSources) watchServices(ctx context.Context, r *replica.Replica) error {
	return manifest.Watch(ctx, s.options.services, func(read manifest.Manifests, err error) {
		if err != nil {
			s.logger.Error("manifests cannot be read; what was read before stays", "error", err)
			return
		}
		err = s.submit(ctx, r, func(state *ledger.State) ([]event.Event, error) {
			facts, refused := control.ServiceFacts(state, read.Observed(sourceManifests))
			for _, r := range refused {
				s.logger.Warn("a Service is not applied", "service", r.Field, "why", r.Reason)
			}
			return facts, nil
		})
		if err != nil && ctx.Err() == nil {
			s.logger.Error("the manifests are not applied", "error", err)
		}
	})
}

// submit appends a plan's facts, and tries until it can, or the ledger would not honour them.
func (s *hostSources) submit(ctx context.Context, r *replica.Replica, plan func(*ledger.State) ([]event.Event, error)) error {
	for {
		refused := false
		_, err := r.Submit(ctx, func(state *ledger.State) ([]event.Event, error) {
			facts, err := plan(state)
			refused = err != nil
			return facts, err
		})
		if err == nil || refused || isRejected(err) || ctx.Err() != nil {
			return err
		}
		s.logger.Warn("facts cannot be appended yet", "error", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
