package kube

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"viplog/core/control"
	"viplog/core/event"
)

// observedService takes a Service over field by field; what fields mean is core/control's to say.
func observedService(v *corev1.Service) control.Service {
	s := control.Service{
		Namespace: v.Namespace, Name: v.Name, Type: string(v.Spec.Type), UID: string(v.UID), Revision: v.ResourceVersion,
		Created: v.CreationTimestamp.Unix(), Labels: v.Labels, Annotations: v.Annotations,
		LoadBalancerIP: v.Spec.LoadBalancerIP, TrafficPolicy: string(v.Spec.ExternalTrafficPolicy), Selector: v.Spec.Selector,
	}
	if class := v.Spec.LoadBalancerClass; class != nil {
		s.LoadBalancerClass = *class
	}
	if policy := v.Spec.IPFamilyPolicy; policy != nil {
		s.IPFamilyPolicy = string(*policy)
	}
	for _, family := range v.Spec.IPFamilies {
		s.IPFamilies = append(s.IPFamilies, string(family))
	}
	for _, port := range v.Spec.Ports {
		s.Ports = append(s.Ports, event.Port{Protocol: string(port.Protocol), Port: uint16(port.Port)})
	}
	for _, in := range v.Status.LoadBalancer.Ingress {
		// A status of long ago may hold what today's API server would refuse.
		if a, err := netip.ParseAddr(in.IP); err == nil && a.Zone() == "" {
			s.StatusAddresses = append(s.StatusAddresses, a.Unmap())
		}
		shown := control.Ingress{IP: in.IP, Hostname: in.Hostname}
		if in.IPMode != nil {
			shown.Mode = string(*in.IPMode)
		}
		s.Status.Ingress = append(s.Status.Ingress, shown)
	}
	for _, name := range control.ConditionTypes {
		for _, c := range v.Status.Conditions {
			if c.Type == name {
				s.Status.Conditions = append(s.Status.Conditions, control.Condition{
					Type: c.Type, Status: string(c.Status), Reason: c.Reason, Message: c.Message, Since: unix(c.LastTransitionTime),
				})
			}
		}
	}
	return s
}

func unix(t metav1.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func observedEndpoints(slice *discoveryv1.EndpointSlice) control.Endpoints {
	e := control.Endpoints{Namespace: slice.Namespace, Service: slice.Labels[discoveryv1.LabelServiceName]}
	if slice.AddressType == discoveryv1.AddressTypeFQDN { // kube-proxy does not look at names
		return e
	}
	for _, endpoint := range slice.Endpoints {
		if endpoint.NodeName != nil && serves(endpoint.Conditions) {
			e.Nodes = append(e.Nodes, *endpoint.NodeName)
		}
	}
	return e
}

// serves tells whether an endpoint can be used: one that is terminating and still serves keeps its node a candidate.
func serves(c discoveryv1.EndpointConditions) bool {
	return c.Serving != nil && *c.Serving || c.Ready == nil || *c.Ready
}

// observedNode is what matters of a Node, which may be nil: no annotations, no heartbeats.
func observedNode(object any) (n control.Node) {
	node, is := object.(*corev1.Node)
	if !is {
		return n
	}
	n.Name, n.Labels = node.Name, node.Labels
	for _, a := range node.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil && a.Type == corev1.NodeInternalIP {
			n.Addresses = append(n.Addresses, ip.Unmap())
		}
	}
	for _, t := range node.Spec.Taints {
		n.Taints = append(n.Taints, t.Key+"="+t.Value+":"+string(t.Effect))
	}
	for _, c := range node.Status.Conditions {
		if c.Status == corev1.ConditionTrue {
			n.Conditions = append(n.Conditions, string(c.Type))
		}
	}
	return n
}
