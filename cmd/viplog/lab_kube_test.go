//go:build linux

package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"viplog/core/control"
	"viplog/fixtures/lab"
	"viplog/fixtures/lab/kubeclient"
)

// kubeLAN is a cluster of viplog whose controllers serve a real API server.
type kubeLAN struct {
	t      *testing.T
	api    *lab.KubeAPI
	client kubernetes.Interface
	*lab.Cluster
}

func newKubeLAN(t *testing.T) *kubeLAN {
	t.Helper()
	l := lab.New(t)
	net, host := l.Switch("lan"), l.Host("api")
	net.Attach(host, "eth0", "10.0.0.1/16")
	n := &kubeLAN{t: t, api: host.KubeAPI(netip.MustParseAddrPort("10.0.0.1:6443"), lab.KubeAPIOptions{})}
	n.api.WaitReady()
	n.client = kubeclient.New(t, n.api, host)
	kubeclient.CreateNamespace(t, n.client, "shop")
	n.Cluster = l.NewCluster(net, lab.ClusterOptions{Nodes: 3, Controllers: 3})
	kubeconfig := n.api.Kubeconfig(lab.KubeAdminToken)
	for _, h := range n.Hosts {
		if h.IsNode {
			kubeclient.CreateNode(t, n.client, kubeclient.Node{Name: h.Name, Addresses: []netip.Addr{h.Address}})
			h.Start()
		} else {
			h.Start("--kubeconfig", kubeconfig, "--kube-namespace", "kube-system")
		}
	}
	n.Apply()
	return n
}

func (n *kubeLAN) create(name string) {
	n.t.Helper()
	kubeclient.CreateService(n.t, n.client, kubeclient.LoadBalancer("shop", name, kubeclient.Port(corev1.ProtocolTCP, 80)))
}

// announced waits until a Service's status says that somebody announces it, of whom is true what is asked, and gives the address and what is said.
func (n *kubeLAN) announced(name string, by func(message string) bool) (address, message string) {
	n.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		v, err := n.client.CoreV1().Services("shop").Get(n.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			n.t.Fatal(err)
		}
		for _, c := range v.Status.Conditions {
			if message = c.Message; c.Type == control.ConditionAnnounced && c.Status == metav1.ConditionTrue && by(message) {
				return v.Status.LoadBalancer.Ingress[0].IP, message
			}
		}
	}
	n.t.Fatalf("after a minute %s is not announced as it should be; the last condition says %q", name, message)
	return "", ""
}

func anybody(string) bool { return true }

// The log decides while the API server is away, and another controller writes where the first one died.
func TestStatusesFollowTheLogThroughFaults(t *testing.T) {
	n := newKubeLAN(t)
	n.create("web")
	address, message := n.announced("web", func(said string) bool { return strings.Contains(said, ", then ") })
	t.Logf("%s", message)
	vip := netip.MustParseAddr(address)

	owner := n.Owner(vip)
	n.api.Kill()
	owner.Viplog.Kill()
	var next *lab.ClusterHost
	for deadline := time.Now().Add(20 * time.Second); next == nil || next == owner; next = n.Owner(vip) {
		if time.Now().After(deadline) {
			t.Fatal("nobody followed an owner that died while the API server was away")
		}
		time.Sleep(50 * time.Millisecond)
	}
	n.api.Start()
	n.api.WaitReady()
	again, message := n.announced("web", func(said string) bool { return strings.Contains(said, " by "+next.Name+" ") })
	t.Logf("%s", message)
	if again != address || n.Owner(vip) != next {
		t.Errorf("when the API server is back the address is %s, and %s owns it; it was %s of %s", again, n.Owner(vip).Name, address, next.Name)
	}

	// Whoever writes dies; the others have the log and the Lease.
	lease, err := n.client.CoordinationV1().Leases("kube-system").Get(t.Context(), "viplog-lab", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range n.Hosts {
		if h.Address.String() == *lease.Spec.HolderIdentity {
			h.Viplog.Kill()
		}
	}
	began := time.Now()
	n.create("api")
	n.announced("api", anybody)
	t.Logf("the first status after the death of the controller that wrote: %v", time.Since(began))
}
