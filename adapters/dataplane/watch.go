package dataplane

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"viplog/core/node"
)

// Modes of a Config.
const (
	ModeAuto      = "auto"       // kube-proxy, from when it has answered once on; before, nothing is waited for but at a boot
	ModeKubeProxy = "kube-proxy" // also when it has never answered: a node without one is no candidate after a minute
	ModeNone      = "none"       // nothing is waited for
)

// Config says what a Watch works with.
type Config struct {
	Mode       string // ModeAuto or ModeKubeProxy
	Healthz    string // host and port of kube-proxy's /healthz
	JustBooted bool   // the host has booted only now: its node is to join when the data plane has served
	Tell       func(node.DataPlane)
	Logger     *slog.Logger
}

// Watch asks kube-proxy how it stands and tells the node. Its methods may be called from any goroutine.
type Watch struct {
	config Config
	bell   chan struct{} // something was published

	mu    sync.Mutex
	plane *plane
	told  node.DataPlane
}

// New makes a Watch and tells what holds before anything was asked.
func New(c Config) *Watch {
	w := &Watch{
		config: c, bell: make(chan struct{}, 1),
		plane: newPlane(time.Now(), c.Mode == ModeKubeProxy, c.JustBooted, c.Logger),
	}
	w.told = w.plane.state()
	c.Tell(w.told)
	return w
}

// Published takes the sequence up to which all statuses have been written, as a controller has just said it.
func (w *Watch) Published(through uint64) {
	isNew := false
	w.do(func(p *plane) { isNew = p.say(through, time.Now()) })
	if !isNew {
		return
	}
	select {
	case w.bell <- struct{}{}:
	default:
	}
}

// LogOpened says that the log can be read: from now on a node that has just booted waits for its data plane alone.
func (w *Watch) LogOpened() { w.do(func(p *plane) { p.joins(time.Now()) }) }

// do changes the plane, and tells what is other than before.
func (w *Watch) do(f func(*plane)) (pause time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w.plane)
	if is := w.plane.state(); is != w.told {
		w.told = is
		w.config.Tell(is)
	}
	return w.plane.pause(time.Now())
}

// Run asks until the context ends.
func (w *Watch) Run(ctx context.Context) error {
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	last := time.Time{}
	for {
		select {
		case <-alarm.C:
		case <-w.bell:
			alarm.Reset(often - time.Since(last)) // at once, if that is over
			continue
		case <-ctx.Done():
			return nil
		}
		last = time.Now()
		h, err := ask(ctx, w.config.Healthz)
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return nil
		}
		alarm.Reset(w.do(func(p *plane) { p.took(h, err, last) })) // what it says may be as old as the question
	}
}
