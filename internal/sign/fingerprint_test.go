package sign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"
)

// Two policies have the same fingerprint exactly if they accept the same signatures.
func TestFingerprintIsOfWhatIsAccepted(t *testing.T) {
	newKey := func() acceptedKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return acceptedKey{public: key.Public()}
	}
	of := func(format Format, keys ...acceptedKey) *Policy {
		p, err := keysPolicy(format, keys)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	one, two := newKey(), newKey()
	ended := one
	ended.Until = time.Now().Add(-time.Hour)
	renamed := one
	renamed.File = "other.pub"
	first := of("", one)
	if again := of("", renamed); again.Fingerprint() != first.Fingerprint() {
		t.Error("the name of the key's file counts")
	}
	identity := func(i Identity, content byte) *Policy {
		return &Policy{identity: i, root: &TrustedRoot{content: [32]byte{content}}}
	}
	seen := map[string]string{}
	for name, p := range map[string]*Policy{
		"one": first, "two": of("", two), "both": of("", one, two), "a format": of(Classic, one), "an ended key": of("", ended),
		"a copy": first.WithCopies(Copy{Of: "registry.example/coop"}), "a copy there": first.WithCopies(Copy{Of: "registry.example/coop", In: "mirror.example"}),
		"an identity": identity(Identity{Issuer: "i", Subject: "s"}, 1), "another root": identity(Identity{Issuer: "i", Subject: "s"}, 2),
		"another issuer": identity(Identity{Issuer: "s", Subject: "i"}, 1), "a pattern": identity(Identity{IssuerPattern: "i", Subject: "s"}, 1),
	} {
		fingerprint := p.Fingerprint()
		if other := seen[fingerprint]; other != "" || len(fingerprint) != 64 {
			t.Errorf("%s has the fingerprint of %s: %s", name, other, fingerprint)
		}
		seen[fingerprint] = name
	}
}
