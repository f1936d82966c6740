//go:build linux

package doctor

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"viplog/core/event"
)

func TestTheNodesAddressIsInTheSubnetOfTheVIP(t *testing.T) {
	_, s, h := node(t)
	s.Attach(h, "eth1", "192.168.0.1/24")
	well(t, looked(t, h, Facts{Self: self, Plan: plan()}, "interface"))
	far := plan()
	far.VIP = netip.MustParseAddr("192.168.0.100")
	subnet := func(prefix, on string) []event.Subnet {
		return []event.Subnet{{Prefix: netip.MustParsePrefix(prefix), Interface: on}}
	}
	for _, c := range []struct {
		facts    Facts
		id       string
		severity Severity
		says     string
	}{
		{Facts{Self: self, Plan: plan()}, "interface/subnet", OK, "10.0.0.100 is in 10.0.0.0/24"},
		{Facts{Self: self, Plan: plan(), Subnets: subnet("10.0.0.0/16", "eth0")}, "interface/subnet", OK, "declared subnet 10.0.0.0/16"},
		{Facts{Self: self, Plan: far}, "interface/subnet", Warning, "is not in 10.0.0.0/24"},
		{Facts{Self: self, Plan: far, Subnets: subnet("192.168.0.0/24", "")}, "interface/subnet", Error, "and the node's address 10.0.0.1 is not"},
		{Facts{Self: self, Plan: far, Subnets: subnet("10.0.0.0/24", "")}, "interface/subnet", Error, "in none of the declared"},
		{Facts{Self: self, Plan: plan(), Subnets: subnet("10.0.0.0/24", "eth1")}, "interface/subnet", Error, "said to be on eth1"},
		{Facts{Self: peer, Plan: plan()}, "interface/address", Error, "no interface has"},
		{Facts{Self: self, Interface: "eth1"}, "interface/address", Error, "10.0.0.1 is on eth0, not on eth1"},
		{Facts{Self: self, Interface: "eth0"}, "interface/address", OK, "10.0.0.1"},
	} {
		expect(t, looked(t, h, c.facts, "interface"), c.id, c.severity, c.says)
	}
}

func TestALinkHasToCarryFramesOfItsOwn(t *testing.T) {
	_, s, h := node(t)
	f := Facts{Self: self}
	well(t, looked(t, h, f, "nic"))
	expect(t, looked(t, h, f, "nic"), "nic/link", OK, "veth, 02:00:00:00:00:01")

	h.Change("eth0", func(l netlink.Link) error { return netlink.LinkSetMTU(l, 1280) })
	expect(t, looked(t, h, f, "nic"), "nic/mtu", Warning, "the MTU is 1280")
	h.Change("eth0", func(l netlink.Link) error { return netlink.LinkSetMTU(l, 1500) })

	s.Cut(h, "eth0")
	expect(t, looked(t, h, f, "nic"), "nic/link", Error, "no carrier")
	s.Mend(h, "eth0")

	h.Change("eth0", netlink.LinkSetARPOff)
	expect(t, looked(t, h, f, "nic"), "nic/link", Error, "does not speak ARP")
	h.Change("eth0", netlink.LinkSetARPOn)

	h.Add(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}})
	h.Change("eth0", func(l netlink.Link) error {
		br, err := netlink.LinkByName("br0")
		if err != nil {
			return err
		}
		return netlink.LinkSetMaster(l, br)
	})
	expect(t, looked(t, h, f, "nic"), "nic/link", Error, "part of br0")
	h.Change("eth0", netlink.LinkSetNoMaster)
	well(t, looked(t, h, f, "nic"))

	h.Change("eth0", netlink.LinkSetDown)
	expect(t, looked(t, h, f, "nic"), "nic/link", Error, "switched off")
	expect(t, looked(t, h, Facts{Interface: "eth7"}, "nic"), "nic/link", Skipped, "no interface eth7")
}

func TestWhatTheCardAndTheMachineSay(t *testing.T) {
	_, _, at := node(t)
	const card, dmi = "class/net/eth0/", "class/dmi/id/"
	for _, c := range []struct {
		files    map[string]string
		id       string
		severity Severity
		says     string
	}{
		{map[string]string{card + "speed": "10000\n", card + "duplex": "full\n"}, "nic/speed", OK, "10000 Mbit/s, full"},
		{map[string]string{card + "speed": "100\n", card + "duplex": "half\n"}, "nic/speed", Warning, "half duplex"},
		{map[string]string{card + "speed": "10\n", card + "duplex": "full\n"}, "nic/speed", Warning, "10 Mbit/s"},
		{map[string]string{card + "speed": "-1\n", card + "duplex": "unknown\n"}, "nic/speed", Skipped, "does not say"},
		{nil, "nic/speed", Skipped, "does not say"},
		{map[string]string{card + "wireless/.keep": ""}, "nic/network", Warning, "Wi-Fi"},
		{map[string]string{dmi + "sys_vendor": "Amazon EC2\n", dmi + "product_name": "m5.large\n"}, "nic/network", Warning, `"Amazon EC2 m5.large"`},
		{map[string]string{dmi + "sys_vendor": "OpenStack Foundation\n", dmi + "product_name": "OpenStack Nova\n"}, "nic/network", Warning, "OpenStack"},
		{map[string]string{dmi + "sys_vendor": "Microsoft Corporation\n", dmi + "product_name": "Virtual Machine\n", dmi + "chassis_asset_tag": azureTag + "\n"}, "nic/network", Warning, "Azure"},
		{map[string]string{dmi + "sys_vendor": "Microsoft Corporation\n", dmi + "product_name": "Virtual Machine\n"}, "nic/network", OK, "Virtual Machine"},
		{map[string]string{dmi + "sys_vendor": "Dell Inc.\n", dmi + "product_name": "PowerEdge R640\n"}, "nic/network", OK, "PowerEdge"},
	} {
		h := thisHost()
		h.sys = recorded(t, c.files)
		expect(t, lookedBy(t, at, h, Facts{Self: self}, "nic"), c.id, c.severity, c.says)
	}
}

func TestKernelSettingsThatBreakSomething(t *testing.T) {
	_, s, h := node(t)
	h.Forward() // as a node of Kubernetes does
	f := Facts{Self: self, Plan: plan(), Ignored: func(name string) bool { return name == "docker0" }}
	well(t, looked(t, h, f, "sysctls"))
	for _, c := range []struct{ name, value, back, id, says string }{
		{"net/ipv4/conf/eth0/arp_ignore", "8", "0", "sysctls/arp-ignore", "answers for no address"},
		{"net/ipv4/conf/all/drop_gratuitous_arp", "1", "0", "sysctls/drop-gratuitous-arp", "ignores gratuitous ARP"},
		{"net/ipv4/conf/eth0/forwarding", "0", "1", "sysctls/forwarding", "not forwarded"},
	} {
		sysctl(t, h, c.name, c.value)
		severity := Warning
		if c.id == "sysctls/arp-ignore" {
			severity = Error
		}
		expect(t, looked(t, h, f, "sysctls"), c.id, severity, c.says)
		sysctl(t, h, c.name, c.back)
		well(t, looked(t, h, f, "sysctls"))
	}
	for _, value := range []string{"1", "2"} { // as kube-proxy sets it, and as some do by hand
		sysctl(t, h, "net/ipv4/conf/all/arp_ignore", value)
		well(t, looked(t, h, f, "sysctls"))
	}

	sysctl(t, h, "net/ipv4/conf/eth0/rp_filter", "1")
	well(t, looked(t, h, f, "sysctls"))
	s.Attach(h, "docker0", "172.17.0.1/16")
	well(t, looked(t, h, f, "sysctls"))
	s.Attach(h, "eth1", "192.168.0.1/24")
	expect(t, looked(t, h, f, "sysctls"), "sysctls/rp-filter", Warning, "(eth0, eth1)")
	sysctl(t, h, "net/ipv4/conf/all/rp_filter", "2")
	well(t, looked(t, h, f, "sysctls"))
}

func TestKernelSettingsOfIPv6MatterWhereItIsUsed(t *testing.T) {
	_, _, h := node(t)
	h.Forward()
	four := Facts{Self: self}
	both := Facts{Self: self, Subnets: []event.Subnet{{Prefix: netip.MustParsePrefix("fd00::/64")}}}
	well(t, looked(t, h, both, "sysctls"))

	sysctl(t, h, "net/ipv6/conf/eth0/disable_ipv6", "1")
	well(t, looked(t, h, four, "sysctls"))
	expect(t, looked(t, h, both, "sysctls"), "sysctls/disable-ipv6", Error, "switched off")
	sysctl(t, h, "net/ipv6/conf/eth0/disable_ipv6", "0")

	h.Addresses("eth0", "fd00::1/64")
	sysctl(t, h, "net/ipv6/conf/eth0/accept_ra", "1")
	well(t, looked(t, h, both, "sysctls"))
	h.Change("eth0", func(l netlink.Link) error {
		return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: netip.MustParseAddr("fd00::fe").AsSlice(), Protocol: unix.RTPROT_RA})
	})
	expect(t, looked(t, h, both, "sysctls"), "sysctls/accept-ra", Warning, "it will end")
	sysctl(t, h, "net/ipv6/conf/eth0/accept_ra", "2")
	well(t, looked(t, h, both, "sysctls"))

	sysctl(t, h, "net/ipv6/conf/all/forwarding", "0")
	expect(t, looked(t, h, both, "sysctls"), "sysctls/forwarding-ipv6", Warning, "not forwarded")
}
