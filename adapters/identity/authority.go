package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// How long certificates last, and when they are renewed. A certificate alone lets nobody in, so they last long: an authority
// that ends, or hosts that nobody renews, would stop a cluster for nothing.
const (
	authorityLasts   = 20 * year
	certificateLasts = 3 * year
	renewedBefore    = year // the end
	year             = 365 * 24 * time.Hour
	clocksMayDiffer  = time.Hour
)

const folderAuthority, fileAuthorityKey = "ca", "ca.key"

// authority signs the certificates of a cluster. Its key is in one place, which no host needs.
type authority struct {
	certificate *x509.Certificate
	pool        *x509.CertPool
	key         ed25519.PrivateKey
}

// openAuthority reads the authority of a folder, or makes one where nothing was made yet.
func openAuthority(folder, cluster string, isNew bool, now time.Time) (*authority, error) {
	path := filepath.Join(folder, folderAuthority, fileAuthority)
	keyPath := filepath.Join(folder, folderAuthority, fileAuthorityKey)
	_, missing := os.Stat(keyPath)
	_, alsoMissing := os.Stat(path)
	if errors.Is(missing, os.ErrNotExist) && (isNew || errors.Is(alsoMissing, os.ErrNotExist)) {
		if !isNew {
			return nil, fmt.Errorf("%s: %w; without it no certificate that hosts accept can be made: put it back, or begin anew in another folder",
				keyPath, os.ErrNotExist)
		}
		return makeAuthority(path, keyPath, cluster, now)
	}
	certificate, pool, err := readAuthority(path)
	if err != nil {
		return nil, err
	}
	pair, err := readPair(path, keyPath)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: %w: an Ed25519 key is required", keyPath, ErrCertificate)
	}
	if !certificate.NotAfter.After(now) {
		return nil, fmt.Errorf("%s: %w: it ended at %s; begin anew in another folder", path, ErrCertificate, certificate.NotAfter.UTC().Format(time.RFC3339))
	}
	return &authority{certificate, pool, key}, nil
}

func makeAuthority(path, keyPath, cluster string, now time.Time) (*authority, error) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "viplog " + cluster},
		NotBefore: now.Add(-clocksMayDiffer), NotAfter: now.Add(authorityLasts),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		return nil, err
	}
	// The key last: what has no key yet was not made whole.
	if err := write(path, pemOf("CERTIFICATE", raw), 0o644); err != nil {
		return nil, err
	}
	if err := write(keyPath, pemOfKey(key), 0o600); err != nil {
		return nil, err
	}
	certificate, pool, err := readAuthority(path)
	return &authority{certificate, pool, key}, err
}

// holder is whom a certificate is for: a host by its address, or an operator.
type holder struct {
	name    string
	address netip.Addr // of a host
}

// sign makes a certificate and its key.
func (a *authority) sign(h holder, now time.Time) (certificate, key []byte, ends time.Time, err error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	ends = now.Add(certificateLasts)
	if ends.After(a.certificate.NotAfter) {
		ends = a.certificate.NotAfter
	}
	ends = ends.UTC().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: h.name},
		NotBefore: now.Add(-clocksMayDiffer), NotAfter: ends,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		IPAddresses: h.addresses(), DNSNames: h.names(),
	}
	if h.address.IsValid() {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.certificate, public, a.key)
	return pemOf("CERTIFICATE", raw), pemOfKey(private), ends, err
}

// fits says whether a certificate can stay.
func (a *authority) fits(pair tls.Certificate, h holder, now time.Time) bool {
	c := pair.Leaf
	return c.NotAfter.After(now.Add(renewedBefore)) && verify(c, a.pool, now) == nil && c.Subject.CommonName == h.name &&
		slices.EqualFunc(c.IPAddresses, h.addresses(), net.IP.Equal) && slices.Equal(c.DNSNames, h.names())
}

func (h holder) addresses() []net.IP {
	if !h.address.IsValid() {
		return nil
	}
	return []net.IP{h.address.AsSlice()}
}

// names are those by which a host may be connected to; a name that is an address is none.
func (h holder) names() []string {
	if _, err := netip.ParseAddr(h.name); !h.address.IsValid() || err == nil || len(validation.IsDNS1123Subdomain(h.name)) > 0 {
		return nil
	}
	return []string{h.name}
}

func serial() *big.Int {
	raw := make([]byte, 16)
	rand.Read(raw) // crypto/rand never fails
	raw[0] &= 0x7f
	return new(big.Int).SetBytes(raw)
}

func pemOf(kind string, raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw})
}

func pemOfKey(key ed25519.PrivateKey) []byte {
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(fmt.Sprintf("identity: %v", err)) // it knows Ed25519
	}
	return pemOf("PRIVATE KEY", raw)
}
