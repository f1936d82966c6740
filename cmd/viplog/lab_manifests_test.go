//go:build linux

package main

import (
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"viplog/fixtures/lab"
	"viplog/fixtures/lab/kubeclient"
)

// newKubernetes is an API server on a host of its own, ready.
func newKubernetes(t *testing.T, o lab.KubeAPIOptions) (*lab.KubeAPI, *lab.Host) {
	t.Helper()
	l := lab.New(t)
	s, host := l.Switch("switch"), l.Host("api")
	s.Attach(host, "eth0", "10.0.0.1/16")
	api := host.KubeAPI(netip.MustParseAddrPort("10.0.0.1:6443"), o)
	api.WaitReady()
	return api, host
}

// applied is what `kubectl apply --server-side` does with what was printed, by the admin. The API server says warnings to whoever asks for them.
func applied(t *testing.T, api *lab.KubeAPI, from *lab.Host, text string) (objects []*unstructured.Unstructured) {
	t.Helper()
	config := kubeclient.Config(api, from, lab.KubeAdminToken)
	said := &warnings{}
	config.WarningHandler = said
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range strings.Split(strings.TrimPrefix(text, "---\n"), "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), object); err != nil {
			t.Fatal(err)
		}
		data, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var resource dynamic.ResourceInterface = client.Resource(resourceOf(object))
		if namespace := object.GetNamespace(); namespace != "" {
			resource = client.Resource(resourceOf(object)).Namespace(namespace)
		}
		options := metav1.PatchOptions{FieldManager: "test", Force: new(true), FieldValidation: metav1.FieldValidationStrict}
		if _, err := resource.Patch(context.Background(), object.GetName(), types.ApplyPatchType, data, options); err != nil {
			t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
		}
		objects = append(objects, object)
	}
	if all := said.said(); len(all) > 0 {
		t.Errorf("the API server warns: %q", all)
	}
	return objects
}

func resourceOf(object *unstructured.Unstructured) schema.GroupVersionResource {
	kind := object.GroupVersionKind()
	return kind.GroupVersion().WithResource(strings.ToLower(kind.Kind) + "s")
}

// warnings are what an API server has warned of.
type warnings struct {
	mu  sync.Mutex
	all []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, text)
}

func (w *warnings) said() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}

func TestTheAPIServerTakesWhatIsPrinted(t *testing.T) {
	api, host := newKubernetes(t, lab.KubeAPIOptions{})
	for _, test := range []struct {
		sample  string
		options []string
	}{
		{"hybrid-ha-lb.yaml", nil},
		{"hybrid-ha.yaml", []string{"--keepalived-image", "k:1", "--haproxy-image", "h:1"}},
		{"hybrid-ha-lb.yaml", []string{"--keys", "secrets", "--nats", "tls://nats.example.com:4222", "--http", ":7480", "--lbnode-label=false"}},
		{"hybrid-ha-lb.yaml", []string{"--namespace", "elsewhere", "--class", "example.com/viplog"}},
	} {
		text, _ := printed(t, filepath.Join("../../fixtures/clusters", test.sample), test.options...)
		if n := len(applied(t, api, host, text)); n < 10 {
			t.Errorf("%s: only %d objects", test.sample, n)
		}
	}
}
