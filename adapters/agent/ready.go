package agent

import (
	"context"
	"errors"
)

// Ready tells that the log is followed, and that the node has joined and has a lease; else what is missing of that.
func (n *Node) Ready(ctx context.Context) error {
	l := n.life.Load()
	if l == nil {
		return errBegins
	}
	return l.loop.asks(ctx, func() error {
		if err := l.follower.ready(); err != nil {
			return err
		}
		if !l.machine.IsLeased() {
			return errNoLease
		}
		return nil
	})
}

// Ready tells that the log is followed.
func (v *Voter) Ready(ctx context.Context) error {
	l := v.life.Load()
	if l == nil {
		return errBegins
	}
	return l.loop.asks(ctx, l.follower.ready)
}

// Ready tells that the log is followed.
func (c *Controller) Ready(ctx context.Context) error {
	l := c.life.Load()
	if l == nil {
		return errBegins
	}
	return l.loop.asks(ctx, l.follower.ready)
}

// ready is to be called in the loop.
func (f *follower) ready() error {
	if f.stuck {
		return errStuck
	}
	return nil
}

var (
	errBegins  = errors.New("agent: the log is not read to its end yet")
	errStuck   = errors.New("agent: the log holds a fact that this version cannot read")
	errNoLease = errors.New("agent: the node has not joined, or has no lease")
)
