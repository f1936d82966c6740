package control

import (
	"fmt"
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

// immutable holds V6 of the facts on GDCV's configuration.
func immutable(old, want event.ClusterConfigured) []Refusal {
	var refused []Refusal
	for _, field := range []struct{ path, old, want string }{
		{"metadata.name", old.Name, want.Name},
		{"spec.type", old.ClusterType, want.ClusterType},
		{"spec.loadBalancer.vips.controlPlaneVIP", old.ControlPlaneVIP.String(), want.ControlPlaneVIP.String()},
		{"spec.loadBalancer.vips.ingressVIP", old.IngressVIP.String(), want.IngressVIP.String()},
		{"spec.loadBalancer.ports.controlPlaneLBPort", fmt.Sprint(old.ControlPlaneLBPort), fmt.Sprint(want.ControlPlaneLBPort)},
	} {
		if field.old != field.want {
			refused = append(refused, Refusal{field.path, field.want, "field is immutable: it is " + field.old})
		}
	}
	return refused
}

func sameFact(a, b event.Event) bool {
	x, errA := event.Encode(a)
	y, errB := event.Encode(b)
	return errA == nil && errB == nil && string(x.Data) == string(y.Data)
}
