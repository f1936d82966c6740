package event

import (
	"fmt"
	"net/netip"
	"strings"

	"go4.org/netipx"
)

// ParseRange reads one entry of a pool: "10.0.0.1-10.0.0.9", "10.0.0.0/28" or "10.0.0.7", of either family. The error
// says what would be right; it does not repeat the text.
func ParseRange(text string) (netipx.IPRange, error) {
	if from, to, isRange := strings.Cut(text, "-"); isRange {
		return parseFromTo(from, to)
	}
	if strings.Contains(text, "/") {
		return parseCIDR(text)
	}
	addr, err := parseAddress(text)
	if err != nil {
		return netipx.IPRange{}, err
	}
	return netipx.IPRangeFrom(addr, addr), nil
}

func parseFromTo(from, to string) (netipx.IPRange, error) {
	if strings.TrimSpace(from) != from || strings.TrimSpace(to) != to {
		return netipx.IPRange{}, fmt.Errorf("no spaces are allowed around the dash; write %s-%s",
			strings.TrimSpace(from), strings.TrimSpace(to))
	}
	first, err := parseAddress(from)
	if err != nil {
		return netipx.IPRange{}, fmt.Errorf("start of the range: %w", err)
	}
	last, err := parseAddress(to)
	if err != nil {
		return netipx.IPRange{}, fmt.Errorf("end of the range: %w", err)
	}
	if first.BitLen() != last.BitLen() {
		return netipx.IPRange{}, fmt.Errorf("%s and %s are of different families", first, last)
	}
	if last.Less(first) {
		return netipx.IPRange{}, fmt.Errorf("the start is after the end; write %s-%s", last, first)
	}
	return netipx.IPRangeFrom(first, last), nil
}

// parseCIDR refuses host bits and names both corrections, because the silent reading (the whole network) and the
// meant one (this address) differ.
func parseCIDR(text string) (netipx.IPRange, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netipx.IPRange{}, fmt.Errorf("must be a CIDR like 10.0.0.0/28, a range like 10.0.0.1-10.0.0.9 or an address")
	}
	if prefix.Addr().Is4In6() {
		return netipx.IPRange{}, fmt.Errorf("is IPv4 in IPv6 form; write it as IPv4")
	}
	if masked := prefix.Masked(); masked != prefix {
		return netipx.IPRange{}, fmt.Errorf("has host bits set; write %s for the whole network, or %s/%d for the one address",
			masked, prefix.Addr(), prefix.Addr().BitLen())
	}
	return netipx.RangeOfPrefix(prefix), nil
}

func parseAddress(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("must be an IP address, a CIDR or a range like 10.0.0.1-10.0.0.9")
	case addr.Is4In6():
		return netip.Addr{}, fmt.Errorf("is IPv4 in IPv6 form; write %s", addr.Unmap())
	case addr.Zone() != "":
		return netip.Addr{}, fmt.Errorf("must not have a zone; write %s", addr.WithZone(""))
	}
	return addr, nil
}
