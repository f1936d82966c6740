// Package kube connects the log to a Kubernetes API server: Services, EndpointSlices, Nodes, Namespaces and the cluster file in a
// ConfigMap are a source of facts like any other, and each Service's status, its Events and a label of nodes mirror the ledger.
//
// What is held:
//
//   - The log decides, Kubernetes shows. Nothing in the API server is read back as state, but for the addresses in statuses when a log
//     has been lost. A status is a function of the ledger and of what the Service shows, so that whoever writes it writes the same.
//   - Nothing is concluded before all caches have synced, and nothing from absence alone. An API server answers lists and watches from a cache
//     that may be older than what another one has shown before. So what is missing, and what is older than the fact that the ledger holds
//     of it, is confirmed by a read that the API server answers from etcd (without a resourceVersion), and only then gone. A Service that is
//     there with another type or class has left by its own word, and needs none.
//   - One controller writes: the one that holds the Lease. It stops all writing when it loses it, before another may begin: a lease is given
//     up leaseDuration - renewDeadline before others may take it, and a request ends with the lease. Reading goes on without it. A fact that two controllers append is one: the log's
//     guards see to that. The Lease is for what the API server is written only.
//   - One write per Service and change: what a write has left is remembered until the cache shows it. The newest state wins; what changes
//     while a Service waits for its write is in that write.
//   - An API server that is away holds back writing, and nothing else.
package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
)

// Source is the name of this source in facts.
const Source = event.SourceKubernetes

// Config says what a Kube works with.
type Config struct {
	Client    kubernetes.Interface
	Cluster   string // the Lease is viplog-<cluster>
	Namespace string // of the Lease and the ConfigMap
	Identity  string // of this controller, among those that want the Lease

	ConfigMap string                                 // whose key cluster.yaml holds the cluster file; "" for none
	Parse     func(data []byte) (ClusterFile, error) // reads a cluster file

	LabelNodes bool // control.LabelLoadBalancerNode on load-balancer nodes

	Rejected error // wrapped by what Submit says of facts that the ledger would not honour

	// Published is told, from one goroutine, each time that Kube.Published has risen; nil for nobody.
	Published func(sequence uint64)
	Logger    *slog.Logger
}

// ClusterFile is a cluster file as it was read.
type ClusterFile struct {
	Cluster  control.Cluster
	Warnings []string
	Notice   string                       // why viplog does nothing for this cluster; "" if it does
	Explain  func(control.Refusal) string // puts a refusal at its line
}

// Ledger is what a Kube needs of a replica of the log.
type Ledger interface {
	// State is a copy of the ledger as it is now.
	State() *ledger.State
	// Submit appends the facts that a plan finds missing, and plans anew whenever the log moved on.
	Submit(ctx context.Context, plan func(*ledger.State) ([]event.Event, error)) (uint64, error)
	// CatchUp waits until what the log holds now is folded.
	CatchUp(ctx context.Context) error
}

// Connect makes a configuration for clients: that of a file, or, without one, of the Pod in which the process runs.
//
// Clients are not limited by a rate of their own: what a burst of a thousand Services needs is bounded here by how many requests are under way, and
// in the API server by its priority and fairness, which knows how busy it is. A limit of 5 requests a second, client-go's default, would
// keep the last of them waiting for minutes.
func Connect(kubeconfig string) (config *rest.Config, err error) {
	if kubeconfig == "" {
		config, err = rest.InClusterConfig()
	} else {
		config, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	config.QPS = -1
	config.UserAgent = "viplog"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.ContentType = "application/vnd.kubernetes.protobuf"
	return config, nil
}

// Kube is one connection of one replica of the log. Folded feeds it, Run runs it.
type Kube struct {
	config Config
	logger *slog.Logger
	ledger Ledger
	caches caches
	queue  *queue
	writer *writer
	teller *teller

	mu        sync.Mutex
	mirror    *control.Mirror
	folded    chan struct{} // capacity 1: a fact was folded
	relabel   chan struct{} // capacity 1: labels of nodes are to be looked at
	fileAgain chan struct{} // capacity 1: the cluster file could not be appended
	view      atomic.Pointer[view]
	leading   atomic.Bool
	synced    atomic.Bool
}

// view is a ledger and what goes with it, of one moment. It is only read.
type view struct {
	state  *ledger.State
	owners *control.Owners
}

// New makes a Kube that is to be told every fact of a log from the first on.
func New(config Config) *Kube {
	return &Kube{
		config: config, logger: config.Logger, queue: newQueue(), writer: newWriter(), teller: newTeller(),
		mirror: control.NewMirror(), folded: make(chan struct{}, 1), relabel: make(chan struct{}, 1), fileAgain: make(chan struct{}, 1),
	}
}

// Folded takes a fact and what it changed in the ledger, in the order of the log. Lists are the succession lists that it changed.
func (k *Kube) Folded(entry log.Entry, changes []ledger.Change, lists []ledger.ListChange) {
	k.mu.Lock()
	k.mirror.Folded(entry.Sequence, entry.Time.UnixNano(), changes, lists)
	if entry.Type == typeApplied {
		if e, err := event.Decode(entry.Record); err == nil {
			applied := e.(event.ServiceApplied)
			k.mirror.Declared(ledger.ServiceKey{Namespace: applied.Namespace, Name: applied.Name})
		}
	}
	k.mu.Unlock()
	signal(k.folded)
}

var typeApplied = event.TypeOf(event.ServiceApplied{})

func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// Synced tells whether all caches hold what the API server had when they began, which is when a controller is ready.
func (k *Kube) Synced() bool { return k.synced.Load() }

// Leads tells whether this controller is the one that writes.
func (k *Kube) Leads() bool { return k.leading.Load() }

// Published is the sequence up to which every status that follows from the log has been written; 0 for a controller that does not write.
func (k *Kube) Published() uint64 {
	if !k.leading.Load() {
		return 0
	}
	return k.writer.publishedNow()
}

// The Lease: another controller takes over at most this long after the one that wrote was heard of last. Fail-over of addresses does
// not wait for it.
const (
	leaseDuration = 10 * time.Second
	renewDeadline = 6 * time.Second
	retryPeriod   = time.Second
)

// Run works until the context ends. The replica must be the one whose facts Folded is told.
func (k *Kube) Run(ctx context.Context, l Ledger) error {
	k.ledger = l
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := k.openCaches(); err != nil {
		return err
	}
	k.caches.run(ctx, &running)
	running.Go(func() { k.follow(ctx) })
	if !cache.WaitForCacheSync(ctx.Done(), k.caches.synced()...) {
		return nil // the context ended
	}
	k.synced.Store(true)
	k.logger.Info("Kubernetes is read", "services", len(k.caches.services.GetStore().ListKeys()))
	for ctx.Err() == nil {
		if err := k.elect(ctx); err != nil {
			return err
		}
		pause(ctx, 3*retryPeriod) // others, who try each one to 2.2 of it, have their turn
	}
	return nil
}

// elect waits for the Lease, works while it is held, and gives it up when the context ends and all work has.
func (k *Kube) elect(ctx context.Context) error {
	// The election outlives the context until what is guarded by the Lease has ended.
	election, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var led sync.WaitGroup
	var mu sync.Mutex // between a lead that begins and a context that ends
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		led.Wait()
		end()
	})
	defer stop()
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: k.config.Namespace, Name: "viplog-" + k.config.Cluster},
			Client:     k.config.Client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: k.config.Identity},
		},
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(lease context.Context) {
				mu.Lock()
				if ctx.Err() != nil || lease.Err() != nil {
					mu.Unlock()
					return
				}
				led.Add(1)
				mu.Unlock()
				defer led.Done()
				both, cancel := context.WithCancel(lease)
				defer cancel()
				defer context.AfterFunc(ctx, cancel)()
				k.lead(both)
				end() // if it is not for the Lease, or the context
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("the Lease of controllers: %w", err)
	}
	elector.Run(election)
	led.Wait()
	return nil
}

// checkInterval is how often all that Kubernetes shows is compared with the log, whatever was heard: for what nobody has thought of.
const checkInterval = 5 * time.Minute

// lead reads and writes as the one controller that does, until the context ends, or the log cannot be read: then another may do better.
func (k *Kube) lead(ctx context.Context) {
	k.writer.reset()
	k.teller.reset()
	k.checkAll(1) // before anything can be said to be published
	k.leading.Store(true)
	defer k.leading.Store(false)
	k.mu.Lock()
	k.mirror.Again()
	k.mu.Unlock()
	if !k.catchUp(ctx) {
		return
	}
	k.logger.Info("this controller writes to Kubernetes")
	k.checkAll(1) // also those that the caches have been shown meanwhile
	k.queue.add(func(b *batch) { b.whole, b.file = true, true })

	working, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { k.bring(working) })
	running.Go(func() { k.tryFileAgain(working) })
	if k.config.LabelNodes {
		running.Go(func() { k.label(working) })
	}
	for range writersAtOnce {
		running.Go(func() { k.write(working) })
	}
	running.Go(func() { k.tell(working) })
	running.Go(func() { k.publish(working) })
	k.watchOver(ctx)
	cancel()
	running.Wait()
	k.logger.Info("this controller no longer writes to Kubernetes")
}

// watchOver has all compared from time to time, until the context ends or the log cannot be read.
func (k *Kube) watchOver(ctx context.Context) {
	tick := time.NewTicker(logInterval)
	defer tick.Stop()
	for checked := time.Now(); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if !k.catchUp(ctx) {
			return
		}
		if time.Since(checked) >= checkInterval {
			checked = time.Now()
			k.queue.add(func(b *batch) { b.whole, b.file = true, true })
			k.checkAll(noFact)
		}
	}
}

// How often the log is asked whether it can be read, and how long that may take.
const (
	logInterval = 5 * time.Second
	logPatience = 10 * time.Second
)

// catchUp waits until all that the log holds now is folded, and to be seen by those who write; false if that is not to be had.
func (k *Kube) catchUp(ctx context.Context) bool {
	bounded, cancel := context.WithTimeout(ctx, logPatience)
	defer cancel()
	err := k.ledger.CatchUp(bounded)
	for head := k.ledger.State().Sequence(); err == nil; err = bounded.Err() {
		signal(k.folded)
		if v := k.view.Load(); v != nil && v.state.Sequence() >= head {
			return true
		}
		pause(bounded, 2*time.Millisecond)
	}
	if ctx.Err() == nil {
		k.logger.Warn("the log cannot be read: the Lease is for another controller", "error", err)
	}
	return false
}

// follow turns what was folded into Services to look at and Events to tell.
func (k *Kube) follow(ctx context.Context) {
	for {
		select {
		case <-k.folded:
		case <-ctx.Done():
			return
		}
		k.mu.Lock()
		s := k.ledger.State()
		if s.Sequence() != k.mirror.Sequence() { // another fact is about to be told
			k.mu.Unlock()
			continue
		}
		taken := k.mirror.Take(s, time.Now().UnixNano())
		k.view.Store(&view{s, k.mirror.Owners.Clone()})
		k.mu.Unlock()
		if !k.leading.Load() {
			continue
		}
		if taken.Replan {
			k.queue.add(func(b *batch) { b.whole = true })
		}
		if taken.All > 0 {
			k.checkAll(taken.All)
		}
		k.writer.touch(taken.Touched, taken.Sequence)
		k.teller.add(taken.Events)
	}
}

// checkAll has all Services looked at whose status may be another since a fact.
func (k *Kube) checkAll(since uint64) {
	var all []control.Touched
	for _, object := range k.caches.services.GetStore().List() {
		v := object.(*corev1.Service)
		all = append(all, control.Touched{Service: ledger.ServiceKey{Namespace: v.Namespace, Name: v.Name}, Sequence: since})
	}
	k.writer.touch(all, 0)
}

// publish says how far statuses are written.
func (k *Kube) publish(ctx context.Context) {
	if k.config.Published == nil {
		return
	}
	for said := uint64(0); ; {
		select {
		case <-k.writer.wrote:
		case <-ctx.Done():
			return
		}
		if now := k.writer.publishedNow(); now > said {
			said = now
			k.config.Published(now)
		}
	}
}

// pause waits, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// backoff is how long to wait before the next of several tries, the first being number 1.
func backoff(try int) time.Duration {
	const first, longest = 50 * time.Millisecond, 5 * time.Second
	if try > 8 {
		return longest
	}
	return min(longest, first<<(try-1))
}

// isOver tells whether a request ended because its context did.
func isOver(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded))
}
