// Package control is the controller's pure part: it compares what a source observes with the ledger and says which
// facts are missing from the log.
package control

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"viplog/core/event"
	"viplog/core/ledger"
)

// Observed is what one source shows now: all of it, unless Partial. What is missing from a whole list is gone, so a
// source hands over a complete list or none.
type Observed struct {
	Source    string // "manifests", "kubernetes"; a source deletes only its own
	Partial   bool   // these and maybe others: nothing is deleted because it is missing here
	Services  []Service
	Endpoints []Endpoints

	Gone           []ledger.ServiceKey // Services that are there no more, for sure
	Nodes          []Node
	Namespaces     []Namespace
	GoneNamespaces []string

	// NodeAddresses are the InternalIPs of the nodes that Endpoints name, where the source knows them: the log may know a node by
	// another name than Kubernetes does. Nil where it knows none, and names count as they are.
	NodeAddresses map[string][]netip.Addr
}

// TypeLoadBalancer is the type of the Services that have addresses.
const TypeLoadBalancer = "LoadBalancer"

// Service is a Service as a source shows it: fields of the Kubernetes API, not interpreted.
// Annotations and spec.loadBalancerIP are given meaning here, in one place for every source.
type Service struct {
	Namespace         string
	Name              string
	Type              string // spec.type; empty: LoadBalancer, for sources that show no others
	UID               string
	Revision          string
	Created           int64 // Unix seconds; 0 where the source does not know
	Labels            map[string]string
	Annotations       map[string]string
	LoadBalancerClass string
	LoadBalancerIP    string
	IPFamilies        []string // "IPv4", "IPv6"; empty where the source leaves it to the API server's default
	IPFamilyPolicy    string   // empty: SingleStack
	TrafficPolicy     string   // spec.externalTrafficPolicy; empty: Cluster
	Ports             []event.Port
	Selector          map[string]string
	StatusAddresses   []netip.Addr
	Status            Status // as it is shown, for sources that take one back
}

// Key names the Service.
func (v Service) Key() ledger.ServiceKey {
	return ledger.ServiceKey{Namespace: v.Namespace, Name: v.Name}
}

// Endpoints is one EndpointSlice of a Service, reduced to what matters here.
type Endpoints struct {
	Namespace string
	Service   string   // label kubernetes.io/service-name
	Nodes     []string // nodeName of each endpoint that serves (ready unset or true, or serving true)
}

// Node is a Kubernetes Node, reduced to what matters here.
type Node struct {
	Name       string
	Addresses  []netip.Addr // of type InternalIP
	Labels     map[string]string
	Taints     []string // key=value:effect
	Conditions []string // the types of those that are true
}

// Namespace is a Kubernetes Namespace, reduced to what matters here.
type Namespace struct {
	Name   string
	Labels map[string]string
}

// SortByArrival puts Services in the order in which a log that was lost is to learn of them: those whose status has an
// address first, so that nobody else takes it, then by age, then by name. In a log that knows them the order changes nothing.
func SortByArrival(all []Service) {
	without := func(v Service) int {
		if len(v.StatusAddresses) > 0 {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b Service) int {
		return cmp.Or(cmp.Compare(without(a), without(b)), cmp.Compare(a.Created, b.Created),
			strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
}
