package staticpod

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"viplog/adapters/clusterfile"
	"viplog/core/event"
	"viplog/core/frontend"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const fixtures = "../../fixtures/clusters"

// images are those of the tests.
var images = Options{Keepalived: "registry.example.com/keepalived:2.2.7", HAProxy: "haproxy:2.6.12"}

// samples are the plans of the fixtures, by name; nil where nothing is rendered.
func samples(t *testing.T) map[string]*frontend.Plan {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(fixtures, "*.yaml"))
	if err != nil || len(paths) < 10 {
		t.Fatalf("fixtures: %v, %v", paths, err)
	}
	plans := map[string]*frontend.Plan{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := clusterfile.Parse(path, data)
		if err != nil {
			t.Fatal(err)
		}
		plans[strings.TrimSuffix(filepath.Base(path), ".yaml")] = planOf(f)
	}
	return plans
}

// planOf is what GDCV does: load-balancer nodes carry the VIP where there are some, but for a control plane that balances its own load.
func planOf(f *clusterfile.File) *frontend.Plan {
	c := f.Cluster
	if f.Notice != "" || c.ControlPlaneLBMode == clusterfile.ModeManual {
		return nil
	}
	p := &frontend.Plan{Cluster: c.Name, VIP: c.ControlPlaneVIP, Port: c.ControlPlaneLBPort, RouterID: 7, GARPRepeat: frontend.DefaultGARPRepeat}
	if c.VRRPGARPMasterRepeat != 0 {
		p.GARPRepeat = c.VRRPGARPMasterRepeat
	}
	var balancers []netip.Addr
	for _, n := range c.Nodes {
		if n.Role == event.RoleControlPlane {
			p.Backends = append(p.Backends, n.Address)
		} else {
			balancers = append(balancers, n.Address)
		}
	}
	if len(balancers) == 0 || c.ControlPlaneLBMode == clusterfile.ModeBundled {
		balancers = p.Backends
	}
	for i, a := range balancers {
		p.Members = append(p.Members, frontend.Member{Address: a, Priority: uint8(254 - 10*i)})
	}
	return p
}

func localOf(a netip.Addr) Local { return Local{Address: a, Interface: "eth0", PrefixBits: 24} }

func render(t testing.TB, p frontend.Plan, l Local, o Options) []File {
	t.Helper()
	files, err := Render(p, l, o)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func contentAt(t testing.TB, files []File, path string) string {
	t.Helper()
	content := contentOf(files, path)
	if content == nil {
		t.Fatalf("%s is not rendered", path)
	}
	return string(content)
}

// TestSamplesAreRenderedAsRecorded holds the files of each sample's first member against testdata.
func TestSamplesAreRenderedAsRecorded(t *testing.T) {
	for name, p := range samples(t) {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join("testdata", name)
			want := map[string]string{}
			if p != nil {
				for _, f := range render(t, *p, localOf(p.Members[0].Address), images) {
					want[filepath.Base(f.Path)] = string(f.Content)
				}
			}
			if *update {
				rewrite(t, folder, want)
			}
			got := map[string]string{}
			entries, _ := os.ReadDir(folder) // none of a sample without a front end
			for _, e := range entries {
				data, err := os.ReadFile(filepath.Join(folder, e.Name()))
				if err != nil {
					t.Fatal(err)
				}
				got[e.Name()] = string(data)
			}
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("%s (-golden +rendered):\n%s", folder, diff)
			}
		})
	}
}

func rewrite(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhoCarriesTheVIP says by hand what the goldens show, for a rewritten golden is not read.
func TestWhoCarriesTheVIP(t *testing.T) {
	for name, want := range map[string]string{
		"admin-manlb": "nobody", "admin-basic": "10.200.0.2", "admin-ha": "10.200.0.2 10.200.0.3 10.200.0.4",
		"hybrid-ha-lb": "10.200.0.5 10.200.0.6 10.200.0.7", "separation": "10.200.0.2 10.200.0.3 10.200.0.4",
		"k8sip": "10.0.0.32 10.0.0.33",
	} {
		got := "nobody"
		if p := samples(t)[name]; p != nil {
			var all []string
			for _, m := range p.Members {
				all = append(all, m.Address.String())
			}
			got = strings.Join(all, " ")
		}
		if got != want {
			t.Errorf("%s: %s carry the VIP, want %s", name, got, want)
		}
	}
}

func TestManifestsArePodsWithoutUnknownFields(t *testing.T) {
	for name, p := range samples(t) {
		if p == nil {
			continue
		}
		files := render(t, *p, localOf(p.Members[0].Address), images)
		o := images.withDefaults()
		for _, path := range []string{o.manifest(nameKeepalived), o.manifest(nameHAProxy)} {
			var pod corev1.Pod
			if err := yaml.UnmarshalStrict([]byte(contentAt(t, files, path)), &pod); err != nil {
				t.Fatalf("%s: %s: %v", name, path, err)
			}
			checkPod(t, pod)
		}
	}
}

// checkPod wants what a static Pod of the front end must be.
func checkPod(t *testing.T, pod corev1.Pod) {
	t.Helper()
	if pod.APIVersion != "v1" || pod.Kind != "Pod" || !pod.Spec.HostNetwork || pod.Spec.PriorityClassName != systemNodeCritical {
		t.Errorf("%s: %s %s, host network %v, priority class %s", pod.Name, pod.APIVersion, pod.Kind, pod.Spec.HostNetwork, pod.Spec.PriorityClassName)
	}
	for _, c := range pod.Spec.Containers {
		s := c.SecurityContext
		if !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || s.Privileged != nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s: security context %+v", c.Name, s)
		}
		if c.LivenessProbe == nil || c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s: probes or resources are missing", c.Name)
		}
		for _, m := range c.VolumeMounts {
			if m.Name == "config" && !m.ReadOnly {
				t.Errorf("%s may write its configuration", c.Name)
			}
		}
	}
}

func TestTheRightToBindIsGivenForLowPortsOnly(t *testing.T) {
	for port, want := range map[uint16]int{443: 1, 8443: 0} {
		p := *samples(t)["admin-ha"]
		p.Port = port
		if got := haproxyPod(p, images.withDefaults()).Spec.Containers[0].SecurityContext.Capabilities.Add; len(got) != want {
			t.Errorf("port %d: capabilities %v, want %d", port, got, want)
		}
	}
}

// TestNoScriptCanLeaveAFailedNodeTheVIP holds the two mistakes of a check that Keepalived takes: a weight, with which nopreempt never moves the VIP, and
// a timeout that is not shorter than the interval.
func TestNoScriptCanLeaveAFailedNodeTheVIP(t *testing.T) {
	for name, p := range samples(t) {
		if p == nil {
			continue
		}
		text := contentAt(t, render(t, *p, localOf(p.Members[0].Address), images), "/etc/viplog/frontend/keepalived.conf")
		if strings.Contains(text, "weight") {
			t.Errorf("%s: a weight in\n%s", name, text)
		}
		if !strings.Contains(text, "nopreempt") || strings.Contains(text, "auth") {
			t.Errorf("%s: no nopreempt, or a password, in\n%s", name, text)
		}
		_, script, has := strings.Cut(text, "vrrp_script")
		if has != (len(p.Members) > 1) {
			t.Errorf("%s: a check: %v, of %d members", name, has, len(p.Members))
		}
		if !has {
			continue
		}
		var interval, timeout int
		for line := range strings.Lines(script) {
			_, _ = fmt.Sscanf(strings.TrimSpace(line), "interval %d", &interval)
			_, _ = fmt.Sscanf(strings.TrimSpace(line), "timeout %d", &timeout)
		}
		if timeout < 1 || timeout >= interval {
			t.Errorf("%s: timeout %d s, interval %d s", name, timeout, interval)
		}
	}
}

// TestMembersKnowEachOther wants each to name all others and not itself, under priorities of their own.
func TestMembersKnowEachOther(t *testing.T) {
	p := *samples(t)["hybrid-ha-lb"]
	seen := map[string]bool{}
	for _, m := range p.Members {
		text := contentAt(t, render(t, p, localOf(m.Address), images), "/etc/viplog/frontend/keepalived.conf")
		_, list, _ := strings.Cut(text, "unicast_peer {\n")
		list, _, _ = strings.Cut(list, "}")
		var want []string
		for _, peer := range p.Peers(m.Address) {
			want = append(want, peer.String())
		}
		if got := strings.Fields(list); len(got) != 2 || !slices.Equal(got, want) {
			t.Errorf("%s: peers %v, want %v", m.Address, got, want)
		}
		_, rest, _ := strings.Cut(text, "  priority ")
		priority, _, _ := strings.Cut(rest, "\n")
		if seen[priority] {
			t.Errorf("priority %s twice", priority)
		}
		seen[priority] = true
	}
}

func TestOneBackendIsOneLine(t *testing.T) {
	p := *samples(t)["admin-ha"]
	text := func() []string {
		return strings.Split(contentAt(t, render(t, p, localOf(p.Members[0].Address), images), "/etc/viplog/frontend/haproxy.cfg"), "\n")
	}
	before := text()
	p.Backends = slices.Clone(p.Backends)
	p.Backends[1] = netip.MustParseAddr("10.200.0.9")
	edited := text()
	if len(before) != len(edited) {
		t.Fatalf("%d lines, then %d", len(before), len(edited))
	}
	var changed []string
	for i := range before {
		if before[i] != edited[i] {
			changed = append(changed, edited[i])
		}
	}
	if !slices.Equal(changed, []string{"  server 10.200.0.9 10.200.0.9:6444"}) {
		t.Errorf("changed: %q", changed)
	}
	p.Backends = append(p.Backends, netip.MustParseAddr("10.200.0.11"))
	if more := text(); len(more) != len(edited)+1 {
		t.Errorf("a back end more is %d lines more", len(more)-len(edited))
	}
}

func TestRenderingIsAFunction(t *testing.T) {
	p := *samples(t)["admin-ha"]
	first := render(t, p, localOf(p.Members[0].Address), images)
	for range 100 {
		if diff := cmp.Diff(first, render(t, p, localOf(p.Members[0].Address), images)); diff != "" {
			t.Fatal(diff)
		}
	}
	if !slices.IsSortedFunc(first, func(a, b File) int { return strings.Compare(a.Path, b.Path) }) {
		t.Error("not sorted by path")
	}
}

func TestImagesComeFromMirrors(t *testing.T) {
	o := Options{Mirrors: []Mirror{{"registry.example.com", "10.200.0.50/library"}, {"docker.io", "mirror.example.com:5000/hub"}}}
	for image, want := range map[string]string{
		"registry.example.com/a/keepalived:1": "10.200.0.50/library/a/keepalived:1",
		"haproxy:2.6":                         "mirror.example.com:5000/hub/library/haproxy:2.6",
		"osixia/keepalived:2":                 "mirror.example.com:5000/hub/osixia/keepalived:2",
		"docker.io/library/haproxy:2.6":       "mirror.example.com:5000/hub/library/haproxy:2.6",
		"localhost/haproxy:2.6":               "localhost/haproxy:2.6",
		"registry.example.com.evil/a:1":       "registry.example.com.evil/a:1",
	} {
		if got := o.image(image); got != want {
			t.Errorf("%s comes from %s, want %s", image, got, want)
		}
	}
	if got := (Options{}).image("haproxy:2.6"); got != "haproxy:2.6" {
		t.Errorf("without mirrors from %s", got)
	}
}

func TestAnIPv6VIPIsRenderedForItsFamilyAlone(t *testing.T) {
	p, l := planOfIPv6(), Local{netip.MustParseAddr("fd00::2"), "eth0", 64}
	files := render(t, p, l, images)
	for path, want := range map[string]string{
		"/etc/viplog/frontend/keepalived.conf": "    fd00::71/128 dev eth0\n", "/etc/viplog/frontend/haproxy.cfg": "  bind :::443 v6only\n",
	} {
		if text := contentAt(t, files, path); !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if !bytes.Contains(contentOf(files, "/etc/viplog/frontend/haproxy.cfg"), []byte("  server fd00::2 [fd00::2]:6444\n")) {
		t.Error("no back end in brackets")
	}
}

func planOfIPv6() frontend.Plan {
	a, b := netip.MustParseAddr("fd00::2"), netip.MustParseAddr("fd00::3")
	return frontend.Plan{
		Cluster: "six", VIP: netip.MustParseAddr("fd00::71"), Port: 443, RouterID: 9, GARPRepeat: 5,
		Members: []frontend.Member{{Address: a, Priority: 254}, {Address: b, Priority: 244}}, Backends: []netip.Addr{a, b},
	}
}
