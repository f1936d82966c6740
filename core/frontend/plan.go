// Package frontend plans the control plane's front end: which nodes carry its VIP by Keepalived, with which router id and priorities, and which
// API servers HAProxy shares the requests among. Package adapters/staticpod makes files of it.
package frontend

import (
	"net/netip"
	"slices"
)

// BackendPort is where an API server listens, behind the VIP's port: GDCV's choice.
const BackendPort = 6444

// DefaultGARPRepeat is how many gratuitous ARP frames Keepalived sends when it takes the VIP over, where the cluster file does not say.
const DefaultGARPRepeat = 5

// Plan is the front end of a cluster. It is the same on each node.
type Plan struct {
	Cluster    string
	VIP        netip.Addr
	Port       uint16   // of the VIP
	RouterID   uint8    // VRRP's, from 1: no other one on the segment may have it
	GARPRepeat int      // frames
	Members    []Member // who carry the VIP, by address; one alone has no peers
	Backends   []netip.Addr
}

// Member is a node that carries the VIP. The higher priority wins where two hold it.
type Member struct {
	Address  netip.Addr
	Priority uint8 // from 1 to 254; no two have the same
}

// Member finds a node.
func (p Plan) Member(a netip.Addr) (Member, bool) {
	i := slices.IndexFunc(p.Members, func(m Member) bool { return m.Address == a })
	if i < 0 {
		return Member{}, false
	}
	return p.Members[i], true
}

// Peers are the other members, by address.
func (p Plan) Peers(of netip.Addr) (peers []netip.Addr) {
	for _, m := range p.Members {
		if m.Address != of {
			peers = append(peers, m.Address)
		}
	}
	return peers
}
