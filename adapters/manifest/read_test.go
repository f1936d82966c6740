package manifest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"viplog/core/control"
	"viplog/core/event"
)

var compareAddrs = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

// service is the shortest valid Service.
func service(namespace, name string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {namespace: %s, name: %s}
spec: {type: LoadBalancer, ports: [{port: 80}]}
`, namespace, name)
}

func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func readText(text string) (Manifests, error) {
	return Read([]string{"-"}, strings.NewReader(text))
}

func names(m Manifests) string {
	list := make([]string, len(m.Services))
	for i, s := range m.Services {
		list[i] = s.Namespace + "/" + s.Name
	}
	return strings.Join(list, " ")
}

func TestServicePassesFieldsOn(t *testing.T) {
	got, err := readText(`
apiVersion: v1
kind: Service
metadata:
  name: web
  uid: 6f1c
  resourceVersion: "42"
  creationTimestamp: null
  labels: {app: web}
  annotations: {metallb.io/address-pool: pool1, empty: ""}
spec:
  type: LoadBalancer
  loadBalancerClass: example.com/viplog
  loadBalancerIP: 10.200.0.80
  ipFamilies: [IPv6, IPv4]
  ipFamilyPolicy: PreferDualStack
  externalTrafficPolicy: Local
  selector: {app: web}
  ports:
  - {name: b, port: 443, targetPort: https}
  - {name: a, port: 80, targetPort: 8080, nodePort: 30080}
  - {name: c, port: 443, protocol: UDP}
  - {name: d, port: 80, protocol: SCTP}
status:
  loadBalancer:
    ingress: [{ip: 10.200.0.80, ipMode: VIP}, {hostname: lb.example.com}, {ip: "FD00:0::80"}]
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Manifests{Services: []control.Service{{
		Namespace: "default", Name: "web", UID: "6f1c", Revision: "42",
		Labels:            map[string]string{"app": "web"},
		Annotations:       map[string]string{"metallb.io/address-pool": "pool1", "empty": ""},
		LoadBalancerClass: "example.com/viplog", LoadBalancerIP: "10.200.0.80",
		IPFamilies: []string{"IPv6", "IPv4"}, IPFamilyPolicy: "PreferDualStack", TrafficPolicy: "Local",
		Ports:           []event.Port{{Protocol: "SCTP", Port: 80}, {Protocol: "TCP", Port: 80}, {Protocol: "TCP", Port: 443}, {Protocol: "UDP", Port: 443}},
		Selector:        map[string]string{"app": "web"},
		StatusAddresses: []netip.Addr{netip.MustParseAddr("10.200.0.80"), netip.MustParseAddr("fd00::80")},
	}}}
	if diff := cmp.Diff(want, got, compareAddrs); diff != "" {
		t.Error(diff)
	}
	observed := got.Observed("manifests")
	if diff := cmp.Diff(control.Observed{Source: "manifests", Services: want.Services}, observed, compareAddrs); diff != "" {
		t.Error(diff)
	}
}

func TestDocumentsAreFoundInEveryShape(t *testing.T) {
	json := `{"apiVersion":"v1","kind":"Service","metadata":{"name":"%s"},"spec":{"type":"LoadBalancer","ports":[{"port":80}]}}`
	for name, test := range map[string]struct{ text, want string }{
		"nothing":             {"", ""},
		"only comments":       {"# nothing\n---\n# nothing\n---\n\n...\n---\n", ""},
		"several documents":   {service("shop", "b") + "---\n" + service("shop", "a"), "shop/b shop/a"},
		"directive, markers":  {"%YAML 1.1\n---\n" + service("x", "a") + "...\n%YAML 1.1\n---  # two\n" + service("x", "b"), "x/a x/b"},
		"carriage returns":    {strings.ReplaceAll("---\n"+service("x", "a")+"---\n"+service("x", "b"), "\n", "\r\n"), "x/a x/b"},
		"byte order mark":     {"\ufeff" + service("x", "a"), "x/a"},
		"a line like ---":     {service("x", "a") + "status: {}\n--- {apiVersion: v1, kind: Node}\n---\n" + service("x", "b"), "x/a x/b"},
		"one JSON":            {fmt.Sprintf(json, "a"), "default/a"},
		"JSON after JSON":     {fmt.Sprintf(json+"\n"+json+json+"\n", "a", "b", "c"), "default/a default/b default/c"},
		"JSON documents":      {fmt.Sprintf(json+"\n---\n"+json, "a", "b"), "default/a default/b"},
		"JSON with tabs":      {"{\n\t" + strings.TrimPrefix(fmt.Sprintf(json, "a"), "{"), "default/a"},
		"JSON surrogates":     {`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","annotations":{"x":"\ud83d\ude00"}},"spec":{"type":"LoadBalancer","ports":[{"port":80}]}}`, "default/a"},
		"a list":              {"apiVersion: v1\nkind: List\nmetadata: {resourceVersion: \"\"}\nitems:\n- " + fmt.Sprintf(json, "a") + "\n- " + fmt.Sprintf(json, "b"), "default/a default/b"},
		"an empty list":       {"apiVersion: v1\nkind: List\nitems: []\n", ""},
		"a list in a list":    {`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"List","items":[` + fmt.Sprintf(json, "a") + `]}]}`, "default/a"},
		"anchors and merging": {"apiVersion: v1\nkind: Service\nmetadata: &m {name: a}\nspec:\n  <<: {type: LoadBalancer}\n  ports: [{port: 80}]\n", "default/a"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readText(test.text)
			if err != nil || names(got) != test.want {
				t.Errorf("got %q, %v, want %q", names(got), err, test.want)
			}
		})
	}
}

func TestOtherKindsAreCounted(t *testing.T) {
	got, err := readText(`{"apiVersion":"apps/v1","kind":"Deployment","anything":1}
{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"}}
{"apiVersion":"serving.knative.dev/v1","kind":"Service","spec":{"template":{}}}
{"apiVersion":"apps/v1","kind":"Deployment"}
{"apiVersion":"v1","kind":"Service","metadata":{"name":"b"},"spec":{"type":"ExternalName","externalName":"x.example"}}`)
	want := Manifests{Ignored: []Ignored{
		{"apps/v1 Deployment", 2},
		{"v1 Service of type ClusterIP", 1},
		{"serving.knative.dev/v1 Service", 1},
		{"v1 Service of type ExternalName", 1},
	}}
	if diff := cmp.Diff(want, got, compareAddrs); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestEndpointsAreTheNodesThatServe(t *testing.T) {
	for name, test := range map[string]struct{ endpoints, want string }{
		"none":                         {``, ""},
		"no conditions":                {`{nodeName: a}`, "a"},
		"ready":                        {`{nodeName: a, conditions: {ready: true}}`, "a"},
		"not ready":                    {`{nodeName: a, conditions: {ready: false}}`, ""},
		"terminating but serving":      {`{nodeName: a, conditions: {ready: false, serving: true, terminating: true}}`, "a"},
		"neither":                      {`{nodeName: a, conditions: {ready: false, serving: false}}`, ""},
		"ready unset, not serving":     {`{nodeName: a, conditions: {serving: false}}`, "a"},
		"ready, not serving":           {`{nodeName: a, conditions: {ready: true, serving: false}}`, "a"},
		"no node":                      {`{conditions: {ready: true}}`, ""},
		"sorted, and each node once":   {`{nodeName: b}, {nodeName: a}, {nodeName: b}`, "a b"},
		"one of a node's two is ready": {`{nodeName: a, conditions: {ready: false}}, {nodeName: a}`, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readText(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: shop, name: web-1.x, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [` + test.endpoints + `]`)
			want := []control.Endpoints{{Namespace: "shop", Service: "web", Nodes: strings.Fields(test.want)}}
			if diff := cmp.Diff(want, got.Endpoints, compareAddrs); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
}

func TestFolderIsReadInOrderOfPaths(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{
		"b.yaml": service("x", "b"), "a/z.json": `{"apiVersion":"v1","kind":"List","items":[]}`,
		"a/y.yml": service("x", "ay"), "a-b.yaml": service("x", "a-b"), "B.yaml": service("x", "upper"),
		"notes.txt": "not: [a manifest", ".hidden.yaml": "not: [a manifest", ".git/c.yaml": "not: [a manifest",
	})
	// Loops of links end.
	if err := os.Symlink("..", filepath.Join(folder, "a", "up")); err != nil {
		t.Fatal(err)
	}
	got, err := Read([]string{folder, filepath.Join(folder, "b.yaml"), folder + "/"}, nil)
	if want := "x/upper x/a-b x/ay x/b"; err != nil || names(got) != want {
		t.Errorf("got %q, %v, want %q", names(got), err, want)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{
		"good.yaml": service("x", "a"),
		"big.yaml":  strings.Repeat("#", MaxFileBytes+1),
	})
	if err := os.Symlink("nowhere", filepath.Join(folder, "gone.yaml")); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(folder, "missing.yaml")
	got, err := Read([]string{missing, folder}, nil)
	want := folder + "/big.yaml: larger than 4 MiB: split it into smaller files\n" +
		folder + "/gone.yaml: no such file or directory\n" + missing + ": no such file or directory"
	if err == nil || err.Error() != want || !errors.Is(err, ErrInvalid) || len(got.Services) != 0 {
		t.Errorf("got %v, %v, want %s", got, err, want)
	}
}

func TestDocumentsAreLimited(t *testing.T) {
	const other = `{"apiVersion":"v","kind":"K"}`
	for name, text := range map[string]string{
		"documents": strings.Repeat("---\n", MaxDocuments+5),
		"JSON":      strings.Repeat(other+"\n", MaxDocuments+5),
		"items":     `{"apiVersion":"v1","kind":"List","items":[` + strings.Repeat(other+",", MaxDocuments) + other + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readText(text)
			if err == nil || !strings.Contains(err.Error(), "more than 100000 documents") {
				t.Errorf("got an error of %d bytes without the limit", len(fmt.Sprint(err)))
			}
		})
	}
}

func TestDemoSetIsValid(t *testing.T) {
	got, err := Read([]string{"../../fixtures/services"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = "gke-system/istio-ingress media/sip platform/dns platform/registry shop/checkout shop/web shop/api"
	if names(got) != want {
		t.Errorf("got %q, want %q", names(got), want)
	}
	endpoints := []control.Endpoints{{Namespace: "shop", Service: "checkout", Nodes: []string{"lb-1", "lb-2"}}}
	if diff := cmp.Diff(endpoints, got.Endpoints); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Ignored{{"v1 Service of type ClusterIP", 1}}, got.Ignored); diff != "" {
		t.Error(diff)
	}
}
