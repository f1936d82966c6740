//go:build linux

package main

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"viplog/adapters/probe"
	"viplog/fixtures/lab"
)

const sharedServices = `apiVersion: v1
kind: Service
metadata:
  name: both
  namespace: default
  annotations: {viplog/allow-shared-ip: web, viplog/loadBalancerIPs: "10.0.64.5,fd00::1:5"}
spec: {type: LoadBalancer, ports: [{port: 80}], ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv4, IPv6]}
---
apiVersion: v1
kind: Service
metadata:
  name: six
  namespace: default
  annotations: {viplog/allow-shared-ip: web, viplog/loadBalancerIPs: "fd00::1:5"}
spec: {type: LoadBalancer, ports: [{port: 443}], ipFamilies: [IPv6]}
`

// An IPv6 address has one owner, whoever shares it; and that answers for it also after its link was down, and with the MAC that it then has.
func TestAnIPv6AddressIsAnsweredForByOneWhateverHappensToItsLink(t *testing.T) {
	n := newQuietLAN(t, lab.ClusterOptions{Nodes: 3, IPv6: true})
	n.Manifests(sharedServices)
	n.begin(2)
	four, six := netip.MustParseAddr("10.0.64.5"), netip.MustParseAddr("fd00::1:5")

	t.Run("a dual-stack Service and another share it", func(t *testing.T) {
		n := n.as(t)
		told := string(n.Run("explain", "address", six.String()))
		if !strings.Contains(told, "default/both") || !strings.Contains(told, "default/six") {
			t.Fatalf("they do not share it:\n%s", told)
		}
		r := n.ask(six, time.Second, func() {}, probe.ARP)
		if len(r.Holders) != 1 {
			t.Errorf("it has the owners %+v", r.Holders)
		}
		tell(t, r)
		t.Logf("%s and %s own %s and %s", n.Owner(four).Name, n.Owner(six).Name, four, six)
	})

	owner := n.answering(six, 5*time.Second, nil)
	for _, h := range n.Hosts {
		if h != owner {
			n.Run("drain", h.Name)
		}
	}
	n.owns(owner, four, 10*time.Second)
	t.Run("its owner's link was down", func(t *testing.T) {
		n := n.as(t)
		n.net.Cut(owner.Host, "eth0")
		time.Sleep(500 * time.Millisecond)
		if r := n.once(six); len(r.Holders) > 0 {
			t.Errorf("it was answered for without a link: %+v", r.Holders)
		}
		n.net.Mend(owner.Host, "eth0")
		began := time.Now()
		n.answering(six, 20*time.Second, nil)
		n.answering(four, 20*time.Second, nil)
		t.Logf("%s after its link was back", time.Since(began))
	})
	t.Run("its owner's link has another MAC", func(t *testing.T) {
		n := n.as(t)
		mac := net.HardwareAddr{2, 0, 0, 0, 9, 9}
		old := owner.MAC("eth0")
		owner.Change("eth0", func(l netlink.Link) error { return netlink.LinkSetHardwareAddr(l, mac) })
		began := time.Now()
		for _, a := range []netip.Addr{four, six} {
			n.answering(a, 20*time.Second, nil)
			t.Logf("%s after %s", a, time.Since(began))
			r := n.ask(a, time.Second, func() {}, probe.ARP)
			if slices.ContainsFunc(r.Holders, func(h probe.Holder) bool { return h.MAC == old.String() }) || len(r.Holders) == 0 {
				t.Errorf("%s is answered for by %+v", a, r.Holders)
			}
		}
	})
}

// Nodes reach controllers and voters over one interface, and have an address's subnet on another one.
func TestAnAddressBelongsToTheInterfaceInItsSubnet(t *testing.T) {
	n := newQuietLAN(t, lab.ClusterOptions{Nodes: 3, Further: "10.1.64.1-10.1.127.255"})
	front := n.lab.Switch("front")
	for i, h := range n.Hosts {
		front.Attach(h.Host, "eth1", netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(11 + i)}), 16).String())
	}
	n.Manifests(`apiVersion: v1
kind: Service
metadata: {name: back, namespace: default, annotations: {viplog/address-pool: pool}}
spec: {type: LoadBalancer, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: front, namespace: default, annotations: {viplog/address-pool: further}}
spec: {type: LoadBalancer, ports: [{port: 80}]}
`)
	ahead := *n
	ahead.port, ahead.net, ahead.client = "eth1", front, n.lab.Host("client-front")
	front.Attach(ahead.client, "eth0", "10.1.0.200/16", "10.0.0.200/16")
	n.client.Addresses("eth0", "10.1.0.201/16") // as if both subnets were here
	n.beginOnly(2)
	inBack, inFront := n.vips[0], n.vips[1]
	ahead.vips = n.vips

	n.answering(inBack, 10*time.Second, nil)
	owner := ahead.answering(inFront, 10*time.Second, nil)
	for _, wrong := range []struct {
		on *lan
		a  netip.Addr
	}{{n, inFront}, {&ahead, inBack}} {
		if r := wrong.on.ask(wrong.a, time.Second, func() {}, probe.ARP); len(r.Holders) > 0 {
			t.Errorf("%s is answered for on the other segment: %+v", wrong.a, r.Holders)
		}
	}

	leases := strings.Count(owner.Viplog.Said(), `"msg":"lease lost"`)
	r := ahead.ask(inFront, 3*time.Second, func() { front.Cut(owner.Host, "eth1") }, probe.ARP)
	tell(t, r)
	neverTwo(t, r)
	next := ahead.answering(inFront, 10*time.Second, []*lab.ClusterHost{owner})
	n.joined(owner, time.Second)
	if now := strings.Count(owner.Viplog.Said(), `"msg":"lease lost"`); now > leases {
		t.Errorf("%s lost its lease, although its other link was well", owner.Name)
	}
	n.answering(inBack, 5*time.Second, nil)
	front.Mend(owner.Host, "eth1")
	time.Sleep(time.Second)
	if by := ahead.answering(inFront, 5*time.Second, nil); by != next {
		t.Errorf("%s answers, and not %s, when the link is back", by.Name, next.Name)
	}
}
