package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"viplog/adapters/identity"
)

// hostDirectory is hosts.json as it is now: who joins or leaves it while viplog runs is heard, or not heard any more, without a restart.
type hostDirectory struct {
	identity *identity.Identity
	path     string
	logger   *slog.Logger
	now      atomic.Pointer[identity.Directory] // never changed: another one takes its place

	mu      sync.Mutex
	changed []func(identity.Directory) error
	pending identity.Directory // what not everybody has taken yet
	said    string             // the last failure

	every   time.Duration
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// directoryInterval is how often hosts.json is looked at.
const directoryInterval = 3 * time.Second

func newHostDirectory(i *identity.Identity, options hostOptions, logger *slog.Logger) *hostDirectory {
	d := &hostDirectory{
		identity: i, path: options.hosts, logger: logger, pending: i.Directory,
		every: directoryInterval, cancel: func() {},
	}
	d.now.Store(&i.Directory)
	return d
}

// current is not to be changed.
func (d *hostDirectory) current() *identity.Directory { return d.now.Load() }

// follow lets someone take each directory that is another than at the start. One that fails is asked again.
func (d *hostDirectory) follow(take func(identity.Directory) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changed = append(d.changed, take)
	if d.now.Load() != &d.identity.Directory {
		d.pending = identity.Directory{} // it is handed to everybody again
	}
}

func (d *hostDirectory) start(ctx context.Context) error {
	var run context.Context
	run, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	d.running.Go(func() {
		tick := time.NewTicker(d.every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				d.look()
			case <-run.Done():
				return
			}
		}
	})
	return nil
}

func (d *hostDirectory) stop(context.Context) error {
	d.cancel()
	d.running.Wait()
	return nil
}

// look reads the file. One that cannot be read, or cannot be the cluster's of this host, changes nothing.
func (d *hostDirectory) look() {
	next, err := identity.ReadDirectory(d.path)
	if err == nil {
		err = d.check(next)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil && (d.said != "" || !reflect.DeepEqual(next, d.pending)) {
		d.pending = next
		err = d.take(next)
	}
	switch {
	case err == nil:
		d.said = ""
	case err.Error() != d.said:
		d.said = err.Error()
		d.logger.Error("hosts.json has not taken effect; what was read before stays", "error", err)
	}
}

// take hands a directory to everybody.
func (d *hostDirectory) take(next identity.Directory) (err error) {
	if !reflect.DeepEqual(next, *d.current()) {
		d.logger.Info("hosts.json has changed", "hosts", len(next.Hosts), "operators", len(next.Operators))
		if self, _ := next.Host(d.identity.Self.Address); !reflect.DeepEqual(self, d.identity.Self) {
			d.logger.Warn("what hosts.json says of this host takes effect when viplog starts again")
		}
		if !slices.Equal(next.RouteURLs(), d.current().RouteURLs()) {
			d.logger.Warn("which controllers there are takes effect for the log's servers and connections when viplog starts again")
		}
		d.now.Store(&next)
	}
	for _, take := range d.changed {
		err = errors.Join(err, take(next))
	}
	return err
}

// check refuses a directory that is not one with this host in it.
func (d *hostDirectory) check(next identity.Directory) error {
	if next.Cluster != d.identity.Directory.Cluster {
		return fmt.Errorf("%s: it is of the cluster %q, not %q", d.path, next.Cluster, d.identity.Directory.Cluster)
	}
	self, known := next.Host(d.identity.Self.Address)
	if !known || !self.Key.Equal(ed25519.PublicKey(d.identity.Self.Key)) {
		return fmt.Errorf("%s: this host, %s, is not in it with its key", d.path, d.identity.Self.Address)
	}
	return nil
}
