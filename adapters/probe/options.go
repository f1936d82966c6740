package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Protocol is how an address is asked.
type Protocol string

// The protocols that can be asked for.
const (
	UDP Protocol = "udp" // datagrams that an echo server sends back (RFC 862)
	TCP Protocol = "tcp" // numbered lines on one connection, and beside them short connections
	ARP Protocol = "arp" // who has the address: ARP, or neighbour solicitations for IPv6
)

// Protocols are all of them.
func Protocols() []Protocol { return []Protocol{UDP, TCP, ARP} }

const (
	// Timeout is after how long a request counts as not answered.
	Timeout = 2 * time.Second
	// DefaultSpacing is 200 requests a second.
	DefaultSpacing = 5 * time.Millisecond
	// DefaultFor is for how long requests are sent.
	DefaultFor = 10 * time.Second
	// DefaultPort is that of echo servers: RFC 862.
	DefaultPort = 7
	// MinSpacing is what a timer can do.
	MinSpacing = time.Millisecond
	// MaxRequests bounds a probe, and its memory: 83 minutes at DefaultSpacing.
	MaxRequests = 1_000_000
	// connectEvery is how many spacings there are from one short connection to the next.
	connectEvery = 20
)

// Options say what is probed, and how.
type Options struct {
	Address netip.Addr
	// Protocols that are asked, each once; none: UDP.
	Protocols []Protocol
	// Port is for UDP and TCP; 0 is DefaultPort.
	Port uint16
	// Spacing is from one request to the next; 0 is DefaultSpacing, at least MinSpacing.
	Spacing time.Duration
	// For is for how long requests are sent; 0 is DefaultFor. They are at most MaxRequests per protocol.
	For time.Duration
	// Interface is where ARP asks and Cold deletes; "" is the one of the route to the address.
	Interface string
	// Cold deletes the kernel's neighbour entry of the address, or of the gateway to it, before each request: so each begins with a
	// resolution, or waits for the one that is under way. It needs CAP_NET_ADMIN.
	Cold bool
	// ColdEvery is the least time from one deletion to the next; 0: before each request.
	ColdEvery time.Duration
	// Progress is called about every second, by Run's own goroutine; nil: nobody is told.
	Progress func(Progress)
}

// Progress is how far a probe is.
type Progress struct {
	Elapsed  time.Duration
	Sent     int // of all protocols
	Answered int
}

func (o Options) withDefaults() (Options, error) {
	if o.Spacing == 0 {
		o.Spacing = DefaultSpacing
	}
	if o.For == 0 {
		o.For = DefaultFor
	}
	if o.Port == 0 {
		o.Port = DefaultPort
	}
	if len(o.Protocols) == 0 {
		o.Protocols = []Protocol{UDP}
	}
	o.Address = o.Address.Unmap()
	return o, o.check()
}

func (o Options) check() error {
	switch a := o.Address; {
	case !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%w: address %v; the address of one host is right, like 10.0.0.100 or fd00::100", ErrOptions, a)
	case o.Spacing < MinSpacing:
		return fmt.Errorf("%w: spacing %v; %v or more is right", ErrOptions, o.Spacing, MinSpacing)
	case o.For < o.Spacing:
		return fmt.Errorf("%w: for %v; at least a spacing (%v) is right", ErrOptions, o.For, o.Spacing)
	case o.For/o.Spacing > MaxRequests:
		return fmt.Errorf("%w: %d requests; at most %d are right: for %v at this spacing", ErrOptions, o.For/o.Spacing, MaxRequests,
			MaxRequests*o.Spacing)
	case o.ColdEvery < 0:
		return fmt.Errorf("%w: cold every %v; 0 or more is right", ErrOptions, o.ColdEvery)
	}
	for i, p := range o.Protocols {
		if !slices.Contains(Protocols(), p) {
			return fmt.Errorf("%w: protocol %q; udp, tcp and arp are right", ErrOptions, p)
		}
		if slices.Contains(o.Protocols[:i], p) {
			return fmt.Errorf("%w: protocol %q twice", ErrOptions, p)
		}
	}
	return nil
}

// count is how many requests each protocol sends at most.
func (o Options) count() int { return int(o.For / o.Spacing) }

var (
	// ErrOptions says that Options cannot be.
	ErrOptions = errors.New("probe: wrong options")
	// ErrPermission says that the process may not do what was asked for.
	ErrPermission = errors.New("probe: arp needs CAP_NET_RAW and cold CAP_NET_ADMIN: run as root, or give the process that capability")
	// ErrUnreachable says that there is no way to ask for the address.
	ErrUnreachable = errors.New("probe: there is no way to the address")
	// ErrSystem says that this system is not Linux.
	ErrSystem = errors.New("probe: only Linux has the sockets that this needs")
)
