package segment

import (
	"fmt"
	"net"
	"net/netip"
)

// MAC is an Ethernet address in its low 48 bits. 0 is none: ARP's unused target, or a message of NDP without its option.
type MAC uint64

const (
	// Broadcast is to every station.
	Broadcast MAC = 0xffffffffffff
	// AllNodes is where ff02::1 is sent (RFC 2464 section 7).
	AllNodes MAC = 0x333300000001
)

// SolicitedNode is where the solicitations for an IPv6 address are sent (RFC 4291 section 2.7.1, RFC 2464 section 7).
func SolicitedNode(addr netip.Addr) MAC {
	b := addr.As16()
	return 0x3333ff000000 | MAC(b[13])<<16 | MAC(b[14])<<8 | MAC(b[15])
}

// Group tells whether the address is of many stations. A switch that does not snoop floods it.
func (m MAC) Group() bool { return m>>40&1 == 1 }

// ParseMAC reads an Ethernet address as an event.Interface has it.
func ParseMAC(text string) (mac MAC, err error) {
	parsed, err := net.ParseMAC(text)
	if err == nil && len(parsed) != 6 {
		err = fmt.Errorf("%s is no Ethernet address", text)
	}
	for _, b := range parsed {
		mac = mac<<8 | MAC(b)
	}
	return mac, err
}

func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", byte(m>>40), byte(m>>32), byte(m>>24), byte(m>>16), byte(m>>8), byte(m))
}
