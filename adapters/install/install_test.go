package install

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
)

// cluster has a host of each kind: a controller, a controller that answers for addresses too, and a node.
func cluster() Options {
	return Options{
		Cluster: "shop", Image: "registry.example.com/viplog:1", ClusterFile: []byte("kind: Cluster\n"), HostsFile: []byte("{}\n"), LabelNodes: true,
		HTTP: netip.MustParseAddrPort("127.0.0.1:7480"),
		Hosts: []Host{
			{Address: netip.MustParseAddr("10.0.0.2"), Name: "cp-1", Controller: true},
			{Address: netip.MustParseAddr("10.0.0.3"), Name: "cp-2", Controller: true, Node: true},
			{Address: netip.MustParseAddr("10.0.0.5"), Name: "lb-1", Node: true},
			{Address: netip.MustParseAddr("10.0.0.6"), Name: "lb-2", Node: true},
		},
	}
}

func inSecrets(o Options) Options {
	o.SecretOf = func(h Host) string { return "viplog-" + h.Name }
	return o
}

func of[T runtime.Object](objects []runtime.Object) (all []T) {
	for _, object := range objects {
		if is, ok := object.(T); ok {
			all = append(all, is)
		}
	}
	return all
}

func podsOf(o Options) map[string]corev1.PodSpec {
	pods := map[string]corev1.PodSpec{}
	for _, d := range of[*appsv1.DaemonSet](Objects(o)) {
		pods[d.Name] = d.Spec.Template.Spec
	}
	return pods
}

func TestOnlyControllersTalkToTheAPIServer(t *testing.T) {
	for _, o := range []Options{cluster(), inSecrets(cluster())} {
		for name, p := range podsOf(o) {
			isController := strings.Contains(name, "controller") || strings.Contains(name, "cp-")
			if *p.AutomountServiceAccountToken != isController {
				t.Errorf("%s has a token: %t", name, *p.AutomountServiceAccountToken)
			}
			if got := slices.Contains(p.Containers[0].Args, "--kube"); got != isController {
				t.Errorf("%s takes Services from Kubernetes: %t", name, got)
			}
			if want := map[bool]string{true: nameController, false: nameNode}[isController]; p.ServiceAccountName != want {
				t.Errorf("%s is %s", name, p.ServiceAccountName)
			}
		}
	}
}

// A host's key is to be on that host alone.
func TestNoPodMountsTheKeyOfAnotherHost(t *testing.T) {
	for name, p := range podsOf(cluster()) {
		for _, v := range p.Volumes {
			if v.Secret != nil || v.Projected != nil {
				t.Errorf("%s mounts the Secret of %s", name, v.Name)
			}
		}
	}
	pods := podsOf(inSecrets(cluster()))
	if len(pods) != 4 {
		t.Fatalf("%d DaemonSets for 4 hosts", len(pods))
	}
	for name, p := range pods {
		host := strings.TrimPrefix(name, "viplog-")
		var secrets []string
		for _, v := range p.Volumes {
			if v.Secret != nil {
				secrets = append(secrets, v.Secret.SecretName)
				if *v.Secret.DefaultMode != 0o400 {
					t.Errorf("%s: others may read it: %o", name, *v.Secret.DefaultMode)
				}
			}
			if v.HostPath != nil && v.HostPath.Path == DefaultIdentityFolder {
				t.Errorf("%s mounts a folder of keys too", name)
			}
		}
		if !slices.Equal(secrets, []string{"viplog-" + host}) {
			t.Errorf("%s mounts %q", name, secrets)
		}
		terms := p.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
		if len(terms) != 1 || len(terms[0].MatchFields) != 1 || !slices.Equal(terms[0].MatchFields[0].Values, []string{host}) {
			t.Errorf("%s runs on %v", name, terms)
		}
	}
}

func TestPodsHaveNoRightThatTheyDoNotNeed(t *testing.T) {
	front := cluster()
	front.Frontend = &Frontend{Args: []string{"--keepalived-image=k"}, Folders: []string{"/etc/kubernetes", "/etc/viplog", "/run/viplog"}}
	alone := cluster()
	alone.Hosts = []Host{{Name: "cp-1", Controller: true}, {Name: "lb-1", Node: true}}
	for _, test := range []struct {
		of   string
		o    Options
		pod  string
		want []corev1.Capability
	}{
		{"a node", cluster(), nameNode, []corev1.Capability{"NET_RAW", "SYS_NICE"}},
		{"controllers, of which one is a node", cluster(), nameController, []corev1.Capability{"NET_RAW", "SYS_NICE"}},
		{"a controller", alone, nameController, []corev1.Capability{"SYS_NICE"}},
		{"a node with a front end", front, nameNode, []corev1.Capability{"NET_ADMIN", "NET_RAW", "SYS_NICE"}},
	} {
		s := podsOf(test.o)[test.pod].Containers[0].SecurityContext
		if !slices.Equal(s.Capabilities.Add, test.want) || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s may %v", test.of, s.Capabilities)
		}
		if !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || s.Privileged != nil {
			t.Errorf("%s: %+v", test.of, s)
		}
	}
	for _, test := range []struct {
		o      Options
		writes []string
	}{
		{cluster(), []string{"/var/lib/viplog"}},
		{front, []string{"/etc/kubernetes", "/etc/viplog", "/run/viplog", "/var/lib/viplog"}},
	} {
		var writes []string
		for _, m := range podsOf(test.o)[nameNode].Containers[0].VolumeMounts {
			if !m.ReadOnly {
				writes = append(writes, m.MountPath)
			}
		}
		if !slices.Equal(writes, test.writes) {
			t.Errorf("it writes to %q, want %q", writes, test.writes)
		}
	}
}

// Two volumes of one name, or two mounts on one path, are refused by the API server.
func TestVolumesAreMountedOnce(t *testing.T) {
	o := cluster()
	o.IdentityFolder, o.Frontend = "/etc/viplog/identity", &Frontend{Folders: []string{"/etc/viplog", "/var/lib/viplog", "/" + strings.Repeat("long", 20)}}
	for name, p := range podsOf(o) {
		names, paths := map[string]bool{}, map[string]bool{}
		for _, v := range p.Volumes {
			if names[v.Name] || len(validation.IsDNS1123Label(v.Name)) > 0 {
				t.Errorf("%s: two volumes are %s, or it is no name", name, v.Name)
			}
			names[v.Name] = true
		}
		for _, m := range p.Containers[0].VolumeMounts {
			if paths[m.MountPath] || !names[m.Name] {
				t.Errorf("%s: %s is mounted twice, or has no volume", name, m.MountPath)
			}
			paths[m.MountPath] = true
		}
		if !paths["/etc/viplog"] || !paths["/etc/viplog/identity"] {
			t.Errorf("%s: the identity and the folder of the front end are two: %v", name, paths)
		}
	}
}

func TestRightsWithoutTheLabelPatchNoNode(t *testing.T) {
	o := cluster()
	patches := func() bool {
		return slices.ContainsFunc(Rights(o), func(r Right) bool { return r.Resource == "nodes" && r.Verb == "patch" })
	}
	if !patches() {
		t.Error("no node can be labelled")
	}
	o.LabelNodes = false
	if patches() {
		t.Error("nodes can be changed, though nobody labels them")
	}
}

func TestEveryRightStandsInARoleOnce(t *testing.T) {
	rights := Rights(cluster())
	found := 0
	for _, cluster := range []bool{true, false} {
		for _, rule := range Rules(rights, cluster) {
			for _, verb := range rule.Verbs {
				found++
				name := ""
				if len(rule.ResourceNames) > 0 {
					name = rule.ResourceNames[0]
				}
				if !slices.ContainsFunc(rights, func(r Right) bool {
					return r.Cluster == cluster && r.Group == rule.APIGroups[0] && r.Resource == rule.Resources[0] && r.Name == name && r.Verb == verb
				}) {
					t.Errorf("nobody asked for %s of %s", verb, rule.Resources[0])
				}
			}
		}
	}
	if found != len(rights) {
		t.Errorf("%d verbs in the roles, %d rights", found, len(rights))
	}
}

func TestAWordOfAUnitIsReadAsItIs(t *testing.T) {
	for word, want := range map[string]string{
		"--data=/var/lib/viplog": "--data=/var/lib/viplog", "100%": "100%%", "a b": `"a b"`, `say "x"`: `"say \"x\""`, "$HOME": "$$HOME",
	} {
		if got := quoted(word); got != want {
			t.Errorf("%s: %s, want %s", word, got, want)
		}
	}
}
