//go:build !linux

package l2

import (
	"context"
	"net/netip"

	"viplog/core/lease"
	"viplog/core/node"
)

// Responder cannot be made here.
type Responder struct{ counts counts }

// New gives ErrSystem.
func New(config Config) (*Responder, error) {
	if _, err := config.withDefaults(); err != nil {
		return nil, err
	}
	return nil, ErrSystem
}

// Run gives ErrSystem.
func (r *Responder) Run(context.Context) error { return ErrSystem }

// Serve does nothing.
func (r *Responder) Serve([]netip.Addr, []node.Served, lease.Instant) {}

// Send does nothing.
func (r *Responder) Send([]node.Frame) {}

// Counts are all zero.
func (r *Responder) Counts() Counts { return r.counts.read() }
