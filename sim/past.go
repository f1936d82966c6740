package sim

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/node"
)

// Past is a log of a real cluster, or of an earlier run, that a world goes on from. Whoever runs by the log runs in the world, as
// the same incarnation; who does not has no power. Other keys stand in for those of the voters, whose private halves no log holds.
type Past struct {
	Entries []log.Entry
	Ledger  *ledger.State // that they fold to
}

// NewPast folds the facts of a log with an identity.
func NewPast(id string, entries []log.Entry) (*Past, error) {
	p := &Past{entries, ledger.New(id)}
	for _, e := range entries {
		if e.Sequence != p.Ledger.Sequence()+1 {
			return nil, fmt.Errorf("sim: fact %d follows fact %d: a world goes on from a log that is whole", e.Sequence, p.Ledger.Sequence())
		}
		if err := p.Ledger.Readable(e); err != nil {
			return nil, err
		}
		p.Ledger.ApplyEntry(e)
	}
	if _, declared := p.Ledger.Cluster(); !declared {
		return nil, errors.New("sim: the log declares no cluster: there is nothing to go on from")
	}
	if members, _ := p.Ledger.Voters(); len(members) == 0 {
		return nil, errors.New("sim: the log names no voter: without one nothing goes on")
	}
	return p, nil
}

// Hosts are the hosts that the log knows, in the order of their addresses.
func (p *Past) Hosts() (hosts []HostSpec) {
	cluster, _ := p.Ledger.Cluster()
	add := func(a netip.Addr) *HostSpec {
		i := slices.IndexFunc(hosts, func(h HostSpec) bool { return h.Address == a })
		if i < 0 {
			i = len(hosts)
			hosts = append(hosts, HostSpec{Name: p.nameOf(a), Address: a, Off: true})
		}
		return &hosts[i]
	}
	for _, declared := range cluster.Nodes {
		h := add(declared.Address)
		if declared.Role == event.RoleControlPlane {
			h.Controller, h.Off = true, false
		}
	}
	for _, n := range p.Ledger.Nodes() {
		if interfaces := p.Ledger.InterfacesOf(n.Address); len(interfaces) > 0 {
			h := add(n.Address)
			h.Node, h.Interfaces = true, interfaces
			_, _, runs := p.Ledger.Running(n.Address)
			h.Off = h.Off && !runs
		}
	}
	voters, _ := p.Ledger.Voters()
	for _, v := range voters {
		h := add(v.Address)
		h.Voter, h.Controller, h.VoterID, h.Off = true, true, v.ID, false
	}
	for i := range hosts {
		hosts[i].Key = standIn(hosts[i].Address)
	}
	slices.SortFunc(hosts, func(a, b HostSpec) int { return a.Address.Compare(b.Address) })
	return hosts
}

// standIn is the key that stands in for a host's.
func standIn(a netip.Addr) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("stands in for the key of " + a.String()))
	return ed25519.NewKeyFromSeed(seed[:])
}

func (p *Past) nameOf(a netip.Addr) string {
	for _, n := range p.Ledger.Nodes() {
		if n.Address == a && n.Name != "" {
			return n.Name
		}
	}
	return a.String()
}

// Timing is the pace of the cluster.
func (p *Past) Timing() lease.Timing { return lease.TimingOf(p.Ledger.Settings().Profile) }

// resume makes a new world the one in which a past ends.
func (w *World) resume(p *Past) {
	standIns := map[string]ed25519.PublicKey{}
	voters, _ := p.Ledger.Voters()
	former, _ := p.Ledger.FormerVoters()
	for _, v := range slices.Concat(voters, former) {
		if h := w.voterHost(v.ID); h != nil {
			standIns[string(v.Key)] = h.public
		}
	}
	w.signatures.standIns = standIns
	w.snapshot = p.Ledger.Clone()
	w.Audit.begin(p.Ledger.Clone())
	for _, h := range w.Hosts {
		h.starts, h.boots = len(p.Entries), len(p.Entries) // no start is told by a name that the log has already
		h.voterDisk.Log, h.voterDisk.Since = p.Ledger.LogID(), p.Ledger.Sequence()
		if who, _, runs := p.Ledger.Running(h.Address); runs {
			h.nodeDisk = node.Disk{Log: p.Ledger.LogID(), Incarnations: []lease.Incarnation{who}}
			h.resumes = true
		}
	}
}

// after is when the world begins: a second after the last fact.
func (p *Past) after() time.Time { return time.Unix(0, p.Ledger.TimeNanos()).UTC().Add(time.Second) }

// hasIPv6 tells whether a Service has an IPv6 address.
func (p *Past) hasIPv6() bool {
	return slices.ContainsFunc(p.Ledger.AddressViews(), func(v ledger.AddressView) bool { return strings.Contains(v.Address, ":") })
}
