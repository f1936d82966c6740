//go:build linux

package doctor

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"viplog/core/lease"
	"viplog/fixtures/lab"
)

func TestTheClockIsSynchronised(t *testing.T) {
	for _, c := range []struct {
		state    int
		timex    unix.Timex
		err      error
		severity Severity
		says     string
	}{
		{unix.TIME_OK, unix.Timex{Maxerror: 12_500}, nil, OK, "within 12.5ms"},
		{unix.TIME_ERROR, unix.Timex{Maxerror: 16_000_000, Status: unix.STA_UNSYNC}, nil, Warning, "nobody keeps"},
		{unix.TIME_OK, unix.Timex{Maxerror: 4_000_000}, nil, Warning, "wrong by 4s"},
		{0, unix.Timex{}, errors.New("function not implemented"), Skipped, "not implemented"},
	} {
		h := host{adjtimex: func(t *unix.Timex) (int, error) { *t = c.timex; return c.state, c.err }}
		expect(t, lookedBy(t, nil, h, Facts{}, "clock"), "clock/synchronised", c.severity, c.says)
	}
	all := lookedBy(t, nil, thisHost(), Facts{}, "clock") // the kernel's own word, whatever it is
	if all[0].Severity == Skipped {
		t.Errorf("%+v", all)
	}
}

// scheduled is a host whose sleeps are so much too long, and one of them more.
func scheduled(late, latest time.Duration, nice uint64) host {
	now, sleeps := time.Unix(0, 0), 0
	return host{
		now: func() time.Time { return now },
		sleep: func(d time.Duration) {
			if sleeps++; sleeps == 7 {
				now = now.Add(latest - late)
			}
			now = now.Add(d + late)
		},
		limits: func(int) (uint64, error) { return nice, nil },
	}
}

func TestTimersAreHeldAgainstTheHeartbeat(t *testing.T) {
	for _, c := range []struct {
		latest   time.Duration
		timing   lease.Timing
		severity Severity
		says     string
	}{
		{2 * time.Millisecond, lease.Default, OK, "up to 2ms late (median 100µs), with a heartbeat each 100ms"},
		{60 * time.Millisecond, lease.Default, Warning, "up to 60ms late"},
		{60 * time.Millisecond, lease.Relaxed, OK, "up to 60ms late"},
		{410 * time.Millisecond, lease.Default, Error, "loses its lease of 500ms"},
		{130 * time.Millisecond, lease.Fast, Error, "each 25ms"},
	} {
		h := scheduled(100*time.Microsecond, c.latest, 0)
		h.proc, h.sys = t.TempDir(), t.TempDir()
		expect(t, lookedBy(t, nil, h, Facts{Timing: c.timing}, "scheduling"), "scheduling/lateness", c.severity, c.says)
	}
	all := lookedBy(t, nil, thisHost(), Facts{}, "scheduling")
	if f := all[len(all)-1]; f.ID != "scheduling/lateness" || f.Severity == Skipped || !strings.Contains(f.Seen, "median") {
		t.Errorf("%+v", f)
	}
}

func TestWhatAProcessMayUse(t *testing.T) {
	const none, all = "CapEff:\t0000000000000000\n", "CapEff:\t000001ffffffffff\n"
	for _, c := range []struct {
		files    map[string]string
		nice     uint64
		check    string
		id       string
		severity Severity
		says     string
	}{
		{map[string]string{"proc/thread-self/status": "Name:\tx\n" + none}, 0, "scheduling", "scheduling/priority", Warning, "may not raise"},
		{map[string]string{"proc/thread-self/status": none}, 35, "scheduling", "scheduling/priority", OK, "may raise"},
		{map[string]string{"proc/thread-self/status": none}, math.MaxUint64, "scheduling", "scheduling/priority", OK, "may raise"},
		{map[string]string{"proc/thread-self/status": all}, 0, "scheduling", "scheduling/priority", OK, "may raise"},
		{map[string]string{"proc/thread-self/status": none}, 0, "capabilities", "capabilities/net-raw", Error, "is missing"},
		{map[string]string{"proc/thread-self/status": all}, 0, "capabilities", "capabilities/net-raw", OK, "is there"},
		{map[string]string{"proc/thread-self/status": "CapEff:\t0000000000002000\n"}, 0, "capabilities", "capabilities/net-raw", OK, "is there"},
		{map[string]string{"proc/thread-self/status": "CapEff:\t0000000000002000\n"}, 0, "capabilities", "capabilities/net-admin", Warning, "is missing"},
		{map[string]string{"proc/thread-self/status": all}, 0, "capabilities", "capabilities/net-admin", OK, "is there"},
		{map[string]string{"proc/swaps": "Filename\tType\tSize\n/dev/sda2 partition 8388604\n"}, 0, "scheduling", "scheduling/swap", Warning, "swap areas in use: 1"},
		{map[string]string{"proc/swaps": "Filename\tType\tSize\n"}, 0, "scheduling", "scheduling/swap", OK, "no swap area"},
		{map[string]string{"proc/self/cgroup": "0::/kubepods/pod1/c\n", "sys/fs/cgroup/kubepods/pod1/c/cpu.max": "max 100000\n", "sys/fs/cgroup/kubepods/pod1/cpu.max": "50000 100000\n"}, 0, "scheduling", "scheduling/cpus", Warning, "0.50 of a CPU, and stands still for up to 100ms"},
		{map[string]string{"proc/self/cgroup": "5:cpu,cpuacct:/system.slice/viplog.service\n1:name=systemd:/x\n", "sys/fs/cgroup/cpu,cpuacct/system.slice/viplog.service/cpu.cfs_quota_us": "20000\n", "sys/fs/cgroup/cpu,cpuacct/system.slice/viplog.service/cpu.cfs_period_us": "100000\n"}, 0, "scheduling", "scheduling/cpus", Warning, "0.20 of a CPU"},
	} {
		root := recorded(t, c.files)
		h := scheduled(0, 0, c.nice)
		h.proc, h.sys = filepath.Join(root, "proc"), filepath.Join(root, "sys")
		expect(t, lookedBy(t, nil, h, Facts{}, c.check), c.id, c.severity, c.says)
	}
	h := scheduled(0, 0, 0)
	root := recorded(t, map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "max 100000\n"})
	h.proc, h.sys = filepath.Join(root, "proc"), filepath.Join(root, "sys")
	if _, _, limited := h.quota(); limited {
		t.Error("max is no limit")
	}
}

func TestIdentitiesEnd(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	h := host{now: func() time.Time { return now }}
	for _, c := range []struct {
		identity *Identity
		severity Severity
		says     string
	}{
		{nil, Skipped, "no folder"},
		{&Identity{Folder: "/etc/viplog", Expires: now.AddDate(1, 0, 0)}, OK, "until 2027-11-01T00:00:00Z"},
		{&Identity{Folder: "/etc/viplog", Expires: now.AddDate(0, 0, 20)}, Warning, "ends at 2026-11-21T00:00:00Z"},
		{&Identity{Folder: "/etc/viplog", Problem: errors.New("seed: others may read it")}, Error, "others may read it"},
	} {
		expect(t, lookedBy(t, nil, h, Facts{Identity: c.identity}, "identity"), "identity/folder", c.severity, c.says)
	}
}

func TestWhoAnnouncesAddressesHere(t *testing.T) {
	at := lab.New(t).Host("node")
	hold := func(cluster string) (end func()) {
		var l net.Listener
		at.Must(func() (err error) {
			l, err = net.Listen("unix", "@viplog/"+cluster+"/node")
			return err
		})
		t.Cleanup(func() { _ = l.Close() })
		return func() { _ = l.Close() }
	}
	f := Facts{Cluster: "blue", Data: t.TempDir()}
	all := looked(t, at, f, "agent")
	well(t, all)
	expect(t, all, "agent/node", OK, "no viplog node")
	expect(t, all, "agent/data", OK, "no agent has used")
	end := hold("blue")
	expect(t, looked(t, at, f, "agent"), "agent/node", OK, "viplog's node answers")
	end()
	hold("green")
	expect(t, looked(t, at, f, "agent"), "agent/node", Warning, "another cluster answers here (green)")
}

func TestWhoHasTheFolderOfData(t *testing.T) {
	f := Facts{Data: t.TempDir()}
	file, err := os.Create(filepath.Join(f.Data, "viplog.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	expect(t, lookedBy(t, nil, thisHost(), f, "agent"), "agent/data", OK, "no agent has the folder")
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	expect(t, lookedBy(t, nil, thisHost(), f, "agent"), "agent/data", Error, fmt.Sprintf("%s (pid %d) holds", textOf("/proc/self/comm"), os.Getpid()))

	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	row := fmt.Sprintf("1: FLOCK  ADVISORY  WRITE 812 %02x:%02x:%d 0 EOF\n", unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino)
	h := host{proc: recorded(t, map[string]string{"locks": "2: POSIX  ADVISORY  READ 7 00:01:2 0 EOF\n" + row, "812/comm": "viplog\n"})}
	expect(t, lookedBy(t, nil, h, f, "agent"), "agent/data", OK, "pid 812")
}

func TestOtherProductsThatAnnounceAreFound(t *testing.T) {
	h := host{proc: recorded(t, map[string]string{"7/comm": "speaker\n", "8/comm": "kube-vip\n", "9/comm": "kubelet\n"})}
	all := lookedBy(t, nil, h, Facts{}, "agent")
	expect(t, all, "agent/others", Warning, "MetalLB's speaker runs here")
	if last := all[len(all)-1]; last.About != "pid 8" || !strings.Contains(last.Seen, "kube-vip") || len(all) != 4 {
		t.Errorf("%+v", all)
	}
	if err := os.Mkdir(filepath.Join(h.proc, "7", "ns"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("net:[4026532008]", filepath.Join(h.proc, "7", "ns", "net")); err != nil { // a pod of its own network
		t.Fatal(err)
	}
	if all := lookedBy(t, nil, h, Facts{}, "agent"); len(all) != 3 || all[2].About != "pid 8" {
		t.Errorf("%+v", all)
	}
}
