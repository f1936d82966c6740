//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"viplog/adapters/identity"
	"viplog/adapters/jetstream"
	"viplog/core/event"
	"viplog/core/log"
	"viplog/fixtures/lab"
	"viplog/fixtures/lab/kubeclient"
)

// served is a lab in which what comes for a VIP is carried on by a real kube-proxy.
type served struct {
	*lan
	kube    kubernetes.Interface
	node    *lab.ClusterHost
	proxy   *lab.KubeProxy
	backend netip.Addr
	conn    *nats.Conn // of the controller
	log     log.Log
}

const servedCluster = "lab"

// newServed starts a node and a controller, with a flag for both, and an API server, a kube-proxy and a back end.
func newServed(t *testing.T, flags ...string) *served {
	n := newQuietLAN(t, lab.ClusterOptions{Nodes: 1, Controllers: 1})
	s := &served{lan: n, node: n.Hosts[0], backend: netip.MustParseAddr("10.244.0.9")}
	host := n.lab.Host("api")
	n.net.Attach(host, "eth0", "10.0.0.1/16")
	api := host.KubeAPI(netip.MustParseAddrPort("10.0.0.1:6443"), lab.KubeAPIOptions{})
	pods, pod := n.lab.Switch("pods"), n.lab.Host("pod")
	pods.Attach(s.node.Host, "pods", "10.244.0.1/24")
	pods.Attach(pod, "eth0", "10.244.0.9/24")
	pod.DefaultRoute(netip.MustParseAddr("10.244.0.1"))
	pod.Echo(netip.AddrPortFrom(s.backend, echoPort))
	api.WaitReady()
	s.kube = kubeclient.New(t, api, host)
	kubeclient.CreateNode(t, s.kube, kubeclient.Node{Name: s.node.Name, Addresses: []netip.Addr{s.node.Address}})
	kubeclient.CreateNamespace(t, s.kube, "shop")
	s.proxy = s.node.KubeProxy(api, s.node.Name)
	s.proxy.WaitHealthy()

	for _, h := range n.Hosts {
		h.Start(flags...)
	}
	n.Apply()
	n.joined(s.node, 30*time.Second)
	s.connect()
	return s
}

// connect opens the log with the controller's rights.
func (s *served) connect() {
	t := s.t
	t.Helper()
	controller := s.Hosts[1]
	who, err := identity.Read(filepath.Join(s.Operator(), "../../hosts", controller.Address.String()))
	if err != nil {
		t.Fatal(err)
	}
	s.conn, err = nats.Connect(strings.Join(who.Servers(), ","), append(who.NATSOptions(), nats.SetCustomDialer(hostDialer{controller.Host}))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.conn.Close)
	if s.log, err = jetstream.Open(t.Context(), s.conn, jetstream.Options{Cluster: servedCluster}); err != nil {
		t.Fatal(err)
	}
}

type hostDialer struct{ *lab.Host }

// Dial implements nats.CustomDialer.
func (d hostDialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return d.Host.Dial(ctx, network, address)
}

// create makes a Service with an endpoint, and does after a while what a controller does that writes statuses: the fact, the status, and the word that it
// is written.
func (s *served) create(name string, vip netip.Addr, after time.Duration) {
	t := s.t
	t.Helper()
	port := kubeclient.Port(corev1.ProtocolUDP, echoPort)
	service := kubeclient.CreateService(t, s.kube, kubeclient.LoadBalancer("shop", name, port))
	kubeclient.SetEndpoints(t, s.kube, service, kubeclient.Endpoint{Address: s.backend, Node: s.node.Name})
	time.Sleep(after)
	record, err := event.Encode(event.ServiceApplied{
		Namespace: "shop", Name: name, Source: event.SourceKubernetes, UID: string(service.UID), Families: []string{event.FamilyIPv4},
		FamilyPolicy: event.SingleStack, TrafficPolicy: event.TrafficCluster, RequestedAddresses: []netip.Addr{vip},
		Ports: []event.Port{{Protocol: "UDP", Port: echoPort}},
	})
	if err != nil {
		t.Fatal(err)
	}
	sequence, err := s.log.Append(t.Context(), log.Fact{Record: record, ID: name, Source: "control/test"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	kubeclient.SetIngress(t, s.kube, "shop", name, vip)
	if err := jetstream.SayPublished(s.conn, servedCluster, sequence); err != nil {
		t.Fatal(err)
	}
}

// flow is what became of a UDP flow that sends each 5 ms.
type flow struct {
	sent, answered int
	first          time.Duration // from the beginning to the first answer
	last           time.Duration // to the sending of the last that was answered
}

// flow sends from one socket for a while, and waits for answers for 200 ms more.
func (s *served) flow(vip netip.Addr, lasts time.Duration) (f flow) {
	t := s.t
	t.Helper()
	conn, err := s.client.Dial(t.Context(), "udp", netip.AddrPortFrom(vip, echoPort).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	received := make(chan error, 1)
	go func() {
		var b [8]byte
		for {
			_, err := io.ReadFull(conn, b[:])
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				received <- nil
				return
			}
			if err != nil {
				continue // nobody has the address yet: ICMP
			}
			if f.answered == 0 {
				f.first = time.Since(began)
			}
			f.answered++
			f.last = max(f.last, time.Duration(binary.BigEndian.Uint64(b[:])))
		}
	}()
	if err := conn.SetReadDeadline(began.Add(lasts + 200*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for at := time.Duration(0); at < lasts; at = time.Since(began) {
		_, _ = conn.Write(binary.BigEndian.AppendUint64(nil, uint64(at)))
		f.sent++
		time.Sleep(5 * time.Millisecond)
	}
	if err := <-received; err != nil {
		t.Fatal(err)
	}
	return f
}

// kube-proxy syncs once a second. What the second of the pauses lets it miss it makes up for by no look at flows, as it does when endpoints change: without
// waiting for it, a flow that begins then is never answered.
func TestAUDPFlowThatBeginsWithTheStatusIsAnswered(t *testing.T) {
	s := newServed(t, "--data-plane", "auto")
	for i, after := range []time.Duration{0, 1100 * time.Millisecond, 1100 * time.Millisecond, 3 * time.Second} {
		name, vip := fmt.Sprintf("web-%d", i), netip.AddrFrom4([4]byte{10, 0, 65, byte(1 + i)})
		s.create(name, vip, after)
		const lasts = 4 * time.Second
		f := s.flow(vip, lasts)
		t.Logf("%s: %d of %d answered, the first after %v", name, f.answered, f.sent, f.first)
		if f.answered == 0 || f.first > 1500*time.Millisecond || f.last < lasts-100*time.Millisecond {
			t.Errorf("%s: a flow that began with the status is answered after %v and up to %v, %d of %d", name, f.first, f.last, f.answered, f.sent)
		}
	}
	if said := s.node.Viplog.Said(); strings.Count(said, "its data plane serves it") != 4 {
		t.Errorf("the node does not say that it waited for each address:\n%s", said)
	}
}
