package sign

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/web"
)

// A Config describes how a catalogue signs: either with a key or keyless.
type Config struct {
	Format Format // "" is Bundle
	Key    string // cosign's private key: a file, or env://VARIABLE
	// PublicKeys lists the keys whose signatures are accepted: the public key of Key, and
	// former keys. If it is empty, NAME.pub is accepted for a key NAME.key.
	PublicKeys []PublicKey
	Keyless    *Keyless
	// Copies lists the registries that accept signatures made for another registry.
	Copies []Copy `yaml:"-"`
	// Authorities are certificate authorities that keyless signing trusts in addition to
	// the system's when it calls its services; nil means none.
	Authorities *web.Authorities `yaml:"-"`
}

// A PublicKey is a key whose signatures are accepted.
type PublicKey struct {
	File string // or env://VARIABLE
	// Until is the time from which the verifier, by its own clock, no longer accepts
	// signatures: a key's signature has no reliable time. The zero time means no end.
	Until time.Time
}

// Prompts describes how to ask a person. The zero value means that there is no terminal.
type Prompts struct {
	Password PasswordFunc
	// Browser allows a login in a browser. The address of the opened page is written to it.
	// If no browser can be opened, a code is read from standard input.
	Browser io.Writer
}

func (c Config) format() (Format, error) {
	switch c.Format {
	case "", Bundle:
		return Bundle, nil
	case Classic:
		return Classic, nil
	}
	return "", fmt.Errorf("signature format %q, expected %s or %s", c.Format, Bundle, Classic)
}

func (c Config) check() error {
	if _, err := c.format(); err != nil {
		return err
	}
	switch {
	case c.Keyless != nil && (c.Key != "" || len(c.PublicKeys) > 0):
		return errors.New("sign: expected key or keyless, not both")
	case c.Keyless == nil && c.Key == "" && len(c.PublicKeys) == 0:
		return errors.New("sign: expected key or keyless")
	case c.Keyless != nil:
		return c.Keyless.Check()
	}
	return nil
}

// Policy returns the policy that accepts the signatures that this configuration makes. It
// needs no secret. It returns an error if a key is configured, but its public key is
// neither named nor stored beside it.
func (c Config) Policy(ctx context.Context) (*Policy, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	format, err := c.format()
	if err != nil {
		return nil, err
	}
	if c.Keyless != nil {
		root, err := ReadTrustedRoot(ctx, c.Keyless.TrustedRoot)
		if err != nil {
			return nil, err
		}
		policy, err := IdentityPolicy(format, c.Keyless.Identity, root)
		if err != nil {
			return nil, err
		}
		return policy.WithCopies(c.Copies...), nil
	}
	keys, err := c.acceptedKeys()
	if err != nil {
		return nil, err
	}
	policy, err := keysPolicy(format, keys)
	if err != nil {
		return nil, err
	}
	return policy.WithCopies(c.Copies...), nil
}

// An acceptedKey is a public key that was read.
type acceptedKey struct {
	PublicKey
	public crypto.PublicKey
	former bool // another key is used for signing now
}

// acceptedKeys returns the public keys, at least one.
func (c Config) acceptedKeys() ([]acceptedKey, error) {
	keys, err := c.publicKeys()
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf("no public key is known for %s: set publicKey", c.Key)
	}
	return keys, err
}

// publicKeys returns the configured public keys or, if none is configured, the one beside
// the private key. Without either it returns none.
func (c Config) publicKeys() ([]acceptedKey, error) {
	beside, err := c.keyBeside()
	if err != nil && len(c.PublicKeys) == 0 {
		return nil, err
	}
	if len(c.PublicKeys) == 0 && beside != nil {
		return []acceptedKey{{PublicKey: PublicKey{File: publicKeyName(c.Key)}, public: beside}}, nil
	}
	var keys []acceptedKey
	for _, key := range c.PublicKeys {
		public, err := ReadPublicKey(key.File)
		if err != nil {
			return nil, err
		}
		keys = append(keys, acceptedKey{PublicKey: key, public: public})
	}
	present := presentKey(keys, beside)
	for i := range keys {
		keys[i].former = !same(keys[i].public, keys[present].public)
	}
	return keys, nil
}

// keyBeside returns the public key beside the private key, or nil if there is none.
func (c Config) keyBeside() (crypto.PublicKey, error) {
	beside := publicKeyName(c.Key)
	if beside == "" {
		return nil, nil
	}
	public, err := ReadPublicKey(beside)
	if fileMissing(err) {
		return nil, nil
	}
	return public, err
}

// presentKey returns the index of the key that is used for signing now: the key beside the
// private key, else the first key without an end, else the key that ends last.
func presentKey(keys []acceptedKey, beside crypto.PublicKey) int {
	best := 0
	for i, key := range keys {
		if beside != nil && same(key.public, beside) {
			return i
		}
		if end := keys[best].Until; !end.IsZero() && (key.Until.IsZero() || key.Until.After(end)) {
			best = i
		}
	}
	return best
}

func same(a, b crypto.PublicKey) bool {
	return a.(interface{ Equal(crypto.PublicKey) bool }).Equal(b)
}

// Signer returns a signer with the decrypted private key, or one that gets certificates. It
// signs nothing and requests no certificate yet. Errors about secrets are faults of kind
// Credentials.
func (c Config) Signer(ctx context.Context, prompts Prompts) (*Signer, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Keyless != nil {
		return c.keylessSigner(ctx, prompts)
	}
	if c.Key == "" {
		return nil, errors.New("a public key cannot sign: give the private key with --key, or as sign.key in libre.yaml")
	}
	pair, err := readPrivateKey(c.Key, prompts.Password)
	if err != nil {
		return nil, err
	}
	keys, err := c.publicKeys()
	if err != nil {
		return nil, err
	}
	present := PublicKey{File: publicKeyName(c.Key)}
	if len(keys) > 0 {
		i := slices.IndexFunc(keys, func(key acceptedKey) bool { return same(key.public, pair.public) })
		if i < 0 {
			return nil, &fault.Fault{Err: fmt.Errorf("publicKey does not include the public key of %s", c.Key), Fix: "add it to publicKey below sign in libre.yaml"}
		}
		if present = keys[i].PublicKey; present.ended(time.Now()) {
			return nil, &fault.Fault{Err: fmt.Errorf("the key %s expired on %s", c.Key, present.lastDay()), Fix: "sign with another key: libre keygen --output NAME"}
		}
	}
	format, err := c.format()
	if err != nil {
		return nil, err
	}
	policy, err := keysPolicy(format, []acceptedKey{{PublicKey: present, public: pair.public}})
	if err != nil {
		return nil, err
	}
	return &Signer{policy: policy.WithCopies(c.Copies...), credentials: pair}, nil
}
