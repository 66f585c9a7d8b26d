package sign

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
)

// A Config says how a catalogue signs: with a key or keyless, exactly one.
type Config struct {
	Format    Format   `yaml:"format"`    // "" is Bundle
	Key       string   `yaml:"key"`       // cosign's private key: a file, or env://VARIABLE
	PublicKey string   `yaml:"publicKey"` // likewise; "" is NAME.pub for a key NAME.key
	Keyless   *Keyless `yaml:"keyless"`
}

// Prompts are how a person is asked: the zero value where there is no terminal.
type Prompts struct {
	Password PasswordFunc
	// Browser lets an identity be proven in a browser, and is told which page
	// is opened. Where none can be, a code is read from standard input.
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
	case c.Keyless != nil && (c.Key != "" || c.PublicKey != ""):
		return errors.New("sign: expected key or keyless, not both")
	case c.Keyless == nil && c.Key == "" && c.PublicKey == "":
		return errors.New("sign: expected key or keyless")
	case c.Keyless != nil:
		return c.Keyless.Check()
	}
	return nil
}

// Policy is what accepts the signatures that the configuration makes. It needs
// no secret, but for a key whose public half is neither named nor beside it:
// that is an error here.
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
		return IdentityPolicy(format, c.Keyless.Identity, root)
	}
	public, err := c.publicKey()
	if err != nil {
		return nil, err
	}
	if public == nil {
		return nil, fmt.Errorf("no public key is known for %s: name it as publicKey", c.Key)
	}
	return KeyPolicy(format, public)
}

// publicKey is the configured public key, or the one beside the private one; nil
// where there is none.
func (c Config) publicKey() (crypto.PublicKey, error) {
	if c.PublicKey != "" {
		return ReadPublicKey(c.PublicKey)
	}
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

// Signer opens the private key, or prepares to ask for certificates. Nothing is
// signed and no certificate is asked for yet. Errors about secrets are faults
// of kind Credentials.
func (c Config) Signer(ctx context.Context, prompts Prompts) (*Signer, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Keyless != nil {
		return c.keylessSigner(ctx, prompts)
	}
	if c.Key == "" {
		return nil, errors.New("sign: a public key alone signs nothing: name the private key")
	}
	pair, err := readPrivateKey(c.Key, prompts.Password)
	if err != nil {
		return nil, err
	}
	public, err := c.publicKey()
	if err != nil {
		return nil, err
	}
	if public != nil && !pair.public.(interface{ Equal(crypto.PublicKey) bool }).Equal(public) {
		return nil, fmt.Errorf("the public key given is not that of %s", c.Key)
	}
	format, err := c.format()
	if err != nil {
		return nil, err
	}
	policy, err := KeyPolicy(format, pair.public)
	if err != nil {
		return nil, err
	}
	return &Signer{policy: policy, credentials: pair}, nil
}
