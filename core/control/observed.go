// Package control is the controller's pure part: it compares what a source observes with the ledger and says which
// facts are missing from the log.
package control

import (
	"net/netip"

	"viplog/core/event"
)

// Observed is what one source shows now: all of it, unless Partial. What is missing from a whole list is gone, so a
// source hands over a complete list or none.
type Observed struct {
	Source    string // "manifests", "kubernetes"; a source deletes only its own
	Partial   bool   // these and maybe others: nothing is deleted because it is missing here
	Services  []Service
	Endpoints []Endpoints
}

// Service is a Service of type LoadBalancer as a source shows it: fields of the Kubernetes API, not interpreted.
// Annotations and spec.loadBalancerIP are given meaning here, in one place for every source.
type Service struct {
	Namespace         string
	Name              string
	UID               string
	Revision          string
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
}

// Endpoints is one EndpointSlice of a Service, reduced to what matters here.
type Endpoints struct {
	Namespace string
	Service   string   // label kubernetes.io/service-name
	Nodes     []string // nodeName of each endpoint that serves (ready unset or true, or serving true)
}
