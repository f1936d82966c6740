//go:build linux

package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Other programs that announce addresses, by the names of their processes.
var announcers = map[string]string{
	"speaker": "MetalLB's speaker", "kube-vip": "kube-vip", "openelb-speaker": "OpenELB", "lbnodeagent": "PureLB",
}

// checkAgent looks who announces addresses here: viplog's node, one of another cluster, other products. It takes no lock, so that an agent that
// starts meanwhile finds it free.
func checkAgent(_ context.Context, h host, f Facts) []Finding {
	findings := []Finding{h.judgeNodes(f), h.judgeLock(f)}
	for _, p := range h.inNamespace() {
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
	for row := range strings.Lines(textOf(h.proc, "thread-self/net/unix")) {
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
	switch {
	case f.Data == "" || errors.Is(err, os.ErrNotExist):
		return fine(id, f.Data, "no agent has used the folder of data")
	case err != nil:
		return skipped(id, f.Data, "run it as root", "who has the folder of data cannot be seen: %v", err)
	}
	for row := range strings.Lines(textOf(h.proc, "locks")) {
		fields := strings.Fields(row)
		if len(fields) < 6 || fields[1] != "FLOCK" || !isInode(fields[5], info) {
			continue
		}
		pid, _ := strconv.Atoi(fields[4])
		switch name := textOf(h.proc, fields[4], "comm"); {
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
