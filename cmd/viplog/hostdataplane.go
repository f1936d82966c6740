package main

import (
	"context"
	"time"

	"viplog/adapters/dataplane"
	"viplog/adapters/jetstream"
	"viplog/adapters/l2"
	"viplog/core/lease"
)

// justBooted is how long after its boot a host's data plane may not have served yet: kube-proxy starts when the kubelet does.
const justBooted = 5 * time.Minute

// makeDataPlane makes what tells the node how its data plane stands. It has told it for the first time when this returns.
func (a *hostAgents) makeDataPlane() {
	if a.options.dataPlane.mode == dataplane.ModeNone {
		return
	}
	a.dataPlane = dataplane.New(dataplane.Config{
		Mode: a.options.dataPlane.mode, Healthz: a.options.dataPlane.healthz, JustBooted: l2.Boottime() < lease.Instant(justBooted),
		Tell: a.node.DataPlane, Logger: a.logger.With("role", "data-plane"),
	})
}

// runDataPlane lets it follow what controllers say and what kube-proxy answers.
func (a *hostAgents) runDataPlane(ctx context.Context) (err error) {
	if a.dataPlane == nil {
		return nil
	}
	if a.published, err = jetstream.HearPublished(a.log.conn, a.identity.Directory.Cluster, a.dataPlane.Published); err != nil {
		return err
	}
	a.run(ctx, "data plane", a.dataPlane.Run)
	a.running.Go(func() {
		if a.log.log.wait(ctx) == nil {
			a.dataPlane.LogOpened()
		}
	})
	return nil
}
