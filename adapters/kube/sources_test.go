//go:build linux

package kube

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/log/logtest"
	"viplog/fixtures/lab/kubeclient"
)

func TestNodesAreLabelledAndTheirLabelsAreRead(t *testing.T) {
	w := newWorld(t)
	kubeclient.CreateNode(t, w.client, kubeclient.Node{Name: "lb-1", Addresses: lbNodes[:1], Labels: map[string]string{"zone": "a"}})
	kubeclient.CreateNode(t, w.client, kubeclient.Node{
		Name: "worker", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.99")}, Labels: map[string]string{control.LabelLoadBalancerNode: "true"},
	})
	c := w.start("one")
	label := func(name string) string {
		n, err := w.client.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return n.Labels[control.LabelLoadBalancerNode]
	}
	w.wait("a load-balancer node has the label, and no other node", func() bool { return label("lb-1") == "true" && label("worker") == "" })
	labels := func() string {
		said, _ := w.ledger().Labelled(lbNodes[0])
		var all []string
		for _, l := range said.Labels {
			all = append(all, l.Key+"="+l.Value)
		}
		return strings.Join(append(all, said.Taints...), " ")
	}
	w.wait("the log has its labels", func() bool { return labels() == control.LabelLoadBalancerNode+"=true zone=a" })

	// What a kubelet that is not heard makes of its Node is no fact.
	before := w.ledger().Sequence()
	kubeclient.SetReady(t, w.client, "lb-1", corev1.ConditionUnknown)
	taint := `{"spec":{"taints":[{"key":"node.kubernetes.io/unreachable","effect":"NoExecute"}]}}`
	patch(t, w, "lb-1", taint)
	w.wait("the cache shows it", func() bool { n, _ := c.caches.node("lb-1"); return len(n.Taints) == 1 })
	time.Sleep(200 * time.Millisecond)
	if now := w.ledger().Sequence(); now != before {
		t.Errorf("a node that is not ready made facts %d to %d", before+1, now)
	}
	patch(t, w, "lb-1", `{"spec":{"taints":[{"key":"maintenance","value":"yes","effect":"NoSchedule"}]}}`)
	w.wait("the log has its taint", func() bool { return strings.HasSuffix(labels(), " maintenance=yes:NoSchedule") })

	// A node that the cluster file drops loses the label.
	cluster, _ := w.ledger().Cluster()
	cluster.Nodes = cluster.Nodes[1:]
	w.append(cluster)
	w.wait("a node that is no more declared has no label", func() bool { return label("lb-1") == "" })
}

func patch(t *testing.T, w *world, node, data string) {
	t.Helper()
	if _, err := w.client.CoreV1().Nodes().Patch(t.Context(), node, types.StrategicMergePatchType, []byte(data), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestNodesAreNotLabelledIfThatIsOff(t *testing.T) {
	w := newWorld(t)
	kubeclient.CreateNode(t, w.client, kubeclient.Node{Name: "lb-1", Addresses: lbNodes[:1]})
	w.start("one", func(c *Config) { c.LabelNodes = false })
	w.wait("the log has the Node", func() bool { c := w.ledger(); _, ok := c.Labelled(lbNodes[0]); return ok })
	w.create("web")
	w.waitAddress("web")
	if n, err := w.client.CoreV1().Nodes().Get(t.Context(), "lb-1", metav1.GetOptions{}); err != nil || len(n.Labels) > 0 {
		t.Errorf("its labels: %v, %v", n.Labels, err)
	}
}

func TestNamespacesMatterWhereAPoolSelectsThem(t *testing.T) {
	w := newWorld(t)
	w.start("one")
	w.create("web")
	w.waitAddress("web")
	if known := w.ledger().Namespaces(); len(known) > 0 {
		t.Errorf("namespaces in the log, although no pool selects any: %v", known)
	}
	settings := w.ledger().Settings()
	settings.Pools = append(settings.Pools, event.PoolSettings{
		Name: "front", NamespaceSelectors: []event.Selector{{MatchLabels: []event.Label{{Key: "tier", Value: "front"}}}},
	})
	w.append(settings, event.PoolAdded{Pool: event.Pool{Name: "front", Addresses: []string{"10.0.100.1-10.0.100.9"}}})
	if _, err := w.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: "front", Labels: map[string]string{"tier": "front"}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	kubeclient.CreateService(t, w.client, kubeclient.LoadBalancer("front", "web", tcp80))
	w.wait("an address of the namespace's pool", func() bool {
		v, err := w.client.CoreV1().Services("front").Get(t.Context(), "web", metav1.GetOptions{})
		return err == nil && address(v) == "10.0.100.1"
	})
}

func TestTheClusterFileIsReadFromAConfigMap(t *testing.T) {
	w := newWorld(t)
	w.log = logtest.NewMemory(nil)
	text, err := os.ReadFile("testdata/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	maps := w.client.CoreV1().ConfigMaps("kube-system")
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "viplog"}, Data: map[string]string{clusterKey: string(text)}}
	if m, err = maps.Create(t.Context(), m, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) {
		t.Helper()
		if !strings.Contains(m.Data[clusterKey], old) {
			t.Fatalf("the file holds no %q", old)
		}
		m.Data[clusterKey] = strings.Replace(m.Data[clusterKey], old, new, 1)
		if m, err = maps.Update(t.Context(), m, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	c := w.start("one", func(c *Config) { c.ConfigMap = "viplog" })
	w.waitEvent("kube-system", "viplog", "ClusterFileApplied: ")
	w.create("web")
	w.waitAddress("web")

	edit("10.0.0.250", "10.0.0.251")
	w.waitEvent("kube-system", "viplog", "ClusterFileRefused: cluster.yaml:")
	edit("10.0.0.251", "10.0.0.250")
	edit("10.0.64.1-10.0.64.9", "10.0.64.9-10.0.64.1")
	w.waitEvent("kube-system", "viplog", "ClusterFileInvalid: cluster.yaml:")
	edit("10.0.64.9-10.0.64.1", "10.0.64.1-10.0.64.9")
	edit("    addressPools:\n", "    addressPools:\n    - name: more\n      addresses: [10.0.65.1-10.0.65.9]\n")
	w.wait("the pool is in the log", func() bool { _, there := w.ledger().PoolSpec("more"); return there })

	before, events := w.ledger().Sequence(), len(w.events("kube-system", "viplog"))
	for range 3 {
		if err := c.bringBatch(t.Context(), &batch{file: true, whole: true}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(200 * time.Millisecond)
	if now := w.ledger().Sequence(); now != before {
		t.Errorf("reading the same file again made facts %d to %d", before+1, now)
	}
	if now := w.events("kube-system", "viplog"); len(now) != events+1 && len(now) != events { // that of the last edit may have been on its way
		t.Errorf("reading the same file again made Events: %q", now)
	}
}
