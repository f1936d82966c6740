//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"viplog/adapters/clusterfile"
	"viplog/adapters/install"
	"viplog/adapters/kube"
	"viplog/adapters/replica"
	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/log/logtest"
	"viplog/fixtures/lab"
	"viplog/fixtures/lab/kubeclient"
)

// rightsCluster uses all that a controller has rights for: of its pool, the labels of namespaces decide.
const rightsCluster = `
apiVersion: baremetal.cluster.gke.io/v1
kind: Cluster
metadata: {name: shop}
spec:
  type: hybrid
  controlPlane: {nodePoolSpec: {nodes: [{address: 10.0.0.2}]}}
  clusterNetwork:
    pods: {cidrBlocks: [192.168.0.0/16]}
    services: {cidrBlocks: [10.96.0.0/12]}
  loadBalancer:
    mode: bundled
    vips: {controlPlaneVIP: 10.0.0.10, ingressVIP: 10.0.64.1}
    nodePoolSpec: {nodes: [{address: 10.0.0.11}]}
    addressPools: [{name: pool1, addresses: [10.0.64.1-10.0.72.254]}]
---
apiVersion: viplog/v1
kind: Settings
pools:
- name: pool1
  namespaceSelectors: [{matchLabels: {tier: front}}]
`

// rightsWorld is an API server to which manifests were applied, and the ServiceAccount of controllers there.
type rightsWorld struct {
	t      *testing.T
	api    *lab.KubeAPI
	host   *lab.Host
	admin  kubernetes.Interface
	token  string
	rights []install.Right
	runs   int
}

const controllerAccount = "viplog-controller"

func newRightsWorld(t *testing.T) *rightsWorld {
	w := &rightsWorld{t: t, rights: install.Rights(install.Options{Cluster: "shop", LabelNodes: true})}
	// Servers before 1.34 do not give watches that begin with a list, and clients list where that is refused.
	w.api, w.host = newKubernetes(t, lab.KubeAPIOptions{Flags: []string{"--feature-gates=WatchList=false"}})
	w.admin = kubeclient.New(t, w.api, w.host)
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(rightsCluster), 0o600); err != nil {
		t.Fatal(err)
	}
	text, _ := printed(t, file)
	applied(t, w.api, w.host, text)
	request, err := w.admin.CoreV1().ServiceAccounts(defaultNamespace).CreateToken(t.Context(), controllerAccount, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.token = request.Status.Token
	kubeclient.CreateNode(t, w.admin, kubeclient.Node{Name: "lb-1", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.11")}})
	return w
}

// may leaves the account all rights but one; nil: it has all. It returns when the API server knows.
func (w *rightsWorld) may(without *install.Right) {
	w.t.Helper()
	ctx := w.t.Context()
	rights := slices.DeleteFunc(slices.Clone(w.rights), func(r install.Right) bool { return without != nil && r == *without })
	role, err := w.admin.RbacV1().Roles(defaultNamespace).Get(ctx, controllerAccount, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	role.Rules = install.Rules(rights, false)
	everywhere, err := w.admin.RbacV1().ClusterRoles().Get(ctx, install.ClusterRole(defaultNamespace), metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	everywhere.Rules = install.Rules(rights, true)
	if _, err := w.admin.RbacV1().Roles(defaultNamespace).Update(ctx, role, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.admin.RbacV1().ClusterRoles().Update(ctx, everywhere, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	for _, r := range w.rights {
		within(w.t, 10*time.Second, "the API server knows the rights", func() bool { return w.allowed(r) == (without == nil || r != *without) })
	}
}

func (w *rightsWorld) allowed(r install.Right) bool {
	resource, sub, _ := strings.Cut(r.Resource, "/")
	of := &authorizationv1.ResourceAttributes{Group: r.Group, Resource: resource, Subresource: sub, Verb: r.Verb, Name: r.Name}
	if !r.Cluster {
		of.Namespace = defaultNamespace
	}
	review, err := w.admin.AuthorizationV1().SubjectAccessReviews().Create(w.t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: "system:serviceaccount:" + defaultNamespace + ":" + controllerAccount, ResourceAttributes: of},
	}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return review.Status.Allowed
}

// asked is what a controller has asked an API server for, and how that went.
type asked struct {
	mu              sync.Mutex
	rights          []install.Right
	served, refused map[install.Right]bool
	strange         []string // of no right that there is
}

func (a *asked) around(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		answer, err := next.RoundTrip(r)
		if err != nil {
			return answer, err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		i := slices.IndexFunc(a.rights, func(of install.Right) bool { return isOf(of, r) })
		switch {
		case i < 0:
			a.strange = append(a.strange, r.Method+" "+r.URL.String())
		case answer.StatusCode == http.StatusForbidden:
			a.refused[a.rights[i]] = true
		case answer.StatusCode < 400 || answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusConflict:
			a.served[a.rights[i]] = true
		}
		return answer, err
	})
}

func (a *asked) has(of map[install.Right]bool, r install.Right) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return of[r]
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// isOf tells whether a request needs a right.
func isOf(right install.Right, r *http.Request) bool {
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group := ""
	if path[0] == "apis" {
		group, path = path[1], path[3:]
	} else {
		path = path[2:]
	}
	if path[0] == "namespaces" && len(path) > 2 {
		path = path[2:]
	}
	resource, name := path[0], ""
	if len(path) > 1 {
		name = path[1]
	}
	if len(path) > 2 {
		resource += "/" + path[2]
	}
	verb := map[string]string{http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodGet: "get"}[r.Method]
	if verb == "get" && name == "" {
		verb = "list"
		if r.URL.Query().Get("watch") != "" {
			verb = "watch"
		}
		name, _ = strings.CutPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
	}
	return right.Group == group && right.Resource == resource && right.Verb == verb && (right.Name == "" || right.Name == name)
}

// run lets a controller meet all that it does something for, until that is enough, or for long.
func (w *rightsWorld) run(enough func(*asked) bool) *asked {
	w.t.Helper()
	w.runs++
	ctx := w.t.Context()
	namespace, gone := fmt.Sprintf("shop-%d", w.runs), fmt.Sprintf("gone-%d", w.runs)
	// Nobody has the Lease, the node has no label, and there is a Service.
	if err := w.admin.CoordinationV1().Leases(defaultNamespace).Delete(ctx, "viplog-shop", metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		w.t.Fatal(err)
	}
	w.label("null")
	for _, name := range []string{namespace, gone} {
		kubeclient.CreateNamespace(w.t, w.admin, name)
	}
	const front = `{"metadata":{"labels":{"tier":"front"}}}`
	if _, err := w.admin.CoreV1().Namespaces().Patch(ctx, namespace, types.MergePatchType, []byte(front), metav1.PatchOptions{}); err != nil {
		w.t.Fatal(err)
	}
	port := kubeclient.Port(corev1.ProtocolTCP, 80)
	kubeclient.CreateService(w.t, w.admin, kubeclient.LoadBalancer(namespace, "web", port))

	a := &asked{rights: w.rights, served: map[install.Right]bool{}, refused: map[install.Right]bool{}}
	end := w.start(a)
	defer end()
	deadline := time.Now().Add(30 * time.Second)
	wait := func(holds func() bool) bool {
		for !enough(a) && time.Now().Before(deadline) {
			if holds() {
				return true
			}
			time.Sleep(20 * time.Millisecond)
		}
		return false
	}
	if !wait(func() bool {
		v, err := w.admin.CoreV1().Services(namespace).Get(ctx, "web", metav1.GetOptions{})
		return err == nil && len(v.Status.LoadBalancer.Ingress) > 0
	}) {
		return a
	}
	// A Service and a namespace go.
	if err := w.admin.CoreV1().Services(namespace).Delete(ctx, "web", metav1.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.deleteNamespace(gone)
	wait(func() bool { return false })
	return a
}

func (w *rightsWorld) label(value string) {
	w.t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%s}}}`, install.LabelNode, value)
	if _, err := w.admin.CoreV1().Nodes().Patch(w.t.Context(), "lb-1", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// deleteNamespace does what the namespace controller would, of an empty one.
func (w *rightsWorld) deleteNamespace(name string) {
	w.t.Helper()
	ctx := w.t.Context()
	if err := w.admin.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
	n, err := w.admin.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	n.Spec.Finalizers = nil
	if _, err := w.admin.CoreV1().Namespaces().Finalize(ctx, n, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// start runs a controller's connection to Kubernetes on a log of its own, as the ServiceAccount.
func (w *rightsWorld) start(a *asked) (end func()) {
	w.t.Helper()
	config := kubeclient.Config(w.api, w.host, w.token)
	config.WrapTransport = a.around
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	k := kube.New(kube.Config{
		Client: client, Cluster: "shop", Namespace: defaultNamespace, Identity: fmt.Sprint("run-", w.runs), ConfigMap: "viplog-cluster",
		Parse: parseClusterFile, LabelNodes: true, Rejected: replica.ErrRejected, Logger: slog.New(slog.NewTextHandler(verbosely(), nil)),
	})
	var r *replica.Replica
	r, err = replica.Open(ctx, logtest.NewMemory(nil), "control/test", func(e log.Entry, changes []ledger.Change) {
		k.Folded(e, changes, r.ListChanges())
	})
	if err != nil {
		w.t.Fatal(err)
	}
	r.TrackLists()
	var running sync.WaitGroup
	running.Go(func() { _ = r.Run(ctx) })
	if _, err := r.Submit(ctx, func(s *ledger.State) ([]event.Event, error) {
		file, err := clusterfile.Parse("cluster.yaml", []byte(rightsCluster))
		if err != nil {
			return nil, err
		}
		facts, _ := control.ClusterFacts(s, clusterOf(file))
		return facts, nil
	}); err != nil {
		w.t.Fatal(err)
	}
	running.Go(func() {
		if err := k.Run(ctx, r); err != nil && ctx.Err() == nil {
			w.t.Error(err)
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

func verbosely() io.Writer {
	if testing.Verbose() {
		return os.Stderr
	}
	return io.Discard
}

// The manifests give controllers the rights that they use, and no other: with all of them nothing is refused and each is used; without any one of them
// something is refused that a controller needs.
func TestEachRightIsNeededAndNoneIsMissing(t *testing.T) {
	w := newRightsWorld(t)
	var used time.Time // when each had been
	all := w.run(func(a *asked) bool {
		if slices.ContainsFunc(w.rights, func(r install.Right) bool { return !a.has(a.served, r) }) {
			return false
		}
		if used.IsZero() {
			used = time.Now()
		}
		return time.Since(used) > 2*time.Second // nothing else is asked for
	})
	for _, r := range w.rights {
		if !all.has(all.served, r) || all.has(all.refused, r) {
			t.Errorf("%s %s of %q (%s): used %t, refused %t", r.Verb, r.Resource, r.Group, r.Why, all.has(all.served, r), all.has(all.refused, r))
		}
	}
	if len(all.strange) > 0 {
		t.Errorf("these are nobody's right: %q", all.strange)
	}
	for _, r := range w.rights {
		t.Run(strings.ReplaceAll(fmt.Sprintf("without %s %s", r.Verb, r.Resource), "/", " "), func(t *testing.T) {
			w.t = t
			w.may(&r)
			without := w.run(func(a *asked) bool { return a.has(a.refused, r) })
			if !without.has(without.refused, r) {
				t.Errorf("nothing is refused: nobody needs it for %s", r.Why)
			}
		})
	}
}
