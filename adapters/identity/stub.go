package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go"
)

type Host struct {
	Address                 netip.Addr
	Name                    string
	Key                     ed25519.PublicKey
	Node, Controller, Voter bool
	Heartbeat, NATS, Routes netip.AddrPort
}
type Operator struct {
	Name  string
	Key   ed25519.PublicKey
	Reads bool
}
type Directory struct {
	Cluster   string
	Hosts     []Host
	Operators []Operator
}
type Identity struct {
	Directory Directory
	Self      Host
	Operator  string
	Private   ed25519.PrivateKey
}

func Read(folder string) (*Identity, error) {
	i := &Identity{}
	data, err := os.ReadFile(filepath.Join(folder, "hosts.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &i.Directory); err != nil {
		return nil, err
	}
	me, _ := os.ReadFile(filepath.Join(folder, "me"))
	for n := range i.Directory.Hosts {
		h := &i.Directory.Hosts[n]
		seed := sha256.Sum256([]byte(h.Address.String()))
		key := ed25519.NewKeyFromSeed(seed[:])
		h.Key = key.Public().(ed25519.PublicKey)
		if h.Address.String() == string(me) {
			i.Self, i.Private = *h, key
		}
	}
	return i, nil
}
func (i *Identity) ClientTLS() *tls.Config     { return nil }
func (i *Identity) ServerTLS() *tls.Config     { return nil }
func (i *Identity) NATSOptions() []nats.Option { return nil }
func (i *Identity) Servers() (all []string) {
	for _, h := range i.Directory.Hosts {
		if h.Controller {
			all = append(all, "nats://"+h.NATS.String())
		}
	}
	return all
}
