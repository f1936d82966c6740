package doctor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Advert is an advertisement of a virtual router: of VRRPv2 (RFC 3768) or VRRPv3 (RFC 9568).
type Advert struct {
	Source    netip.Addr // of the packet: the host's own address
	To        netip.Addr // of the packet: a group, or a peer
	Version   uint8
	RouterID  uint8
	Priority  uint8         // 0: its sender gives the addresses up; 255: they are its own
	Interval  time.Duration // from one to the next
	Addresses []netip.Addr  // that it carries
}

const (
	vrrpProtocol  = 112
	vrrpHeader    = 8
	advertisement = 1 // the only type that there is
)

// ParseAdvert reads what an IP packet of protocol 112 carries. ErrAdvert: it is no advertisement, or a broken one.
func ParseAdvert(source, to netip.Addr, b []byte) (Advert, error) {
	if len(b) < vrrpHeader || source.Is4() != to.Is4() {
		return Advert{}, fmt.Errorf("%w: %d bytes", ErrAdvert, len(b))
	}
	a := Advert{Source: source, To: to, Version: b[0] >> 4, RouterID: b[1], Priority: b[2]}
	size := 16
	if source.Is4() {
		size = 4
	}
	end := vrrpHeader + int(b[3])*size
	switch {
	case b[0]&0xf != advertisement:
		return Advert{}, fmt.Errorf("%w: type %d", ErrAdvert, b[0]&0xf)
	case a.Version != 2 && a.Version != 3 || a.Version == 2 && !source.Is4():
		return Advert{}, fmt.Errorf("%w: version %d", ErrAdvert, a.Version)
	case a.RouterID == 0 || b[3] == 0 || len(b) < end:
		return Advert{}, fmt.Errorf("%w: router id %d, %d addresses in %d bytes", ErrAdvert, a.RouterID, b[3], len(b))
	case !a.sumsUp(b):
		return Advert{}, fmt.Errorf("%w: a wrong checksum", ErrAdvert)
	}
	if a.Version == 2 {
		a.Interval = time.Duration(b[5]) * time.Second
	} else {
		a.Interval = time.Duration(binary.BigEndian.Uint16(b[4:])&0xfff) * 10 * time.Millisecond
	}
	for i := vrrpHeader; i < end; i += size {
		address, _ := netip.AddrFromSlice(b[i : i+size]) // 4 or 16 bytes
		a.Addresses = append(a.Addresses, address)
	}
	return a, nil
}

// sumsUp holds the checksum. With IPv4 version 3 has been sent both with a pseudo-header and without one (Keepalived's checksum_compatibility);
// here it is no reason to refuse it.
func (a Advert) sumsUp(b []byte) bool {
	alone := checksum(b) == 0
	if a.Version == 2 {
		return alone
	}
	source, to := a.Source.AsSlice(), a.To.AsSlice()
	pseudo := append(append([]byte{}, source...), to...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(b)))
	pseudo = binary.BigEndian.AppendUint32(pseudo, vrrpProtocol)
	return checksum(append(pseudo, b...)) == 0 || a.Source.Is4() && alone
}

// checksum is the internet's (RFC 1071), to be put into a packet; 0 of one that has a right one in it.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// ErrAdvert says that a packet is no advertisement that a virtual router would heed.
var ErrAdvert = errors.New("doctor: not an advertisement of VRRP")
