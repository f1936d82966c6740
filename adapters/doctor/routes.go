//go:build linux

package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// defaultRoutes are those of a family that leave by a link.
func defaultRoutes(l link, family int) (all []netlink.Route, err error) {
	routes, err := whole(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(family, &netlink.Route{LinkIndex: l.Index}, netlink.RT_FILTER_OIF)
	})
	if err != nil {
		return nil, fmt.Errorf("the routes cannot be listed: %w", err)
	}
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
	return all, nil
}

// hasAdvertisedRoute tells whether a router's advertisement has made the default route of IPv6.
func hasAdvertisedRoute(l link) (bool, error) {
	routes, err := defaultRoutes(l, netlink.FAMILY_V6)
	return slices.ContainsFunc(routes, func(r netlink.Route) bool { return r.Protocol == unix.RTPROT_RA }), err
}

// gateway is the declared one of the link's subnet, else the default route's; the zero Addr for none.
func (f Facts) gateway(l link) (netip.Addr, error) {
	for _, s := range f.Subnets {
		if own, _ := f.own(l, s.Gateway); s.Gateway.Is4() && s.Prefix.Contains(own) {
			return s.Gateway, nil
		}
	}
	routes, err := defaultRoutes(l, netlink.FAMILY_V4)
	for _, r := range routes {
		if a, ok := netip.AddrFromSlice(r.Gw); ok {
			return a.Unmap(), nil
		}
	}
	return netip.Addr{}, err
}
