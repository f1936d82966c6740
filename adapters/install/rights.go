package install

import (
	"cmp"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Right is one verb that controllers may use on one kind of object. Nodes have none.
type Right struct {
	Group, Resource, Verb string
	Name                  string // of the only object that it is for; "" for all
	Cluster               bool   // in all namespaces, else in that of viplog
	Why                   string
}

// lease is the one by which the controllers of a cluster agree who writes.
func (o Options) lease() string { return "viplog-" + o.Cluster }

// Rights are all, by what they are for.
func Rights(o Options) []Right {
	all := slices.Concat(
		watched("", "services", "they get addresses"),
		watched("discovery.k8s.io", "endpointslices", "with externalTrafficPolicy Local only nodes with a serving endpoint answer"),
		watched("", "nodes", "a node's labels, taints and conditions, and which Node has which address"),
		watched("", "namespaces", "pools choose Services by the labels of their namespaces"),
		[]Right{
			{"", "services", "get", "", true, "whether a Service that is shown no more is gone is asked before it is concluded"},
			{"", "namespaces", "get", "", true, "whether a namespace that is shown no more is gone, the same"},
			{"", "services/status", "patch", "", true, "who asks for an address finds it in status.loadBalancer"},
			{"events.k8s.io", "events", "create", "", true, "what happened to a Service is told once, in its namespace"},
			{"coordination.k8s.io", "leases", "get", o.lease(), false, "one controller writes at a time"},
			{"coordination.k8s.io", "leases", "update", o.lease(), false, "it goes on being that one, or another takes over"},
			{"coordination.k8s.io", "leases", "create", "", false, "the first one makes the Lease; a name cannot be asked for before there is one"},
			{"", "configmaps", "list", nameCluster, false, "the cluster file"},
			{"", "configmaps", "watch", nameCluster, false, "the cluster file, when it changes"},
		})
	if o.LabelNodes {
		all = append(all, Right{"", "nodes", "patch", "", true, "nodes that carry addresses have the label " + LabelNode})
	}
	return all
}

func watched(group, resource, why string) []Right {
	return []Right{{group, resource, "list", "", true, why}, {group, resource, "watch", "", true, why + ", and how that changes"}}
}

// ClusterRole names that of the controllers in a namespace, and its binding: two installations do not take each other's.
func ClusterRole(namespace string) string { return namespace + ":" + nameController }

// roles are a ClusterRole and a Role with the controllers' rights, and their bindings.
func roles(o Options) []runtime.Object {
	subject := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: nameController, Namespace: o.Namespace}}
	everywhere := metav1.ObjectMeta{Name: ClusterRole(o.Namespace), Labels: labels("controller")}
	here := meta(o, nameController, "controller")
	typed := func(kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind}
	}
	rights := Rights(o)
	return []runtime.Object{
		&rbacv1.ClusterRole{TypeMeta: typed("ClusterRole"), ObjectMeta: everywhere, Rules: Rules(rights, true)},
		&rbacv1.ClusterRoleBinding{
			TypeMeta: typed("ClusterRoleBinding"), ObjectMeta: everywhere, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: everywhere.Name},
		},
		&rbacv1.Role{TypeMeta: typed("Role"), ObjectMeta: here, Rules: Rules(rights, false)},
		&rbacv1.RoleBinding{
			TypeMeta: typed("RoleBinding"), ObjectMeta: here, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: nameController},
		},
	}
}

// Rules are the rights in all namespaces, or those in viplog's, with the verbs on the same objects together.
func Rules(rights []Right, cluster bool) (rules []rbacv1.PolicyRule) {
	rights = slices.Clone(rights)
	slices.SortStableFunc(rights, func(a, b Right) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Verb, b.Verb))
	})
	var last Right
	for _, r := range rights {
		if r.Cluster != cluster {
			continue
		}
		if len(rules) > 0 && r.Group == last.Group && r.Resource == last.Resource && r.Name == last.Name {
			rules[len(rules)-1].Verbs = append(rules[len(rules)-1].Verbs, r.Verb)
			continue
		}
		rule := rbacv1.PolicyRule{APIGroups: []string{r.Group}, Resources: []string{r.Resource}, Verbs: []string{r.Verb}}
		if r.Name != "" {
			rule.ResourceNames = []string{r.Name}
		}
		rules, last = append(rules, rule), r
	}
	return rules
}

// controllerArgs make a controller take Services from Kubernetes.
func controllerArgs(o Options) []string {
	all := []string{"--kube", "--kube-namespace=" + o.Namespace, "--cluster-configmap=" + nameCluster}
	if !o.LabelNodes {
		all = append(all, "--lbnode-label=false")
	}
	return all
}
