//go:build linux

package doctor

import (
	"context"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// checkScheduling looks whether a process here gets to run in time: a node that renews late loses its lease, and its addresses.
func checkScheduling(ctx context.Context, h host, f Facts) []Finding {
	return []Finding{h.judgePriority(), h.judgeLimit(), h.judgeSwap(), h.judgeLateness(ctx, f)}
}

// niceness is what the agent gives itself.
const niceness = -15

func (h host) judgePriority() Finding {
	const id = "scheduling/priority"
	limit, err := h.limits(unix.RLIMIT_NICE)
	if h.may(unix.CAP_SYS_NICE) || err == nil && limit >= 20-niceness {
		return fine(id, "", "the process may raise its priority")
	}
	return doubtful(id, "", "give the agent CAP_SYS_NICE (AmbientCapabilities= of its unit, capabilities.add of its pod)",
		"this process may not raise its priority to %d: on a busy host a node may be taken for dead", niceness)
}

// judgeLimit looks at the quota of the process' control group: who has used it up stands still until the period ends, for 100 ms by default.
func (h host) judgeLimit() Finding {
	const id = "scheduling/cpus"
	cpus := runtime.NumCPU()
	quota, period, limited := h.quota()
	switch {
	case limited && quota < period:
		return doubtful(id, "", "take the CPU limit off the agent, or raise it to a whole CPU",
			"its control group may use %.2f of a CPU, and stands still for up to %s when it has", float64(quota)/float64(period),
			time.Duration(period)*time.Microsecond)
	case cpus == 1:
		return doubtful(id, "", "give the host two", "there is one CPU: whatever else is busy makes the agent late")
	case limited:
		return fine(id, "", "%d CPUs, of which its control group may use %.2f", cpus, float64(quota)/float64(period))
	}
	return fine(id, "", "%d CPUs, without a limit on its control group", cpus)
}

// quota reads the control group's limit in microseconds: cpu.max of version 2 (cgroup-v2.rst), else that of version 1. A group has those of all
// above it too; the least counts.
func (h host) quota() (quota, period int64, limited bool) {
	take := func(q, p string) {
		a, errA := strconv.ParseInt(q, 10, 64)
		b, errB := strconv.ParseInt(p, 10, 64)
		if errA != nil || errB != nil || a <= 0 || b <= 0 { // "max", or -1
			return
		}
		if !limited || a*period < quota*b {
			quota, period, limited = a, b, true
		}
	}
	for group := range strings.Lines(textOf(h.proc, "self/cgroup")) {
		fields := strings.SplitN(strings.TrimSpace(group), ":", 3)
		if len(fields) != 3 {
			continue
		}
		root := filepath.Join(h.sys, "fs/cgroup")
		if fields[1] != "" { // version 1
			if !slices.Contains(strings.Split(fields[1], ","), "cpu") {
				continue
			}
			root = filepath.Join(root, fields[1])
		}
		for path := filepath.Join("/", fields[2]); ; path = filepath.Dir(path) {
			folder := filepath.Join(root, path)
			q, p, _ := strings.Cut(textOf(folder, "cpu.max"), " ")
			take(q, p)
			take(textOf(folder, "cpu.cfs_quota_us"), textOf(folder, "cpu.cfs_period_us"))
			if path == "/" {
				break
			}
		}
	}
	return quota, period, limited
}

// judgeSwap looks for swap space: the agent does not lock its memory, and waits for the disk when part of it was swapped out.
func (h host) judgeSwap() Finding {
	const id = "scheduling/swap"
	if areas := strings.Count(textOf(h.proc, "swaps"), "\n"); areas > 0 { // after its head
		return doubtful(id, "", "swapoff -a, as the kubelet wants it too; or MemorySwapMax=0 for the agent's unit",
			"swap areas in use: %d. An agent that was swapped out waits for a disk", areas)
	}
	return fine(id, "", "no swap area is in use")
}

const (
	ticks = 200
	tick  = 5 * time.Millisecond
)

// judgeLateness sleeps until each tick for a second, and holds the latest awakening against the heartbeat. It runs at this process' priority: the
// agent, which raises its own, is no later.
func (h host) judgeLateness(ctx context.Context, f Facts) Finding {
	const id, do = "scheduling/lateness",
		"find out what keeps the CPUs busy (or takes them: steal in /proc/stat of a virtual machine), reserve some, or choose a slower profile"
	late := h.lateness(ctx)
	if len(late) == 0 {
		return skipped(id, "", again, interrupted)
	}
	median, most := late[len(late)/2], late[len(late)-1]
	t := f.Timing
	switch {
	case most >= t.Lease-t.Heartbeat:
		return wrong(id, "", do,
			"timers are up to %s late (median %s): a node whose heartbeat, each %s, is so late loses its lease of %s",
			shown(most), shown(median), t.Heartbeat, t.Lease)
	case most >= t.Heartbeat/2:
		return doubtful(id, "", do, "timers are up to %s late (median %s), with a heartbeat each %s", shown(most), shown(median), t.Heartbeat)
	}
	return fine(id, "", "timers are up to %s late (median %s), with a heartbeat each %s", shown(most), shown(median), t.Heartbeat)
}

// lateness is how late each of the ticks was, sorted.
func (h host) lateness(ctx context.Context) (late []time.Duration) {
	begin := h.now()
	for i := range ticks {
		if ctx.Err() != nil {
			break
		}
		due := begin.Add(time.Duration(i+1) * tick)
		if wait := due.Sub(h.now()); wait > 0 {
			h.sleep(wait)
		}
		late = append(late, h.now().Sub(due))
	}
	slices.Sort(late)
	return late
}

func shown(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
