package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"viplog/adapters/identity"
	"viplog/adapters/kube"
	"viplog/adapters/manifest"
	"viplog/adapters/replica"
	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
)

// hostSources bring what a controller's folder of Service manifests and Kubernetes show into the log. Several controllers may have the same
// sources; what one has appended the others find there. The cluster file is an operator's, `viplog apply`, unless a ConfigMap holds it.
type hostSources struct {
	options hostOptions
	cluster string
	self    string
	source  string
	logger  *slog.Logger
	log     *hostLog

	kube atomic.Pointer[kube.Kube] // nil while there is none

	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newHostSources(i *identity.Identity, options hostOptions, logger *slog.Logger, l *hostLog) *hostSources {
	return &hostSources{
		options: options, cluster: i.Directory.Cluster, self: i.Self.Address.String(), source: "control/" + i.Self.Address.String(), logger: logger.With("role", "sources"), log: l, cancel: func() {},
	}
}

func (s *hostSources) start(ctx context.Context) error {
	if !s.options.roles.controller || s.options.services == "" && s.options.kube == nil {
		return nil
	}
	if _, err := s.newKube(); err != nil { // a mistake of the command line's
		return err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	s.running.Go(func() {
		for run.Err() == nil {
			if err := s.run(run); err != nil && run.Err() == nil {
				s.logger.Warn("sources are not followed", "error", err)
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
	k, err := s.newKube()
	if err != nil {
		return err
	}
	var r *replica.Replica
	var told func(log.Entry, []ledger.Change)
	if k != nil {
		told = func(e log.Entry, changes []ledger.Change) { k.Folded(e, changes, r.ListChanges()) }
	}
	if r, err = replica.Open(ctx, &s.log.log, s.source, told); err != nil {
		return err
	}
	if k != nil {
		r.TrackLists()
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
	if s.options.services != "" {
		running.Go(func() { s.followServices(ctx, r) })
	}
	if k != nil {
		s.kube.Store(k)
		defer s.kube.Store(nil)
		running.Go(func() {
			if err := k.Run(ctx, r); err != nil {
				s.logger.Error("Kubernetes is not followed", "error", err)
				cancel()
			}
		})
	}
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
