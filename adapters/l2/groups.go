//go:build linux

package l2

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// groups are the memberships of one link in solicited-node groups, held by sockets that receive nothing. The kernel walks lists for
// each that is joined: ten thousand take seconds, so they are joined and left a few at a time. Run's goroutine alone uses it.
type groups struct {
	index   int
	sockets []*groupSocket
	joined  map[netip.Addr]*groupSocket
	due     map[netip.Addr]bool // to be joined or left
	stale   map[netip.Addr]bool // joined before the link changed, so that the kernel may have forgotten them
	lacking bool                // one could not be joined: nothing is done until it is to be tried again
}

// groupSocket holds some of the memberships: they count against its option memory (net.core.optmem_max, 128 KiB, which is less than
// 3,000 groups).
type groupSocket struct {
	fd      int
	members int
	full    bool
}

func newGroups(index int) *groups {
	return &groups{index: index, joined: map[netip.Addr]*groupSocket{}, due: map[netip.Addr]bool{}, stale: map[netip.Addr]bool{}}
}

// renew lets all memberships be made anew, and those that are needed and lack be made.
func (g *groups) renew(needed []netip.Addr) {
	for group := range g.joined {
		g.stale[group] = true
	}
	for _, group := range needed {
		if g.joined[group] == nil {
			g.due[group] = true
		}
	}
}

// waits tells whether there is work.
func (g *groups) waits() bool { return !g.lacking && len(g.due)+len(g.stale) > 0 }

// work joins and leaves what waits, at least one and no more than there is time for. It must be called on a thread in the
// namespace of the link.
func (g *groups) work(needed func(group netip.Addr) bool, deadline time.Time) error {
	for _, waiting := range []map[netip.Addr]bool{g.due, g.stale} { // what is joined anew was missed for microseconds only
		for group := range waiting {
			delete(waiting, group)
			if err := g.bring(group, needed(group)); err != nil {
				g.due[group], g.lacking = true, true
				return err
			}
			if !time.Now().Before(deadline) {
				return nil
			}
		}
	}
	return nil
}

// bring joins or leaves a group. One that is joined already is left before: the kernel forgets memberships when a link loses IPv6 (an
// MTU below 1280, for one), and a socket that leaves later what was forgotten takes the membership that another one has since.
func (g *groups) bring(group netip.Addr, needed bool) error {
	g.leave(group)
	if !needed {
		return nil
	}
	return g.join(group)
}

func (g *groups) join(group netip.Addr) error {
	request := unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(g.index)}
	for {
		s, err := g.socketWithRoom()
		if err != nil {
			return err
		}
		err = unix.SetsockoptIPv6Mreq(s.fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &request)
		switch {
		case err == nil:
			s.members++
			g.joined[group] = s
			return nil
		case s.members > 0 && (errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENOBUFS)):
			s.full = true
		default:
			return fmt.Errorf("join %s: %w", group, err)
		}
	}
}

func (g *groups) socketWithRoom() (*groupSocket, error) {
	for _, s := range g.sockets {
		if !s.full {
			return s, nil
		}
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a socket for groups: %w", err)
	}
	s := &groupSocket{fd: fd}
	g.sockets = append(g.sockets, s)
	return s, nil
}

func (g *groups) leave(group netip.Addr) {
	delete(g.stale, group)
	s := g.joined[group]
	if s == nil {
		return
	}
	delete(g.joined, group)
	request := unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(g.index)}
	_ = unix.SetsockoptIPv6Mreq(s.fd, unix.IPPROTO_IPV6, unix.IPV6_LEAVE_GROUP, &request) // a link that is gone has left
	s.members--
	s.full = false
	if s.members == 0 && len(g.sockets) > 1 {
		_ = unix.Close(s.fd)
		g.sockets = slices.DeleteFunc(g.sockets, func(other *groupSocket) bool { return other == s })
	}
}

func (g *groups) close() {
	for _, s := range g.sockets {
		_ = unix.Close(s.fd)
	}
	g.sockets = nil
	clear(g.joined)
	clear(g.due)
	clear(g.stale)
}
