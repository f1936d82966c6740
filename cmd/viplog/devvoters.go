package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"viplog/adapters/identity"
	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/ledger"
)

// devVoter is a voter that this process plays. The log has its id, and the data folder its key. Its votes are not kept:
// they are about incarnations of this run, which the next one declares left before its voters act.
type devVoter struct {
	id      string
	address netip.Addr
	key     ed25519.PrivateKey
	wanted  bool // else it is of the log, and is to go
}

// devVoters are the voters that there are to be, and those of the log that are to go.
func devVoters(s *ledger.State, cluster event.ClusterConfigured, settings event.SettingsChanged, folder string) ([]devVoter, error) {
	wanted := control.VoterHosts(cluster, settings)
	members, _ := s.Voters()
	former, _ := s.FormerVoters()
	var all []devVoter
	played := 0
	for i, m := range slices.Concat(members, former) {
		key, err := keyOf(m, folder)
		if err != nil {
			return nil, err
		}
		known := slices.ContainsFunc(all, func(v devVoter) bool { return v.address == m.Address })
		if key != nil && !known {
			all = append(all, devVoter{m.ID, m.Address, key, slices.Contains(wanted, m.Address)})
			if i < len(members) {
				played++
			}
		}
	}
	if len(members) > 0 && 2*played <= len(members) {
		return nil, fmt.Errorf("%s: the keys of %d of the log's %d voters are here; without a majority nobody can be proven to have failed",
			folder, played, len(members))
	}
	for _, a := range wanted {
		if slices.ContainsFunc(all, func(v devVoter) bool { return v.address == a }) {
			continue
		}
		key, err := devKey(voterKeyFile(folder, a))
		if err != nil {
			return nil, err
		}
		all = append(all, devVoter{rand.Text(), a, key, true})
	}
	return all, nil
}

// keyOf finds the key of a voter of the log; nil if this folder does not have it. Runs of older versions had one voter,
// whose key was in voter.key.
func keyOf(m ledger.Voter, folder string) (ed25519.PrivateKey, error) {
	for _, path := range []string{voterKeyFile(folder, m.Address), filepath.Join(folder, "voter.key")} {
		key, err := readKey(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return nil, err
		case bytes.Equal(key.Public().(ed25519.PublicKey), m.Key):
			return key, nil
		}
	}
	return nil, nil
}

func voterKeyFile(folder string, a netip.Addr) string {
	return filepath.Join(folder, "voter-"+strings.NewReplacer(".", "_", ":", "_").Replace(a.String())+".key")
}

// devKey reads a key, or makes one.
func devKey(path string) (ed25519.PrivateKey, error) {
	key, err := readKey(path)
	if !errors.Is(err, os.ErrNotExist) {
		return key, err
	}
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed) // crypto/rand never fails
	if err := identity.WriteFile(path, seed, 0o600); err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func readKey(path string) (ed25519.PrivateKey, error) {
	seed, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s: a key of %d bytes is required, it has %d", path, ed25519.SeedSize, len(seed))
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
