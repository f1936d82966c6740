package agent

import (
	"net/netip"
	"slices"

	"viplog/core/ledger"
)

// Members are the voters of both sets, as one ledger has them.
type Members struct {
	now, before uint64 // the versions of the sets
	voters      []ledger.Voter
}

// MembersOf reads a ledger.
func MembersOf(s *ledger.State) (m Members) {
	m.voters, m.now = s.Voters()
	former, before := s.FormerVoters()
	m.before = before
	for _, v := range former {
		if _, known := m.HostOf(v.ID); !known {
			m.voters = append(m.voters, v)
		}
	}
	return m
}

func (m Members) equal(other Members) bool { return m.now == other.now && m.before == other.before }

// HostOf is the address of a voter's host; false if there is no such voter.
func (m Members) HostOf(voter string) (netip.Addr, bool) {
	i := slices.IndexFunc(m.voters, func(v ledger.Voter) bool { return v.ID == voter })
	if i < 0 {
		return netip.Addr{}, false
	}
	return m.voters[i].Address, true
}

// Hosts are the addresses of the voters' hosts, each once.
func (m Members) Hosts() (all []netip.Addr) {
	for _, v := range m.voters {
		if !slices.Contains(all, v.Address) {
			all = append(all, v.Address)
		}
	}
	return all
}

// On are the ids of the voters of one host.
func (m Members) On(host netip.Addr) (ids []string) {
	for _, v := range m.voters {
		if v.Address == host {
			ids = append(ids, v.ID)
		}
	}
	return ids
}
