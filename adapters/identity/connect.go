package identity

import (
	"cmp"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// ClientTLS is for connections to controllers' NATS: both sides show certificates of the authority, and the server's is for the
// address that was connected to.
func (i *Identity) ClientTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: i.authority, Certificates: []tls.Certificate{i.certificate}}
}

// ServerTLS is for the clients of a controller's NATS, who have to show a certificate of the authority. It is not for routes.
func (i *Identity) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ClientCAs: i.authority, ClientAuth: tls.RequireAndVerifyClientCert,
		RootCAs: i.authority, Certificates: []tls.Certificate{i.certificate},
	}
}

// RouteTLS is for both ends of a route between controllers' NATS servers. What comes by a route is asked for no rights, so
// a certificate of the authority is not enough: it has to be a controller's.
func (i *Identity) RouteTLS() *tls.Config {
	config := i.ServerTLS()
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("identity: the other end of a route has no certificate")
		}
		for _, a := range addressesOf(state.PeerCertificates[0]) {
			if h, known := i.Directory.Host(a); known && h.Controller {
				return nil
			}
		}
		return fmt.Errorf("identity: %s is no controller in hosts.json", ownerOf(state.PeerCertificates[0]))
	}
	return config
}

// NATSOptions sign in as this identity: by its nkey, with TLS, and with the inbox that its rights let it hear.
func (i *Identity) NATSOptions() []nats.Option {
	nkey := i.Nkey()
	return []nats.Option{
		nats.Name("viplog " + cmp.Or(i.Operator, i.Self.Name)),
		nats.Nkey(nkey, func(nonce []byte) ([]byte, error) { return ed25519.Sign(i.Private, nonce), nil }),
		nats.Secure(i.ClientTLS()),
		nats.CustomInboxPrefix("_INBOX." + nkey),
	}
}

// Nkey is this identity's public key, as NATS knows it.
func (i *Identity) Nkey() string { return Nkey(i.Private.Public().(ed25519.PublicKey)) }

// Servers are the URLs of the controllers' NATS, in the directory's order.
func (i *Identity) Servers() []string {
	var all []string
	for _, h := range i.Directory.Controllers() {
		all = append(all, "tls://"+h.NATS.String())
	}
	return all
}
