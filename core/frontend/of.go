package frontend

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"

	"viplog/core/event"
	"viplog/core/ledger"
)

var (
	// ErrNoCluster says that no cluster is declared yet.
	ErrNoCluster = errors.New("frontend: no cluster is declared yet")
	// ErrNotOurs says that somebody else balances the control plane: controlPlane.loadBalancer.mode is manual.
	ErrNotOurs = errors.New("frontend: the control plane's load balancer is not viplog's")
	// ErrNoRouterID says that others have every router id.
	ErrNoRouterID = errors.New("frontend: settings.frontend.otherRouterIDs leaves no router id")
)

// modeManual is controlPlane.loadBalancer.mode where the user has a load balancer of their own, modeBundled where it stays on the control-plane
// nodes although others announce the addresses of Services.
const (
	modeManual  = "manual"
	modeBundled = "bundled"
)

// Of plans by a ledger: what it remembers, and where it remembers nothing what Due would have it remember.
func Of(s *ledger.State) (Plan, error) {
	c, configured := s.Cluster()
	switch {
	case !configured:
		return Plan{}, ErrNoCluster
	case c.ControlPlaneLBMode == modeManual:
		return Plan{}, ErrNotOurs
	}
	a, err := assign(c, s.Settings().Frontend, s.Frontend())
	if err != nil {
		return Plan{}, err
	}
	p := Plan{
		Cluster: c.Name, VIP: c.ControlPlaneVIP, Port: c.ControlPlaneLBPort, RouterID: uint8(a.RouterID), GARPRepeat: c.VRRPGARPMasterRepeat,
		Backends: nodesOf(c, event.RoleControlPlane),
	}
	if p.GARPRepeat == 0 {
		p.GARPRepeat = DefaultGARPRepeat
	}
	for _, m := range a.Priorities {
		p.Members = append(p.Members, Member{Address: m.Address, Priority: uint8(m.Priority)})
	}
	return p, nil
}

// Due is the fact that the log lacks for the plan to stay as it is; nil for none. Its rules know no such fact before rules 2.
func Due(s *ledger.State) event.Event {
	c, configured := s.Cluster()
	if !configured || c.ControlPlaneLBMode == modeManual || s.Rules() < event.RulesOf(event.FrontendAssigned{}) {
		return nil
	}
	known := s.Frontend()
	a, err := assign(c, s.Settings().Frontend, known)
	if err != nil || a.RouterID == known.RouterID && slices.Equal(a.Priorities, known.Priorities) {
		return nil
	}
	return a
}

// assign keeps what is remembered of nodes that are still to carry the VIP, and completes it.
func assign(c event.ClusterConfigured, settings event.FrontendSettings, known event.FrontendAssigned) (a event.FrontendAssigned, err error) {
	if a.RouterID, err = routerID(c.Name, settings, known.RouterID); err != nil {
		return a, err
	}
	carriers := carriersOf(c)
	for _, p := range known.Priorities {
		if slices.Contains(carriers, p.Address) {
			a.Priorities = append(a.Priorities, p)
		}
	}
	for _, carrier := range carriers {
		if !slices.ContainsFunc(a.Priorities, func(p event.FrontendPriority) bool { return p.Address == carrier }) {
			a.Priorities = append(a.Priorities, event.FrontendPriority{Address: carrier, Priority: freePriority(a.Priorities)})
		}
	}
	slices.SortFunc(a.Priorities, func(x, y event.FrontendPriority) int { return x.Address.Compare(y.Address) })
	return a, nil
}

// carriersOf are the nodes that carry the VIP, in the order of the cluster file.
func carriersOf(c event.ClusterConfigured) []netip.Addr {
	if balancers := nodesOf(c, event.RoleLoadBalancer); len(balancers) > 0 && c.ControlPlaneLBMode != modeBundled {
		return balancers
	}
	return nodesOf(c, event.RoleControlPlane)
}

func nodesOf(c event.ClusterConfigured, role string) (all []netip.Addr) {
	for _, n := range c.Nodes {
		if n.Role == role {
			all = append(all, n.Address)
		}
	}
	return all
}

// freePriority is the highest one of those ten apart that nobody has, or else of all. Timers of neighbours in the list differ the more, the more
// their priorities do: by a 256th of an advertisement's interval for each (RFC 9568, section 6.1).
func freePriority(taken []event.FrontendPriority) int {
	for _, step := range []int{10, 1} {
		for p := event.MaxVRRPPriority; p > 0; p -= step {
			if !slices.ContainsFunc(taken, func(t event.FrontendPriority) bool { return t.Priority == p }) {
				return p
			}
		}
	}
	panic("frontend: a cluster has fewer nodes than there are priorities")
}

// commonRouterID is the one of most examples, which others on the segment may well have copied.
const commonRouterID = 51

// routerID is the one that the settings give, or the one that is remembered, unless others have it now; else one by the cluster's name, so that
// clusters of other names have others as a rule.
func routerID(cluster string, settings event.FrontendSettings, known int) (int, error) {
	isFree := func(id int) bool { return !slices.Contains(settings.OtherRouterIDs, id) }
	switch {
	case settings.RouterID != 0:
		return settings.RouterID, nil
	case known != 0 && isFree(known):
		return known, nil
	}
	h := fnv.New32a()
	h.Write([]byte(cluster))
	first := int(h.Sum32() % event.MaxRouterID)
	for i := range event.MaxRouterID {
		if id := (first+i)%event.MaxRouterID + 1; id != commonRouterID && isFree(id) {
			return id, nil
		}
	}
	return 0, fmt.Errorf("%w of %d", ErrNoRouterID, event.MaxRouterID)
}
