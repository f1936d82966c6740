package kube

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/ledger"
)

// caches are what the API server has shown.
type caches struct {
	services, endpoints, nodes, namespaces, files cache.SharedIndexInformer // files is nil without a ConfigMap
}

// indexService finds EndpointSlices by their Service.
const indexService = "service"

// openCaches makes the informers, and has the queue and the writer told what changes.
func (k *Kube) openCaches() error {
	lean := informers.WithTransform(withoutManagedFields)
	all := informers.NewSharedInformerFactoryWithOptions(k.config.Client, 0, lean)
	c := caches{
		services:   all.Core().V1().Services().Informer(),
		endpoints:  all.Discovery().V1().EndpointSlices().Informer(),
		nodes:      all.Core().V1().Nodes().Informer(),
		namespaces: all.Core().V1().Namespaces().Informer(),
	}
	if k.config.ConfigMap != "" {
		one := informers.NewSharedInformerFactoryWithOptions(k.config.Client, 0, lean, informers.WithNamespace(k.config.Namespace),
			informers.WithTweakListOptions(func(o *metav1.ListOptions) {
				o.FieldSelector = fields.OneTermEqualSelector("metadata.name", k.config.ConfigMap).String()
			}))
		c.files = one.Core().V1().ConfigMaps().Informer()
	}
	k.caches = c
	if err := c.endpoints.AddIndexers(cache.Indexers{indexService: serviceOfSlice}); err != nil {
		return fmt.Errorf("open the caches: %w", err)
	}
	return c.handle(
		func(before, now any) { k.serviceSeen(before, now) },
		func(before, now any) { k.endpointsSeen(before, now) },
		func(before, now any) { k.nodeSeen(before, now) },
		func(before, now any) {
			name := nameOf(before, now)
			k.ask(func(b *batch) { b.namespaces[name.Name] = true })
		},
		func(any, any) { k.ask(func(b *batch) { b.file = true }) },
	)
}

// handle has each kind of object handled by a function of what it was and what it is, either of which may be nil.
func (c caches) handle(handlers ...func(before, now any)) error {
	for i, informer := range c.all() {
		handler := handlers[i]
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(now any) { handler(nil, now) },
			UpdateFunc: func(before, now any) { handler(before, now) },
			DeleteFunc: func(before any) {
				if last, is := before.(cache.DeletedFinalStateUnknown); is {
					before = last.Obj
				}
				if before != nil {
					handler(before, nil)
				}
			},
		})
		if err != nil {
			return fmt.Errorf("open the caches: %w", err)
		}
	}
	return nil
}

func (c caches) all() []cache.SharedIndexInformer {
	all := []cache.SharedIndexInformer{c.services, c.endpoints, c.nodes, c.namespaces}
	if c.files != nil {
		all = append(all, c.files)
	}
	return all
}

func (c caches) run(ctx context.Context, running *sync.WaitGroup) {
	for _, informer := range c.all() {
		running.Go(func() { informer.RunWithContext(ctx) })
	}
}

func (c caches) synced() (all []cache.InformerSynced) {
	for _, informer := range c.all() {
		all = append(all, informer.HasSynced)
	}
	return all
}

// withoutManagedFields drops what is large and read by nobody here.
func withoutManagedFields(object any) (any, error) {
	if m, err := meta.Accessor(object); err == nil {
		m.SetManagedFields(nil)
	}
	return object, nil
}

func nameOf(before, now any) ledger.ServiceKey {
	if now == nil {
		now = before
	}
	m, err := meta.Accessor(now)
	if err != nil {
		return ledger.ServiceKey{}
	}
	return ledger.ServiceKey{Namespace: m.GetNamespace(), Name: m.GetName()}
}

// ask has something compared with the log by a controller that writes. Others gather nothing: who comes to write compares all that the caches
// show then.
func (k *Kube) ask(what func(*batch)) {
	if k.leading.Load() {
		k.queue.add(what)
	}
}

// serviceSeen has a Service compared with the log if what it declares is another, and with its status in any case.
func (k *Kube) serviceSeen(before, now any) {
	key := nameOf(before, now)
	was, _ := before.(*corev1.Service)
	is, _ := now.(*corev1.Service)
	if was == nil || is == nil || was.UID != is.UID || !reflect.DeepEqual(was.Spec, is.Spec) ||
		!reflect.DeepEqual(was.Labels, is.Labels) || !reflect.DeepEqual(was.Annotations, is.Annotations) {
		k.ask(func(b *batch) { b.services[key] = true })
	}
	if k.leading.Load() { // also for one that is gone: what was remembered of it goes too
		k.writer.touch([]control.Touched{{Service: key, Sequence: noFact}}, 0)
	}
}

// endpointsSeen has a Local Service compared with the log if its endpoints serve on other nodes.
func (k *Kube) endpointsSeen(before, now any) {
	was, _ := before.(*discoveryv1.EndpointSlice)
	is, _ := now.(*discoveryv1.EndpointSlice)
	if was != nil && is != nil && reflect.DeepEqual(observedEndpoints(was), observedEndpoints(is)) {
		return
	}
	for _, slice := range []*discoveryv1.EndpointSlice{was, is} {
		if slice == nil || slice.Labels[discoveryv1.LabelServiceName] == "" {
			continue
		}
		key := ledger.ServiceKey{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}
		if v := k.caches.service(key); v != nil && string(v.Spec.ExternalTrafficPolicy) == event.TrafficLocal {
			k.ask(func(b *batch) { b.services[key] = true })
		}
	}
}

// nodeSeen has Nodes compared with the log if what matters of one is another, and with an address that is new all endpoints, which may have named it
// before.
func (k *Kube) nodeSeen(before, now any) {
	was, is := observedNode(before), observedNode(now)
	if reflect.DeepEqual(was, is) { // a heartbeat
		return
	}
	addressed := len(is.Addresses) > 0 && !slices.Equal(was.Addresses, is.Addresses)
	k.ask(func(b *batch) { b.nodes, b.whole = true, b.whole || addressed })
}

func serviceOfSlice(object any) ([]string, error) {
	slice, is := object.(*discoveryv1.EndpointSlice)
	if !is || slice.Labels[discoveryv1.LabelServiceName] == "" {
		return nil, nil
	}
	return []string{slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]}, nil
}

// service is a Service as it was last seen; nil if it was not, or is gone.
func (c caches) service(key ledger.ServiceKey) *corev1.Service {
	object, found, err := c.services.GetStore().GetByKey(key.String())
	if err != nil || !found {
		return nil
	}
	return object.(*corev1.Service)
}

// serviceKeys are those of all Services seen, sorted.
func (c caches) serviceKeys() (keys []ledger.ServiceKey) {
	for _, object := range c.services.GetStore().List() {
		keys = append(keys, nameOf(nil, object))
	}
	slices.SortFunc(keys, ledger.ServiceKey.Compare)
	return keys
}

// endpointsOf are the EndpointSlices of a Service.
func (c caches) endpointsOf(key ledger.ServiceKey) (all []control.Endpoints) {
	found, err := c.endpoints.GetIndexer().ByIndex(indexService, key.String())
	if err != nil {
		panic("kube: the index of EndpointSlices is there: " + err.Error())
	}
	for _, object := range found {
		all = append(all, observedEndpoints(object.(*discoveryv1.EndpointSlice)))
	}
	return all
}

// node is a Node as it was last seen; false if it was not.
func (c caches) node(name string) (control.Node, bool) {
	object, found, err := c.nodes.GetStore().GetByKey(name)
	if err != nil || !found {
		return control.Node{}, false
	}
	return observedNode(object), true
}

// allNodes are all Nodes seen, by name.
func (c caches) allNodes() (all []control.Node) {
	keys := c.nodes.GetStore().ListKeys()
	slices.Sort(keys)
	for _, key := range keys {
		if n, ok := c.node(key); ok {
			all = append(all, n)
		}
	}
	return all
}

// namespace is a Namespace as it was last seen; false if it was not.
func (c caches) namespace(name string) (control.Namespace, bool) {
	object, found, err := c.namespaces.GetStore().GetByKey(name)
	if err != nil || !found {
		return control.Namespace{}, false
	}
	n := object.(*corev1.Namespace)
	return control.Namespace{Name: n.Name, Labels: n.Labels}, true
}

// file is the ConfigMap of the cluster file; nil if there is none.
func (c caches) file() *corev1.ConfigMap {
	if c.files == nil {
		return nil
	}
	for _, object := range c.files.GetStore().List() {
		return object.(*corev1.ConfigMap)
	}
	return nil
}
