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

// Facts are all that a source shows and the ledger does not hold: of namespaces and nodes first, because they decide which
// pools serve a Service and who announces it, then of Services.
//
// Before there is a cluster there is none: without its settings it is not known whose Services are whose, and without its pools no
// address of a status can be adopted.
func Facts(s *ledger.State, seen Observed) (facts []event.Event, refused []Refusal) {
	if _, configured := s.Cluster(); !configured {
		return nil, nil
	}
	facts, refused = storable(append(NamespaceFacts(s, seen), NodeFacts(s, seen.Nodes)...))
	services, no := ServiceFacts(s, seen)
	return append(facts, services...), append(refused, no...)
}

// storable leaves out what the log cannot hold, as labels that are too many: whoever may write them would hold up all else with them.
func storable(all []event.Event) (facts []event.Event, refused []Refusal) {
	for _, e := range all {
		if _, err := event.Encode(e); err != nil {
			r := Refusal{Field: e.Entity(), Reason: err.Error()}
			if endpoints, is := e.(event.EndpointsChanged); is {
				r.Service = ledger.ServiceKey{Namespace: endpoints.Namespace, Name: endpoints.Name}
			}
			refused = append(refused, r)
			continue
		}
		facts = append(facts, e)
	}
	return facts, refused
}

// ServiceFacts compares the Services that a source shows with those that the ledger holds of it, and gives the facts
// that are missing: endpoints, so that a new Service has its owner at once, then Services in the order of the list, deletions last.
// Services of another type or loadBalancerClass are not there. Services that cannot become a fact are named in refused
// and left as they are in the ledger.
func ServiceFacts(s *ledger.State, seen Observed) (facts []event.Event, refused []Refusal) {
	shown := map[ledger.ServiceKey]bool{} // that the ledger holds, or is to hold
	gone := seen.Gone
	for _, service := range seen.Services {
		key := service.Key()
		if !IsOurs(s, service) { // another controller's
			gone = append(gone, key)
			continue
		}
		old, known := s.ServiceSpec(key)
		shown[key] = known
		applied, err := applied(s, seen.Source, service)
		if err != nil {
			refused = append(refused, Refusal{Field: "service " + key.String(), Reason: err.Error(), Service: key})
			continue
		}
		switch {
		case known && old.Source != seen.Source:
			why := fmt.Sprintf("it belongs to source %s, not %s", old.Source, seen.Source)
			refused = append(refused, Refusal{Field: "service " + key.String(), Reason: why, Service: key})
		case known && sameService(old, applied):
		default:
			if _, err := event.Encode(applied); err != nil { // it is too large
				refused = append(refused, Refusal{Field: "service " + key.String(), Reason: err.Error(), Service: key})
				continue
			}
			shown[key] = true
			facts = append(facts, applied)
		}
	}
	endpoints, no := storable(endpointFacts(s, seen, shown))
	facts, refused = append(endpoints, facts...), append(refused, no...)
	if !seen.Partial {
		gone = s.ServicesOf(seen.Source)
	}
	for _, key := range gone {
		if old, known := s.ServiceSpec(key); known && old.Source == seen.Source && !shown[key] {
			facts = append(facts, event.ServiceDeleted{Namespace: key.Namespace, Name: key.Name, Source: seen.Source})
		}
	}
	return facts, refused
}

// IsOurs tells whether a Service is one that the ledger is to hold: of type LoadBalancer, and of the settings' class.
func IsOurs(s *ledger.State, v Service) bool {
	return cmp.Or(v.Type, TypeLoadBalancer) == TypeLoadBalancer && v.LoadBalancerClass == s.Settings().LoadBalancerClass
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

// endpointFacts are those of Local Services, which alone are announced by where their endpoints are.
func endpointFacts(s *ledger.State, seen Observed, shown map[ledger.ServiceKey]bool) []event.Event {
	nodes := map[ledger.ServiceKey][]string{}
	for _, e := range seen.Endpoints {
		key := ledger.ServiceKey{Namespace: e.Namespace, Name: e.Service}
		nodes[key] = append(nodes[key], e.Nodes...)
	}
	var facts []event.Event
	for _, v := range seen.Services {
		key := v.Key()
		if held, known := s.ServiceSpec(key); !shown[key] || v.TrafficPolicy != event.TrafficLocal || known && held.Source != seen.Source {
			continue
		}
		var serving []string
		for _, name := range nodes[key] {
			if name, matters := knownAs(s, seen.NodeAddresses, name); matters {
				serving = append(serving, name)
			}
		}
		slices.Sort(serving)
		serving = slices.Compact(serving)
		if !slices.Equal(serving, s.ServingNodes(key)) {
			facts = append(facts, event.EndpointsChanged{
				Namespace: key.Namespace, Name: key.Name, Source: seen.Source, Nodes: serving,
			})
		}
	}
	return facts
}

// knownAs is the name by which the ledger knows a Kubernetes node, and whether it matters there: a node that is known to have no
// declared address announces nothing, so that it makes no fact when Pods come and go on it.
func knownAs(s *ledger.State, addresses map[string][]netip.Addr, name string) (string, bool) {
	all, known := addresses[name]
	if !known {
		return name, true
	}
	declared := declaredOf(s, all)
	if !declared.Address.IsValid() {
		return "", false
	}
	if named, _ := s.NodeNamed(declared.Address.String()); named.Incarnation > 0 {
		return named.Name, true
	}
	return name, true // it has not joined yet, and will do so under this name or make the list be compared again
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
