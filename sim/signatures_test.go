package sim

import (
	"crypto/ed25519"
	"testing"
)

func TestSignaturesAreCheckedAsEd25519ChecksThem(t *testing.T) {
	keyOf := func(fill byte) ed25519.PrivateKey {
		seed := make([]byte, ed25519.SeedSize)
		seed[0] = fill
		return ed25519.NewKeyFromSeed(seed)
	}
	mine, other, lost := keyOf(1), keyOf(2), keyOf(3)
	public := func(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }
	s := signatures{standIns: map[string]ed25519.PublicKey{string(public(lost)): public(mine)}, valid: map[string]bool{}}
	signed := ed25519.Sign(mine, []byte("dead"))
	for range 2 { // and once more, from what is remembered
		for what, got := range map[string][2]bool{
			"a signature":              {s.verify(public(mine), []byte("dead"), signed), true},
			"of another message":       {s.verify(public(mine), []byte("head"), signed), false},
			"by another key":           {s.verify(public(other), []byte("dead"), signed), false},
			"by the stand-in of a key": {s.verify(public(lost), []byte("dead"), signed), true},
			"a short signature":        {s.verify(public(mine), append(signed[63:], "dead"...), signed[:63]), false},
			"a short key":              {s.verify(public(mine)[:31], []byte("dead"), signed), false},
		} {
			if got[0] != got[1] {
				t.Errorf("%s: %t", what, got[0])
			}
		}
	}
	for i := range mostSignatures + 1 {
		s.verify(public(mine), []byte{byte(i), byte(i >> 8)}, signed)
	}
	if len(s.valid) > mostSignatures {
		t.Errorf("%d signatures are remembered", len(s.valid))
	}
}
