package sign

import (
	"fmt"
	"slices"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// A VerificationKey is a public key whose signatures are accepted now, in the form that
// other verifiers read.
type VerificationKey struct {
	PublicKey
	PEM string // SubjectPublicKeyInfo, in lines that end with a newline
}

// LastDay returns the last day on which the key is accepted, YEAR-MONTH-DAY, or "" if it
// has no end.
func (k VerificationKey) LastDay() string {
	if k.Until.IsZero() {
		return ""
	}
	return k.lastDay()
}

// VerificationKeys returns the public keys whose signatures are accepted now. The key that
// is used for signing now comes first. Without keys, as in a keyless configuration, it
// returns none. It needs no secret. It returns an error if a key is configured, but its
// public key is neither named nor stored beside it.
func (c Config) VerificationKeys() ([]VerificationKey, error) {
	if c.Keyless != nil {
		return nil, nil
	}
	accepted, err := c.acceptedKeys()
	if err != nil {
		return nil, err
	}
	var keys []VerificationKey
	for _, key := range accepted {
		if key.ended(time.Now()) {
			continue
		}
		pem, err := cryptoutils.MarshalPublicKeyToPEM(key.public)
		if err != nil {
			return nil, fmt.Errorf("write the public key %s: %w", key.File, err)
		}
		all := VerificationKey{PublicKey: key.PublicKey, PEM: string(pem)}
		if key.former {
			keys = append(keys, all)
		} else {
			keys = slices.Insert(keys, 0, all)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s was accepted until %s, and no other public key is named: set publicKey", accepted[0].File, accepted[0].lastDay())
	}
	return keys, nil
}
