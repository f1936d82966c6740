//go:build linux

package main

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"viplog/fixtures/lab"
	"viplog/fixtures/lab/kubecluster"
)

// announcedBy is the node that a Service's status names; "" for none.
func announcedBy(t *testing.T, c *kubecluster.Cluster, name string) string {
	t.Helper()
	node, err := c.AnnouncedBy(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return node
}

// askOnce asks with a second's patience.
func askOnce(t *testing.T, from *lab.Host, at netip.Addr, port uint16) (kubecluster.Seen, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	return kubecluster.Ask(ctx, from, netip.AddrPortFrom(at, port))
}

// servedFor waits for an answer.
func servedFor(t *testing.T, from *lab.Host, at netip.Addr, port uint16) (seen kubecluster.Seen) {
	t.Helper()
	within(t, 20*time.Second, at.String()+" answers "+from.Name, func() bool {
		var err error
		seen, err = askOnce(t, from, at, port)
		return err == nil
	})
	return seen
}

// Policy Local keeps the client's address and follows the endpoints; under Cluster a Pod sees a node.
func TestWhatPodsSeeOfClients(t *testing.T) {
	c := kubecluster.New(t, kubecluster.Options{})
	c.Create(kubecluster.NewService("cluster"), c.Pods...)
	local := kubecluster.NewService("local")
	local.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	created := c.Create(local, c.Pods[1])
	clients := map[*lab.Host]string{c.Near: kubecluster.NearAt.String(), c.Far: kubecluster.FarAt.String()}

	vip := c.MustShow("cluster")
	for from, at := range clients {
		if seen := servedFor(t, from, vip, kubecluster.HTTPPort); seen.From == at || !strings.HasPrefix(seen.From, "10.244.0.") {
			t.Errorf("Cluster, %s: the Pod sees %s, which is no node's", from.Name, seen.From)
		}
		if seen := servedFor(t, from, vip, kubecluster.ProxyPort); seen.ForwardedFor == at || !strings.HasPrefix(seen.ForwardedFor, "10.244.0.") {
			t.Errorf("Cluster, %s: X-Forwarded-For is %s, which is no node's", from.Name, seen.ForwardedFor)
		}
	}

	vip = c.MustShow("local")
	for _, on := range []*kubecluster.Pod{c.Pods[1], c.Pods[2]} {
		c.SetEndpoints(created, on)
		within(t, 20*time.Second, on.Node.Name+" announces it, where its endpoint is", func() bool { return announcedBy(t, c, "local") == on.Node.Name })
		for from, at := range clients {
			within(t, 20*time.Second, "the Pod answers "+from.Name+" that is an endpoint now", func() bool {
				seen, err := askOnce(t, from, vip, kubecluster.HTTPPort)
				return err == nil && seen.Pod == on.Host.Name
			})
			if seen := servedFor(t, from, vip, kubecluster.HTTPPort); seen.From != at {
				t.Errorf("Local, %s: the Pod sees %s", from.Name, seen.From)
			}
			if seen := servedFor(t, from, vip, kubecluster.ProxyPort); seen.ForwardedFor != at {
				t.Errorf("Local, %s: X-Forwarded-For is %s", from.Name, seen.ForwardedFor)
			}
		}
	}

	c.SetEndpoints(created)
	within(t, 20*time.Second, "nobody announces it without an endpoint", func() bool { return announcedBy(t, c, "local") == "" })
	service, err := c.Kube.CoreV1().Services(kubecluster.Namespace).Get(t.Context(), "local", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	told := false
	for _, condition := range service.Status.Conditions {
		told = told || condition.Type == "viplog/Announced" && strings.Contains(condition.Message, "endpoint")
	}
	if !told || len(service.Status.LoadBalancer.Ingress) != 1 {
		t.Errorf("without endpoints its status is %+v", service.Status)
	}
}

// While the API server is away a node may die: others take its address over, and when the server is back statuses say so, without a move.
func TestANodeDiesWhileTheAPIServerIsAway(t *testing.T) {
	c := kubecluster.New(t, kubecluster.Options{})
	c.Create(kubecluster.NewService("web"), c.Pods...)
	vip := c.MustShow("web")
	servedFor(t, c.Far, vip, kubecluster.HTTPPort)
	c.WaitReady(1)
	owner := c.Owner(vip)
	c.API.Kill()
	time.Sleep(time.Second)

	asking, end := context.WithCancel(t.Context())
	defer end()
	var requests []kubecluster.Request
	var all sync.WaitGroup
	all.Go(func() {
		requests = kubecluster.Requests(asking, c.Far, netip.AddrPortFrom(vip, kubecluster.HTTPPort), 20*time.Millisecond, 900*time.Millisecond)
	})
	time.Sleep(500 * time.Millisecond)
	c.LAN.Cut(owner.Host, "eth0")
	time.Sleep(10 * time.Second)
	end()
	all.Wait()
	outage, failed := kubecluster.Outage(requests)
	t.Logf("%d of %d requests failed, in %s", failed, len(requests), outage)
	if outage > 2*time.Second || failed == 0 {
		t.Errorf("an outage of %s, in which %d requests failed", outage, failed)
	}
	now := c.Owner(vip)
	if now == owner {
		t.Fatalf("%s still owns the address", owner.Name)
	}

	c.API.Start()
	c.API.WaitReady()
	within(t, time.Minute, "the status names "+now.Name, func() bool { return announcedBy(t, c, "web") == now.Name })
	if got := c.MustShow("web"); got != vip {
		t.Errorf("the Service has another address, %s", got)
	}
	time.Sleep(2 * time.Second)
	if last := c.Owner(vip); last != now {
		t.Errorf("the return of the API server moved the address from %s to %s", now.Name, last.Name)
	}
	if _, err := askOnce(t, c.Far, vip, kubecluster.HTTPPort); err != nil {
		t.Error(err)
	}
}

// A flow that begins when the status shows an address is answered within 1.5 s, and goes on being answered: kube-proxy knew the address before anybody announced it.
func TestAUDPFlowThatBeginsWithTheStatusIsServed(t *testing.T) {
	c := kubecluster.New(t, kubecluster.Options{})
	for _, name := range []string{"one", "two", "three"} { // kube-proxy writes rules once a second: at different times of that second
		c.Create(kubecluster.NewService(name), c.Pods...)
		vip, _, err := c.Shown(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		flow, err := kubecluster.Talk(t.Context(), c.Near, netip.AddrPortFrom(vip, kubecluster.EchoPort), 10*time.Millisecond, 3*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: the first answer after %s, then %d of %d missed", name, flow.First, flow.Missed, flow.Sent)
		if flow.First == 0 || flow.Missed > 0 {
			t.Errorf("%s is a black hole: %+v", name, flow)
		}
	}
}
