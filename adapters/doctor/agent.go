//go:build linux

package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// may tells whether this process has a capability.
func (h host) may(capability int) bool {
	for row := range strings.Lines(line(h.proc, "thread-self/status")) {
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

// Other programs that announce addresses, by the names of their processes.
var announcers = map[string]string{
	"speaker": "MetalLB's speaker", "kube-vip": "kube-vip", "openelb-speaker": "OpenELB", "lbnodeagent": "PureLB",
}

// checkAgent looks who announces addresses here: viplog's node, one of another cluster, other products. It takes no lock, so that an agent that
// starts meanwhile finds it free.
func checkAgent(_ context.Context, h host, f Facts) []Finding {
	findings := []Finding{h.judgeNodes(f), h.judgeLock(f)}
	for _, p := range h.neighbours() {
		if what, is := announcers[p.name]; is {
			findings = append(findings, doubtful("agent/others", fmt.Sprintf("pid %d", p.pid),
				"stop it before viplog gets the same addresses (docs/operations.md)",
				"%s runs here: two that answer for an address make its clients change between them", what))
		}
	}
	return findings
}

// judgeNodes looks at the abstract sockets that keep a second node of a cluster out of a network namespace: @viplog/CLUSTER/node.
func (h host) judgeNodes(f Facts) Finding {
	const id = "agent/node"
	var others []string
	own := false
	for row := range strings.Lines(line(h.proc, "thread-self/net/unix")) {
		fields := strings.Fields(row)
		if len(fields) < 8 {
			continue
		}
		cluster, is := strings.CutPrefix(fields[len(fields)-1], "@viplog/")
		cluster, isNode := strings.CutSuffix(cluster, "/node")
		switch {
		case !is || !isNode:
		case f.Cluster == "" || cluster == f.Cluster:
			own = true
		case !slices.Contains(others, cluster):
			others = append(others, cluster)
		}
	}
	switch {
	case len(others) > 0:
		return doubtful(id, "", "see that their pools, and the VRRP router ids, have nothing in common; or run one of them elsewhere",
			"a node of another cluster answers here (%s)", strings.Join(others, ", "))
	case own:
		return fine(id, "", "viplog's node answers here")
	}
	return fine(id, "", "no viplog node answers here")
}

// judgeLock finds who has the agent's folder of data, by /proc/locks: number, kind, mode, access, pid, device and inode (proc(5)).
func (h host) judgeLock(f Facts) Finding {
	const id = "agent/data"
	path := filepath.Join(f.Data, "viplog.lock")
	info, err := os.Stat(path)
	if f.Data == "" || err != nil {
		return fine(id, f.Data, "no agent has used the folder of data")
	}
	for row := range strings.Lines(line(h.proc, "locks")) {
		fields := strings.Fields(row)
		if len(fields) < 6 || fields[1] != "FLOCK" || !isInode(fields[5], info) {
			continue
		}
		pid, _ := strconv.Atoi(fields[4])
		switch name := line(h.proc, fields[4], "comm"); {
		case name == "" || name == "viplog":
			return fine(id, f.Data, "an agent has the folder of data (pid %d)", pid)
		default:
			return wrong(id, f.Data, "end it: an agent does not start without its lock", "%s (pid %d) holds %s", name, pid, path)
		}
	}
	return fine(id, f.Data, "no agent has the folder of data at present")
}

// isInode compares what /proc/locks calls a file, like fe:00:4711 (hexadecimal device, decimal inode), with what stat says of it.
func isInode(text string, info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	return text == fmt.Sprintf("%02x:%02x:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino)
}

// renewBefore is how long before its end a certificate is spoken of; `viplog init` renews in the last year.
const renewBefore = 60 * 24 * time.Hour

// checkIdentity looks at the host's folder of keys and certificates.
func checkIdentity(_ context.Context, h host, f Facts) []Finding {
	const id = "identity/folder"
	switch i := f.Identity; {
	case i == nil:
		return []Finding{skipped(id, "", "make it with viplog init, copy it here, and name it with --identity",
			"no folder of keys and certificates was named or found")}
	case i.Problem != nil:
		return []Finding{wrong(id, i.Folder, "copy the host's folder anew from where viplog init wrote it", "%v", i.Problem)}
	case i.Expires.Sub(h.now()) < renewBefore:
		return []Finding{doubtful(id, i.Folder, "run viplog init again, and copy the folder here",
			"its certificate ends at %s: then no process of this host is let in", i.Expires.UTC().Format(time.RFC3339))}
	default:
		return []Finding{fine(id, i.Folder, "it can be read, and its certificate holds until %s", i.Expires.UTC().Format(time.RFC3339))}
	}
}
