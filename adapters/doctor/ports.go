//go:build linux

package doctor

import (
	"context"
	"fmt"
	"net/netip"
)

// checkPorts tells of each port that is needed whether it is free, or who has it.
func checkPorts(_ context.Context, h host, f Facts) (all []Finding) {
	if len(f.Ports) == 0 {
		return []Finding{skipped("ports/unknown", "", "name the cluster's file (-f) or the host's identity (--identity)",
			"which ports are needed is not known")}
	}
	held := map[string][]socket{}
	inodes := map[uint64]bool{}
	for _, network := range []string{"tcp", "udp"} {
		sockets, err := h.waiting(network)
		if err != nil {
			return []Finding{skipped("ports/unreadable", "", "let the process read /proc", "%v", err)}
		}
		held[network] = sockets
	}
	for _, p := range f.Ports {
		for _, s := range held[p.Network] {
			if p.meets(s.at) {
				inodes[s.inode] = true
			}
		}
	}
	processes := h.holders(inodes)
	for _, p := range f.Ports {
		all = append(all, p.judge(held[p.Network], processes))
	}
	return all
}

// meets tells whether a socket is where the port's is to be: at its address, or either of them at any.
func (p Port) meets(at netip.AddrPort) bool {
	wanted := p.At.Addr()
	anywhere := !wanted.IsValid() || wanted.IsUnspecified() || at.Addr().IsUnspecified()
	return p.At.Port() == at.Port() && (anywhere || wanted.Unmap() == at.Addr())
}

// judge looks at who has a port. Another process than the one that is to have it is worse than one that cannot be named.
func (p Port) judge(sockets []socket, processes map[uint64]process) Finding {
	id, about := "ports/"+p.ID, fmt.Sprintf("%d/%s", p.At.Port(), p.Network)
	finding := fine(id, about, "free, for %s", p.For)
	for _, s := range sockets {
		if !p.meets(s.at) {
			continue
		}
		holder, known := processes[s.inode]
		switch {
		case known && holder.name != p.Holder:
			return wrong(id, about, p.Do, "%s (pid %d) has %s, which is needed for %s", holder.name, holder.pid, s.at, p.For)
		case !known:
			return doubtful(id, about, "run it as root, which sees whose it is; then "+p.Do,
				"a process that cannot be seen from here has %s, which is needed for %s", s.at, p.For)
		}
		finding = fine(id, about, "%s (pid %d) has it, for %s", holder.name, holder.pid, p.For)
	}
	return finding
}
