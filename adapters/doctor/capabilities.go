//go:build linux

package doctor

import (
	"context"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// may tells whether this process has a capability.
func (h host) may(capability int) bool {
	for row := range strings.Lines(textOf(h.proc, "thread-self/status")) {
		if text, is := strings.CutPrefix(row, "CapEff:"); is {
			set, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
			return err == nil && set&(1<<capability) != 0
		}
	}
	return false
}

// checkCapabilities looks at this process; the agent has what its unit or pod gives it.
func checkCapabilities(_ context.Context, h host, _ Facts) []Finding {
	const do = "run this as the agent runs; give the agent it by AmbientCapabilities= of its unit or capabilities.add of its pod"
	raw := fine("capabilities/net-raw", "", "CAP_NET_RAW is there: ARP and neighbour discovery can be answered")
	if !h.may(unix.CAP_NET_RAW) {
		raw = wrong("capabilities/net-raw", "", do,
			"CAP_NET_RAW is missing: nothing can be answered or announced, and the checks of VRRP and the gateway are skipped")
	}
	admin := fine("capabilities/net-admin", "", "CAP_NET_ADMIN is there: sockets get the buffers that they ask for")
	if !h.may(unix.CAP_NET_ADMIN) {
		admin = doubtful("capabilities/net-admin", "", do+"; or sysctl -w net.core.rmem_max=4194304",
			"CAP_NET_ADMIN is missing: sockets have no more buffer than net.core.rmem_max, and a burst of questions may overflow it")
	}
	return []Finding{raw, admin}
}
