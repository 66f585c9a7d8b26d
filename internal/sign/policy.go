package sign

import (
	"crypto"
	"errors"
	"fmt"
	"regexp"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
)

// A Policy decides which signatures are accepted. It is read-only and may be shared.
type Policy struct {
	format Format   // "" accepts both
	ways   []*trust // one of them must accept the signature
	copies []Copy   // where signatures are accepted apart from where they were made

	identity Identity     // for CosignCommand
	root     *TrustedRoot // as keyFile; nil for keys
}

// A trust accepts the signatures of one key or of one identity.
type trust struct {
	PublicKey                            // zero for an identity
	former    bool                       // another key is used for signing now
	hint      string                     // of the key; "" if certificates are expected
	identity  verify.CertificateIdentity // if certificates are expected
	options   []verify.PolicyOption
	bundle    *verify.Verifier
	classic   cosign.CheckOpts
}

// KeyPolicy returns a policy that accepts signatures of one key, in one format or, if
// format is "", in both. It requires neither a timestamp nor a log entry.
func KeyPolicy(format Format, public crypto.PublicKey) (*Policy, error) {
	return keysPolicy(format, []acceptedKey{{public: public}})
}

func keysPolicy(format Format, keys []acceptedKey) (*Policy, error) {
	p := &Policy{format: format}
	for _, key := range keys {
		way, err := keyTrust(key)
		if err != nil {
			return nil, fmt.Errorf("verify with a key: %w", err)
		}
		p.ways = append(p.ways, way)
	}
	return p, nil
}

func keyTrust(key acceptedKey) (*trust, error) {
	hint, err := keyHint(key.public)
	if err != nil {
		return nil, err
	}
	verifier, err := signature.LoadVerifier(key.public, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	// Tools that make bundles name keys in different ways: accept any name for this key.
	always := root.NewExpiringKey(verifier, time.Time{}, time.Time{})
	material := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return always, nil })
	bundle, err := verify.NewVerifier(material, verify.WithNoObserverTimestamps(), verify.WithoutStatementPredicate())
	return &trust{
		PublicKey: key.PublicKey,
		former:    key.former,
		hint:      hint,
		options:   []verify.PolicyOption{verify.WithKey()},
		bundle:    bundle,
		classic:   cosign.CheckOpts{SigVerifier: verifier, IgnoreTlog: true, Offline: true},
	}, err
}

// verifySignature verifies an attachment with each key or identity of the policy. If none
// accepts it, it returns the most specific error: that a former key signed it rather than
// that another key did.
func (p *Policy) verifySignature(a attachment, digest v1.Hash, kind string) (*Statement, error) {
	var refused error
	for _, way := range p.ways {
		statement, err := a.verify(way, digest, kind)
		switch {
		case errors.Is(err, errOtherType):
			return nil, err
		case err == nil && way.ended(time.Now()):
			return nil, fmt.Errorf("signed with %s, which was accepted until %s", way.File, way.lastDay())
		case err == nil:
			statement.Signature.Key, statement.Signature.Former = way.File, way.former
			return statement, nil
		case refused == nil || errors.Is(refused, errOtherKey):
			refused = err
		}
	}
	return nil, refused
}

func (k PublicKey) ended(now time.Time) bool { return !k.Until.IsZero() && !now.Before(k.Until) }

// lastDay returns the last day on which the key is accepted, as written in libre.yaml.
func (k PublicKey) lastDay() string { return k.Until.Add(-time.Second).UTC().Format(time.DateOnly) }

// IdentityPolicy returns a policy that accepts a signature if the trusted root's authority
// issued its certificate to the identity. It requires each kind of service that the root
// lists: a CT log for certificates, a transparency log for signatures. It always requires a
// verified time.
func IdentityPolicy(format Format, identity Identity, trusted *TrustedRoot) (*Policy, error) {
	if err := identity.check(); err != nil {
		return nil, err
	}
	matcher, err := verify.NewShortCertificateIdentity(identity.Issuer, identity.anchoredIssuer(), "", identity.anchored())
	if err != nil {
		return nil, fmt.Errorf("verify by identity: %w", err)
	}
	material := trusted.material
	if len(material.TimestampingAuthorities()) == 0 && len(material.RekorLogs()) == 0 {
		return nil, fmt.Errorf("trusted root %s: it has neither a timestamp authority nor a log, so signatures would expire with their certificates", trusted.name)
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
	way := &trust{
		identity: matcher,
		options:  []verify.PolicyOption{verify.WithCertificateIdentity(matcher)},
		bundle:   bundle,
		classic: cosign.CheckOpts{
			TrustedMaterial:     material,
			Identities:          []cosign.Identity{{Issuer: identity.Issuer, IssuerRegExp: identity.anchoredIssuer(), SubjectRegExp: identity.anchored()}},
			IgnoreSCT:           len(material.CTLogs()) == 0,
			IgnoreTlog:          len(material.RekorLogs()) == 0,
			UseSignedTimestamps: len(material.TimestampingAuthorities()) > 0,
			Offline:             true,
		},
	}
	return &Policy{format: format, ways: []*trust{way}, identity: identity, root: trusted}, nil
}

// IsClassic reports whether the policy accepts only the format Classic. In this format,
// signatures and attestations are in separate lists.
func (p *Policy) IsClassic() bool { return p.format == Classic }

// formats returns the formats that the policy accepts, in the order in which to try them.
func (p *Policy) formats() []Format {
	if p.format == "" {
		return []Format{Bundle, Classic}
	}
	return []Format{p.format}
}

// check refuses an identity without an issuer or a subject, and invalid patterns.
func (i Identity) check() error {
	if (i.Issuer == "") == (i.IssuerPattern == "") || i.Subject == "" {
		return errors.New("identity: expected an issuer and a subject")
	}
	if _, err := regexp.Compile(i.IssuerPattern); err != nil {
		return fmt.Errorf("identity: issuer: %w", err)
	}
	if _, err := regexp.Compile(i.Subject); err != nil {
		return fmt.Errorf("identity: subject: %w", err)
	}
	return nil
}

// anchoredIssuer returns the pattern for the whole issuer, or "" if the issuer is compared
// literally.
func (i Identity) anchoredIssuer() string {
	if i.IssuerPattern == "" {
		return ""
	}
	return "^(?:" + i.IssuerPattern + ")$"
}

// anchored returns the pattern for the whole subject, so that "me@example.org" does not
// accept "me@example.organisation".
func (i Identity) anchored() string { return "^(?:" + i.Subject + ")$" }
