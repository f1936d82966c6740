package doctor

import (
	"net/netip"
	"time"

	"go4.org/netipx"

	"viplog/core/event"
	"viplog/core/frontend"
	"viplog/core/lease"
)

// Facts are what is known of the host and its cluster. What is zero is unknown, and what needs it is skipped.
type Facts struct {
	Cluster   string
	Self      netip.Addr     // the address that the node is known by
	Interface string         // the one to look at; "": the one that has Self
	Plan      *frontend.Plan // the front end; its RouterID is 0 where only that is unknown
	Nodes     []netip.Addr   // all that the cluster declares
	Subnets   []event.Subnet // that the operator declared
	Pools     []netipx.IPRange
	Ports     []Port
	Timing    lease.Timing  // zero: the default profile's
	Advert    time.Duration // from one VRRP advertisement to the next; 0: DefaultAdvert
	Probe     netip.Addr    // a spare address of the subnet, to try the gateway with
	Identity  *Identity
	Data      string // the agent's folder of data

	// Ignored names interfaces of container networks, which are no network's; nil: none is.
	Ignored func(name string) bool
}

// DefaultAdvert is Keepalived's own, and GDCV's.
const DefaultAdvert = time.Second

// Port is one that a process of the load balancer's needs.
type Port struct {
	ID      string // of its finding: ports/ID
	Network string // tcp or udp
	At      netip.AddrPort
	Holder  string // name of the process that may have it, as /proc/PID/comm has it (15 bytes)
	For     string // what it is needed for
	Do      string // what to do where another process has it
}

// Identity is the host's folder of keys and certificates, as its reader has found it.
type Identity struct {
	Folder  string
	Expires time.Time // of the certificate, or its authority's
	Problem error     // why it cannot be used
}

func (f Facts) withDefaults() Facts {
	if f.Timing == (lease.Timing{}) {
		f.Timing = lease.Default
	}
	if f.Advert == 0 {
		f.Advert = DefaultAdvert
	}
	if f.Ignored == nil {
		f.Ignored = func(string) bool { return false }
	}
	return f
}

// carriesVIP tells whether this host is one of those that carry the control plane's VIP.
func (f Facts) carriesVIP() bool {
	if f.Plan == nil {
		return false
	}
	_, is := f.Plan.Member(f.Self)
	return is
}

// subnetOf is the declared subnet that has an address.
func (f Facts) subnetOf(a netip.Addr) (event.Subnet, bool) {
	for _, s := range f.Subnets {
		if s.Prefix.Contains(a) {
			return s, true
		}
	}
	return event.Subnet{}, false
}
