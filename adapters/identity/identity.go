// Package identity is who somebody is in a cluster: a host's or an operator's folder of keys, and the directory of everybody.
//
// A folder holds hosts.json (the directory, public, the same everywhere), seed (an nkey's, secret), ca.crt, tls.crt and tls.key (secret).
// The nkey is the identity: it signs in to NATS and signs votes, and the keys of heartbeats follow from it. The certificate says
// only that its holder belongs to the cluster, and of a host at which address. Issue writes folders, Read reads one.
package identity

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/nats-io/nkeys"
)

// Host is what everyone may know of a host.
type Host struct {
	Address                 netip.Addr // its declared address
	Name                    string
	Key                     ed25519.PublicKey // of its nkey
	Node, Controller, Voter bool              // roles
	Heartbeat               netip.AddrPort    // UDP
	NATS                    netip.AddrPort    // clients; of controllers only
	Routes                  netip.AddrPort    // NATS cluster; of controllers only
}

// DirectoryFile is the name of the directory in a folder.
const DirectoryFile = "hosts.json"

// Default ports.
const (
	HeartbeatPort = 7947
	NATSPort      = 4222
	RoutesPort    = 6222
)

// Operator is a person, or a program that is no host.
type Operator struct {
	Name  string
	Key   ed25519.PublicKey
	Reads bool // only reads
}

// Directory is who belongs to a cluster: public, the same on every host (hosts.json).
type Directory struct {
	Cluster   string
	Hosts     []Host
	Operators []Operator
}

// Identity is one host's folder, or an operator's.
type Identity struct {
	Directory Directory
	Self      Host   // zero for an operator
	Operator  string // "" for a host
	Private   ed25519.PrivateKey
	Expires   time.Time // when the certificate ends, or its authority's

	authority   *x509.CertPool
	certificate tls.Certificate
}

// Names of a folder's files.
const (
	fileHosts       = DirectoryFile
	fileSeed        = "seed"
	fileAuthority   = "ca.crt"
	fileCertificate = "tls.crt"
	fileKey         = "tls.key"
)

// Files are the names of a folder's files, sorted.
func Files() []string {
	return []string{fileAuthority, fileHosts, fileSeed, fileCertificate, fileKey}
}

// Host finds a host by its address.
func (d Directory) Host(address netip.Addr) (Host, bool) {
	for _, h := range d.Hosts {
		if h.Address == address {
			return h, true
		}
	}
	return Host{}, false
}

// Controllers are the hosts that have the log, in the directory's order.
func (d Directory) Controllers() []Host {
	var all []Host
	for _, h := range d.Hosts {
		if h.Controller {
			all = append(all, h)
		}
	}
	return all
}

// RouteURLs are where controllers' NATS servers find each other.
func (d Directory) RouteURLs() []string {
	var all []string
	for _, h := range d.Controllers() {
		all = append(all, "nats://"+h.Routes.String())
	}
	return all
}

func (d Directory) operator(name string) (Operator, bool) {
	for _, o := range d.Operators {
		if o.Name == name {
			return o, true
		}
	}
	return Operator{}, false
}

// Nkey is the text of a public key, as NATS knows its users: "U…".
func Nkey(key ed25519.PublicKey) string {
	text, err := nkeys.Encode(nkeys.PrefixByteUser, key)
	if err != nil {
		panic(fmt.Sprintf("identity: %v", err)) // the prefix is one
	}
	return string(text)
}

func keyOf(nkey string) (ed25519.PublicKey, error) {
	raw, err := nkeys.Decode(nkeys.PrefixByteUser, []byte(nkey))
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%q is no public nkey of a user, which begins with U", nkey)
	}
	return raw, nil
}

var (
	// ErrExposed marks a secret that others than its owner may read.
	ErrExposed = errors.New("identity: others may read it")
	// ErrStranger marks a seed whose key the directory does not have.
	ErrStranger = errors.New("identity: its key is nobody's in hosts.json")
	// ErrCertificate marks a certificate that will not be accepted.
	ErrCertificate = errors.New("identity: not a certificate to use")
	// ErrDirectory marks a hosts.json that contradicts itself.
	ErrDirectory = errors.New("identity: not a directory of a cluster")
)
