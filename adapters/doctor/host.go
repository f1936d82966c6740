//go:build linux

package doctor

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// host is the system as checks read it. Links, addresses, routes and sockets are the kernel's own, of the calling thread's namespace; the rest
// is files, and clocks.
type host struct {
	proc, sys string // where those file systems are
	now       func() time.Time
	sleep     func(time.Duration)
	askEach   time.Duration // how long an answer is waited for, and the time from one question to the next
	adjtimex  func(*unix.Timex) (int, error)
	limits    func(resource int) (soft uint64, err error)
}

func thisHost() host {
	return host{
		proc: "/proc", sys: "/sys", now: time.Now, sleep: time.Sleep, askEach: time.Second, adjtimex: unix.Adjtimex,
		limits: func(resource int) (uint64, error) {
			var l unix.Rlimit
			err := unix.Getrlimit(resource, &l)
			return l.Cur, err
		},
	}
}

// sysctl reads a number like net/ipv4/ip_forward; false: this kernel has none of that name.
func (h host) sysctl(name string) (int, bool) {
	text, err := os.ReadFile(filepath.Join(h.proc, "sys", name))
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return n, err == nil
}

// sysctlOf reads an IPv4 setting of an interface where the kernel takes the greater one of the interface's and that of all.
func (h host) sysctlOf(link, name string) int {
	all, _ := h.sysctl("net/ipv4/conf/all/" + name)
	own, _ := h.sysctl("net/ipv4/conf/" + link + "/" + name)
	return max(all, own)
}

// textOf is a file's text without the space around it; "" where it cannot be read.
func textOf(parts ...string) string {
	text, _ := os.ReadFile(filepath.Join(parts...))
	return strings.TrimSpace(string(text))
}

// process is one that /proc shows.
type process struct {
	pid  int
	name string // as /proc/PID/comm has it
}

// processes are all that can be seen, by their number.
func (h host) processes() (all []process) {
	entries, _ := os.ReadDir(h.proc)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if name := textOf(h.proc, e.Name(), "comm"); name != "" { // else it has ended
			all = append(all, process{pid, name})
		}
	}
	slices.SortFunc(all, func(a, b process) int { return a.pid - b.pid })
	return all
}

// inNamespace are the processes in the calling thread's network namespace: only these use its addresses. One whose namespace may not be
// looked at is taken for one of them.
func (h host) inNamespace() []process {
	own, _ := os.Readlink(filepath.Join(h.proc, "thread-self/ns/net"))
	return slices.DeleteFunc(h.processes(), func(p process) bool {
		its, err := os.Readlink(filepath.Join(h.proc, strconv.Itoa(p.pid), "ns/net"))
		return err == nil && its != own
	})
}
