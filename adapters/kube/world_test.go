//go:build linux

package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"viplog/adapters/clusterfile"
	"viplog/adapters/replica"
	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/log/logtest"
	"viplog/fixtures/lab"
	"viplog/fixtures/lab/kubeclient"
)

var (
	apiAt    = netip.MustParseAddrPort("10.0.0.1:6443")
	lbNodes  = []netip.Addr{netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("10.0.0.12"), netip.MustParseAddr("10.0.0.13")}
	tcp80    = kubeclient.Port(corev1.ProtocolTCP, 80)
	patience = time.Minute
)

// world is a real API server, and a log in memory.
type world struct {
	t      testing.TB
	host   *lab.Host
	api    *lab.KubeAPI
	client kubernetes.Interface
	log    log.Log
}

// newWorld starts the API server with a namespace shop, and a log with a cluster of three load-balancer nodes and many addresses of both families.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOf(t, lab.KubeAPIOptions{})
}

func newWorldOf(t testing.TB, o lab.KubeAPIOptions) *world {
	t.Helper()
	l := lab.New(t)
	host := l.Host("api")
	l.Switch("switch").Attach(host, "eth0", "10.0.0.1/16")
	w := &world{t: t, host: host, api: host.KubeAPI(apiAt, o), log: logtest.NewMemory(nil)}
	w.api.WaitReady()
	w.client = kubeclient.New(t, w.api, host)
	kubeclient.CreateNamespace(t, w.client, "shop")
	w.append(clusterFacts()...)
	return w
}

func clusterFacts() []event.Event {
	cluster := event.ClusterConfigured{
		Name: "test", ClusterType: "user", ControlPlaneVIP: netip.MustParseAddr("10.0.0.250"), ControlPlaneLBPort: 443,
		IngressVIP: netip.MustParseAddr("10.0.200.1"), ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")},
	}
	settings := event.DefaultSettings()
	none := int64(0)
	settings.Pools = []event.PoolSettings{{Name: "a", CooldownSeconds: &none}}
	facts := []event.Event{settings, event.PoolAdded{Pool: event.Pool{Name: "a", Addresses: []string{"10.0.64.1-10.0.72.254", "10.0.200.1/32", "fd00::1:1-fd00::1:ff"}}}}
	for i, a := range lbNodes {
		cluster.Nodes = append(cluster.Nodes, event.DeclaredNode{Address: a, Role: event.RoleLoadBalancer})
		facts = append(facts, event.NodeJoined{
			Address: a, Name: fmt.Sprintf("lb-%d", i+1), StartID: "start", MachineID: fmt.Sprint("machine-", i), Rules: 1,
			Interfaces: []event.Interface{{Name: "eth0", MAC: fmt.Sprintf("02:00:00:00:00:%02x", i+1), Up: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("fd00::/64")}}},
		})
	}
	return append([]event.Event{cluster}, facts...)
}

// append brings facts to the log that nodes and operators would.
func (w *world) append(facts ...event.Event) {
	w.t.Helper()
	for i, e := range facts {
		record, err := event.Encode(e)
		if err != nil {
			w.t.Fatal(err)
		}
		for {
			head, err := w.log.Head(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			_, err = w.log.AppendBatch(w.t.Context(), []log.Fact{{Record: record, ID: fmt.Sprint(head.ID, head.Last, i), Source: "test"}}, head.Last)
			if err == nil {
				break
			}
			if !errors.Is(err, log.ErrConflict) {
				w.t.Fatal(err)
			}
		}
	}
}

// controller is a controller's process, as far as this package is concerned.
type controller struct {
	*Kube
	replica *replica.Replica
	counts  *counter
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	cut     context.CancelFunc
}

// start runs a controller until the test ends.
func (w *world) start(name string, change ...func(*Config)) *controller {
	w.t.Helper()
	return w.startWith(name, func(l Ledger) Ledger { return l }, change...)
}

// startWith is start with something between it and its ledger.
func (w *world) startWith(name string, ledgerOf func(Ledger) Ledger, change ...func(*Config)) *controller {
	w.t.Helper()
	c := &controller{counts: &counter{}}
	var connected context.Context
	connected, c.cut = context.WithCancel(context.Background())
	config := kubeclient.Config(w.api, w.host, lab.KubeAdminToken)
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper { return c.counts.around(connected, next) }
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		w.t.Fatal(err)
	}
	of := Config{
		Client: client, Cluster: "test", Namespace: "kube-system", Identity: name, LabelNodes: true, Parse: parseClusterFile, Rejected: replica.ErrRejected,
		Logger: slog.New(slog.NewTextHandler(testWriter{w.t}, nil)).With("controller", name),
	}
	for _, f := range change {
		f(&of)
	}
	c.Kube = New(of)
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.replica, err = replica.Open(ctx, w.log, "control/"+name, func(e log.Entry, changes []ledger.Change) {
		c.Folded(e, changes, c.replica.ListChanges())
	})
	if err != nil {
		w.t.Fatal(err)
	}
	c.replica.TrackLists()
	c.ended.Go(func() { _ = c.replica.Run(ctx) })
	if err := c.replica.CatchUp(ctx); err != nil {
		w.t.Fatal(err)
	}
	c.ended.Go(func() {
		if err := c.Run(ctx, ledgerOf(c.replica)); err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(c.stop)
	return c
}

// stop ends it as SIGTERM does.
func (c *controller) stop() {
	c.cancel()
	c.ended.Wait()
	c.cut()
}

// kill ends it so that no request of it is answered any more, not even the one that gives its Lease up.
func (c *controller) kill() {
	c.cut()
	c.stop()
}

// counter counts requests, and may let some fail.
type counter struct {
	mu      sync.Mutex
	all     map[string]int // by method and resource
	failing func(*http.Request) bool
	arrives bool // those that fail do, and their answers do not
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var errCut = errors.New("cut off by the test")

func (c *counter) around(connected context.Context, next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		c.mu.Lock()
		if c.all == nil {
			c.all = map[string]int{}
		}
		breaks, arrives := c.failing != nil && c.failing(r), c.arrives
		if !breaks {
			c.all[kindOf(r)]++
		}
		c.mu.Unlock()
		if breaks && arrives {
			if answer, err := next.RoundTrip(r); err == nil {
				_ = answer.Body.Close()
			}
		}
		if breaks || connected.Err() != nil {
			return nil, errCut
		}
		return next.RoundTrip(r)
	})
}

// kindOf is like "PATCH services/status".
func kindOf(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if i := slices.Index(parts, "namespaces"); i >= 0 && len(parts) > i+2 {
		parts = parts[i+2:]
	} else {
		parts = parts[min(2, len(parts)):]
	}
	kind := r.Method + " " + parts[0]
	if len(parts) > 2 {
		kind += "/" + parts[2]
	}
	return kind
}

func (c *counter) of(kind string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[kind]
}

// breaks has some requests fail on their way.
func (c *counter) breaks(which func(*http.Request) bool) { c.breaksAt(false, which) }

// breaksAt has some requests fail on their way, or their answers.
func (c *counter) breaksAt(arrives bool, which func(*http.Request) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failing, c.arrives = which, arrives
}

// testWriter writes to the test's log.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(line []byte) (int, error) {
	_, err := io.WriteString(os.Stderr, w.t.Name()+" "+string(line))
	return len(line), err
}

// create makes a Service of type LoadBalancer in shop.
func (w *world) create(name string, change ...func(*corev1.Service)) *corev1.Service {
	w.t.Helper()
	v := kubeclient.LoadBalancer("shop", name, tcp80)
	for _, f := range change {
		f(v)
	}
	return kubeclient.CreateService(w.t, w.client, v)
}

func (w *world) get(name string) *corev1.Service {
	w.t.Helper()
	v, err := w.client.CoreV1().Services("shop").Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) update(name string, change func(*corev1.Service)) {
	w.t.Helper()
	v := w.get(name)
	change(v)
	if _, err := w.client.CoreV1().Services("shop").Update(w.t.Context(), v, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) delete(name string) {
	w.t.Helper()
	if err := w.client.CoreV1().Services("shop").Delete(w.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// address is what a Service's status shows; "" for none.
func address(v *corev1.Service) string {
	if len(v.Status.LoadBalancer.Ingress) == 0 {
		return ""
	}
	return v.Status.LoadBalancer.Ingress[0].IP
}

func condition(v *corev1.Service, kind string) metav1.Condition {
	for _, c := range v.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return metav1.Condition{}
}

// waitAddress waits for a Service's address.
func (w *world) waitAddress(name string) string {
	w.t.Helper()
	w.wait("an address of "+name, func() bool { return address(w.get(name)) != "" })
	return address(w.get(name))
}

// waitCondition waits until a condition's message holds a text.
func (w *world) waitCondition(name, kind, status, text string) metav1.Condition {
	w.t.Helper()
	var c metav1.Condition
	w.waitElse(func() string { return fmt.Sprintf("%s of %s is %s and says %q: it is %v", kind, name, status, text, c) }, func() bool {
		c = condition(w.get(name), kind)
		return string(c.Status) == status && strings.Contains(c.Message, text)
	})
	return c
}

func (w *world) wait(what string, so func() bool) {
	w.t.Helper()
	w.waitElse(func() string { return what }, so)
}

func (w *world) waitElse(what func() string, so func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("not so after %v: %s", patience, what())
		}
	}
}

// events are those about an object, as "reason: note", the oldest first.
func (w *world) events(namespace, name string) (all []string) {
	w.t.Helper()
	list, err := w.client.EventsV1().Events(namespace).List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.SortStableFunc(list.Items, func(a, b eventsv1.Event) int { return a.EventTime.Compare(b.EventTime.Time) })
	for _, e := range list.Items {
		if e.Regarding.Name == name {
			all = append(all, e.Reason+": "+e.Note)
		}
	}
	return all
}

// waitEvent waits for an Event about an object.
func (w *world) waitEvent(namespace, name, begins string) {
	w.t.Helper()
	var all []string
	w.waitElse(func() string { return fmt.Sprintf("an Event %q of %s, there are %q", begins, name, all) }, func() bool {
		all = w.events(namespace, name)
		return slices.ContainsFunc(all, func(e string) bool { return strings.HasPrefix(e, begins) })
	})
}

// ledger is what the log adds up to now.
func (w *world) ledger() *ledger.State {
	w.t.Helper()
	head, err := w.log.Head(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	s := ledger.New(head.ID)
	for e, err := range w.log.Follow(w.t.Context(), 0) {
		if err != nil {
			w.t.Fatal(err)
		}
		s.ApplyEntry(e)
		if s.Sequence() == head.Last {
			break
		}
	}
	return s
}

// parseClusterFile reads a cluster file as a controller does.
func parseClusterFile(data []byte) (ClusterFile, error) {
	file, err := clusterfile.Parse(clusterKey, data)
	if err != nil {
		return ClusterFile{}, err
	}
	read := ClusterFile{
		Cluster: control.Cluster{Cluster: file.Cluster, Pools: file.Pools, Settings: file.Settings}, Notice: file.Notice,
		Explain: func(r control.Refusal) string { return file.Problem(r.Field, r.Value, r.Reason).Error() },
	}
	for _, p := range file.Warnings {
		read.Warnings = append(read.Warnings, p.Error())
	}
	return read, nil
}
