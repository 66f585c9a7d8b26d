package sign

import (
	"crypto"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
)

// A Policy is what a signature must satisfy. It is read-only and may be shared.
type Policy struct {
	format Format // "" accepts both

	hint    string // of the key; "" where certificates are wanted
	options []verify.PolicyOption
	bundle  *verify.Verifier
	classic cosign.CheckOpts

	identity Identity     // for CosignCommand
	root     *TrustedRoot // likewise
}

// KeyPolicy accepts signatures of one key, in one format, or where format is ""
// in either. A key's signature is not dated and not logged.
func KeyPolicy(format Format, public crypto.PublicKey) (*Policy, error) {
	hint, err := keyHint(public)
	if err != nil {
		return nil, fmt.Errorf("verify with a key: %w", err)
	}
	verifier, err := signature.LoadVerifier(public, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("verify with a key: %w", err)
	}
	// Bundles name keys in a way of their makers': any name means this key.
	always := root.NewExpiringKey(verifier, time.Time{}, time.Time{})
	material := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return always, nil })
	bundle, err := verify.NewVerifier(material, verify.WithNoObserverTimestamps(), verify.WithoutStatementPredicate())
	if err != nil {
		return nil, fmt.Errorf("verify with a key: %w", err)
	}
	return &Policy{
		format:  format,
		hint:    hint,
		options: []verify.PolicyOption{verify.WithKey()},
		bundle:  bundle,
		classic: cosign.CheckOpts{SigVerifier: verifier, IgnoreTlog: true, Offline: true},
	}, nil
}

// IdentityPolicy accepts signatures whose certificate the trusted root's
// authority issued to the identity. Each kind of service that the root names
// must have taken part: certificates must be in a CT log where the root has
// one, signatures in a transparency log likewise; a time is always needed.
func IdentityPolicy(format Format, identity Identity, trusted *TrustedRoot) (*Policy, error) {
	if err := identity.check(); err != nil {
		return nil, err
	}
	matcher, err := verify.NewShortCertificateIdentity(identity.Issuer, "", "", identity.anchored())
	if err != nil {
		return nil, fmt.Errorf("verify by identity: %w", err)
	}
	material := trusted.material
	if len(material.TimestampingAuthorities()) == 0 && len(material.RekorLogs()) == 0 {
		return nil, fmt.Errorf("trusted root %s: neither a timestamp authority nor a log: a signature would end with its certificate", trusted.name)
	}
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1), verify.WithoutStatementPredicate()}
	if len(material.RekorLogs()) > 0 {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if len(material.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	bundle, err := verify.NewVerifier(material, options...)
	if err != nil {
		return nil, fmt.Errorf("verify by identity: %w", err)
	}
	return &Policy{
		format:  format,
		options: []verify.PolicyOption{verify.WithCertificateIdentity(matcher)},
		bundle:  bundle,
		classic: cosign.CheckOpts{
			TrustedMaterial:     material,
			Identities:          []cosign.Identity{{Issuer: identity.Issuer, SubjectRegExp: identity.anchored()}},
			IgnoreSCT:           len(material.CTLogs()) == 0,
			IgnoreTlog:          len(material.RekorLogs()) == 0,
			UseSignedTimestamps: len(material.TimestampingAuthorities()) > 0,
			Offline:             true,
		},
		identity: identity,
		root:     trusted,
	}, nil
}

// formats are the formats that the policy accepts, in the order of trying.
func (p *Policy) formats() []Format {
	if p.format == "" {
		return []Format{Bundle, Classic}
	}
	return []Format{p.format}
}

// check refuses an identity that accepts nobody or that leaves anything open.
func (i Identity) check() error {
	if i.Issuer == "" || i.Subject == "" {
		return errors.New("identity: expected an issuer and a subject")
	}
	if _, err := regexp.Compile(i.Subject); err != nil {
		return fmt.Errorf("identity: subject: %w", err)
	}
	return nil
}

// anchored is the pattern for a whole subject, so that "me@example.org" does not
// accept "me@example.organisation".
func (i Identity) anchored() string { return "^(?:" + i.Subject + ")$" }
