package control

import (
	"net/netip"

	"viplog/core/event"
)

// VoterHosts are the hosts that are to vote: those that Settings name, else three, control-plane nodes first, else one; each in the
// order of the cluster file.
func VoterHosts(cluster event.ClusterConfigured, settings event.SettingsChanged) []netip.Addr {
	if len(settings.Voters) > 0 {
		return settings.Voters
	}
	var all []netip.Addr
	for _, role := range []string{event.RoleControlPlane, event.RoleLoadBalancer} {
		for _, n := range cluster.Nodes {
			if n.Role == role {
				all = append(all, n.Address)
			}
		}
	}
	const usual = 3
	if len(all) < usual {
		return all[:min(1, len(all))]
	}
	return all[:usual]
}
