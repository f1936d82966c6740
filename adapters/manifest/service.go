package manifest

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"viplog/core/control"
	"viplog/core/event"
)

func (r *reader) service(o object) {
	var svc corev1.Service
	if !r.decode(o, &svc) {
		return
	}
	defaultService(&svc)
	errs := validateService(&svc, o.path)
	for _, err := range errs {
		r.report(o, err)
	}
	r.unique(o, "Service", svc.Namespace, svc.Name)
	switch {
	case svc.Spec.Type != corev1.ServiceTypeLoadBalancer:
		r.ignore(fmt.Sprintf("v1 Service of type %s", svc.Spec.Type))
	case len(errs) == 0:
		r.manifests.Services = append(r.manifests.Services, observedService(&svc))
	}
}

// defaultService sets what the API server sets, as far as it matters here. ipFamilies stay unset: their default is the
// cluster's, and no file of Services knows it.
func defaultService(svc *corev1.Service) {
	svc.Namespace = cmp.Or(svc.Namespace, metav1.NamespaceDefault)
	svc.Spec.Type = cmp.Or(svc.Spec.Type, corev1.ServiceTypeClusterIP)
	for i := range svc.Spec.Ports {
		svc.Spec.Ports[i].Protocol = cmp.Or(svc.Spec.Ports[i].Protocol, corev1.ProtocolTCP)
	}
}

// validateService follows ValidateService of the API server for the fields that viplog reads. The name is a label of
// RFC 1035, which every release of Kubernetes takes.
func validateService(svc *corev1.Service, root *field.Path) field.ErrorList {
	errs := apivalidation.ValidateObjectMeta(&svc.ObjectMeta, true, apivalidation.NameIsDNS1035Label, root.Child("metadata"))
	spec := root.Child("spec")
	errs = append(errs, oneOf(svc.Spec.Type, spec.Child("type"), corev1.ServiceTypeClusterIP,
		corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeExternalName)...)
	errs = append(errs, validatePorts(svc, spec.Child("ports"))...)
	errs = append(errs, validateFamilies(svc, spec)...)
	if policy := svc.Spec.ExternalTrafficPolicy; policy != "" {
		errs = append(errs, oneOf(policy, spec.Child("externalTrafficPolicy"),
			corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal)...)
	}
	if ip := svc.Spec.LoadBalancerIP; ip != "" {
		errs = append(errs, validateIP(ip, spec.Child("loadBalancerIP"))...)
	}
	ingress := root.Child("status", "loadBalancer", "ingress")
	for i, in := range svc.Status.LoadBalancer.Ingress {
		if in.IP != "" {
			errs = append(errs, validateIP(in.IP, ingress.Index(i).Child("ip"))...)
		}
	}
	return errs
}

func validatePorts(svc *corev1.Service, path *field.Path) (errs field.ErrorList) {
	ports := svc.Spec.Ports
	if len(ports) == 0 && svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
		errs = append(errs, field.Required(path, ""))
	}
	names, numbers := map[string]bool{}, map[string]bool{}
	for i, port := range ports {
		at := path.Index(i)
		switch {
		case port.Name == "" && len(ports) > 1:
			errs = append(errs, field.Required(at.Child("name"), "each of several ports has a name"))
		case port.Name != "":
			for _, msg := range validation.IsDNS1123Label(port.Name) {
				errs = append(errs, field.Invalid(at.Child("name"), port.Name, msg))
			}
			if names[port.Name] {
				errs = append(errs, field.Duplicate(at.Child("name"), port.Name))
			}
			names[port.Name] = true
		}
		for _, msg := range validation.IsValidPortNum(int(port.Port)) {
			errs = append(errs, field.Invalid(at.Child("port"), port.Port, msg))
		}
		errs = append(errs, oneOf(port.Protocol, at.Child("protocol"),
			corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)...)
		number := fmt.Sprintf("%s/%d", port.Protocol, port.Port)
		if numbers[number] {
			errs = append(errs, field.Duplicate(at, number))
		}
		numbers[number] = true
	}
	return errs
}

func validateFamilies(svc *corev1.Service, spec *field.Path) (errs field.ErrorList) {
	families, path := svc.Spec.IPFamilies, spec.Child("ipFamilies")
	if len(families) > 2 {
		errs = append(errs, field.TooMany(path, len(families), 2))
		families = families[:2]
	}
	for i, family := range families {
		errs = append(errs, oneOf(family, path.Index(i), corev1.IPv4Protocol, corev1.IPv6Protocol)...)
		if slices.Contains(families[:i], family) {
			errs = append(errs, field.Duplicate(path.Index(i), family))
		}
	}
	if svc.Spec.IPFamilyPolicy == nil {
		return errs
	}
	policy, path := *svc.Spec.IPFamilyPolicy, spec.Child("ipFamilyPolicy")
	errs = append(errs, oneOf(policy, path, corev1.IPFamilyPolicySingleStack,
		corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack)...)
	if policy == corev1.IPFamilyPolicySingleStack && len(families) > 1 {
		errs = append(errs, field.Invalid(path, policy, "may not be SingleStack where ipFamilies has two"))
	}
	return errs
}

func oneOf[T ~string](value T, path *field.Path, allowed ...T) field.ErrorList {
	if slices.Contains(allowed, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, value, allowed)}
}

// validateIP is strict, as the API server is since its gate StrictIPCIDRValidation: what it lets through, net/netip
// parses.
func validateIP(ip string, path *field.Path) field.ErrorList {
	return validation.IsValidIPForLegacyField(path, ip, true, nil)
}

func observedService(svc *corev1.Service) control.Service {
	s := control.Service{
		Namespace:      svc.Namespace,
		Name:           svc.Name,
		UID:            string(svc.UID),
		Revision:       svc.ResourceVersion,
		Labels:         svc.Labels,
		Annotations:    svc.Annotations,
		LoadBalancerIP: svc.Spec.LoadBalancerIP,
		TrafficPolicy:  string(svc.Spec.ExternalTrafficPolicy),
		Selector:       svc.Spec.Selector,
	}
	if class := svc.Spec.LoadBalancerClass; class != nil {
		s.LoadBalancerClass = *class
	}
	if policy := svc.Spec.IPFamilyPolicy; policy != nil {
		s.IPFamilyPolicy = string(*policy)
	}
	for _, family := range svc.Spec.IPFamilies {
		s.IPFamilies = append(s.IPFamilies, string(family))
	}
	for _, port := range svc.Spec.Ports {
		s.Ports = append(s.Ports, event.Port{Protocol: string(port.Protocol), Port: uint16(port.Port)})
	}
	slices.SortFunc(s.Ports, func(a, b event.Port) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if in.IP != "" {
			s.StatusAddresses = append(s.StatusAddresses, netip.MustParseAddr(in.IP))
		}
	}
	return s
}
