package heartbeat

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func identity(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func publicOf(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// Both ways to a host's X25519 key lead to the same: by its seed, and by its public key.
func TestTheTwoHalvesOfAKeyAreCarriedOverAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := ed25519.NewKeyFromSeed(rapid.SliceOfN(rapid.Byte(), ed25519.SeedSize, ed25519.SeedSize).Draw(t, "seed"))
		private, err := exchangeKey(key)
		if err != nil {
			t.Fatal(err)
		}
		public, err := exchangePoint(publicOf(key))
		if err != nil || !public.Equal(private.PublicKey()) {
			t.Errorf("%x and %x, %v", private.PublicKey().Bytes(), public.Bytes(), err)
		}
	})
}

// The key pair is libsodium's test of crypto_sign_ed25519_pk_to_curve25519 (test/default/ed25519_convert.c).
func TestKeysAreThoseOfLibsodium(t *testing.T) {
	seed, _ := hex.DecodeString("421151a459faeade3d247115f94aedae42318124095afabe4d1451a559faedee")
	private, err := exchangeKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	const want = "f1814f0e8ff1043d8a44d25babff3cedcae6c22c3edaa48f857ae70de2baae50"
	if got := hex.EncodeToString(private.PublicKey().Bytes()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestKeysDifferByClusterPurposeDirectionAndOffers(t *testing.T) {
	between := func(cluster string, own, peer byte) pair {
		private, err := exchangeKey(identity(own))
		if err != nil {
			t.Fatal(err)
		}
		p, err := pairOf(cluster, identity(own), private, publicOf(identity(peer)))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	a, b := between("one", 1, 2), between("one", 2, 1)
	if !bytes.Equal(a.secret, b.secret) || a.sender(a.out()) != b.sender(b.in()) {
		t.Fatal("the two sides do not agree")
	}
	seen := map[string]string{}
	for name, p := range map[string]pair{"1-2": a, "other cluster": between("two", 1, 2), "other peer": between("one", 1, 3)} {
		for way, d := range map[string]direction{"out": p.out(), "in": p.in()} {
			for what, key := range map[string][]byte{
				"sender": p.derive(nil, purposeSender, d, 32), "hello": p.derive(nil, purposeHello, d, 32),
				"data": p.derive([]byte{1}, purposeData, d, 32), "data of other offers": p.derive([]byte{2}, purposeData, d, 32),
			} {
				label := name + " " + way + " " + what
				if other := seen[string(key)]; other != "" {
					t.Errorf("%s has the key of %s", label, other)
				}
				seen[string(key)] = label
			}
		}
	}
}

// With a point of small order everybody has the same secret.
func TestKeysThatProveNothingAreRefused(t *testing.T) {
	private, err := exchangeKey(identity(1))
	if err != nil {
		t.Fatal(err)
	}
	identityPoint := make([]byte, 32)
	identityPoint[0] = 1
	orderTwo := bytes.Repeat([]byte{0xff}, 32)
	orderTwo[0], orderTwo[31] = 0xec, 0x7f
	orderEight, _ := hex.DecodeString("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
	noPoint := make([]byte, 32)
	noPoint[0] = 2
	for name, key := range map[string][]byte{"identity": identityPoint, "order 2": orderTwo, "order 8": orderEight, "no point": noPoint} {
		if _, err := pairOf("c", identity(1), private, key); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
