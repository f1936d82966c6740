package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nkeys"
)

// Read reads a folder. It refuses secrets that others than their owner may read (ErrExposed), a seed whose key is nobody's in
// hosts.json (ErrStranger), and a certificate that has ended, is somebody else's or of another authority (ErrCertificate).
func Read(folder string) (*Identity, error) { return read(folder, time.Now()) }

// ReadWith is Read with a directory that lies elsewhere: it is public, and the same on every host.
func ReadWith(folder, directory string) (*Identity, error) {
	return readWith(folder, directory, time.Now())
}

func read(folder string, now time.Time) (*Identity, error) {
	return readWith(folder, filepath.Join(folder, fileHosts), now)
}

func readWith(folder, directory string, now time.Time) (*Identity, error) {
	d, err := ReadDirectory(directory)
	if err != nil {
		return nil, err
	}
	i := &Identity{Directory: d}
	if err := i.readSeed(filepath.Join(folder, fileSeed)); err != nil {
		return nil, err
	}
	if err := i.readCertificate(folder, now); err != nil {
		return nil, err
	}
	return i, nil
}

func (i *Identity) readSeed(path string) error {
	private, err := readSeed(path)
	if err != nil {
		return err
	}
	i.Private = private
	public := private.Public().(ed25519.PublicKey)
	for _, h := range i.Directory.Hosts {
		if public.Equal(h.Key) {
			i.Self = h
			return nil
		}
	}
	for _, o := range i.Directory.Operators {
		if public.Equal(o.Key) {
			i.Operator = o.Name
			return nil
		}
	}
	return fmt.Errorf("%s: %w: it is %s; the files of a folder belong together: copy it whole from where `viplog init` wrote it",
		path, ErrStranger, Nkey(public))
}

// readSeed reads an nkey's seed: "SU…".
func readSeed(path string) (ed25519.PrivateKey, error) {
	data, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	kind, raw, err := nkeys.DecodeSeed(bytes.TrimSpace(data))
	if err != nil || kind != nkeys.PrefixByteUser {
		return nil, fmt.Errorf("%s: no seed of a user's nkey, which begins with SU", path)
	}
	return ed25519.NewKeyFromSeed(raw), nil
}

// readSecret reads a file that its owner alone may read.
func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s: %w: its mode is %04o, 0600 or 0400 is required (chmod 600; of a Secret that is mounted, defaultMode: 0400)",
			path, ErrExposed, mode)
	}
	return os.ReadFile(path)
}

func (i *Identity) readCertificate(folder string, now time.Time) error {
	authority, pool, err := readAuthority(filepath.Join(folder, fileAuthority))
	if err != nil {
		return err
	}
	path := filepath.Join(folder, fileCertificate)
	pair, err := readPair(path, filepath.Join(folder, fileKey))
	if err != nil {
		return err
	}
	if err := verify(pair.Leaf, pool, now); err != nil {
		return fmt.Errorf("%s: %w: %w; `viplog init` renews it", path, ErrCertificate, err)
	}
	if i.Operator == "" && !isFor(pair.Leaf, i.Self.Address) {
		return fmt.Errorf("%s: %w: it is of %s, and the seed is that of %s", path, ErrCertificate, ownerOf(pair.Leaf), i.Self.Address)
	}
	if i.Operator != "" && (pair.Leaf.Subject.CommonName != i.Operator || len(pair.Leaf.IPAddresses) > 0) {
		return fmt.Errorf("%s: %w: it is of %s, and the seed is that of the operator %s", path, ErrCertificate, ownerOf(pair.Leaf), i.Operator)
	}
	i.authority, i.certificate = pool, pair
	if i.Expires = pair.Leaf.NotAfter; authority.NotAfter.Before(i.Expires) {
		i.Expires = authority.NotAfter
	}
	return nil
}

func readAuthority(path string) (*x509.Certificate, *x509.CertPool, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, nil, fmt.Errorf("%s: %w: no certificate in PEM form", path, ErrCertificate)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w: %w", path, ErrCertificate, err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return c, pool, nil
}

// readPair reads a certificate and its key, which have to belong together.
func readPair(certificate, key string) (tls.Certificate, error) {
	public, err := os.ReadFile(certificate)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := readSecret(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(public, private)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s, %s: %w: %w", certificate, filepath.Base(key), ErrCertificate, err)
	}
	return pair, nil
}

func verify(c *x509.Certificate, authority *x509.CertPool, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("it ended at %s", c.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.NotBefore):
		return fmt.Errorf("it begins at %s, and this host's clock says %s", c.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: authority, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
		return errors.New("it is not signed by the authority in ca.crt")
	}
	return err
}

func isFor(c *x509.Certificate, address netip.Addr) bool {
	return slices.ContainsFunc(addressesOf(c), func(a netip.Addr) bool { return a == address })
}

func addressesOf(c *x509.Certificate) []netip.Addr {
	var all []netip.Addr
	for _, ip := range c.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			all = append(all, a.Unmap())
		}
	}
	return all
}

func ownerOf(c *x509.Certificate) string {
	if addresses := addressesOf(c); len(addresses) > 0 {
		return addresses[0].String()
	}
	return "the operator " + c.Subject.CommonName
}
