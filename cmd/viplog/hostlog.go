package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"viplog/adapters/identity"
	"viplog/adapters/jetstream"
	"viplog/core/log"
)

// hostLog is the cluster's log as a host reaches it: on the NATS servers of the controllers, of which this host may run one, or on
// others. Nothing of a host waits until it can be reached: what asks before is told so.
type hostLog struct {
	identity  *identity.Identity
	directory *hostDirectory
	options   hostOptions
	logger    *slog.Logger

	server *jetstream.Server // nil: none runs here
	conn   *nats.Conn
	log    lateLog

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// newHostLog comes after the lock: a second process must not touch the first one's server.
func newHostLog(i *identity.Identity, d *hostDirectory, options hostOptions, logger *slog.Logger, _ *hostLock) *hostLog {
	return &hostLog{
		identity: i, directory: d, options: options, logger: logger, cancel: func() {}, log: lateLog{opened: make(chan struct{})},
	}
}

func (l *hostLog) start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			_ = l.stop(ctx)
		}
	}()
	if l.options.roles.controller && l.options.nats == "" {
		o := natsServer(l.identity, filepath.Join(l.options.data, "log"))
		o.Logger = l.logger
		if l.server, err = jetstream.StartServer(o); err != nil {
			return err
		}
		l.directory.follow(func(d identity.Directory) error { return l.server.SetUsers(natsUsers(d)) })
		l.logger.Info("a NATS server of the log runs here", "clients", l.server.URL())
	}
	if l.conn, err = l.connect(); err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	l.running.Go(func() { l.open(run) })
	if l.server != nil {
		l.running.Go(func() { l.sayWhoLeads(run) })
	}
	return nil
}

// How soon a connection that has died is given up: a server that lost its power says nothing.
const (
	pingInterval  = 2 * time.Second
	pingsOut      = 2
	reconnectWait = 250 * time.Millisecond
)

// connect goes to the servers of the log, this host's first. It is a connection also if none answers yet.
func (l *hostLog) connect() (*nats.Conn, error) {
	where := []string{l.options.nats}
	if l.options.nats == "" {
		where = l.identity.Servers()
	}
	if l.server != nil {
		own := slices.Index(where, l.server.URL())
		where[0], where[max(0, own)] = where[max(0, own)], where[0]
	}
	options := append(l.identity.NATSOptions(),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait),
		nats.ReconnectBufSize(-1), // what was not sent in time is not sent at all
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(pingsOut), nats.Timeout(2*time.Second),
		nats.DisconnectErrHandler(func(c *nats.Conn, err error) {
			if !c.IsClosed() {
				l.logger.Warn("the log's server is gone", "error", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			l.logger.Warn("the log's server refuses", "error", err)
		}),
		nats.ReconnectHandler(func(c *nats.Conn) { l.logger.Info("connected to the log's server", "server", c.ConnectedUrl()) }),
	)
	if l.server != nil {
		options = append(options, nats.DontRandomize())
	}
	conn, err := nats.Connect(strings.Join(where, ","), options...)
	if err != nil {
		return nil, fmt.Errorf("connect to the log's servers: %w", err)
	}
	return conn, nil
}

const (
	openPatience = 2 * time.Second
	openPause    = 250 * time.Millisecond
)

// open opens the log, or makes it if this host is a controller, and tries until it can.
func (l *hostLog) open(ctx context.Context) {
	options := jetstream.Options{
		Cluster: l.identity.Directory.Cluster, Create: l.options.roles.controller, Replicas: natsReplicas(l.identity.Directory),
		TrustFeed: l.options.nats == "" || l.options.trustFeed, Logger: l.logger,
	}
	for said := 0; ; said++ {
		bounded, cancel := context.WithTimeout(ctx, openPatience)
		opened, err := jetstream.Open(bounded, l.conn, options)
		cancel()
		if err == nil {
			l.log.open(opened)
			return
		}
		if said%30 == 10 && ctx.Err() == nil { // servers that start together need some seconds
			l.logger.Warn("the log cannot be opened yet", "error", err)
		}
		select {
		case <-time.After(openPause):
		case <-ctx.Done():
			return
		}
	}
}

func (l *hostLog) stop(context.Context) error {
	l.cancel()
	l.running.Wait()
	if l.conn != nil {
		l.conn.Close()
	}
	if l.server != nil {
		l.server.Close()
	}
	return nil
}

// sayWhoLeads says when this host's server begins or ends to lead the log.
func (l *hostLog) sayWhoLeads(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for leads := false; ; {
		if now := l.server.Leads(l.identity.Directory.Cluster); now != leads {
			leads = now
			l.logger.Info("who leads the log", "this-host", leads)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// say tells controllers which voter this host has.
func (l *hostLog) say(host netip.Addr, voter string) {
	if l.conn.IsConnected() {
		_ = jetstream.Announce(l.conn, l.identity.Directory.Cluster, host, []byte(voter)) // the next one is as good
	}
}

// lateLog is a log that is opened later.
type lateLog struct {
	opened chan struct{} // closed when log is set
	log    log.Log
}

func (l *lateLog) open(opened log.Log) {
	l.log = opened
	close(l.opened)
}

var errNotOpen = errors.New("the log is not open yet")

func (l *lateLog) wait(ctx context.Context) error {
	select {
	case <-l.opened:
		return nil
	case <-ctx.Done():
		return errors.Join(errNotOpen, ctx.Err())
	}
}

// Head implements log.Log.
func (l *lateLog) Head(ctx context.Context) (log.Head, error) {
	if err := l.wait(ctx); err != nil {
		return log.Head{}, err
	}
	return l.log.Head(ctx)
}

// LastOf implements log.Log.
func (l *lateLog) LastOf(ctx context.Context, entity string) (uint64, error) {
	if err := l.wait(ctx); err != nil {
		return 0, err
	}
	return l.log.LastOf(ctx, entity)
}

// Append implements log.Log.
func (l *lateLog) Append(ctx context.Context, fact log.Fact, last uint64) (uint64, error) {
	if err := l.wait(ctx); err != nil {
		return 0, err
	}
	return l.log.Append(ctx, fact, last)
}

// AppendBatch implements log.Log.
func (l *lateLog) AppendBatch(ctx context.Context, facts []log.Fact, head uint64) (uint64, error) {
	if err := l.wait(ctx); err != nil {
		return 0, err
	}
	return l.log.AppendBatch(ctx, facts, head)
}

// Follow implements log.Log.
func (l *lateLog) Follow(ctx context.Context, after uint64) iter.Seq2[log.Entry, error] {
	return func(yield func(log.Entry, error) bool) {
		if err := l.wait(ctx); err != nil {
			yield(log.Entry{}, err)
			return
		}
		l.log.Follow(ctx, after)(yield)
	}
}

// Purge implements log.Log.
func (l *lateLog) Purge(ctx context.Context, through uint64) error {
	if err := l.wait(ctx); err != nil {
		return err
	}
	return l.log.Purge(ctx, through)
}
