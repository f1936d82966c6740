//go:build linux

package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"viplog/fixtures/lab"
)

// podCluster has one host, which is controller, node and voter.
var podCluster = strings.NewReplacer("127.0.0.", "10.0.0.").Replace(loneCluster)

// TestAKubeletRunsThePodThatIsPrinted has a real kubelet and containerd in a host: whether the rights, mounts and probes of the Pod are those that viplog
// needs to answer for addresses. Without an API server a Pod is a static one, so ConfigMaps are folders, and Kubernetes is no source.
func TestAKubeletRunsThePodThatIsPrinted(t *testing.T) {
	program, err := filepath.Abs(builtBinary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		skipOrFail(t, "bin/viplog is not there: task build makes it")
	}
	folder := t.TempDir()
	id, manifests := initialized(t, podCluster), filepath.Join(folder, "manifests")
	file := filepath.Join(filepath.Dir(id), "cluster.yaml")
	var out, said strings.Builder
	args := []string{
		"manifests", "-f", file, "--identity-dir", id, "--image", sampleImage, "--identity", filepath.Join(id, "hosts/10.0.0.2"), "--data", filepath.Join(folder, "data"),
	}
	if code := run(t.Context(), args, streams{strings.NewReader(""), &out, &said}); code != 0 {
		t.Fatal(said.String())
	}
	path := writePod(t, manifests, asStaticPod(t, out.String(), program, folder, id))

	l := lab.New(t)
	h := l.Host("cp-1")
	l.Switch("switch").Attach(h, "eth0", "10.0.0.2/16")
	k := h.Kubelet(netip.MustParseAddr("10.0.0.2"), manifests, lab.Image{Name: sampleImage, Programs: []string{program}})
	began := time.Now()
	within(t, 90*time.Second, "the cluster file is in the log", func() bool { // in its Pod's stead: it declares the node
		operator := filepath.Join(id, "operators/alice")
		return h.Run(program, "apply", "--yes", "-f", file, "--identity", operator).Wait(10*time.Second) == nil
	})
	within(t, 90*time.Second, "the Pod is ready: the log is followed, and the node has a lease", func() bool {
		pods := k.Pods()
		return len(pods) == 1 && slices.ContainsFunc(pods[0].Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
	})
	t.Logf("ready %s after the kubelet's start", time.Since(began).Round(100*time.Millisecond))
	processes := h.Processes("viplog")
	if len(processes) != 1 {
		t.Fatalf("it has the processes %v", processes)
	}
	mayOnly(t, processes[0], unix.CAP_NET_RAW, unix.CAP_SYS_NICE)
	if nice, err := unix.Getpriority(unix.PRIO_PROCESS, processes[0]); err != nil || 20-nice != niceness {
		t.Errorf("its priority is %d, %v", 20-nice, err)
	}
	within(t, 30*time.Second, "it is probed", func() bool { return k.Probed("viplog", "successful") > 1 })
	if n := k.Probed("viplog", "failed"); n > 0 {
		t.Errorf("%d probes have failed", n)
	}
	if said := k.Logs(); strings.Contains(said, "ermission") || strings.Contains(said, "not permitted") || strings.Contains(said, "read-only") {
		t.Errorf("it lacks a right:\n%s", said)
	}

	began = time.Now()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	within(t, 40*time.Second, "it has ended", func() bool { return len(h.Processes("viplog")) == 0 })
	t.Logf("ended %s after its manifest", time.Since(began).Round(100*time.Millisecond))
	if took := time.Since(began); took > 25*time.Second {
		t.Errorf("it ends after %s: it was killed in its hand-over", took)
	}
}

// asStaticPod makes the template of the only DaemonSet a Pod that needs no API server.
func asStaticPod(t *testing.T, text, program, folder, id string) *corev1.Pod {
	t.Helper()
	var pod *corev1.Pod
	for _, object := range strictly(t, text) {
		if d, is := object.(*appsv1.DaemonSet); is {
			pod = &corev1.Pod{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
				ObjectMeta: metav1.ObjectMeta{Name: "viplog", Namespace: d.Namespace, Labels: d.Spec.Template.Labels}, Spec: d.Spec.Template.Spec,
			}
		}
	}
	spec := &pod.Spec
	spec.ServiceAccountName, spec.AutomountServiceAccountToken, spec.Affinity = "", nil, nil
	spec.Priority = new(int32(2000001000)) // which the API server would look up
	machine := filepath.Join(folder, "machine-id")
	if err := os.WriteFile(machine, []byte("0123456789abcdef0123456789abcdef\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	for i, v := range spec.Volumes {
		switch {
		case v.ConfigMap != nil:
			spec.Volumes[i].VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: id}} // with hosts.json
		case v.HostPath.Path == "/etc/machine-id": // the test's machine need not have one
			v.HostPath.Path = machine
		}
	}
	c := &spec.Containers[0]
	c.Command = []string{program} // images of the lab have no entry point
	c.Args = slices.DeleteFunc(c.Args, func(a string) bool {
		return strings.HasPrefix(a, "--kube") || strings.HasPrefix(a, "--cluster-configmap")
	})
	return pod
}

func writePod(t *testing.T, folder string, pod *corev1.Pod) string {
	t.Helper()
	data, err := yaml.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "viplog.yaml")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mayOnly wants a process to have some capabilities and no others, no way to more, and a filter of system calls.
func mayOnly(t *testing.T, pid int, capabilities ...int) {
	t.Helper()
	var set uint64
	for _, c := range capabilities {
		set |= 1 << c
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("\nCapEff:\t%016x\n", set), fmt.Sprintf("\nCapBnd:\t%016x\n", set), "\nNoNewPrivs:\t1\n", "\nSeccomp:\t2\n",
	} {
		if !strings.Contains(string(status), want) {
			t.Errorf("%q is not in\n%s", want, status)
		}
	}
}
