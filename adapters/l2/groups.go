//go:build linux

package l2

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// groups are the memberships of one link in solicited-node groups, held by sockets that receive nothing. A socket's memberships count
// against its option memory (net.core.optmem_max, 128 KiB, which is less than 3,000 groups), so there are as many as it takes.
type groups struct {
	index   int
	sockets []int
	joined  map[netip.Addr]int // by which socket
}

func newGroups(index int) *groups { return &groups{index: index, joined: map[netip.Addr]int{}} }

// join becomes a member. It must be called on a thread in the namespace of the link.
func (g *groups) join(group netip.Addr) error {
	if _, member := g.joined[group]; member {
		return nil
	}
	request := unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(g.index)}
	for fresh := len(g.sockets) == 0; ; fresh = true {
		if fresh {
			s, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("a socket for groups: %w", err)
			}
			g.sockets = append(g.sockets, s)
		}
		s := g.sockets[len(g.sockets)-1]
		err := unix.SetsockoptIPv6Mreq(s, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &request)
		switch {
		case err == nil:
			g.joined[group] = s
			return nil
		case !fresh && (errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENOBUFS)):
		default:
			return fmt.Errorf("join %s: %w", group, err)
		}
	}
}

func (g *groups) leave(group netip.Addr) {
	s, member := g.joined[group]
	if !member {
		return
	}
	delete(g.joined, group)
	request := unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(g.index)}
	_ = unix.SetsockoptIPv6Mreq(s, unix.IPPROTO_IPV6, unix.IPV6_LEAVE_GROUP, &request) // a link that is gone has left
	// What was left behind in older sockets is not looked for: a link's next change joins all anew.
}

// rejoin joins what is given anew, each group just after it was left, so that none is missed for long. To leave first is needed: the kernel
// forgets memberships when a link loses IPv6 (an MTU below 1280, for one), and a socket that leaves what was forgotten takes the
// membership that another one has since.
func (g *groups) rejoin(all []netip.Addr) error {
	before := *g
	g.sockets, g.joined = nil, map[netip.Addr]int{}
	defer before.close()
	var errs []error
	for _, group := range all {
		before.leave(group)
		if err := g.join(group); err != nil {
			errs = append(errs, err)
			if len(errs) == 3 { // the others will say the same
				break
			}
		}
	}
	return errors.Join(errs...)
}

func (g *groups) close() {
	for _, s := range g.sockets {
		_ = unix.Close(s)
	}
	g.sockets = nil
	clear(g.joined)
}
