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

// Refusal is an edit that is not allowed. Field is a path in the cluster file, without the value and the reason.
type Refusal struct {
	Field  string
	Value  string
	Reason string
}

// ClusterFacts compares a cluster file with the ledger. With refusals nothing is to be appended: GDCV's immutable
// fields keep their values for the life of a cluster, and pools are added but never dropped.
func ClusterFacts(s *ledger.State, want Cluster) (facts []event.Event, refused []Refusal) {
	old, configured := s.Cluster()
	if configured {
		refused = immutable(old, want.Cluster)
	}
	if !configured || !sameFact(old, want.Cluster) {
		facts = append(facts, want.Cluster)
	}
	if !sameFact(s.Settings(), want.Settings) {
		facts = append(facts, want.Settings)
	}
	for i, p := range want.Pools {
		before, known := s.PoolSpec(p.Name)
		field := fmt.Sprintf("spec.loadBalancer.addressPools[%d]", i)
		switch {
		case !known:
			facts = append(facts, event.PoolAdded{Pool: p})
		case !slices.Equal(before.Addresses, p.Addresses):
			refused = append(refused, Refusal{
				field + ".addresses", fmt.Sprint(p.Addresses),
				fmt.Sprintf("field is immutable: pool %s has %v", p.Name, before.Addresses),
			})
		case before.AvoidBuggyIPs != p.AvoidBuggyIPs || before.ManualAssign != p.ManualAssign:
			facts = append(facts, event.PoolEdited{Pool: p})
		}
	}
	for _, p := range s.PoolViews() {
		if !slices.ContainsFunc(want.Pools, func(w event.Pool) bool { return w.Name == p.Name }) {
			refused = append(refused, Refusal{"spec.loadBalancer.addressPools", p.Name, "pool cannot be removed"})
		}
	}
	if len(refused) > 0 {
		return nil, refused
	}
	return facts, nil
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
			refused = append(refused, Refusal{field.path, field.want, "field is immutable: it is " + field.old})
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
				fmt.Sprintf("spec.clusterNetwork.services.cidrBlocks[%d]", i),
				fmt.Sprint(want.ServiceCIDRs), fmt.Sprintf("must hold %s as before: the mask may only decrease", before),
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
			"spec.loadBalancer.nodePoolSpec", "added",
			"can be added to a cluster without one only together with controlPlane.loadBalancer.mode: bundled",
		}}
	case before && !now:
		return []Refusal{{"spec.loadBalancer.nodePoolSpec", "removed", "field is immutable: a load-balancer node pool stays"}}
	case old.ControlPlaneLBMode != want.ControlPlaneLBMode && !separates:
		return []Refusal{{
			"spec.controlPlane.loadBalancer.mode", want.ControlPlaneLBMode,
			fmt.Sprintf("field is immutable: it is %q", old.ControlPlaneLBMode),
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
