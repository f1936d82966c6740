package jetstream

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"viplog/core/event"
)

// authority signs the certificates of a test.
type authority struct {
	certificate *x509.Certificate
	key         ed25519.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw := must(x509.CreateCertificate(rand.Reader, template, template, public, key))
	return &authority{must(x509.ParseCertificate(raw)), key}
}

// config is of both sides, each of which has to show a certificate of the authority; that of the holder is for 127.0.0.1.
func (a *authority) config(t *testing.T) *tls.Config {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	raw := must(x509.CreateCertificate(rand.Reader, template, a.certificate, public, a.key))
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}},
	}
}

// person holds an nkey.
type person struct {
	pair nkeys.KeyPair
	key  string
}

func newPerson(t *testing.T) person {
	t.Helper()
	pair := must(nkeys.CreateUser())
	return person{pair, must(pair.PublicKey())}
}

func (p person) options(config *tls.Config) []nats.Option {
	options := []nats.Option{nats.Nkey(p.key, p.pair.Sign), nats.CustomInboxPrefix(InboxPrefix(p.key)), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})}
	if config != nil {
		options = append(options, nats.Secure(config))
	}
	return options
}

func (p person) connect(t *testing.T, url string, config *tls.Config, more ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, append(p.options(config), more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// everything lets a user do what all roles may, in some clusters, and be any node.
func everything(key string, clusters ...string) Permissions {
	var all Permissions
	for _, c := range clusters {
		all = all.And(ControllerPermissions(c, key)).And(OperatorPermissions(c, key))
		all = all.And(Permissions{Publish: []string{logSubjects(event.EscapeToken(c))}})
	}
	return all
}

// trio is what three servers need to be a cluster. Each has a folder that outlives it.
type trio struct {
	options [3]ServerOptions
}

func newTrio(t *testing.T, ca *authority, users []User) *trio {
	t.Helper()
	var routes []string
	var ports [3]int
	for i := range ports {
		listener := must(net.Listen("tcp", "127.0.0.1:0"))
		ports[i] = int(netip.MustParseAddrPort(listener.Addr().String()).Port())
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
		defer listener.Close()
	}
	c := &trio{}
	for i := range c.options {
		c.options[i] = ServerOptions{
			Store: t.TempDir(), Name: fmt.Sprintf("s%d", i), Host: "127.0.0.1", TLS: ca.config(t), Users: users,
			Cluster: &ServerCluster{Name: "test", Host: "127.0.0.1", Port: ports[i], Routes: routes, TLS: ca.config(t)},
		}
	}
	return c
}
