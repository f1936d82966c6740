//go:build linux

package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"viplog/adapters/replica"
	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/log/logtest"
)

// newAlone is a Kube without an API server: a test says what its caches show and what its requests are answered. Its log is in memory, with
// the cluster of clusterFacts. A Service that is asked for is as the cache shows it where the test says nil. Nothing of it runs but the follower
// of the log.
func newAlone(t *testing.T, answer func(*http.Request) any, change ...func(*Config)) (*world, *Kube) {
	t.Helper()
	return newAloneWith(t, answer, func(l Ledger) Ledger { return l }, change...)
}

// newAloneWith is newAlone with something between the controller and its ledger.
func newAloneWith(t *testing.T, answer func(*http.Request) any, ledgerOf func(Ledger) Ledger, change ...func(*Config)) (*world, *Kube) {
	t.Helper()
	var k *Kube
	w := &world{t: t, log: logtest.NewMemory(nil)}
	w.append(clusterFacts()...)
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host: "http://api", QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"},
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			object := answer(r)
			if object == nil && kindOf(r) == "GET services" {
				name := path.Base(r.URL.Path)
				if v := k.caches.service(ledger.ServiceKey{Namespace: "shop", Name: name}); v != nil {
					return response(v)
				}
				return response(apierrors.NewNotFound(corev1.Resource("services"), name))
			}
			if object == nil {
				object = apierrors.NewServiceUnavailable("there is no API server: " + kindOf(r))
			}
			return response(object)
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	of := Config{
		Client: client, Cluster: "test", Namespace: "kube-system", Identity: "alone", LabelNodes: true, Rejected: replica.ErrRejected,
		Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	}
	for _, f := range change {
		f(&of)
	}
	k = New(of)
	if err := k.openCaches(); err != nil {
		t.Fatal(err)
	}
	var r *replica.Replica
	if r, err = replica.Open(t.Context(), w.log, "control/alone", func(e log.Entry, changes []ledger.Change) {
		k.Folded(e, changes, r.ListChanges())
	}); err != nil {
		t.Fatal(err)
	}
	r.TrackLists()
	k.ledger = ledgerOf(r)
	go func() { _ = r.Run(t.Context()) }()
	go k.follow(t.Context())
	if err := r.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w, k
}

func withoutLabels(c *Config) { c.LabelNodes = false }

// response is an object as JSON, or an error's status.
func response(object any) (*http.Response, error) {
	code := http.StatusOK
	if err, is := object.(*apierrors.StatusError); is {
		code, object = int(err.ErrStatus.Code), err.ErrStatus
	}
	data, err := json.Marshal(object)
	return &http.Response{
		StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(data)),
	}, err
}

// show puts objects into the caches, as the informers do, and tells nobody.
func (k *Kube) show(t *testing.T, objects ...any) {
	t.Helper()
	for _, object := range objects {
		store := k.caches.services.GetStore()
		switch object.(type) {
		case *corev1.Node:
			store = k.caches.nodes.GetStore()
		case *corev1.Namespace:
			store = k.caches.namespaces.GetStore()
		case *corev1.ConfigMap:
			store = k.caches.files.GetStore()
		}
		if err := store.Add(object); err != nil {
			t.Fatal(err)
		}
	}
}

// shownService is a Service of type LoadBalancer as an API server shows it.
func shownService(name string, uid types.UID, version string, change ...func(*corev1.Service)) *corev1.Service {
	v := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: uid, ResourceVersion: version},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}},
	}
	for _, f := range change {
		f(v)
	}
	return v
}

// asShown answers reads of Services only.
func asShown(*http.Request) any { return nil }

// What is shown as another object of the name may be the one before: the cache of a controller that takes over may be behind what the log was told.
func TestAnOlderObjectOfTheNameIsReadAgain(t *testing.T) {
	before := shownService("web", "first", "5", func(v *corev1.Service) { v.Spec.Type = corev1.ServiceTypeClusterIP })
	now := shownService("web", "second", "9")
	w, k := newAlone(t, func(r *http.Request) any {
		if r.Method != http.MethodGet {
			t.Error(kindOf(r))
		}
		return now
	})
	k.show(t, now)
	if err := k.bringBatch(t.Context(), &batch{whole: true}); err != nil {
		t.Fatal(err)
	}
	had := w.ledger().Sequence()
	k.show(t, before)
	if err := k.bringBatch(t.Context(), &batch{whole: true}); err != nil {
		t.Fatal(err)
	}
	if s := w.ledger(); s.Sequence() != had || len(s.ServicesOf(Source)) != 1 {
		t.Errorf("an object that is no more made facts %d to %d; Services: %v", had+1, s.Sequence(), s.ServicesOf(Source))
	}
}

// The caches of a controller that takes over may be behind what the one before it told the log: of a Service that is gone, say.
func TestAServiceThatOnlyACacheShowsDoesNotComeBack(t *testing.T) {
	there := shownService("there", "there", "7")
	w, k := newAlone(t, func(r *http.Request) any {
		if strings.HasSuffix(r.URL.Path, "/there") {
			return there
		}
		return apierrors.NewNotFound(corev1.Resource("services"), "gone")
	}, withoutLabels)
	k.show(t, there, shownService("gone", "gone", "5"))
	if err := k.bringBatch(t.Context(), &batch{whole: true}); err != nil {
		t.Fatal(err)
	}
	if got := w.ledger().ServicesOf(Source); len(got) != 1 || got[0].Name != "there" {
		t.Errorf("in the log are %v", got)
	}
}

// Who does not write compares nothing, and gathers nothing: Services come and go for as long as it waits.
func TestWhoDoesNotLeadGathersNothing(t *testing.T) {
	_, k := newAlone(t, asShown)
	for i := range 100 {
		v := shownService(fmt.Sprint("web-", i), "uid", "1")
		k.serviceSeen(nil, v)
		k.serviceSeen(v, nil)
	}
	if n := len(k.queue.next.services); n > 0 {
		t.Errorf("%d Services wait to be compared, by one that does not", n)
	}
	k.leading.Store(true)
	k.serviceSeen(nil, shownService("web", "uid", "1"))
	if n := len(k.queue.next.services); n != 1 {
		t.Errorf("%d Services wait to be compared", n)
	}
}

// A namespace may hold no more Events, or nobody may write them there.
func TestAnEventThatIsRefusedHoldsUpNoOthers(t *testing.T) {
	told := make(chan string, 100)
	_, k := newAlone(t, func(r *http.Request) any {
		var e eventsv1.Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		if e.Namespace == "full" {
			return apierrors.NewForbidden(eventsv1.Resource("events"), e.Name, errors.New("exceeded quota: events"))
		}
		told <- e.Name
		return &e
	})
	for _, namespace := range []string{"full", "shop"} {
		v := shownService("web", types.UID("in-"+namespace), "1")
		v.Namespace = namespace
		k.teller.now(aboutService(v, "Ignored", "for a test"))
	}
	go k.tell(t.Context())
	select {
	case name := <-told:
		if !strings.HasPrefix(name, "in-shop.") {
			t.Errorf("told is %s", name)
		}
	case <-time.After(5 * time.Second):
		t.Error("an Event waits for one that a quota forbids")
	}
}

// A status that is refused, by a policy say, is tried again and again. Others' Events and addresses do not wait for it.
func TestAStatusThatIsRefusedHoldsUpNoOthers(t *testing.T) {
	var told atomic.Int64
	w, k := newAlone(t, func(r *http.Request) any {
		switch {
		case kindOf(r) == "POST events":
			told.Add(1)
			return &eventsv1.Event{}
		case strings.Contains(r.URL.Path, "/services/bad/"):
			return apierrors.NewForbidden(corev1.Resource("services"), "bad", errors.New("a policy"))
		case r.Method == http.MethodPatch:
			return shownService("web", "web", "9")
		}
		return nil
	})
	k.show(t, shownService("bad", "bad", "1"), shownService("web", "web", "2"))
	k.leading.Store(true)
	if err := k.bringBatch(t.Context(), &batch{whole: true}); err != nil {
		t.Fatal(err)
	}
	for range writersAtOnce {
		go k.write(t.Context())
	}
	head := w.ledger().Sequence()
	w.wait("what the refused status follows from counts as published", func() bool { return k.Published() == head })
	go k.tell(t.Context())
	k.writer.touch([]control.Touched{{Service: ledger.ServiceKey{Namespace: "shop", Name: "bad"}, Sequence: head + 1}}, head+1)
	if got := k.Published(); got != head+1 {
		t.Errorf("published is %d of %d: the next fact of it holds up the others again", got, head+1)
	}
	for i := range 20 {
		k.teller.now(aboutService(shownService("web", "web", "2"), "Ignored", fmt.Sprint(i)))
	}
	began := time.Now()
	w.wait("Events are told", func() bool { return told.Load() >= 20 })
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("20 Events took %v beside a status that is refused", took)
	}
}

// An edit that changes neither addresses nor owners may change what the status says of them.
func TestAServiceThatIsDeclaredAnewIsLookedAt(t *testing.T) {
	w, k := newAlone(t, asShown)
	w.append(event.PoolAdded{Pool: event.Pool{Name: "four", Addresses: []string{"10.0.100.1-10.0.100.9"}}})
	if err := k.ledger.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.leading.Store(true)
	web := shownService("web", "uid", "1", func(v *corev1.Service) { v.Annotations = map[string]string{"viplog/address-pool": "four"} })
	bring := func(v *corev1.Service) {
		t.Helper()
		k.show(t, v)
		if err := k.bringBatch(t.Context(), &batch{whole: true}); err != nil {
			t.Fatal(err)
		}
		w.wait("the log is followed", func() bool { return k.view.Load().state.Sequence() == w.ledger().Sequence() })
	}
	bring(web)
	patient, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	key, epoch, _ := k.writer.take(patient)
	k.writer.done(key, epoch)

	both := web.DeepCopy()
	prefer := corev1.IPFamilyPolicyPreferDualStack
	both.ResourceVersion, both.Spec.IPFamilyPolicy = "2", &prefer
	both.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	bring(both)
	view := k.view.Load()
	if got := control.StatusOf(view.state, Source, view.owners, observedService(both)).Conditions[1].Reason; got != "OneFamilyMissing" {
		t.Fatalf("the status is to say %s", got)
	}
	if _, _, ok := k.writer.take(patient); !ok {
		t.Error("nobody looks at its status")
	}
}

// Endpoints name nodes, and the log knows nodes by their addresses: which may be shown after the endpoints.
func TestANodeThatIsShownAfterItsEndpointsServes(t *testing.T) {
	w, k := newAlone(t, asShown, withoutLabels)
	local := shownService("local", "uid", "1", func(v *corev1.Service) { v.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal })
	name := "node-2"
	k.show(t, local)
	if err := k.caches.endpoints.GetStore().Add(&discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "local-1", Labels: map[string]string{discoveryv1.LabelServiceName: "local"}},
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"10.244.0.9"}, NodeName: &name}},
	}); err != nil {
		t.Fatal(err)
	}
	k.leading.Store(true)
	go k.bring(t.Context())
	k.serviceSeen(nil, local)
	w.wait("the Service is in the log", func() bool { return len(w.ledger().ServicesOf(Source)) == 1 })
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	k.show(t, node)
	k.nodeSeen(nil, node)
	addressed := node.DeepCopy()
	addressed.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: lbNodes[1].String()}}
	k.show(t, addressed)
	k.nodeSeen(node, addressed)
	patience := time.Now().Add(5 * time.Second)
	for {
		view, _ := w.ledger().ServiceView(ledger.ServiceKey{Namespace: "shop", Name: "local"})
		if view.Owner == "lb-2" {
			return
		}
		if time.Now().After(patience) {
			t.Fatalf("its owner is %q: %s", view.Owner, view.Reason)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// kube-proxy looks at no endpoints that are names, so that a node with such ones alone would drop what it is sent.
func TestEndpointsThatAreNamesServeNowhere(t *testing.T) {
	name := "lb-1"
	for kind, nodes := range map[discoveryv1.AddressType]int{
		discoveryv1.AddressTypeIPv4: 1, discoveryv1.AddressTypeIPv6: 1, discoveryv1.AddressTypeFQDN: 0,
	} {
		slice := &discoveryv1.EndpointSlice{AddressType: kind, Endpoints: []discoveryv1.Endpoint{{NodeName: &name}}}
		if got := observedEndpoints(slice).Nodes; len(got) != nodes {
			t.Errorf("of %s: %v", kind, got)
		}
	}
}

// A label that cannot be written is tried again, and Services do not wait for that.
func TestALabelThatIsRefusedHoldsUpNoFacts(t *testing.T) {
	var tries atomic.Int64
	w, k := newAlone(t, func(r *http.Request) any {
		if kindOf(r) == "PATCH nodes" {
			tries.Add(1)
			return apierrors.NewForbidden(corev1.Resource("nodes"), "lb-1", errors.New("a policy"))
		}
		return nil
	})
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "lb-1"}}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: lbNodes[0].String()}}
	k.show(t, node)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { k.lead(ctx); close(ended) }()
	w.wait("the label was tried some times", func() bool { return tries.Load() >= 6 })
	v := shownService("web", "uid", "1")
	k.show(t, v)
	began := time.Now()
	k.serviceSeen(nil, v)
	w.wait("the Service is in the log", func() bool { return len(w.ledger().ServicesOf(Source)) == 1 })
	if took := time.Since(began); took > time.Second {
		t.Errorf("a Service came into the log after %v, beside a label that is refused", took)
	}
	cancel()
	<-ended
}

// changingLedger is one whose log moves on between a look and what is planned by it.
type changingLedger struct {
	Ledger
	change func()
}

// Submit implements Ledger.
func (l *changingLedger) Submit(ctx context.Context, plan func(*ledger.State) ([]event.Event, error)) (uint64, error) {
	l.change()
	if err := l.Ledger.CatchUp(ctx); err != nil {
		return 0, err
	}
	return l.Ledger.Submit(ctx, plan)
}

// A Service that comes while a pool begins to select namespaces has its namespace in the log before it.
func TestANamespaceThatComesToMatterComesBeforeItsServices(t *testing.T) {
	var w *world
	var k *Kube
	w, k = newAloneWith(t, asShown, func(l Ledger) Ledger {
		return &changingLedger{l, func() {
			settings := w.ledger().Settings()
			settings.Pools = append(settings.Pools, event.PoolSettings{
				Name: "front", NamespaceSelectors: []event.Selector{{MatchLabels: []event.Label{{Key: "tier", Value: "front"}}}},
			})
			w.append(settings, event.PoolAdded{Pool: event.Pool{Name: "front", Addresses: []string{"10.0.100.1-10.0.100.9"}}})
		}}
	}, withoutLabels)
	k.show(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"tier": "front"}}}, shownService("web", "uid", "1"))
	if err := k.bringBatch(t.Context(), &batch{whole: true}); err != nil {
		t.Fatal(err)
	}
	if a := w.ledger().AddressesOf(ledger.ServiceKey{Namespace: "shop", Name: "web"}); fmt.Sprint(a) != "[10.0.100.1]" {
		t.Errorf("it has %v, which is not of its namespace's pool", a)
	}
}

// filelessLedger is one to which a controller may append no facts of a cluster file.
type filelessLedger struct {
	Ledger
	tries atomic.Int64
}

// Submit implements Ledger.
func (l *filelessLedger) Submit(ctx context.Context, plan func(*ledger.State) ([]event.Event, error)) (uint64, error) {
	return l.Ledger.Submit(ctx, func(s *ledger.State) ([]event.Event, error) {
		facts, err := plan(s)
		for _, e := range facts {
			if _, is := e.(event.SettingsChanged); is {
				l.tries.Add(1)
				return nil, errors.New("this user may not do that")
			}
		}
		return facts, err
	})
}

// A cluster file that cannot be appended is tried again, and Services do not wait for that.
func TestAClusterFileThatCannotBeAppendedHoldsUpNoServices(t *testing.T) {
	var w *world
	var k *Kube
	fileless := &filelessLedger{}
	w, k = newAloneWith(t, asShown, func(l Ledger) Ledger {
		fileless.Ledger = l
		return fileless
	}, withoutLabels, func(c *Config) {
		c.ConfigMap = "viplog"
		c.Parse = func([]byte) (ClusterFile, error) {
			s := w.ledger()
			cluster, _ := s.Cluster()
			settings := s.Settings()
			settings.Profile = event.ProfileFast
			pool, _ := s.PoolSpec("a")
			return ClusterFile{Cluster: control.Cluster{Cluster: cluster, Settings: settings, Pools: []event.Pool{pool}}}, nil
		}
	})
	v := shownService("web", "uid", "1")
	k.show(t, v, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "viplog"}, Data: map[string]string{clusterKey: "a file"}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { k.lead(ctx); close(ended) }()
	for deadline := time.Now().Add(5 * time.Second); len(w.ledger().ServicesOf(Source)) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a Service waits for a cluster file that cannot be appended")
		}
	}
	before := fileless.tries.Load()
	w.wait("the file is tried again", func() bool { return fileless.tries.Load() > before })
	cancel()
	<-ended
}

// What the log cannot hold of a node, a namespace or endpoints holds up nothing else.
func TestWhatIsTooLargeHoldsUpNothingElse(t *testing.T) {
	w, k := newAlone(t, asShown, withoutLabels)
	large := map[string]string{}
	for i := range 300 {
		large[fmt.Sprintf("%s.example/%d", strings.Repeat("a", 200), i)] = strings.Repeat("b", 63)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "lb-1", Labels: large}}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: lbNodes[0].String()}}
	settings := w.ledger().Settings()
	settings.Pools = append(settings.Pools, event.PoolSettings{Name: "front", NamespaceSelectors: []event.Selector{{}}})
	w.append(settings)
	if err := k.ledger.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "local-1", Labels: map[string]string{discoveryv1.LabelServiceName: "local"}},
	}
	for i := range 500 {
		name := fmt.Sprintf("%s-%d", strings.Repeat("n", 200), i)
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{"10.244.0.9"}, NodeName: &name})
	}
	if err := k.caches.endpoints.GetStore().Add(slice); err != nil {
		t.Fatal(err)
	}
	k.show(t, node, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: large}}, shownService("web", "web", "1"),
		shownService("local", "local", "1", func(v *corev1.Service) { v.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal }))
	if err := k.bringBatch(t.Context(), &batch{whole: true}); err != nil {
		t.Error(err)
	}
	if services := w.ledger().ServicesOf(Source); len(services) != 2 {
		t.Errorf("in the log are %v", services)
	}
}

// What waited when a controller lost its Lease was told by another one since: hours later it would be told again.
func TestWhoLeadsAgainTellsNothingOfBefore(t *testing.T) {
	told := make(chan string, 100)
	_, k := newAlone(t, func(r *http.Request) any {
		if kindOf(r) == "POST events" {
			var e eventsv1.Event
			if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
				t.Error(err)
			}
			told <- e.Reason
			return &e
		}
		if r.Method == http.MethodPatch {
			return shownService("web", "uid", "2")
		}
		return nil
	}, withoutLabels)
	v := shownService("web", "uid", "1", func(v *corev1.Service) { v.CreationTimestamp = metav1.NewTime(time.Unix(1, 0)) })
	k.show(t, v)
	k.teller.add([]control.Event{{Service: ledger.ServiceKey{Namespace: "shop", Name: "web"}, Sequence: 1, Time: time.Now().Add(-2 * time.Hour).UnixNano(), Reason: "AddressMissing"}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { k.lead(ctx); close(ended) }()
	if reason := <-told; reason != "AddressAssigned" { // what has just happened
		t.Errorf("an Event of two hours ago was told: %s", reason)
	}
	cancel()
	<-ended
}

// The API server's clock and that of the log's server are different hosts'.
func TestAnEventIsToldWhateverClocksSay(t *testing.T) {
	w, k := newAlone(t, asShown)
	v := shownService("web", "uid", "1", func(v *corev1.Service) { v.CreationTimestamp = metav1.NewTime(time.Now().Add(time.Minute)) })
	k.show(t, v)
	if err := k.bringBatch(t.Context(), &batch{whole: true}); err != nil {
		t.Fatal(err)
	}
	arrived := w.ledger().Sequence()
	w.wait("the log is followed", func() bool { view := k.view.Load(); return view != nil && view.state.Sequence() == arrived })
	e := control.Event{Service: ledger.ServiceKey{Namespace: "shop", Name: "web"}, Sequence: arrived, Time: time.Now().UnixNano(), Reason: "AddressAssigned"}
	if k.eventOf(e) == nil {
		t.Error("what happened to a Service is not told, because one clock is a minute behind the other")
	}
	before := e
	before.Sequence--
	if told := k.eventOf(before); told != nil {
		t.Errorf("what happened to another of its name is told: %v", told)
	}
	again := v.DeepCopy()
	again.UID = "another"
	k.show(t, again)
	if told := k.eventOf(e); told != nil {
		t.Errorf("what happened to the one before it is told: %v", told)
	}
}

// Events that are not of facts are remembered so that each is told once; how many is bounded.
func TestWhatWasToldIsNotRememberedForEver(t *testing.T) {
	teller := newTeller()
	for i := range 3 * mostEvents {
		teller.now(&eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i)}})
	}
	if n := len(teller.known); n > mostEvents {
		t.Errorf("%d names are remembered", n)
	}
}
