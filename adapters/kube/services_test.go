//go:build linux

package kube

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/fixtures/lab"
	"viplog/fixtures/lab/kubeclient"
)

func TestServicesThatAreDeletedAndMadeAgainHaveAddressesOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	c := w.start("one")
	const n = 80 // more than are confirmed one by one
	for range 2 {
		for i := range n {
			w.create(fmt.Sprintf("web-%d", i))
		}
		seen := map[string]string{}
		for i := range n {
			name := fmt.Sprintf("web-%d", i)
			a := w.waitAddress(name)
			if other := seen[a]; other != "" {
				t.Errorf("%s has %s, and so has %s", name, a, other)
			}
			seen[a] = name
		}
		w.wait("all is published", func() bool { return c.Published() == w.ledger().Sequence() })
		for i := range n {
			w.delete(fmt.Sprintf("web-%d", i))
		}
		w.wait("no Service is in the ledger", func() bool { return len(w.ledger().ServicesOf(Source)) == 0 })
		if used := w.ledger().AddressViews(); len(used) > 0 {
			t.Fatalf("addresses are in use: %v", used)
		}
	}
	if writes := c.counts.of("PATCH services/status"); writes != 2*n {
		t.Errorf("%d status writes for %d Services", writes, 2*n)
	}
}

// An API server's cache may be behind: what is missing there and is in etcd stays, and so does what is shown as it was before.
func TestAServiceThatACacheDoesNotShowIsNotGone(t *testing.T) {
	w := newWorld(t)
	c := w.start("one")
	old := w.create("web", func(v *corev1.Service) {
		v.Spec.Type = corev1.ServiceTypeClusterIP
		v.Spec.AllocateLoadBalancerNodePorts = nil
	})
	w.update("web", func(v *corev1.Service) { v.Spec.Type = corev1.ServiceTypeLoadBalancer })
	had := w.waitAddress("web")
	before := w.ledger().Sequence()

	store := c.caches.services.GetStore()
	for what, change := range map[string]func() error{
		"missing": func() error { return store.Delete(old) },
		"older":   func() error { return store.Update(old) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if err := c.bringBatch(t.Context(), &batch{whole: true}); err != nil {
			t.Fatal(err)
		}
		if now := w.ledger().Sequence(); now != before {
			t.Errorf("a Service that is %s made facts %d to %d", what, before+1, now)
		}
	}
	w.delete("web")
	w.wait("the Service is gone", func() bool { return len(w.ledger().ServicesOf(Source)) == 0 })
	if a := had; a == "" {
		t.Error("it never had an address")
	}
}

// A write is for the object that was seen: another one of its name does not get its status, and others' conditions stay.
func TestAWriteIsForTheObjectThatWasSeen(t *testing.T) {
	w := newWorld(t)
	c := w.start("one", func(c *Config) { c.Namespace = "none" }) // without a Lease, which has no namespace: it writes nothing by itself
	old := w.create("web")
	w.delete("web")
	now := w.create("web")
	now.Status.Conditions = []metav1.Condition{{Type: "example.com/Other", Status: "True", Reason: "Other", LastTransitionTime: metav1.Now()}}
	if _, err := w.client.CoreV1().Services("shop").UpdateStatus(t.Context(), now, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	want := control.Status{
		Ingress:    []control.Ingress{{IP: "10.0.64.1", Mode: "VIP"}},
		Conditions: []control.Condition{{Type: control.ConditionAssigned, Status: "True", Reason: "Assigned", Message: "by a test", Since: 1}},
	}
	if _, err := c.patchStatus(t.Context(), old, control.Status{}, want, false); !isAnother(err) {
		t.Errorf("the status of an object that is gone was written: %v", err)
	}
	if a := address(w.get("web")); a != "" {
		t.Errorf("another of its name has its address %s", a)
	}
	left, err := c.patchStatus(t.Context(), now, control.Status{}, want, false)
	if err != nil || address(left) != "10.0.64.1" || len(left.Status.Conditions) != 2 {
		t.Fatalf("%v, %v", left, err)
	}
	if shown := observedService(left).Status; !shown.Equal(want) {
		t.Errorf("written was %v, and shown is %v", want, shown)
	}
	// What has been seen is older than what is there: what is to be cleared is looked at again first.
	if _, err := c.patchStatus(t.Context(), now, want, control.Status{}, true); !apierrors.IsConflict(err) {
		t.Errorf("a status was cleared that nobody had seen: %v", err)
	}
	left, err = c.patchStatus(t.Context(), left, want, control.Status{}, true)
	if err != nil || address(left) != "" || len(left.Status.Conditions) != 1 || left.Status.Conditions[0].Type != "example.com/Other" {
		t.Errorf("after it was cleared: %v, %v", left, err)
	}
}

// What a write has left counts until the cache shows it: a cache that is behind makes no second write.
func TestACacheThatIsBehindMakesNoSecondWrite(t *testing.T) {
	w := newWorld(t)
	c := w.start("one", func(c *Config) { c.Namespace = "none" }) // it writes nothing by itself
	w.wait("it has read all", c.Synced)
	old := w.create("web")
	key := ledger.ServiceKey{Namespace: "shop", Name: "web"}
	w.wait("the Service is seen", func() bool { return c.caches.service(key) != nil })
	if err := c.bringBatch(t.Context(), &batch{whole: true}); err != nil {
		t.Fatal(err)
	}
	w.wait("the ledger is looked at", func() bool { return c.view.Load().state.Sequence() == w.ledger().Sequence() })
	if err := c.writeOne(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	w.wait("the cache shows the write", func() bool { return address(c.caches.service(key)) != "" })
	for range 3 {
		if err := c.caches.services.GetStore().Update(old); err != nil {
			t.Fatal(err)
		}
		if err := c.writeOne(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.counts.of("PATCH services/status"); n != 1 {
		t.Errorf("%d status writes", n)
	}
}

func TestAServiceThatLeavesLosesWhatWasWritten(t *testing.T) {
	w := newWorld(t)
	w.start("one")
	w.create("retyped")
	w.create("classed")
	w.waitAddress("retyped")
	w.waitAddress("classed")
	w.waitCondition("classed", control.ConditionAnnounced, "True", "")
	w.update("retyped", func(v *corev1.Service) {
		v.Spec.Type = corev1.ServiceTypeClusterIP
		v.Spec.AllocateLoadBalancerNodePorts = nil
	})
	w.wait("a Service of type ClusterIP has nothing of viplog's", func() bool {
		v := w.get("retyped")
		return address(v) == "" && len(v.Status.Conditions) == 0
	})
	// A class cannot change while the type stays, but the settings may.
	settings := w.ledger().Settings()
	settings.LoadBalancerClass = "viplog/own"
	w.append(settings)
	w.wait("a Service of another class has nothing of viplog's", func() bool {
		v := w.get("classed")
		return address(v) == "" && len(v.Status.Conditions) == 0
	})
	w.wait("neither is in the ledger", func() bool { return len(w.ledger().ServicesOf(Source)) == 0 })
	w.create("own", func(v *corev1.Service) { class := "viplog/own"; v.Spec.LoadBalancerClass = &class })
	w.create("other", func(v *corev1.Service) { class := "example.com/lb"; v.Spec.LoadBalancerClass = &class })
	w.waitAddress("own")
	if v := w.get("other"); len(v.Status.Conditions) > 0 || address(v) != "" {
		t.Errorf("the status of another's Service: %v", v.Status)
	}
}

func TestWhatAServiceCannotHaveIsExplained(t *testing.T) {
	w := newWorld(t)
	w.start("one")
	w.create("pool", func(v *corev1.Service) { v.Annotations = map[string]string{"metallb.io/address-pool": "none"} })
	w.waitCondition("pool", control.ConditionAssigned, "False", "none")
	w.waitEvent("shop", "pool", "AddressMissing: ")
	w.create("wrong", func(v *corev1.Service) { v.Annotations = map[string]string{"viplog/loadBalancerIPs": "web.example"} })
	w.waitCondition("wrong", control.ConditionAssigned, "False", `"web.example" is no IP address`)
	w.waitEvent("shop", "wrong", "Refused: ")
	w.create("inside", func(v *corev1.Service) {
		v.Spec.Type, v.Spec.AllocateLoadBalancerNodePorts = corev1.ServiceTypeNodePort, nil
		v.Annotations = map[string]string{"metallb.io/address-pool": "a"}
	})
	w.waitEvent("shop", "inside", "Ignored: only Services of type LoadBalancer have addresses, and this one is of type NodePort")
	w.update("wrong", func(v *corev1.Service) { v.Annotations = nil })
	w.waitCondition("wrong", control.ConditionAssigned, "True", "of pool a")
}

func TestTheIngressServiceGetsTheIngressVIPUnasked(t *testing.T) {
	w := newWorld(t)
	w.start("one")
	kubeclient.CreateNamespace(t, w.client, "gke-system")
	kubeclient.CreateService(t, w.client, kubeclient.LoadBalancer("gke-system", "istio-ingress", tcp80))
	w.wait("the ingressVIP", func() bool {
		v, err := w.client.CoreV1().Services("gke-system").Get(t.Context(), "istio-ingress", metav1.GetOptions{})
		return err == nil && address(v) == "10.0.200.1"
	})
}

func TestAServiceHasAnAddressOfEachFamilyThatItAsksFor(t *testing.T) {
	w := newWorldOf(t, lab.KubeAPIOptions{ClusterIPs: lab.DefaultClusterIPs + ",fd00:96::/108"})
	w.start("one")
	policy := func(p corev1.IPFamilyPolicy, families ...corev1.IPFamily) func(*corev1.Service) {
		return func(v *corev1.Service) { v.Spec.IPFamilyPolicy, v.Spec.IPFamilies = &p, families }
	}
	w.create("both", policy(corev1.IPFamilyPolicyRequireDualStack))
	w.create("six", policy(corev1.IPFamilyPolicySingleStack, corev1.IPv6Protocol))
	w.create("four")
	for name, want := range map[string]string{"both": "[10.0.64.1 fd00::1:1]", "six": "[fd00::1:2]", "four": "[10.0.64.2]"} {
		w.waitCondition(name, control.ConditionAnnounced, "True", " by ")
		var got []string
		for _, in := range w.get(name).Status.LoadBalancer.Ingress {
			got = append(got, in.IP)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
	// A Service that comes to want both keeps what it has.
	w.update("four", policy(corev1.IPFamilyPolicyPreferDualStack))
	w.waitCondition("four", control.ConditionAssigned, "True", "10.0.64.2 and fd00::1:3 of pool a")
}

func TestALocalServiceFollowsItsEndpoints(t *testing.T) {
	w := newWorld(t)
	w.start("one")
	for i, a := range lbNodes { // Kubernetes knows them by other names than the log
		kubeclient.CreateNode(t, w.client, kubeclient.Node{Name: fmt.Sprintf("node-%d", i+1), Addresses: []netip.Addr{a}})
	}
	kubeclient.CreateNode(t, w.client, kubeclient.Node{Name: "worker", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.99")}})
	v := w.create("local", func(v *corev1.Service) { v.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal })
	pod := netip.MustParseAddr("10.244.0.9")
	w.waitCondition("local", control.ConditionAnnounced, "False", "has no serving endpoint of shop/local (externalTrafficPolicy Local)")
	w.waitAddress("local")
	kubeclient.SetEndpoints(t, w.client, v, kubeclient.Endpoint{Address: pod, Node: "node-2"}, kubeclient.Endpoint{Address: pod.Next(), Node: "worker"})
	w.waitCondition("local", control.ConditionAnnounced, "True", " by lb-2 since ")
	if nodes := w.ledger().ServingNodes(ledger.ServiceKey{Namespace: "shop", Name: "local"}); !slices.Equal(nodes, []string{"lb-2"}) {
		t.Errorf("serving nodes in the log: %v", nodes)
	}
	no := false
	kubeclient.SetEndpoints(t, w.client, v, kubeclient.Endpoint{Address: pod, Node: "node-2"}, kubeclient.Endpoint{Address: pod.Next(), Node: "node-3"})
	w.waitCondition("local", control.ConditionAnnounced, "True", "then lb-3")
	down := kubeclient.Endpoint{Address: pod, Node: "node-2"}
	down.Conditions.Ready, down.Conditions.Serving = &no, &no
	kubeclient.SetEndpoints(t, w.client, v, down, kubeclient.Endpoint{Address: pod.Next(), Node: "node-3"})
	w.waitCondition("local", control.ConditionAnnounced, "True", " by lb-3 since ")
	w.waitEvent("shop", "local", "AnnouncerChanged: 10.0.64.1 is announced by lb-3, before that by lb-2")
	kubeclient.SetEndpoints(t, w.client, v)
	w.waitCondition("local", control.ConditionAnnounced, "False", "no owner")
}

func TestAFailOverIsShownOnce(t *testing.T) {
	w := newWorld(t)
	c := w.start("one")
	const n = 30
	for i := range n {
		w.create(fmt.Sprintf("web-%d", i))
	}
	for i := range n {
		w.waitAddress(fmt.Sprintf("web-%d", i))
	}
	w.wait("all is published", func() bool { return c.Published() == w.ledger().Sequence() })
	before := c.counts.of("PATCH services/status")
	s := w.ledger()
	first, _ := s.NodeNamed("lb-1")
	w.append(event.NodeLeft{Address: first.Address, Incarnation: first.Incarnation})
	w.wait("all is published", func() bool { return c.Published() == w.ledger().Sequence() })
	for i := range n {
		if c := condition(w.get(fmt.Sprintf("web-%d", i)), control.ConditionAnnounced); strings.Contains(c.Message, "lb-1") {
			t.Errorf("the node that left announces, by what is published: %s", c.Message)
		}
	}
	if writes := c.counts.of("PATCH services/status") - before; writes > n {
		t.Errorf("%d status writes for %d Services", writes, n)
	}
	time.Sleep(300 * time.Millisecond)
	if now := c.counts.of("PATCH services/status") - before; now > n {
		t.Errorf("%d status writes for %d Services, after a while", now, n)
	}
}
