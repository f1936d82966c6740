package control

import (
	"fmt"
	"net/netip"
	"slices"

	"viplog/core/event"
	"viplog/core/ledger"
)

// Cluster is what a cluster file declares.
type Cluster struct {
	Cluster  event.ClusterConfigured
	Pools    []event.Pool
	Settings event.SettingsChanged
}

// Refusal is an edit that is not allowed. Field is a path in the cluster file, without the value and the reason, or names a Service.
type Refusal struct {
	Field  string
	Value  string
	Reason string

	Service ledger.ServiceKey // zero for the cluster file's
}

// ClusterFacts compares a cluster file with the ledger. With refusals nothing is to be appended: GDCV's immutable
// fields keep their values for the life of a cluster, and a pool's addresses too, unless Settings says otherwise.
func ClusterFacts(s *ledger.State, want Cluster) (facts []event.Event, refused []Refusal) {
	old, configured := s.Cluster()
	if configured {
		refused = immutable(old, want.Cluster)
	}
	if rules := event.RulesOf(want.Settings); rules > s.Rules() {
		if why := s.WhyNotRules(rules); why != "" {
			refused = append(refused, Refusal{Field: "frontend", Value: "Settings", Reason: "its settings need newer rules: " + why})
		}
		facts = append(facts, event.RulesAdopted{Rules: rules})
	}
	if !configured || !sameFact(old, want.Cluster) {
		facts = append(facts, want.Cluster)
	}
	if !sameFact(s.Settings(), want.Settings) {
		facts = append(facts, want.Settings)
	}
	removed, no := removedPools(s, want)
	refused = append(refused, no...)
	changed, no := changedPools(s, want)
	refused = append(refused, no...)
	if len(refused) > 0 {
		return nil, refused
	}
	return slices.Concat(removed, facts, changed), nil
}

// removedPools come first: a pool goes under the settings that still name it, and another may then take its addresses.
func removedPools(s *ledger.State, want Cluster) (facts []event.Event, refused []Refusal) {
	for _, p := range s.PoolViews() {
		switch still := slices.ContainsFunc(want.Pools, func(w event.Pool) bool { return w.Name == p.Name }); {
		case still:
		case fixed(s.Settings(), p.Name):
			refused = append(refused, Refusal{
				Field: "spec.loadBalancer.addressPools", Value: p.Name,
				Reason: "pool cannot be removed, unless Settings says so (pools[].onEdit) before it goes",
			})
		default:
			facts = append(facts, event.PoolRemoved{Name: p.Name})
		}
	}
	return facts, refused
}

// changedPools are the edits, under the new settings, and then the pools that are new.
func changedPools(s *ledger.State, want Cluster) (facts []event.Event, refused []Refusal) {
	var added []event.Event
	for i, p := range want.Pools {
		before, known := s.PoolSpec(p.Name)
		sameAddresses := slices.Equal(before.Addresses, p.Addresses)
		switch {
		case !known:
			added = append(added, event.PoolAdded{Pool: p})
		case !sameAddresses && fixed(want.Settings, p.Name):
			refused = append(refused, Refusal{
				Field: fmt.Sprintf("spec.loadBalancer.addressPools[%d].addresses", i), Value: fmt.Sprint(p.Addresses),
				Reason: fmt.Sprintf("field is immutable, unless Settings says otherwise (pools[].onEdit): pool %s has %v", p.Name, before.Addresses),
			})
		case !sameAddresses || before.AvoidBuggyIPs != p.AvoidBuggyIPs || before.ManualAssign != p.ManualAssign:
			facts = append(facts, event.PoolEdited{Pool: p})
		}
	}
	return append(facts, added...), refused
}

// fixed tells whether settings let a pool's addresses never change.
func fixed(settings event.SettingsChanged, pool string) bool {
	i := slices.IndexFunc(settings.Pools, func(p event.PoolSettings) bool { return p.Name == pool })
	return i < 0 || settings.Pools[i].OnEdit == "" || settings.Pools[i].OnEdit == event.OnEditRefuse
}

// immutable holds V6 and the second half of V2 of GDCV's rules: what keeps its value for the life of a cluster.
func immutable(old, want event.ClusterConfigured) []Refusal {
	var refused []Refusal
	for _, field := range []struct{ path, old, want string }{
		{"metadata.name", old.Name, want.Name},
		{"spec.type", old.ClusterType, want.ClusterType},
		{"spec.clusterNetwork.pods.cidrBlocks", fmt.Sprint(old.PodCIDRs), fmt.Sprint(want.PodCIDRs)},
		{"spec.loadBalancer.vips.controlPlaneVIP", old.ControlPlaneVIP.String(), want.ControlPlaneVIP.String()},
		{"spec.loadBalancer.vips.ingressVIP", textOf(old.IngressVIP), textOf(want.IngressVIP)},
		{"spec.loadBalancer.ports.controlPlaneLBPort", fmt.Sprint(old.ControlPlaneLBPort), fmt.Sprint(want.ControlPlaneLBPort)},
	} {
		if field.old != field.want {
			refused = append(refused, Refusal{Field: field.path, Value: field.want, Reason: "field is immutable: it is " + field.old})
		}
	}
	refused = append(refused, serviceCIDRs(old, want)...)
	return append(refused, separation(old, want)...)
}

// textOf is an address, or that there is none.
func textOf(a netip.Addr) string {
	if !a.IsValid() {
		return "unset"
	}
	return a.String()
}

// serviceCIDRs may grow: each old block lies in a new one.
func serviceCIDRs(old, want event.ClusterConfigured) []Refusal {
	var refused []Refusal
	for i, before := range old.ServiceCIDRs {
		grown := slices.ContainsFunc(want.ServiceCIDRs, func(now netip.Prefix) bool {
			return now.Bits() <= before.Bits() && now.Contains(before.Addr())
		})
		if !grown {
			refused = append(refused, Refusal{
				Field: fmt.Sprintf("spec.clusterNetwork.services.cidrBlocks[%d]", i),
				Value: fmt.Sprint(want.ServiceCIDRs), Reason: fmt.Sprintf("must hold %s as before: the mask may only decrease", before),
			})
		}
	}
	return refused
}

// separation: load-balancer nodes may be added to a cluster without any, or taken from it, only in the one step that
// GDCV 1.32 knows, which leaves the control plane's load balancer where it is.
func separation(old, want event.ClusterConfigured) []Refusal {
	before, now := hasLoadBalancerNodes(old), hasLoadBalancerNodes(want)
	separates := !before && now && want.ControlPlaneLBMode == "bundled"
	switch {
	case before != now && !separates && now:
		return []Refusal{{
			Field: "spec.loadBalancer.nodePoolSpec", Value: "added",
			Reason: "can be added to a cluster without one only together with controlPlane.loadBalancer.mode: bundled",
		}}
	case before && !now:
		return []Refusal{{Field: "spec.loadBalancer.nodePoolSpec", Value: "removed", Reason: "field is immutable: a load-balancer node pool stays"}}
	case old.ControlPlaneLBMode != want.ControlPlaneLBMode && !separates:
		return []Refusal{{
			Field: "spec.controlPlane.loadBalancer.mode", Value: want.ControlPlaneLBMode,
			Reason: fmt.Sprintf("field is immutable: it is %q", old.ControlPlaneLBMode),
		}}
	}
	return nil
}

func hasLoadBalancerNodes(e event.ClusterConfigured) bool {
	return slices.ContainsFunc(e.Nodes, func(n event.DeclaredNode) bool { return n.Role == event.RoleLoadBalancer })
}

func sameFact(a, b event.Event) bool {
	x, errA := event.Encode(a)
	y, errB := event.Encode(b)
	return errA == nil && errB == nil && string(x.Data) == string(y.Data)
}
