package frontend

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"viplog/core/event"
	"viplog/core/ledger"
)

// Explain says who carries the control plane's VIP and why, with the entities whose facts that rests on; false if an address is not it.
func Explain(s *ledger.State, vip netip.Addr) (ledger.Explanation, bool) {
	c, configured := s.Cluster()
	if !configured || vip != c.ControlPlaneVIP {
		return ledger.Explanation{}, false
	}
	e := ledger.Explanation{Subject: "address " + vip.String()}
	add := func(rule, verdict, detail string, entities ...string) {
		e.Steps = append(e.Steps, ledger.Step{Rule: rule, Verdict: verdict, Detail: detail, Entities: entities})
	}
	add("declared", "yes", fmt.Sprintf("controlPlaneVIP of cluster %s, port %d", c.Name, c.ControlPlaneLBPort), c.Entity())
	p, err := Of(s)
	if err != nil {
		e.Summary = strings.TrimPrefix(err.Error(), "frontend: ")
		verdict := "no"
		if errors.Is(err, ErrNotOurs) {
			verdict = "-"
		}
		add("planned", verdict, e.Summary, c.Entity(), event.SettingsChanged{}.Entity())
		return e, true
	}
	e.Summary = fmt.Sprintf("is carried by Keepalived on %d nodes, one at a time", len(p.Members))
	add("carried by", "yes", whyCarriers(c), c.Entity())
	known := s.Frontend()
	switch id := s.Settings().Frontend.RouterID; {
	case id != 0:
		add("router id", "yes", fmt.Sprintf("%d, asked for by settings.frontend.routerID", id), event.SettingsChanged{}.Entity())
	case known.RouterID == int(p.RouterID):
		add("router id", "yes", fmt.Sprintf("%d, and it stays: nobody else is said to have it", p.RouterID), known.Entity())
	default:
		add("router id", "yes", fmt.Sprintf("%d, by the cluster's name and settings.frontend.otherRouterIDs", p.RouterID), c.Entity(), event.SettingsChanged{}.Entity())
	}
	for _, m := range p.Members {
		add("priority", "yes", fmt.Sprintf("%s has %d", m.Address, m.Priority), known.Entity())
	}
	for _, b := range p.Backends {
		add("back end", "yes", fmt.Sprintf("%s:%d", b, BackendPort), c.Entity())
	}
	switch {
	case s.Rules() < event.RulesOf(known):
		add("remembered", "no", fmt.Sprintf("the ledger holds rules %d: router id and priorities are remembered from rules %d on", s.Rules(), event.RulesOf(known)))
	case Due(s) != nil:
		add("remembered", "no", "a controller has yet to tell the log", known.Entity())
	default:
		add("remembered", "yes", "router id and priorities stay when other nodes come and go", known.Entity())
	}
	return e, true
}

func whyCarriers(c event.ClusterConfigured) string {
	switch {
	case c.ControlPlaneLBMode == modeBundled:
		return "control-plane nodes: controlPlane.loadBalancer.mode is bundled"
	case len(nodesOf(c, event.RoleLoadBalancer)) > 0:
		return "load-balancer nodes: loadBalancer.nodePoolSpec names some"
	}
	return "control-plane nodes: loadBalancer.nodePoolSpec names none"
}
