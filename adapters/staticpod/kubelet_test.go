//go:build linux

package staticpod

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"viplog/fixtures/lab"
)

// TestAKubeletRunsTheFrontEndThatIsRendered has a real kubelet and containerd in a host, one of three members: the others are not there.
func TestAKubeletRunsTheFrontEndThatIsRendered(t *testing.T) {
	b, h, client := benchInALab(t)
	b.keep()
	if err := os.RemoveAll(b.o.RunFolder); err != nil { // as after a start of the machine, before viplog's
		t.Fatal(err)
	}
	k := b.kubelet(h)
	begin := time.Now()
	until(t, time.Minute, "the VIP is there and answers", func() bool { return b.holds(h) && b.ask(client) == "10.0.0.2" })
	b.took("the VIP answers", begin)
	until(t, time.Minute, "both Pods are ready", func() bool { return ready(k, nameKeepalived) && ready(k, nameHAProxy) })
	b.took("both Pods are ready", begin)
	b.hasRights(h, nameKeepalived)
	b.hasRights(h, nameHAProxy)

	b.plan.Backends = []netip.Addr{addr("10.0.0.3")}
	b.plan.Members = b.plan.Members[:2]
	b.kept(20*time.Second, "requests reach the back end that the plan names now", func() bool { return b.ask(client) == "10.0.0.3" })
	b.kept(20*time.Second, "Keepalived reloads", func() bool { return strings.Contains(k.Logs(), "Reload complete") })
	b.kept(20*time.Second, "both are probed", func() bool {
		return k.Probed("viplog-keepalived", "successful") > 0 && k.Probed("viplog-haproxy", "successful") > 0
	})
	if !b.holds(h) {
		t.Error("the VIP is lost by a reload")
	}
	b.wantsRestarts(k, 0, 0)
	for _, pod := range []string{"viplog-keepalived", "viplog-haproxy"} {
		if n := k.Probed(pod, "failed"); n > 0 {
			t.Errorf("%d probes of %s have failed", n, pod)
		}
	}

	b.kill(h, nameKeepalived)
	begin = time.Now()
	b.kept(time.Minute, "the kubelet starts Keepalived again", func() bool { return len(h.Processes(nameKeepalived)) > 0 })
	b.took("Keepalived runs again", begin)
	b.kept(time.Minute, "the VIP is back", func() bool { return b.holds(h) && b.ask(client) == "10.0.0.3" })
	b.took("the VIP is back", begin)
	b.kept(time.Minute, "the kubelet has seen it", func() bool { return restarts(k, nameKeepalived) > 0 && ready(k, nameKeepalived) })
	b.kill(h, nameHAProxy)
	b.kept(time.Minute, "HAProxy is back", func() bool { return b.ask(client) == "10.0.0.3" && restarts(k, nameHAProxy) > 0 })
	b.wantsRestarts(k, 1, 1)
	for _, bad := range []string{"ermission", "not permitted", "ead-only", "ailed", "nable to"} {
		if said := k.Logs(); strings.Contains(said, bad) {
			t.Errorf("%q in what the Pods say:\n%s", bad, said)
		}
	}

	begin = time.Now()
	until(t, time.Minute, "the front end is removed", func() bool {
		_, done, err := b.keeper.Remove()
		if err != nil {
			t.Fatal(err)
		}
		return done
	})
	b.took("the front end is removed", begin)
	if b.holds(h) {
		t.Error("the VIP is still there")
	}
	until(t, time.Minute, "the Pods are gone", func() bool {
		return len(k.Pods()) == 0 && len(h.Processes(nameKeepalived)) == 0 && len(h.Processes(nameHAProxy)) == 0
	})
	b.took("the Pods are gone", begin)
	if !k.Running() {
		t.Error("the kubelet has ended")
	}
}

// TestAKubeletRunsTheFrontEndOfAMemberThatIsAlone has nothing in the image for a check.
func TestAKubeletRunsTheFrontEndOfAMemberThatIsAlone(t *testing.T) {
	b, h, client := benchInALab(t)
	b.plan.Members = b.plan.Members[:1]
	b.keep()
	k := b.kubelet(h)
	begin := time.Now()
	b.kept(time.Minute, "the VIP is there and answers", func() bool { return b.holds(h) && b.ask(client) == "10.0.0.2" })
	b.took("the VIP answers", begin)
	b.hasRights(h, nameKeepalived)
	b.kept(time.Minute, "both Pods are ready", func() bool { return ready(k, nameKeepalived) && ready(k, nameHAProxy) })
	b.wantsRestarts(k, 0, 0)

	// What a container has mounted outlives its name on the node.
	if err := os.RemoveAll(b.o.ConfigFolder); err != nil {
		t.Fatal(err)
	}
	b.plan.Backends = []netip.Addr{addr("10.0.0.3")}
	begin = time.Now()
	b.kept(time.Minute, "the folder that was made again is read", func() bool { return b.holds(h) && b.ask(client) == "10.0.0.3" })
	b.took("the folder that was made again is read", begin)
}

// benchInALab has the node of a bench in a lab with a client, and two API servers on it, of which the first is asked.
func benchInALab(t *testing.T) (b *bench, node, client *lab.Host) {
	t.Helper()
	for _, program := range []string{"keepalived", "haproxy", "curl"} {
		needs(t, program)
	}
	b = newBench(t)
	l := lab.New(t)
	node, client = l.Host("node"), l.Host("client")
	s := l.Switch("switch")
	s.Attach(node, "eth0", "10.0.0.2/24", "10.0.0.3/24")
	s.Attach(client, "eth0", "10.0.0.9/24")
	b.keeper.Node, b.front = in{node}, b.plan.VIP
	b.apiServer(node, "10.0.0.2")
	b.apiServer(node, "10.0.0.3")
	b.plan.Backends = []netip.Addr{addr("10.0.0.2")}
	return b, node, client
}

// kubelet starts one, with images of what is installed here.
func (b *bench) kubelet(h *lab.Host) *lab.Kubelet {
	b.t.Helper()
	keepalived := []string{"keepalived", "sh", "rm"}
	if len(b.plan.Members) > 1 {
		keepalived = append(keepalived, "curl")
	}
	return h.Kubelet(addr("10.0.0.2"), b.o.ManifestFolder,
		lab.Image{Name: b.o.Keepalived, Programs: keepalived},
		lab.Image{Name: b.o.HAProxy, Programs: []string{"haproxy"}})
}

func (b *bench) took(what string, begin time.Time) {
	b.t.Helper()
	b.t.Logf("%s after %v", what, time.Since(begin).Round(time.Millisecond))
}

// kill ends all processes of a program at once.
func (b *bench) kill(h *lab.Host, name string) {
	b.t.Helper()
	for _, pid := range h.Processes(name) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) { // with process 1 all end
			b.t.Fatal(err)
		}
	}
}

func (b *bench) wantsRestarts(k *lab.Kubelet, keepalived, haproxy int) {
	b.t.Helper()
	if a, h := restarts(k, nameKeepalived), restarts(k, nameHAProxy); a != keepalived || h != haproxy {
		b.t.Errorf("Keepalived was restarted %d times and HAProxy %d times, want %d and %d", a, h, keepalived, haproxy)
	}
}

// kept waits, and looks after the front end as viplog does.
func (b *bench) kept(patience time.Duration, what string, is func() bool) {
	b.t.Helper()
	until(b.t, patience, what, func() bool {
		b.t.Helper()
		for _, line := range b.keep() {
			b.t.Log(line)
		}
		return is()
	})
}

// ready tells whether the kubelet finds that a Pod of the front end is.
func ready(k *lab.Kubelet, name string) bool {
	pod := podOf(k, name)
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func restarts(k *lab.Kubelet, name string) (n int) {
	for _, c := range podOf(k, name).Status.ContainerStatuses {
		n += int(c.RestartCount)
	}
	return n
}

// podOf is the Pod as the kubelet has it; an empty one if it has none.
func podOf(k *lab.Kubelet, name string) corev1.Pod {
	for _, pod := range k.Pods() {
		if pod.Labels["app.kubernetes.io/name"] == name {
			return pod
		}
	}
	return corev1.Pod{}
}

// hasRights holds the processes of a Pod to what its manifest grants them: no more, and no less.
func (b *bench) hasRights(h *lab.Host, name string) {
	b.t.Helper()
	var pod corev1.Pod
	if err := yaml.UnmarshalStrict([]byte(contentAt(b.t, b.files(), b.o.manifest(name))), &pod); err != nil {
		b.t.Fatal(err)
	}
	capabilities := 0
	for _, c := range pod.Spec.Containers[0].SecurityContext.Capabilities.Add {
		capabilities |= 1 << map[corev1.Capability]int{"SETGID": 6, "NET_BIND_SERVICE": 10, "NET_ADMIN": 12, "NET_RAW": 13}[c]
	}
	pids := h.Processes(name)
	if len(pids) < 2 {
		b.t.Errorf("%s: %d processes, want a parent and a child", name, len(pids))
	}
	for _, pid := range pids {
		folder := filepath.Join("/proc", fmt.Sprint(pid))
		status, err := os.ReadFile(filepath.Join(folder, "status"))
		if err != nil {
			b.t.Fatal(err)
		}
		for _, want := range []string{
			"Uid:\t0\t0\t0\t0", "Gid:\t0\t0\t0\t0", "NoNewPrivs:\t1", "Seccomp:\t2", // 2 is a filter
			fmt.Sprintf("CapBnd:\t%016x", capabilities), fmt.Sprintf("CapEff:\t%016x", capabilities),
		} {
			if !strings.Contains(string(status), want+"\n") {
				b.t.Errorf("%s: want %q in\n%s", name, want, status)
			}
		}
		mounts, err := os.ReadFile(filepath.Join(folder, "mountinfo"))
		if err != nil {
			b.t.Fatal(err)
		}
		for path, want := range map[string]string{"/": "ro,", b.o.ConfigFolder: "ro,", b.o.run(name, ""): "rw,"} {
			if !strings.Contains(string(mounts), " "+path+" "+want) {
				b.t.Errorf("%s: %s is not mounted %q:\n%s", name, path, want, mounts)
			}
		}
	}
}
