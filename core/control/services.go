package control

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"viplog/core/event"
	"viplog/core/ledger"
)

// Annotations that ask for an address or a pool. MetalLB's names, new and old, mean the same as viplog's own; where
// several are given the first of these wins.
var (
	annotationsAddresses = []string{"viplog/loadBalancerIPs", "metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs"}
	annotationsPool      = []string{"viplog/address-pool", "metallb.io/address-pool", "metallb.universe.tf/address-pool"}
	annotationsSharing   = []string{"viplog/allow-shared-ip", "metallb.io/allow-shared-ip", "metallb.universe.tf/allow-shared-ip"}
)

// ServiceFacts compares the Services that a source shows with those that the ledger holds of it, and gives the facts
// that are missing, in the order of the list, deletions last. Services of another loadBalancerClass are not there. Services that cannot become a fact are named in refused
// and left as they are in the ledger.
func ServiceFacts(s *ledger.State, seen Observed) (facts []event.Event, refused []Refusal) {
	shown := map[ledger.ServiceKey]bool{}
	for _, service := range seen.Services {
		if service.LoadBalancerClass != s.Settings().LoadBalancerClass {
			continue // another controller's
		}
		key := ledger.ServiceKey{Namespace: service.Namespace, Name: service.Name}
		shown[key] = true
		applied, err := applied(s, seen.Source, service)
		if err != nil {
			refused = append(refused, Refusal{Field: "service " + key.String(), Reason: err.Error()})
			continue
		}
		if old, ok := s.ServiceSpec(key); !ok || !sameService(old, applied) {
			facts = append(facts, applied)
		}
	}
	facts = append(facts, endpointFacts(s, seen, shown)...)
	if seen.Partial {
		return facts, refused
	}
	for _, old := range s.ServicesOf(seen.Source) {
		if !shown[old] {
			facts = append(facts, event.ServiceDeleted{Namespace: old.Namespace, Name: old.Name, Source: seen.Source})
		}
	}
	return facts, refused
}

// applied makes the fact of one Service.
func applied(s *ledger.State, source string, v Service) (event.ServiceApplied, error) {
	e := event.ServiceApplied{
		Namespace: v.Namespace, Name: v.Name, Source: source, UID: v.UID, Revision: v.Revision,
		Labels: sortedLabels(v.Labels), Selector: sortedLabels(v.Selector),
		LoadBalancerClass: v.LoadBalancerClass,
		FamilyPolicy:      cmp.Or(v.IPFamilyPolicy, event.SingleStack),
		TrafficPolicy:     cmp.Or(v.TrafficPolicy, event.TrafficCluster),
		Ports:             slices.Clone(v.Ports),
		RequestedPool:     annotation(v.Annotations, annotationsPool),
		SharingKey:        annotation(v.Annotations, annotationsSharing),
		StatusAddresses:   v.StatusAddresses,
	}
	slices.SortFunc(e.Ports, func(a, b event.Port) int {
		return cmp.Or(strings.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
	requested, err := requestedAddresses(v)
	if err != nil {
		return event.ServiceApplied{}, err
	}
	e.RequestedAddresses = requested
	if e.Families = families(s, v); v.IPFamilies == nil && len(requested) == 1 {
		e.Families = []string{event.FamilyOf(requested[0])}
	}
	return e, e.Check()
}

// families defaults as the API server does: the first family of the cluster's Service CIDRs.
func families(s *ledger.State, v Service) []string {
	if len(v.IPFamilies) > 0 {
		return v.IPFamilies
	}
	cluster, _ := s.Cluster()
	var all []string
	for _, p := range cluster.ServiceCIDRs {
		if f := event.FamilyOf(p.Addr()); !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		all = []string{event.FamilyIPv4}
	}
	if cmp.Or(v.IPFamilyPolicy, event.SingleStack) == event.SingleStack {
		return all[:1]
	}
	return all
}

func requestedAddresses(v Service) ([]netip.Addr, error) {
	text := annotation(v.Annotations, annotationsAddresses)
	if text != "" && v.LoadBalancerIP != "" {
		return nil, fmt.Errorf("both spec.loadBalancerIP and an annotation request addresses; use one")
	}
	var all []netip.Addr
	for part := range strings.SplitSeq(cmp.Or(text, v.LoadBalancerIP), ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		a, err := netip.ParseAddr(part)
		if err != nil {
			return nil, fmt.Errorf("the requested address %q is no IP address", part)
		}
		all = append(all, a.Unmap())
	}
	return all, nil
}

func endpointFacts(s *ledger.State, seen Observed, shown map[ledger.ServiceKey]bool) []event.Event {
	nodes := map[ledger.ServiceKey][]string{}
	for _, e := range seen.Endpoints {
		key := ledger.ServiceKey{Namespace: e.Namespace, Name: e.Service}
		nodes[key] = append(nodes[key], e.Nodes...)
	}
	var facts []event.Event
	for _, v := range seen.Services {
		key := ledger.ServiceKey{Namespace: v.Namespace, Name: v.Name}
		if !shown[key] || v.TrafficPolicy != event.TrafficLocal {
			continue // only Local Services are announced by where their endpoints are
		}
		serving := slices.Compact(slices.Sorted(slices.Values(nodes[key])))
		if !slices.Equal(serving, s.ServingNodes(key)) {
			facts = append(facts, event.EndpointsChanged{
				Namespace: key.Namespace, Name: key.Name, Source: seen.Source, Nodes: serving,
			})
		}
	}
	return facts
}

// sameService tells whether a fact would say nothing new. UID, revision and status change without meaning.
func sameService(a, b event.ServiceApplied) bool {
	a.UID, a.Revision, a.StatusAddresses = b.UID, b.Revision, b.StatusAddresses
	return sameFact(a, b)
}

func annotation(all map[string]string, names []string) string {
	for _, name := range names {
		if value, ok := all[name]; ok {
			return value
		}
	}
	return ""
}

func sortedLabels(labels map[string]string) []event.Label {
	var sorted []event.Label
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		sorted = append(sorted, event.Label{Key: key, Value: labels[key]})
	}
	return sorted
}
