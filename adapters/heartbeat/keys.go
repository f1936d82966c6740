package heartbeat

import (
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"filippo.io/edwards25519"
	"golang.org/x/crypto/chacha20poly1305"
)

// The purposes of derived keys. The number grows with any change of what they are made from.
const (
	purposeSender = "viplog heartbeat 1 sender"
	purposeHello  = "viplog heartbeat 1 hello"
	purposeData   = "viplog heartbeat 1"
)

// exchangeKey is the X25519 private key of an Ed25519 one: the scalar that RFC 8032, section 5.1.5, makes from its seed, which
// X25519 clamps in the same way.
func exchangeKey(identity ed25519.PrivateKey) (*ecdh.PrivateKey, error) {
	hash := sha512.Sum512(identity.Seed())
	key, err := ecdh.X25519().NewPrivateKey(hash[:32])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return key, nil
}

// exchangePoint is the X25519 public key of an Ed25519 one: u = (1+y)/(1-y), RFC 7748, section 4.1.
func exchangePoint(key ed25519.PublicKey) (*ecdh.PublicKey, error) {
	point, err := new(edwards25519.Point).SetBytes(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	converted, err := ecdh.X25519().NewPublicKey(point.BytesMontgomery())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return converted, nil
}

// pair is what a host and a peer have in common for good.
type pair struct {
	cluster   string
	own, peer ed25519.PublicKey
	secret    []byte // X25519 of both
}

// pairOf fails with ErrKey for a key that is no point, or is of small order, with which everybody would share the secret.
func pairOf(cluster string, identity ed25519.PrivateKey, private *ecdh.PrivateKey, peer ed25519.PublicKey) (pair, error) {
	public, err := exchangePoint(peer)
	if err != nil {
		return pair{}, err
	}
	secret, err := private.ECDH(public) // refuses the zero secret: RFC 7748, section 6.1
	if err != nil {
		return pair{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return pair{cluster, identity.Public().(ed25519.PublicKey), peer, secret}, nil
}

// direction names who sends and who receives.
type direction struct{ from, to ed25519.PublicKey }

func (p pair) out() direction { return direction{p.own, p.peer} }
func (p pair) in() direction  { return direction{p.peer, p.own} }

// info is what derived keys are bound to. Keys have 32 bytes and the cluster's name its length before it, so that no two are alike.
func (p pair) info(purpose string, d direction) []byte {
	b := binary.BigEndian.AppendUint16([]byte(purpose), uint16(len(p.cluster)))
	b = append(b, p.cluster...)
	return append(append(b, d.from...), d.to...)
}

// sender is how datagrams of a direction name who sent them: a hash, which tells an observer neither key.
func (p pair) sender(d direction) (id [senderSize]byte) {
	hash := sha256.Sum256(p.info(purposeSender, d))
	copy(id[:], hash[:])
	return id
}

func (p pair) helloKey(d direction) cipher.AEAD {
	aead, err := chacha20poly1305.NewX(p.derive(nil, purposeHello, d, chacha20poly1305.KeySize))
	if err != nil {
		panic("heartbeat: a derived key has the wrong length")
	}
	return aead
}

// dataKey is the key of one session and direction. The name tells sessions apart, and nothing else about them. The salt has the offers in
// the order of the direction.
func (p pair) dataKey(d direction, from, to offer) (key cipher.AEAD, name [nameSize]byte) {
	derived := p.derive(append(from[:], to[:]...), purposeData, d, chacha20poly1305.KeySize+nameSize)
	key, err := chacha20poly1305.New(derived[:chacha20poly1305.KeySize])
	if err != nil {
		panic("heartbeat: a derived key has the wrong length")
	}
	return key, [nameSize]byte(derived[chacha20poly1305.KeySize:])
}

func (p pair) derive(salt []byte, purpose string, d direction, size int) []byte {
	key, err := hkdf.Key(sha256.New, p.secret, salt, string(p.info(purpose, d)), size)
	if err != nil {
		panic("heartbeat: HKDF gives at most 255 hashes")
	}
	return key
}

// ErrKey marks a key with which nothing can be sealed.
var ErrKey = errors.New("heartbeat: no usable Ed25519 key")
