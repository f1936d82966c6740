package staticpod

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"

	"viplog/core/frontend"
)

// refuse finds what would break the front end, or let a text be more than a value.
func refuse(p frontend.Plan, l Local, o Options) error {
	return errors.Join(refuseNames(p, l, o), refuseAddresses(p, l), refuseMembers(p, l), refuseVIP(p, l), refusePorts(p, l, o))
}

// What may stand in a configuration as it is. Linux allows more in an interface's name than anyone uses.
var (
	interfaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$`)
	imageName     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]*$`)
	folderName    = regexp.MustCompile(`^/[A-Za-z0-9._/-]+$`)
)

// maxSocketName is what Linux allows (107 bytes) without what HAProxy adds while it opens a socket.
const maxSocketName = 90

func refuseNames(p frontend.Plan, l Local, o Options) error {
	var errs []error
	if wrong := validation.IsDNS1123Subdomain(p.Cluster); len(wrong) > 0 {
		errs = append(errs, fmt.Errorf("%w: cluster %q; %s", ErrName, p.Cluster, wrong[0]))
	}
	if !interfaceName.MatchString(l.Interface) || l.Interface == "lo" {
		errs = append(errs, fmt.Errorf("%w: %q; one that other nodes are on is right, like eth0 or bond0.100", ErrInterface, l.Interface))
	}
	for _, image := range []string{o.Keepalived, o.HAProxy} {
		if from := o.image(image); !imageName.MatchString(image) || !imageName.MatchString(from) {
			errs = append(errs, fmt.Errorf("%w: %q (from %q); like registry.example.com/haproxy:2.6.12 is right", ErrImage, image, from))
		}
	}
	folders := []string{o.ConfigFolder, o.ManifestFolder, o.RunFolder}
	for _, folder := range folders {
		if !folderName.MatchString(folder) || filepath.Clean(folder) != folder {
			errs = append(errs, fmt.Errorf("%w: %q; an absolute path of letters, digits, dots and dashes is right", ErrFolder, folder))
		}
	}
	if socket := o.run(nameHAProxy, fileSocket); len(socket) > maxSocketName {
		errs = append(errs, fmt.Errorf("%w: %q; a path of a socket in it has at most %d bytes", ErrFolder, o.RunFolder, maxSocketName))
	}
	slices.Sort(folders)
	if len(slices.Compact(slices.Clone(folders))) < len(folders) {
		errs = append(errs, fmt.Errorf("%w: one of %q for two purposes; folders of their own are right", ErrFolder, folders))
	}
	return errors.Join(errs...)
}

// refuseAddresses wants each to be of the VIP's family, for Keepalived mixes none, and plain: a zone is text that anyone chooses, and an address
// that needs one is none.
func refuseAddresses(p frontend.Plan, l Local) error {
	for _, a := range slices.Concat([]netip.Addr{l.Address, p.VIP}, addressesOf(p.Members), p.Backends) {
		if a.Zone() != "" || a.Is4In6() || !a.IsGlobalUnicast() || a.Is4() != p.VIP.Is4() {
			return fmt.Errorf("%w: %q; one of a host, of the family of the VIP %s, is right", ErrAddress, a, p.VIP)
		}
	}
	return nil
}

func refuseMembers(p frontend.Plan, l Local) error {
	var errs []error
	if _, found := p.Member(l.Address); !found {
		errs = append(errs, fmt.Errorf("%w: %s; its members are %v", ErrNotMember, l.Address, addressesOf(p.Members)))
	}
	if len(p.Members) > 1 && len(p.Peers(l.Address)) == 0 {
		errs = append(errs, fmt.Errorf("%w: of %d members none is another node; each of them once is right", ErrPeers, len(p.Members)))
	}
	subnet := netip.PrefixFrom(l.Address, l.PrefixBits)
	for i, m := range p.Members {
		for _, other := range p.Members[:i] {
			if m.Address == other.Address {
				errs = append(errs, fmt.Errorf("%w: %s is a member twice; once is right", ErrPeers, m.Address))
			}
			if m.Priority == other.Priority {
				errs = append(errs, fmt.Errorf("%w: %s and %s both have %d; each needs its own", ErrPriority, other.Address, m.Address, m.Priority))
			}
		}
		if m.Priority < 1 || m.Priority > 254 {
			errs = append(errs, fmt.Errorf("%w: %d of %s; 1 to 254 is right", ErrPriority, m.Priority, m.Address))
		}
		if !subnet.Contains(m.Address) {
			errs = append(errs, fmt.Errorf("%w: member %s is not in %s of %s, and advertisements are not routed; members of one subnet are right", ErrSubnet, m.Address, subnet.Masked(), l.Interface))
		}
	}
	if p.RouterID == 0 { // its type holds the other end, 255
		errs = append(errs, fmt.Errorf("%w: 0; 1 to 255 is right", ErrRouterID))
	}
	if p.GARPRepeat < 1 || p.GARPRepeat > maxGARPRepeat {
		errs = append(errs, fmt.Errorf("%w: %d; 1 to %d is right", ErrGARPRepeat, p.GARPRepeat, maxGARPRepeat))
	}
	return errors.Join(errs...)
}

func addressesOf(members []frontend.Member) (all []netip.Addr) {
	for _, m := range members {
		all = append(all, m.Address)
	}
	return all
}

// maxGARPRepeat bounds a burst to what a segment does not feel.
const maxGARPRepeat = 1000

func refuseVIP(p frontend.Plan, l Local) error {
	var errs []error
	subnet := netip.PrefixFrom(l.Address, l.PrefixBits).Masked()
	if !subnet.Contains(p.VIP) {
		errs = append(errs, fmt.Errorf("%w: VIP %s is not in %s of %s; an address of the nodes' own subnet is right", ErrSubnet, p.VIP, subnet, l.Interface))
	} else if p.VIP.Is4() && subnet.Bits() < 31 && (p.VIP == subnet.Addr() || p.VIP == broadcast(subnet)) {
		errs = append(errs, fmt.Errorf("%w: %s is the network or the broadcast address of %s; another one of it is right", ErrVIP, p.VIP, subnet))
	}
	if _, found := p.Member(p.VIP); found || p.VIP == l.Address {
		errs = append(errs, fmt.Errorf("%w: %s is a node's own address; one that no host has is right", ErrVIP, p.VIP))
	}
	if slices.Contains(p.Backends, p.VIP) {
		errs = append(errs, fmt.Errorf("%w: %s is a back end too, and requests would go round; one that no host has is right", ErrVIP, p.VIP))
	}
	return errors.Join(errs...)
}

func broadcast(subnet netip.Prefix) netip.Addr {
	raw := subnet.Addr().As4()
	for bit := subnet.Bits(); bit < 32; bit++ {
		raw[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(raw)
}

func refusePorts(p frontend.Plan, l Local, o Options) error {
	var errs []error
	if p.Port == 0 {
		errs = append(errs, fmt.Errorf("%w: the VIP's is 0; 1 to 65535 is right", ErrPort))
	}
	if p.Port == frontend.BackendPort && slices.Contains(p.Backends, l.Address) {
		errs = append(errs, fmt.Errorf("%w: HAProxy and the API server of %s would both listen on %d; another one for the VIP is right", ErrPort, l.Address, p.Port))
	}
	if o.MonitorPort == p.Port || o.MonitorPort == frontend.BackendPort {
		errs = append(errs, fmt.Errorf("%w: %d is for HAProxy's health and for requests; another one for its health is right", ErrPort, o.MonitorPort))
	}
	if len(p.Backends) == 0 {
		errs = append(errs, fmt.Errorf("%w; the control-plane nodes are right", ErrNoBackend))
	}
	for i, b := range p.Backends {
		if slices.Contains(p.Backends[:i], b) {
			errs = append(errs, fmt.Errorf("%w: %s; once is right", ErrBackendTwice, b))
		}
	}
	return errors.Join(errs...)
}

// What Render refuses.
var (
	ErrNotMember    = errors.New("staticpod: the node is no member of the plan")
	ErrPeers        = errors.New("staticpod: wrong list of peers")
	ErrPriority     = errors.New("staticpod: wrong priority")
	ErrRouterID     = errors.New("staticpod: wrong router id")
	ErrGARPRepeat   = errors.New("staticpod: wrong number of gratuitous ARP frames")
	ErrPort         = errors.New("staticpod: wrong port")
	ErrNoBackend    = errors.New("staticpod: the plan has no back end")
	ErrBackendTwice = errors.New("staticpod: a back end twice")
	ErrVIP          = errors.New("staticpod: wrong VIP")
	ErrSubnet       = errors.New("staticpod: not in the interface's subnet")
	ErrAddress      = errors.New("staticpod: wrong address")
	ErrName         = errors.New("staticpod: wrong name")
	ErrInterface    = errors.New("staticpod: wrong interface")
	ErrImage        = errors.New("staticpod: wrong image")
	ErrFolder       = errors.New("staticpod: wrong folder")
)
