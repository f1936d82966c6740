//go:build linux

package doctor

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// defaultRoutes are those of a family that leave by a link.
func defaultRoutes(l link, family int) (all []netlink.Route) {
	routes, _ := netlink.RouteListFiltered(family, &netlink.Route{LinkIndex: l.Index}, netlink.RT_FILTER_OIF)
	for _, r := range routes {
		everything := r.Dst == nil
		if !everything {
			ones, _ := r.Dst.Mask.Size()
			everything = ones == 0
		}
		if everything {
			all = append(all, r)
		}
	}
	return all
}

// hasAdvertisedRoute tells whether a router's advertisement has made the default route of IPv6.
func hasAdvertisedRoute(l link) bool {
	for _, r := range defaultRoutes(l, netlink.FAMILY_V6) {
		if r.Protocol == unix.RTPROT_RA {
			return true
		}
	}
	return false
}

// gateway is the declared one of the link's subnet, else the default route's; the zero Addr for none.
func (f Facts) gateway(l link) netip.Addr {
	for _, s := range f.Subnets {
		if own, _ := f.own(l, s.Gateway); s.Gateway.Is4() && s.Prefix.Contains(own) {
			return s.Gateway
		}
	}
	for _, r := range defaultRoutes(l, netlink.FAMILY_V4) {
		if a, ok := netip.AddrFromSlice(r.Gw); ok {
			return a.Unmap()
		}
	}
	return netip.Addr{}
}
