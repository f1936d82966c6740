package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/ledger"
)

// batch is what is to be compared with the log.
type batch struct {
	services   map[ledger.ServiceKey]bool
	namespaces map[string]bool
	nodes      bool
	whole      bool // everything but the cluster file
	file       bool // the cluster file
}

func newBatch() *batch {
	return &batch{services: map[ledger.ServiceKey]bool{}, namespaces: map[string]bool{}}
}

// queue gathers what is to be compared, each thing once.
type queue struct {
	mu      sync.Mutex
	next    *batch
	waiting chan struct{} // capacity 1: next holds something
}

func newQueue() *queue { return &queue{next: newBatch(), waiting: make(chan struct{}, 1)} }

func (q *queue) add(what func(*batch)) {
	q.mu.Lock()
	what(q.next)
	q.mu.Unlock()
	signal(q.waiting)
}

// take gives what has gathered, once there is something; false when the context has ended.
func (q *queue) take(ctx context.Context) (*batch, bool) {
	select {
	case <-q.waiting:
	case <-ctx.Done():
		return nil, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.next
	q.next = newBatch()
	return taken, true
}

// giveBack puts a batch into the queue again that could not be compared.
func (q *queue) giveBack(b *batch) {
	q.add(func(next *batch) {
		maps.Copy(next.services, b.services)
		maps.Copy(next.namespaces, b.namespaces)
		next.nodes, next.whole, next.file = next.nodes || b.nodes, next.whole || b.whole, next.file || b.file
	})
}

// bring appends what Kubernetes shows and the log does not hold, until the context ends.
func (k *Kube) bring(ctx context.Context) {
	for try := 1; ; {
		b, more := k.queue.take(ctx)
		if !more {
			return
		}
		err := k.bringBatch(ctx, b)
		if isOver(ctx, err) {
			return
		}
		if err == nil {
			try = 1
			continue
		}
		k.logger.Warn("what Kubernetes shows is not in the log yet", "error", err)
		k.queue.giveBack(b)
		pause(ctx, backoff(try))
		try++
	}
}

// fileInterval is how long to wait before a cluster file is tried again that could not be appended.
const fileInterval = 5 * time.Second

// tryFileAgain has the cluster file compared again when it could not be appended, until the context ends. Services do not wait for it: a file may be
// one that this controller may not append.
func (k *Kube) tryFileAgain(ctx context.Context) {
	for {
		select {
		case <-k.fileAgain:
			pause(ctx, fileInterval)
			k.queue.add(func(b *batch) { b.file = true })
		case <-ctx.Done():
			return
		}
	}
}

// bringBatch appends what a batch shows. What of the batch is done when an error comes is taken out of it.
func (k *Kube) bringBatch(ctx context.Context, b *batch) error {
	if b.file { // before Services: pools are there when the first of them comes
		if err := k.bringFile(ctx); err != nil {
			k.logger.Warn("the cluster file is not in the log yet", "error", err)
			signal(k.fileAgain)
		}
		b.file = false
	}
	seen, err := k.observe(ctx, b)
	if err != nil {
		return err
	}
	if err := k.bringSeen(ctx, seen); err != nil {
		return err
	}
	for _, seen := range seen.Services {
		if why := control.WhyIgnored(seen); why != "" {
			if v := k.caches.service(seen.Key()); v != nil {
				k.teller.now(aboutService(v, "Ignored", why))
			}
		}
	}
	if b.nodes || b.whole {
		signal(k.relabel)
	}
	return nil
}

// bringSeen appends what is seen and the log does not hold. What the ledger would not honour is left out and told, so that one
// Service does not hold up the others.
func (k *Kube) bringSeen(ctx context.Context, seen control.Observed) error {
	var refused []control.Refusal
	_, err := k.ledger.Submit(ctx, func(s *ledger.State) (facts []event.Event, _ error) {
		facts, refused = control.Facts(s, seen)
		return facts, nil
	})
	rejected := err != nil && errors.Is(err, k.config.Rejected)
	switch {
	case rejected && len(seen.Services)+len(seen.Gone) <= 1:
		k.logger.Error("the ledger would not honour what Kubernetes shows", "services", seen.Services, "error", err)
		for _, v := range seen.Services {
			refused = append(refused, control.Refusal{Service: v.Key(), Reason: err.Error()})
		}
	case rejected:
		return k.bringEach(ctx, seen)
	case err != nil:
		return err
	}
	for _, r := range refused {
		k.logger.Warn("what Kubernetes shows is not applied", "what", r.Field, "service", r.Service, "why", r.Reason)
		if v := k.caches.service(r.Service); v != nil {
			k.teller.now(aboutService(v, "Refused", r.Reason))
			k.writer.touch([]control.Touched{{Service: r.Service, Sequence: noFact}}, 0)
		}
	}
	return nil
}

// bringEach is bringSeen for each Service by itself.
func (k *Kube) bringEach(ctx context.Context, seen control.Observed) error {
	for _, v := range seen.Services {
		one := seen
		one.Services, one.Gone = []control.Service{v}, nil
		if err := k.bringSeen(ctx, one); err != nil {
			return err
		}
	}
	for _, key := range seen.Gone {
		one := seen
		one.Services, one.Gone = nil, []ledger.ServiceKey{key}
		if err := k.bringSeen(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

// observe gathers what is shown of a batch. What seems to be gone is confirmed; and, where all is compared, what seems to be new: the caches of a
// controller that takes over may be behind what the one before it told the log.
func (k *Kube) observe(ctx context.Context, b *batch) (seen control.Observed, err error) {
	s := k.ledger.State()
	seen = control.Observed{Source: Source, Partial: true, NodeAddresses: map[string][]netip.Addr{}}
	keys := slices.Collect(maps.Keys(b.services))
	if b.whole {
		keys = slices.Concat(keys, k.caches.serviceKeys(), s.ServicesOf(Source))
	}
	slices.SortFunc(keys, ledger.ServiceKey.Compare)
	var doubtful []ledger.ServiceKey
	for _, key := range slices.Compact(keys) {
		held, known := s.ServiceSpec(key)
		known = known && held.Source == Source
		switch v := k.caches.service(key); {
		case v == nil && known, v != nil && known && isOlder(v, held),
			b.whole && v != nil && !known && control.IsOurs(s, observedService(v)):
			doubtful = append(doubtful, key)
		case v != nil:
			seen.Services = append(seen.Services, observedService(v))
		}
	}
	confirmed, err := k.confirm(ctx, doubtful)
	if err != nil {
		return seen, err
	}
	for _, key := range doubtful {
		if v := confirmed[key]; v != nil {
			seen.Services = append(seen.Services, observedService(v))
		} else {
			seen.Gone = append(seen.Gone, key)
		}
	}
	control.SortByArrival(seen.Services)
	if b.nodes || b.whole {
		seen.Nodes = k.caches.allNodes()
	}
	k.observeEndpoints(&seen)
	return seen, k.observeNamespaces(ctx, s, b, &seen)
}

// isOlder tells whether a Service is shown as it was before what the ledger holds of that name, be it the same object or the one before it: versions
// of Services can be compared. Those of an API server that was restored from a backup are older too, and are read again each time until
// they have caught up.
func isOlder(v *corev1.Service, held event.ServiceApplied) bool {
	order, err := resourceversion.CompareResourceVersion(v.ResourceVersion, held.Revision)
	return err == nil && order < 0
}

// manyDoubts is how many Services are confirmed by one list instead of one by one.
const manyDoubts = 50

// confirm reads Services from etcd, those that are there.
func (k *Kube) confirm(ctx context.Context, keys []ledger.ServiceKey) (map[ledger.ServiceKey]*corev1.Service, error) {
	if len(keys) > manyDoubts {
		return k.confirmMany(ctx, keys)
	}
	found := map[ledger.ServiceKey]*corev1.Service{}
	for _, key := range keys {
		v, err := k.config.Client.CoreV1().Services(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, fmt.Errorf("confirm that Service %s is there: %w", key, err)
		default:
			found[key] = v
		}
	}
	return found, nil
}

func (k *Kube) confirmMany(ctx context.Context, keys []ledger.ServiceKey) (map[ledger.ServiceKey]*corev1.Service, error) {
	wanted := map[ledger.ServiceKey]bool{}
	for _, key := range keys {
		wanted[key] = true
	}
	found := map[ledger.ServiceKey]*corev1.Service{}
	for options := (metav1.ListOptions{Limit: 500}); ; {
		page, err := k.config.Client.CoreV1().Services("").List(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("confirm that %d Services are there: %w", len(keys), err)
		}
		for i := range page.Items {
			v := &page.Items[i]
			if key := (ledger.ServiceKey{Namespace: v.Namespace, Name: v.Name}); wanted[key] {
				found[key] = v
			}
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return found, nil
		}
	}
}

// observeEndpoints adds the EndpointSlices of the Local Services that are shown, and the addresses of the nodes that they name.
func (k *Kube) observeEndpoints(seen *control.Observed) {
	for _, v := range seen.Services {
		if v.TrafficPolicy != event.TrafficLocal {
			continue
		}
		slices := k.caches.endpointsOf(v.Key())
		for _, e := range slices {
			for _, name := range e.Nodes {
				if n, known := k.caches.node(name); known {
					seen.NodeAddresses[name] = n.Addresses
				}
			}
		}
		seen.Endpoints = append(seen.Endpoints, slices...)
	}
}

// observeNamespaces adds those that changed and those of the Services that are shown. What no cache shows is read where labels of
// namespaces matter; what is shown is added in any case, since they may come to matter before it is compared with the log.
func (k *Kube) observeNamespaces(ctx context.Context, s *ledger.State, b *batch, seen *control.Observed) error {
	matter := control.NamespacesMatter(s)
	names := slices.Collect(maps.Keys(b.namespaces))
	for _, v := range seen.Services {
		names = append(names, v.Namespace)
	}
	if b.whole {
		for _, n := range s.Namespaces() {
			names = append(names, n.Name)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if n, known := k.caches.namespace(name); known {
			seen.Namespaces = append(seen.Namespaces, n)
			continue
		}
		if !matter {
			continue
		}
		// It may be new, or gone, or the cache of Namespaces be behind that of Services.
		n, err := k.config.Client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			seen.GoneNamespaces = append(seen.GoneNamespaces, name)
		case err != nil:
			return fmt.Errorf("confirm that Namespace %s is gone: %w", name, err)
		default:
			seen.Namespaces = append(seen.Namespaces, control.Namespace{Name: n.Name, Labels: n.Labels})
		}
	}
	return nil
}

// clusterKey is the key of the ConfigMap's data that holds the cluster file.
const clusterKey = "cluster.yaml"

// bringFile compares the cluster file with the ledger. What is wrong with it is told on the ConfigMap, once for each content.
func (k *Kube) bringFile(ctx context.Context) error {
	m := k.caches.file()
	if m == nil {
		return nil
	}
	text, has := m.Data[clusterKey]
	if !has {
		k.tellOfFile(m, true, "ClusterFileMissing", "the key "+clusterKey+" is missing")
		return nil
	}
	file, err := k.config.Parse([]byte(text))
	if err != nil {
		k.tellOfFile(m, true, "ClusterFileInvalid", err.Error())
		return nil
	}
	for _, w := range file.Warnings {
		k.tellOfFile(m, true, "ClusterFileWarning", w)
	}
	if file.Notice != "" {
		k.tellOfFile(m, true, "ClusterFileIgnored", file.Notice)
		return nil
	}
	var refused []control.Refusal
	sequence, err := k.ledger.Submit(ctx, func(s *ledger.State) (facts []event.Event, _ error) {
		facts, refused = control.ClusterFacts(s, file.Cluster)
		return facts, nil
	})
	switch {
	case err != nil && errors.Is(err, k.config.Rejected):
		k.tellOfFile(m, true, "ClusterFileRefused", err.Error())
		return nil
	case err != nil:
		return fmt.Errorf("apply the cluster file: %w", err)
	}
	for _, r := range refused {
		k.tellOfFile(m, true, "ClusterFileRefused", file.Explain(r))
	}
	if sequence > 0 {
		k.tellOfFile(m, false, "ClusterFileApplied", fmt.Sprintf("it is in the log up to fact %d", sequence))
	}
	return nil
}

// label sets and removes the label of load-balancer nodes whenever Nodes were compared with the log, until the context ends. What fails is tried again.
func (k *Kube) label(ctx context.Context) {
	for try := 1; ; {
		select {
		case <-k.relabel:
		case <-ctx.Done():
			return
		}
		err := k.labelNodes(ctx)
		switch {
		case isOver(ctx, err):
			return
		case err == nil:
			try = 1
			continue
		}
		k.logger.Warn("nodes are not labelled yet", "error", err)
		pause(ctx, backoff(try))
		try++
		signal(k.relabel)
	}
}

func (k *Kube) labelNodes(ctx context.Context) error {
	var errs []error
	for _, change := range control.NodeLabels(k.ledger.State(), k.caches.allNodes()) {
		err := k.patchLabel(ctx, change)
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("label node %s: %w", change.Node, err))
		}
	}
	return errors.Join(errs...)
}
