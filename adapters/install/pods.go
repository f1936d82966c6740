package install

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// LabelControlPlane is on Kubernetes Nodes that are of the control plane, whatever its value.
const LabelControlPlane = "node-role.kubernetes.io/control-plane"

// Where a Pod mounts what has no place on the host.
const (
	hostsFolder  = "/etc/viplog-hosts"
	secretFolder = "/run/secrets/viplog"
	machineID    = "/etc/machine-id"
)

// Mounted are the places of a Pod where no folder of the host's can be.
func Mounted() []string { return []string{hostsFolder, secretFolder, machineID} }

// stopSeconds are for the hand-over and the stop of what else runs, with as much again.
const stopSeconds = 30

// daemonSets are of hosts that are all controllers, or none: one for all of them, or one for each where each has its Secret.
func daemonSets(o Options, hosts []Host) []runtime.Object {
	if len(hosts) == 0 {
		return nil
	}
	name := nameNode
	if hosts[0].Controller {
		name = nameController
	}
	if o.SecretOf == nil {
		return []runtime.Object{daemonSet(o, name, name, hosts)}
	}
	var all []runtime.Object
	for _, h := range hosts {
		all = append(all, daemonSet(o, o.SecretOf(h), name, []Host{h}))
	}
	return all
}

func daemonSet(o Options, name, account string, hosts []Host) *appsv1.DaemonSet {
	selector := labels(component(account))
	strategy := appsv1.DaemonSetUpdateStrategy{
		Type:          appsv1.RollingUpdateDaemonSetStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: new(intstr.FromInt32(1)), MaxSurge: new(intstr.FromInt32(0))},
	}
	if o.SecretOf != nil {
		selector["app.kubernetes.io/instance"] = strings.ReplaceAll(hosts[0].Address.StringExpanded(), ":", "-") // names may be too long
		strategy = appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}
	}
	return &appsv1.DaemonSet{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"}, ObjectMeta: meta(o, name, component(account)),
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: selector}, UpdateStrategy: strategy, MinReadySeconds: 10,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: selector, Annotations: map[string]string{"kubectl.kubernetes.io/default-container": "viplog"}},
				Spec:       pod(o, account, hosts),
			},
		},
	}
}

// pod runs where its hosts are, whatever taints are there: the addresses and the log are to be served also while a node is not ready or is
// emptied for maintenance, and which hosts those are is the cluster file's to say.
func pod(o Options, account string, hosts []Host) corev1.PodSpec {
	volumes, mounts := volumes(o, hosts)
	p := corev1.PodSpec{
		ServiceAccountName: account, AutomountServiceAccountToken: new(hosts[0].Controller),
		HostNetwork: true, DNSPolicy: corev1.DNSDefault, EnableServiceLinks: new(false),
		PriorityClassName:             "system-node-critical",
		Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		TerminationGracePeriodSeconds: new(int64(stopSeconds)),
		SecurityContext:               &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		Containers:                    []corev1.Container{container(o, hosts, mounts)},
		Volumes:                       volumes,
	}
	required := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
		{Key: LabelNode, Operator: corev1.NodeSelectorOpIn, Values: []string{"true"}},
		// It has the label too where it carries addresses, and its own Pod.
		{Key: LabelControlPlane, Operator: corev1.NodeSelectorOpDoesNotExist},
	}}
	switch {
	case o.SecretOf != nil:
		required = corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{
			{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{hosts[0].Name}},
		}}
	case hosts[0].Controller:
		required = corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: LabelControlPlane, Operator: corev1.NodeSelectorOpExists},
		}}
	}
	p.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{required}},
	}}
	return p
}

// container is root's, since packet sockets need a right that no other user can be given, and keys are readable by their owner alone. It has
// no other right than those.
func container(o Options, hosts []Host, mounts []corev1.VolumeMount) corev1.Container {
	// A renewal that is late loses addresses.
	capabilities := []corev1.Capability{"SYS_NICE"}
	if anyNode(hosts) { // ARP and neighbour discovery
		capabilities = append(capabilities, "NET_RAW")
	}
	if o.Frontend != nil { // it takes a dead Keepalived's VIP off
		capabilities = append(capabilities, "NET_ADMIN")
	}
	slices.Sort(capabilities)
	cpu, memory, limit, heap := "50m", "64Mi", "256Mi", "230MiB"
	if hosts[0].Controller {
		cpu, memory, limit, heap = "100m", "128Mi", "1Gi", "920MiB"
	}
	return corev1.Container{
		Name: "viplog", Image: o.Image, ImagePullPolicy: corev1.PullIfNotPresent, Args: args(o, hosts),
		Env: []corev1.EnvVar{
			{Name: "NODE_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "spec.nodeName"}}},
			// Garbage is collected more often before the kernel would end the process.
			{Name: "GOMEMLIMIT", Value: heap},
		},
		SecurityContext: &corev1.SecurityContext{
			RunAsUser: new(int64(0)), RunAsGroup: new(int64(0)), ReadOnlyRootFilesystem: new(true), AllowPrivilegeEscalation: new(false),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: capabilities},
		},
		Resources: corev1.ResourceRequirements{ // no limit of the processor's time, which would delay renewals
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)},
		},
		VolumeMounts:   mounts,
		StartupProbe:   probe(o, "/healthz", 2, 60),
		LivenessProbe:  probe(o, "/healthz", 5, 3),
		ReadinessProbe: probe(o, "/readyz", 2, 2),
	}
}

func probe(o Options, path string, period, failures int32) *corev1.Probe {
	get := &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(int32(o.HTTP.Port())), Scheme: corev1.URISchemeHTTP}
	if a := o.HTTP.Addr(); !a.IsUnspecified() {
		get.Host = a.String()
	}
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get}, PeriodSeconds: period, FailureThreshold: failures, TimeoutSeconds: 3}
}

func args(o Options, hosts []Host) []string {
	identity := o.IdentityFolder
	if o.SecretOf != nil {
		identity = secretFolder
	}
	all := []string{
		"run", "--identity=" + identity, "--hosts=" + hostsFolder + "/" + keyHosts, "--data=" + o.DataFolder, "--http=" + o.HTTP.String(),
	}
	if hosts[0].Controller {
		all = append(all, controllerArgs(o)...)
	}
	if o.NATS != "" {
		all = append(all, "--nats="+o.NATS)
	}
	if o.TrustFeed {
		all = append(all, "--trust-feed")
	}
	if anyNode(hosts) {
		all = append(all, o.DataPlane...)
	}
	if o.Frontend != nil {
		all = append(all, o.Frontend.Args...)
	}
	return all
}

// folder is one of the host's.
type folder struct {
	path  string
	write bool
	kind  corev1.HostPathType
}

// volumes have the same path on the host and in the container, but for what is not the host's.
func volumes(o Options, hosts []Host) (volumes []corev1.Volume, mounts []corev1.VolumeMount) {
	add := func(name, path string, readOnly bool, source corev1.VolumeSource) {
		volumes = append(volumes, corev1.Volume{Name: name, VolumeSource: source})
		mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: path, ReadOnly: readOnly})
	}
	add("hosts", hostsFolder, true, corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: nameHosts}, DefaultMode: new(int32(0o444)),
	}})
	folders := []folder{{machineID, false, corev1.HostPathFile}, {o.DataFolder, true, corev1.HostPathDirectoryOrCreate}}
	if o.SecretOf == nil {
		folders = append(folders, folder{o.IdentityFolder, false, corev1.HostPathDirectory})
	} else {
		add("identity", secretFolder, true, corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: o.SecretOf(hosts[0]), DefaultMode: new(int32(0o400)),
		}})
	}
	if o.Frontend != nil {
		for _, path := range o.Frontend.Folders {
			folders = append(folders, folder{path, true, corev1.HostPathDirectoryOrCreate})
		}
	}
	// A folder that is to be written and to be read is one mount.
	slices.SortFunc(folders, func(a, b folder) int { return cmp.Or(cmp.Compare(a.path, b.path), writesFirst(a, b)) })
	folders = slices.CompactFunc(folders, func(a, b folder) bool { return a.path == b.path })
	for i, f := range folders { // a path may be longer than a name, and two paths would be the same one
		add(fmt.Sprintf("host-%d", i+1), f.path, !f.write, corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: f.path, Type: &f.kind}})
	}
	return volumes, mounts
}

func writesFirst(a, b folder) int {
	switch {
	case a.write == b.write:
		return 0
	case a.write:
		return -1
	}
	return 1
}
