//go:build linux

package doctor

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// leastMTU carries a heartbeat of 1,400 bytes with the headers of UDP and IPv6.
const leastMTU = 1400 + 8 + 40

// checkNIC looks at what the interface is, and whether its network gives it frames for addresses that it was not given.
func checkNIC(_ context.Context, h host, f Facts) []Finding {
	l, all, err := f.chosen()
	if err != nil {
		return []Finding{skipped("nic/link", f.Interface, nameIt, "%v", err)}
	}
	return append([]Finding{judgeLink(l, all), judgeMTU(l), h.judgeSpeed(l)}, h.judgeNetwork(l))
}

func judgeLink(l link, all []link) Finding {
	const id = "nic/link"
	switch {
	case l.Flags&net.FlagUp == 0:
		return wrong(id, l.Name, "ip link set "+l.Name+" up", "it is switched off")
	case l.RawFlags&unix.IFF_LOWER_UP == 0 || l.Flags&net.FlagRunning == 0:
		return wrong(id, l.Name, "look at the cable and the switch's port", "it has no carrier")
	case l.RawFlags&unix.IFF_NOARP != 0 || len(l.HardwareAddr) != 6:
		return wrong(id, l.Name, "give the node's address to an Ethernet interface",
			"it does not speak ARP, so no neighbour can be told of an address (%s)", l.kind)
	case l.MasterIndex != 0 && isPort(all, l.MasterIndex):
		return wrong(id, l.Name, "give the node's address to "+nameOf(all, l.MasterIndex),
			"it is part of %s, which gets its frames", nameOf(all, l.MasterIndex))
	case l.kind == "ipvlan" || l.kind == "ipvtap":
		return wrong(id, l.Name, "use the interface below, or a macvlan", "it is an ipvlan: what is not its own address never reaches it")
	}
	return fine(id, l.Name, "it is up and has a carrier (%s, %s)", l.kind, l.HardwareAddr)
}

// isPort tells whether a master takes its ports' frames: a VRF does not.
func isPort(all []link, master int) bool {
	for _, l := range all {
		if l.Index == master {
			return l.kind != "vrf"
		}
	}
	return true
}

func nameOf(all []link, index int) string {
	for _, l := range all {
		if l.Index == index {
			return l.Name
		}
	}
	return "another interface"
}

func judgeMTU(l link) Finding {
	if l.MTU < leastMTU {
		return doubtful("nic/mtu", l.Name, "raise it to "+strconv.Itoa(leastMTU)+" or more on the whole segment",
			"the MTU is %d: heartbeats, which have up to 1,400 bytes, are sent in fragments, and a lost one loses all", l.MTU)
	}
	return fine("nic/mtu", l.Name, "the MTU is %d", l.MTU)
}

// judgeSpeed reads what the driver has agreed on with the switch; virtual cards have none.
func (h host) judgeSpeed(l link) Finding {
	const id = "nic/speed"
	folder := filepath.Join(h.sys, "class/net", l.Name)
	speed, err := strconv.Atoi(textOf(folder, "speed"))
	duplex := textOf(folder, "duplex")
	switch {
	case err != nil || speed <= 0:
		return skipped(id, l.Name, "", "the driver does not say how fast it is")
	case duplex == "half":
		return doubtful(id, l.Name, "let both the card and the switch's port negotiate",
			"%d Mbit/s, half duplex: frames collide, and heartbeats are lost under load", speed)
	case speed < 100:
		return doubtful(id, l.Name, "look at the cable: a broken pair makes a gigabit link a slow one", "%d Mbit/s", speed)
	}
	return fine(id, l.Name, "%d Mbit/s, %s duplex", speed, duplex)
}

const useProviders = "use the provider's load balancers"

// clouds give frames for an address only to the card that they gave the address to, as the DMI tables call them (sys_vendor or product_name).
var clouds = []struct{ mark, do string }{
	{"Amazon EC2", useProviders + ": ARP is answered by the provider, who knows only what addresses it gave"},
	{"Google Compute Engine", useProviders + ": ARP is answered by the provider, who knows only what addresses it gave"},
	{"Alibaba Cloud", useProviders},
	{"DigitalOcean", useProviders + " or reserved addresses"},
	{"Hetzner", useProviders + " or floating addresses; a vSwitch or dedicated servers may do"},
	{"Oracle Cloud", useProviders},
	{"OpenStack", "allow the pools' addresses on the port of each node: openstack port set --allowed-address ip-address=…"},
}

func (h host) judgeNetwork(l link) Finding {
	const id = "nic/network"
	folder := filepath.Join(h.sys, "class/net", l.Name)
	if exists(folder, "wireless") || exists(folder, "phy80211") {
		return doubtful(id, l.Name, "use a cable; or ip link set "+l.Name+" promisc on, and try it with viplog probe",
			"it is Wi-Fi: access points and cards often keep broadcast ARP, or frames for other addresses, from a host (metallb #253, #284)")
	}
	dmi := filepath.Join(h.sys, "class/dmi/id")
	machine := strings.TrimSpace(textOf(dmi, "sys_vendor") + " " + textOf(dmi, "product_name"))
	for _, c := range clouds {
		if strings.Contains(machine, c.mark) {
			return doubtful(id, l.Name, c.do,
				"the machine is a %q: such networks drop what is sent from or to an address that the port was not given", machine)
		}
	}
	if machine == "Microsoft Corporation Virtual Machine" && textOf(dmi, "chassis_asset_tag") == azureTag {
		return doubtful(id, l.Name, useProviders, "the machine is one of Azure's, whose network answers ARP itself")
	}
	if machine == "" {
		machine = "the machine does not say what it is"
	}
	return fine(id, l.Name, "nothing is known of its network that would filter addresses (%s)", machine)
}

// azureTag tells a machine of Azure's from another one of Hyper-V.
const azureTag = "7783-7084-3265-9085-8269-3286-77"

func exists(parts ...string) bool {
	_, err := os.Stat(filepath.Join(parts...))
	return err == nil
}
