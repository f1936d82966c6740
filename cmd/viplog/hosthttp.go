package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"

	"viplog/adapters/httpd"
	"viplog/adapters/identity"
)

// hostHTTP tells how this host is, to those that would start it anew or go on to the next one.
type hostHTTP struct {
	address netip.AddrPort
	config  httpd.Config
	logger  *slog.Logger

	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newHostHTTP(i *identity.Identity, options hostOptions, logger *slog.Logger, a *hostAgents, s *hostSources) *hostHTTP {
	ready := func(ctx context.Context) error { return errors.Join(a.isReady(ctx), s.isReady()) }
	return &hostHTTP{
		address: options.http, config: httpd.Config{Host: i.Self.Address, Health: a.goOn, Ready: ready}, logger: logger,
		cancel: func() {},
	}
}

func (h *hostHTTP) start(ctx context.Context) error {
	if !h.address.IsValid() {
		return nil
	}
	server, err := httpd.Listen(h.address, h.config)
	if err != nil {
		return err
	}
	h.logger.Info("health is told by HTTP", "address", server.Addr())
	var run context.Context
	run, h.cancel = context.WithCancel(context.WithoutCancel(ctx))
	h.running.Go(func() {
		if err := server.Run(run); err != nil {
			h.logger.Error("health is told no more", "error", err)
		}
	})
	return nil
}

func (h *hostHTTP) stop(context.Context) error {
	h.cancel()
	h.running.Wait()
	return nil
}
