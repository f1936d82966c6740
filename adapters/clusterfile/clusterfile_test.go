package clusterfile

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"viplog/core/event"
)

var compareNetip = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func parseFixture(t *testing.T, name string) *File {
	t.Helper()
	f, err := Parse(name, readFile(t, filepath.Join(fixtures, name)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestClusterFactHoldsTheNodesOfBothPoolsInFileOrder(t *testing.T) {
	f := parseFixture(t, "separation.yaml")
	addr := netip.MustParseAddr
	want := event.ClusterConfigured{
		Name:        "separation",
		ClusterType: "hybrid",
		Nodes: []event.DeclaredNode{
			{Address: addr("10.200.0.2"), Role: event.RoleControlPlane},
			{Address: addr("10.200.0.3"), Role: event.RoleControlPlane},
			{Address: addr("10.200.0.4"), Role: event.RoleControlPlane},
			{Address: addr("10.200.0.5"), Role: event.RoleLoadBalancer},
			{Address: addr("10.200.0.6"), Role: event.RoleLoadBalancer},
			{Address: addr("10.200.0.7"), Role: event.RoleLoadBalancer},
		},
		ControlPlaneVIP:      addr("10.200.0.71"),
		ControlPlaneLBPort:   443,
		ControlPlaneLBMode:   "bundled",
		IngressVIP:           addr("10.200.0.72"),
		PodCIDRs:             []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")},
		ServiceCIDRs:         []netip.Prefix{netip.MustParsePrefix("10.96.0.0/20")},
		VRRPGARPMasterRepeat: 3,
	}
	if diff := cmp.Diff(want, f.Cluster, compareNetip); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]event.Pool{{Name: "pool1", Addresses: []string{"10.200.0.72-10.200.0.90"}}}, f.Pools); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if f.Mode != ModeBundled || f.Type != TypeLayer2 || f.Notice != "" {
		t.Errorf("mode %q, type %q, notice %q", f.Mode, f.Type, f.Notice)
	}
	if diff := cmp.Diff(event.DefaultSettings(), f.Settings, compareNetip); diff != "" {
		t.Errorf("without a Settings document the defaults hold: -want +got:\n%s", diff)
	}
}

func TestNodeIsItsK8sIPWhereItHasOne(t *testing.T) {
	f := parseFixture(t, "k8sip.yaml")
	if got := f.Cluster.Nodes[3].Address.String(); got != "10.0.0.32" {
		t.Errorf("the node is %s", got)
	}
}

func TestSettingsDocumentIsReadWhole(t *testing.T) {
	f := parseFixture(t, "viplog-settings.yaml")
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	cooldown := int64(60)
	want := event.SettingsChanged{
		Profile:           event.ProfileFast,
		OnIsolation:       event.OnIsolationYield,
		Voters:            []netip.Addr{addr("10.0.0.2"), addr("10.0.0.3"), addr("10.0.0.4")},
		IngressService:    "gke-system/istio-ingress",
		LoadBalancerClass: "example.com/viplog",
		Subnets: []event.Subnet{
			{Prefix: prefix("10.0.0.0/24"), Gateway: addr("10.0.0.1"), Interface: "bond0.10"},
			{Prefix: prefix("2001:db8:0:1::/64"), Gateway: addr("2001:db8:0:1::1")},
		},
		Pools: []event.PoolSettings{{
			Name:       "pool1",
			Priority:   10,
			Namespaces: []string{"shop"},
			NamespaceSelectors: []event.Selector{{MatchLabels: []event.Label{
				{Key: "app.kubernetes.io/part-of", Value: "shop"}, {Key: "tier", Value: "front"},
			}}},
			ServiceSelectors: []event.Selector{{MatchExpressions: []event.SelectorCondition{
				{Key: "app", Operator: "NotIn", Values: []string{"batch"}}, {Key: "public", Operator: "Exists"},
			}}},
			Exclude:           []string{"10.0.0.80-10.0.0.85"},
			QuotaPerNamespace: 20,
			CooldownSeconds:   &cooldown,
			OnEdit:            event.OnEditDrain,
			Announce: []event.AnnounceRule{{
				NodeSelectors:    []event.Selector{{MatchLabels: []event.Label{{Key: "rack", Value: "a"}}}},
				Interfaces:       []string{"bond0.10"},
				ServiceSelectors: []event.Selector{{}},
				Preferred:        []event.WeightedRule{{Weight: 10}},
			}},
		}},
	}
	if diff := cmp.Diff(want, f.Settings, compareNetip); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestProblemIsPlacedAtTheFieldOrItsNearestParent(t *testing.T) {
	f := parseFixture(t, "viplog-settings.yaml")
	lines := strings.Split(string(readFile(t, filepath.Join(fixtures, "viplog-settings.yaml"))), "\n")
	for field, want := range map[string]string{
		"spec.loadBalancer.mode":                               "    mode: bundled",
		"spec.loadBalancer.addressPools[0].addresses[1]":       "      - 2001:db8:0:1::100-2001:db8:0:1::1ff",
		"spec.loadBalancer.addressPools[0].addresses[7]":       "      addresses:",
		"spec.loadBalancer.addressPools[3].name":               "    addressPools:",
		"spec.loadBalancer.bgpPeers[0].ip":                     "  loadBalancer:",
		"pools[0].onEdit":                                      "  onEdit: drain",
		"pools[0].namespaceSelectors[0].matchLabels[tier]":     "      tier: front",
		"subnets[1].interface":                                 "- prefix: 2001:db8:0:1::/64",
		"voters[2]":                                            "- 10.0.0.4",
		"pools[0].namespaceSelectors[0].matchLabels[a.b/c].no": "  - matchLabels:",
	} {
		p := f.Problem(field, "x", "field is immutable")
		if got := lines[p.Line-1]; got != want && strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s is placed at %q, want %q", field, got, want)
		}
		if text := fmt.Sprintf("viplog-settings.yaml:%d: %s: Invalid value: \"x\": field is immutable", p.Line, field); p.String() != text {
			t.Errorf("got %q, want %q", p, text)
		}
	}
}

// TestAliasesAndMergeKeysAreRead: GDCV's own tools read them, so files have them.
func TestAliasesAndMergeKeysAreRead(t *testing.T) {
	text := string(readFile(t, filepath.Join(fixtures, "hybrid-ha-lb.yaml")))
	text = strings.Replace(text, "controlPlaneVIP: 10.200.0.71", "<<: *vips", 1)
	text = strings.Replace(text, "spec:\n", "spec:\n  common: &vips {controlPlaneVIP: 10.200.0.70, ingressVIP: 10.200.0.99}\n", 1)
	text = strings.Replace(text, "address: 10.200.0.5", "address: &five 10.200.0.5", 1)
	f, err := Parse("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Cluster.ControlPlaneVIP.String(); got != "10.200.0.70" {
		t.Errorf("a merge key fills in what is absent: got %s", got)
	}
	if got := f.Cluster.IngressVIP.String(); got != "10.200.0.72" {
		t.Errorf("a merge key does not replace what is written: got %s", got)
	}
	_, err = Parse("a.yaml", []byte(strings.Replace(text, "address: 10.200.0.6", "address: *five", 1)))
	at := 1 + strings.Count(text[:strings.Index(text, "address: 10.200.0.6")], "\n")
	want := fmt.Sprintf("a.yaml:%d: spec.loadBalancer.nodePoolSpec.nodes[1].address: Duplicate value: \"10.200.0.5\"", at)
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestFieldsThatAreNotOfLoadBalancingAreAcceptedAndIgnored(t *testing.T) {
	text := string(readFile(t, filepath.Join(fixtures, "hybrid-ha-lb.yaml")))
	text = strings.Replace(text, "    nodePoolSpec:\n      nodes:\n      - address: 10.200.0.5\n",
		"    nodePoolSpec:\n      kubeletConfig: {registryBurst: 20, anything: [at, all]}\n      nodes:\n      - address: 10.200.0.5\n", 1)
	text = strings.Replace(text, "spec:\n", "spec:\n  someNewField: {a: 1}\n", 1)
	text += "---\napiVersion: example.com/v1\nkind: Whatever\nspec: {loadBalancer: {mode: 7}}\n---\n# nothing\n---\n"
	if _, err := Parse("a.yaml", []byte(text)); err != nil {
		t.Error(err)
	}
}

func TestMistypedK8sIPOfAControlPlaneNodeIsWarnedOf(t *testing.T) {
	text := strings.Replace(string(readFile(t, filepath.Join(fixtures, "edge-ha.yaml"))),
		"      - address: 10.200.0.3\n", "      - address: 10.200.0.3\n        k8sip: 10.200.0.33\n", 1)
	f, err := Parse("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	const want = `spec.controlPlane.nodePoolSpec.nodes[1].k8sip: is unknown and ignored; did you mean "k8sIP"?`
	for _, w := range f.Warnings {
		if strings.HasSuffix(w.String(), want) {
			return
		}
	}
	t.Errorf("no warning %q in %v", want, f.Warnings)
}

func TestBundledClusterWithoutPoolsIsWarnedOf(t *testing.T) {
	text := string(readFile(t, filepath.Join(fixtures, "edge-ha.yaml")))
	text = strings.Replace(text, "      ingressVIP: 10.200.0.72\n", "", 1)
	text = strings.Replace(text, "    addressPools:\n    - name: pool1\n      addresses:\n      - 10.200.0.72-10.200.0.90\n", "", 1)
	f, err := Parse("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, w := range f.Warnings {
		all.WriteString(w.String() + "\n")
	}
	if !strings.Contains(all.String(), "spec.loadBalancer.addressPools: is absent") || len(f.Pools) != 0 {
		t.Errorf("pools %v, warnings:\n%s", f.Pools, all.String())
	}
}

func TestUnreadableBytesAreNamedByLine(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		want string
	}{
		"not UTF-8":           {"a: b\nc: \xff\n", "a.yaml:2: the file is not UTF-8 text"},
		"a control character": {"a: b\n\nc: \x01\n", "a.yaml:3: not valid YAML: control characters are not allowed"},
		"too large":           {strings.Repeat("# x\n", 1<<18+1), "a.yaml:1: the file has 1048580 bytes, at most 1048576 are allowed"},
		"too deep":            {strings.Repeat("[", 300) + strings.Repeat("]", 300), "a.yaml:1: values are nested deeper than 200 levels"},
		"only comments":       {"# nothing\n---\n", "a.yaml:1: the file is empty: " + wantedDocument},
		"a list as a key":     {"[a]: b\n", "a.yaml:1: a key must be a plain name"},
		"a merge of text":     {"<<: b\n", "a.yaml:1: a merge key (<<) takes a map, or a list of maps"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse("a.yaml", []byte(c.data)); err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestPathologicalFilesAreRefusedQuickly: everything at its bound, and nothing that grows with its square.
func TestPathologicalFilesAreRefusedQuickly(t *testing.T) {
	base := string(readFile(t, filepath.Join(fixtures, "hybrid-ha-lb.yaml")))
	var ranges, workers strings.Builder
	for i := range 15_000 {
		fmt.Fprintf(&ranges, "      - 10.%d.%d.0/25\n", 201+i/256, i%256)
		fmt.Fprintf(&workers, "  - address: 10.%d.%d.1\n", 201+i/256, i%256)
	}
	text := strings.Replace(base, "      - 10.200.0.72-10.200.0.90\n", "      - 10.200.0.72-10.200.0.90\n"+ranges.String(), 1) + workers.String()
	begin := time.Now()
	_, err := Parse("a.yaml", []byte(text))
	if problems, _ := err.(Problems); len(problems) != maxProblems+1 {
		t.Errorf("%d problems", len(problems))
	}
	t.Logf("%d bytes refused in %v", len(text), time.Since(begin))
}

func TestFactThatIsTooLargeIsAProblemOfItsPool(t *testing.T) {
	var ranges strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&ranges, "      - 10.%d.%d.0/25\n", 201+i/256, i%256)
	}
	base := string(readFile(t, filepath.Join(fixtures, "hybrid-ha-lb.yaml")))
	text := strings.Replace(base, "      - 10.200.0.72-10.200.0.90\n", "      - 10.200.0.72-10.200.0.90\n"+ranges.String(), 1)
	_, err := Parse("a.yaml", []byte(text))
	if err == nil || !strings.Contains(err.Error(), "at most 65536 are allowed") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}
