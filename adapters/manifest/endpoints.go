package manifest

import (
	"cmp"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"viplog/core/control"
)

func (r *reader) endpointSlice(o object) {
	var slice discoveryv1.EndpointSlice
	if !r.decode(o, &slice) {
		return
	}
	slice.Namespace = cmp.Or(slice.Namespace, metav1.NamespaceDefault)
	errs := validateEndpointSlice(&slice, o.path)
	for _, err := range errs {
		r.report(o, err)
	}
	r.unique(o, "EndpointSlice", slice.Namespace, slice.Name)
	if len(errs) == 0 {
		r.manifests.Endpoints = append(r.manifests.Endpoints, observedEndpoints(&slice))
	}
}

func validateEndpointSlice(slice *discoveryv1.EndpointSlice, root *field.Path) field.ErrorList {
	errs := apivalidation.ValidateObjectMeta(&slice.ObjectMeta, true, apivalidation.NameIsDNSSubdomain, root.Child("metadata"))
	label := root.Child("metadata", "labels").Key(discoveryv1.LabelServiceName)
	if service := slice.Labels[discoveryv1.LabelServiceName]; service == "" {
		errs = append(errs, field.Required(label, "the name of the Service"))
	} else {
		for _, msg := range validation.IsDNS1035Label(service) {
			errs = append(errs, field.Invalid(label, service, msg))
		}
	}
	for i, endpoint := range slice.Endpoints {
		if endpoint.NodeName == nil {
			continue
		}
		for _, msg := range validation.IsDNS1123Subdomain(*endpoint.NodeName) {
			errs = append(errs, field.Invalid(root.Child("endpoints").Index(i).Child("nodeName"), *endpoint.NodeName, msg))
		}
	}
	return errs
}

func observedEndpoints(slice *discoveryv1.EndpointSlice) control.Endpoints {
	e := control.Endpoints{Namespace: slice.Namespace, Service: slice.Labels[discoveryv1.LabelServiceName]}
	for _, endpoint := range slice.Endpoints {
		if endpoint.NodeName != nil && serves(endpoint.Conditions) {
			e.Nodes = append(e.Nodes, *endpoint.NodeName)
		}
	}
	slices.Sort(e.Nodes)
	e.Nodes = slices.Compact(e.Nodes)
	return e
}

// serves is MetalLB's EndpointCanServe: a terminating endpoint that still serves keeps its node a candidate.
func serves(c discoveryv1.EndpointConditions) bool {
	return c.Serving != nil && *c.Serving || c.Ready == nil || *c.Ready
}
