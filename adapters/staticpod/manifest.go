package staticpod

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"viplog/core/frontend"
)

// systemNodeCritical is the priority class and its value, which the API server would look up: static Pods run without one.
const (
	systemNodeCritical         = "system-node-critical"
	systemNodeCriticalPriority = int32(2000001000)
)

// keepalivedCommand runs Keepalived in the foreground, for VRRP alone. Process ids of a container that was killed are taken away before: they would be
// those of the next one too, which would believe that it runs already, for ever. The only folder that may be written outlives the container.
func keepalivedCommand(o Options) []string {
	pid, child := o.run(nameKeepalived, filePID), o.run(nameKeepalived, fileChildPID)
	return []string{"sh", "-c", fmt.Sprintf(
		"rm -f %s %s && exec keepalived --dont-fork --log-console --vrrp --use-file=%s --pid=%s --vrrp_pid=%s",
		pid, child, o.config(fileKeepalived), pid, child)}
}

// haproxyCommand runs HAProxy as a master with workers in the foreground. By the master's socket it is asked to reload.
func haproxyCommand(o Options) []string {
	return []string{"haproxy", "-W", "-db", "-S", o.run(nameHAProxy, fileSocket) + ",mode,600", "-f", o.config(fileHAProxy)}
}

// keepalivedPod sets addresses (NET_ADMIN) and speaks VRRP and ARP (NET_RAW). SETGID is for its scripts, before each of which it drops groups.
func keepalivedPod(o Options) *corev1.Pod {
	c := container(nameKeepalived, o.image(o.Keepalived), keepalivedCommand(o), o)
	c.SecurityContext.Capabilities.Add = []corev1.Capability{"NET_ADMIN", "NET_RAW", "SETGID"}
	c.Resources = orResources(o.KeepalivedResources, "10m", "16Mi", "128Mi")
	// The parent starts a child anew that dies; who has none is to be started anew.
	alive := corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{
		"sh", "-c", fmt.Sprintf(`read -r pid < %s && kill -0 "$pid"`, o.run(nameKeepalived, fileChildPID)),
	}}}
	c.LivenessProbe = probe(alive)
	return pod(c, o)
}

// haproxyPod binds the VIP's port, which needs a right below 1024. It stays root: a container has no way to give that right to another user.
func haproxyPod(p frontend.Plan, o Options) *corev1.Pod {
	c := container(nameHAProxy, o.image(o.HAProxy), haproxyCommand(o), o)
	if p.Port < 1024 {
		c.SecurityContext.Capabilities.Add = []corev1.Capability{"NET_BIND_SERVICE"}
	}
	// Old workers have a share in the limit.
	c.Resources = orResources(o.HAProxyResources, "50m", "64Mi", "512Mi")
	// To live it needs no API server: that it has none does not end by a restart.
	c.LivenessProbe, c.ReadinessProbe = probe(get(alivePath, o)), probe(get(monitorPath, o))
	return pod(c, o)
}

func container(name, image string, command []string, o Options) corev1.Container {
	return corev1.Container{
		Name: name, Image: image, ImagePullPolicy: corev1.PullIfNotPresent, Command: command,
		SecurityContext: &corev1.SecurityContext{
			RunAsUser: new(int64), RunAsGroup: new(int64), ReadOnlyRootFilesystem: new(true), AllowPrivilegeEscalation: new(bool),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		// Folders, not files: a file that is replaced would stay the old one in the container.
		VolumeMounts: []corev1.VolumeMount{
			{Name: "config", MountPath: o.ConfigFolder, ReadOnly: true},
			{Name: "run", MountPath: o.run(name, "")},
		},
	}
}

func pod(c corev1.Container, o Options) *corev1.Pod {
	folder := func(name, path string, kind corev1.HostPathType) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind}}}
	}
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "viplog-" + c.Name, Namespace: metav1.NamespaceSystem,
			Labels: map[string]string{"app.kubernetes.io/name": c.Name, "app.kubernetes.io/managed-by": "viplog"},
		},
		Spec: corev1.PodSpec{
			HostNetwork: true, DNSPolicy: corev1.DNSDefault, EnableServiceLinks: new(bool),
			PriorityClassName: systemNodeCritical, Priority: new(systemNodeCriticalPriority),
			TerminationGracePeriodSeconds: new(int64(10)),
			SecurityContext:               &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers:                    []corev1.Container{c},
			Volumes:                       []corev1.Volume{folder("config", o.ConfigFolder, corev1.HostPathDirectory), folder("run", o.run(c.Name, ""), corev1.HostPathDirectoryOrCreate)},
		},
	}
}

// probe fails after 30 s: a restart of either costs connections, so it is the last resort.
func probe(h corev1.ProbeHandler) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: h, InitialDelaySeconds: 5, PeriodSeconds: 10, TimeoutSeconds: 5, FailureThreshold: 3}
}

func get(path string, o Options) corev1.ProbeHandler {
	return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
		Host: "127.0.0.1", Port: intstr.FromInt32(int32(o.MonitorPort)), Path: path, Scheme: corev1.URISchemeHTTP,
	}}
}

// orResources are those of the options, or what we would choose: no limit of the processor's time, which would delay advertisements.
func orResources(r corev1.ResourceRequirements, cpu, memory, limit string) corev1.ResourceRequirements {
	if len(r.Requests) > 0 || len(r.Limits) > 0 {
		return r
	}
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)},
	}
}

func manifestOf(p *corev1.Pod) []byte {
	data, err := yaml.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("staticpod: %v", err)) // plain values
	}
	return slices.Concat([]byte("# Written by viplog, which puts back what is changed here.\n"), data)
}
