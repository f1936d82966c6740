package event

import (
	"errors"
	"fmt"
	"net/netip"
)

// Values of a Service's fields, as the Kubernetes API spells them.
const (
	FamilyIPv4 = "IPv4"
	FamilyIPv6 = "IPv6"

	SingleStack      = "SingleStack"
	PreferDualStack  = "PreferDualStack"
	RequireDualStack = "RequireDualStack"

	TrafficCluster = "Cluster"
	TrafficLocal   = "Local"
)

// FamilyOf names an address's family.
func FamilyOf(a netip.Addr) string {
	if a.Is4() {
		return FamilyIPv4
	}
	return FamilyIPv6
}

// SourceKubernetes is the source of Services that a Kubernetes API server has: what a status there shows, clients may ask for from then on.
const SourceKubernetes = "kubernetes"

// ServiceApplied says how a Service of type LoadBalancer is declared now. Source, UID and Revision say where: a source
// deletes only its own. What only a status or an unrelated annotation changed makes no fact.
type ServiceApplied struct {
	Namespace          string       `json:"namespace"`
	Name               string       `json:"name"`
	Source             string       `json:"source"`
	UID                string       `json:"uid,omitempty"`
	Revision           string       `json:"revision,omitempty"`
	Labels             []Label      `json:"labels,omitempty"`
	LoadBalancerClass  string       `json:"loadBalancerClass,omitempty"`
	Families           []string     `json:"families"`
	FamilyPolicy       string       `json:"familyPolicy"`
	TrafficPolicy      string       `json:"externalTrafficPolicy"`
	Ports              []Port       `json:"ports"`
	Selector           []Label      `json:"selector,omitempty"`
	RequestedAddresses []netip.Addr `json:"requestedAddresses,omitempty"`
	RequestedPool      string       `json:"requestedPool,omitempty"`
	SharingKey         string       `json:"sharingKey,omitempty"`
	StatusAddresses    []netip.Addr `json:"statusAddresses,omitempty"`
}

// Port is one port of a Service. Ports are sorted by protocol and number.
type Port struct {
	Protocol string `json:"protocol"`
	Port     uint16 `json:"port"`
}

// ServiceDeleted says that a source no longer has a Service, or that it is no longer of type LoadBalancer.
type ServiceDeleted struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Source    string `json:"source"`
}

// EndpointsChanged says on which nodes, by Kubernetes name and sorted, a Service has a serving endpoint.
type EndpointsChanged struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Source    string   `json:"source"`
	Nodes     []string `json:"nodes,omitempty"`
}

// NamespaceChanged says which labels a namespace has, sorted by key.
type NamespaceChanged struct {
	Name   string  `json:"name"`
	Labels []Label `json:"labels,omitempty"`
}

// NamespaceDeleted says that a namespace is gone.
type NamespaceDeleted struct {
	Name string `json:"name"`
}

// AddressReleased says that an operator ends an address's cooldown or reservation.
type AddressReleased struct {
	Address netip.Addr `json:"address"`
}

func (ServiceApplied) isEvent()   {}
func (ServiceDeleted) isEvent()   {}
func (EndpointsChanged) isEvent() {}
func (NamespaceChanged) isEvent() {}
func (NamespaceDeleted) isEvent() {}
func (AddressReleased) isEvent()  {}

// Entity is the Service.
func (e ServiceApplied) Entity() string { return entity(kindService, e.Namespace, e.Name) }

// Entity is the Service.
func (e ServiceDeleted) Entity() string { return entity(kindService, e.Namespace, e.Name) }

// Entity is the Service's endpoints.
func (e EndpointsChanged) Entity() string { return entity(kindEndpoints, e.Namespace, e.Name) }

// Entity is the namespace.
func (e NamespaceChanged) Entity() string { return entity(kindNamespace, e.Name) }

// Entity is the namespace.
func (e NamespaceDeleted) Entity() string { return entity(kindNamespace, e.Name) }

// Entity is the address.
func (e AddressReleased) Entity() string { return entity(kindAddress, e.Address.String()) }

// Check holds names, enumerations and addresses.
func (e ServiceApplied) Check() error {
	errs := []error{
		checkService(e.Namespace, e.Name, e.Source),
		checkOneOf("familyPolicy", e.FamilyPolicy, SingleStack, PreferDualStack, RequireDualStack),
		checkLabels("labels", e.Labels), checkLabels("selector", e.Selector),
		checkOneOf("externalTrafficPolicy", e.TrafficPolicy, TrafficCluster, TrafficLocal),
	}
	if len(e.Families) < 1 || len(e.Families) > 2 || len(e.Families) == 2 && e.Families[0] == e.Families[1] {
		errs = append(errs, fmt.Errorf("families: %w: one or both of IPv4 and IPv6 are required", ErrInvalid))
	}
	for i, f := range e.Families {
		if f != FamilyIPv4 && f != FamilyIPv6 {
			errs = append(errs, checkOneOf(fmt.Sprintf("families[%d]", i), f, FamilyIPv4, FamilyIPv6))
		}
	}
	for i, p := range e.Ports {
		if p.Protocol != "TCP" && p.Protocol != "UDP" && p.Protocol != "SCTP" {
			errs = append(errs, checkOneOf(fmt.Sprintf("ports[%d].protocol", i), p.Protocol, "TCP", "UDP", "SCTP"))
		}
		if p.Port == 0 {
			errs = append(errs, fmt.Errorf("ports[%d].port: %w: 1 to 65535 is required", i, ErrInvalid))
		}
	}
	if len(e.RequestedAddresses) > 2 {
		errs = append(errs, fmt.Errorf("requestedAddresses: %w: at most one address of each family", ErrInvalid))
	}
	for i, a := range e.RequestedAddresses {
		errs = append(errs, checkAddress(fmt.Sprintf("requestedAddresses[%d]", i), a))
	}
	for i, a := range e.StatusAddresses {
		errs = append(errs, checkAddress(fmt.Sprintf("statusAddresses[%d]", i), a))
	}
	return errors.Join(errs...)
}

// Check wants names.
func (e ServiceDeleted) Check() error { return checkService(e.Namespace, e.Name, e.Source) }

// Check wants names.
func (e EndpointsChanged) Check() error { return checkService(e.Namespace, e.Name, e.Source) }

// Check wants a name and sorted labels.
func (e NamespaceChanged) Check() error {
	return errors.Join(checkName("name", e.Name), checkLabels("labels", e.Labels))
}

// Check wants a name.
func (e NamespaceDeleted) Check() error { return checkName("name", e.Name) }

// Check wants an address.
func (e AddressReleased) Check() error { return checkAddress("address", e.Address) }

func checkService(namespace, name, source string) error {
	return errors.Join(checkName("namespace", namespace), checkName("name", name), checkName("source", source))
}
