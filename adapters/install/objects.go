package install

import (
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Objects are all that is to be applied, in an order in which nothing waits for what comes later.
func Objects(o Options) []runtime.Object {
	o = o.withDefaults()
	controllers, others := o.hosts(true), o.hosts(false)
	all := []runtime.Object{namespace(o), account(o, nameController)}
	if len(others) > 0 {
		all = append(all, account(o, nameNode))
	}
	all = append(all, roles(o)...)
	all = append(all, configMap(o, nameCluster, keyCluster, o.ClusterFile), configMap(o, nameHosts, keyHosts, o.HostsFile))
	all = append(all, daemonSets(o, controllers)...)
	all = append(all, daemonSets(o, others)...)
	if n := len(controllers); n > 1 {
		all = append(all, budget(o, n))
	}
	return all
}

func labels(component string) map[string]string {
	all := map[string]string{"app.kubernetes.io/name": "viplog"}
	if component != "" {
		all["app.kubernetes.io/component"] = component
	}
	return all
}

func meta(o Options, name, component string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: o.Namespace, Labels: labels(component)}
}

// namespace is for Pods that have the host's network and folders, which less than privileged does not admit.
func namespace(o Options) *corev1.Namespace {
	m := metav1.ObjectMeta{Name: o.Namespace, Labels: labels("")}
	for _, mode := range []string{"enforce", "audit", "warn"} {
		m.Labels["pod-security.kubernetes.io/"+mode] = "privileged"
	}
	return &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: m}
}

// account mounts its token nowhere by itself: the Pods that need it say so.
func account(o Options, name string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: meta(o, name, component(name)),
		AutomountServiceAccountToken: new(false),
	}
}

func component(name string) string {
	if name == nameController {
		return "controller"
	}
	return "node"
}

func configMap(o Options, name, key string, content []byte) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: meta(o, name, ""),
		Data: map[string]string{key: string(content)},
	}
}

// budget lets one controller be evicted at a time: the log lives on a majority of them. A drain passes over DaemonSets' Pods; it is for who evicts by
// other means. Only a number that stays is possible: nobody tells the API server how many Pods a DaemonSet ought to have. Nodes need none: who
// loses one of them loses no address.
func budget(o Options, controllers int) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		TypeMeta: metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}, ObjectMeta: meta(o, nameController, "controller"),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable:               new(intstr.FromInt32(int32(controllers - 1))),
			Selector:                   &metav1.LabelSelector{MatchLabels: labels("controller")},
			UnhealthyPodEvictionPolicy: new(policyv1.AlwaysAllow), // who is not ready keeps no log
		},
	}
}
