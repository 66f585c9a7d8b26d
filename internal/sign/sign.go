// Package sign signs and attests OCI artifacts in registries and verifies them. The results
// are compatible with cosign and the tools that are built on it.
//
// The registry is the only storage. Every signature and attestation is for a digest, never
// for a tag.
package sign

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/text"
)

// A Format is one of the two ways of storing signatures and attestations in a registry. An
// image uses one of them.
type Format string

const (
	// Bundle is a Sigstore bundle v0.3 with an in-toto statement, attached as an OCI
	// referrer. It is the default of cosign 3.
	// https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md
	Bundle Format = "bundle"
	// Classic stores attachments as layers of images that are tagged sha256-HEX.sig and
	// sha256-HEX.att. It is the default of cosign 1 and 2.
	// https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
	Classic Format = "classic"
)

// SignatureType is the predicate type of a signature in the format Bundle. Code that treats
// signatures and attestations alike uses it for signatures in both formats.
const SignatureType = "https://sigstore.dev/cosign/sign/v1"

// An Identity describes to whom a certificate must have been issued.
type Identity struct {
	Issuer  string `yaml:"issuer"`  // URL of the OpenID Connect issuer, compared literally
	Subject string `yaml:"subject"` // regular expression that matches the whole subject (an e-mail address, a workflow's URI)

	IssuerPattern string `yaml:"-"` // instead of Issuer: regular expression that matches the whole issuer
}

// A Signature describes a verified signature.
type Signature struct {
	Format  Format
	Issuer  string    // of a certificate's subject; "" for a key
	Subject string    // of a certificate; "" for a key
	Key     string    // name of the public key in the policy; "" for a certificate or a key without a name
	Former  bool      // another key is used for signing now: see Resign
	For     string    // repository that it was made for, with its registry; "" if it names none
	Time    time.Time // from a timestamp authority or a log; zero if neither was used
}

// By names who signed: the key's file if that is known, or the identity.
func (s *Signature) By() string { return cmp.Or(s.Key, s.Subject, "the key that signed it") }

// A Statement is a verified in-toto statement.
type Statement struct {
	PredicateType string
	Predicate     []byte // JSON, as it was signed
	Subjects      []v1.Hash
	Signature     Signature

	names []string // names of the verified subject in the statement
}

// ErrNotAttached means that a digest has no signature, or no attestation of the type, in
// the accepted formats.
var ErrNotAttached = errors.New("nothing is attached")

// A notAttachedError is an ErrNotAttached with the subject and the type.
type notAttachedError struct {
	subject name.Digest
	kind    string
}

func (e *notAttachedError) Error() string {
	if e.kind == SignatureType {
		return fmt.Sprintf("%s is not signed", e.subject)
	}
	return fmt.Sprintf("%s has no attestation of type %s", e.subject, e.kind)
}

func (e *notAttachedError) Is(target error) bool { return target == ErrNotAttached }

// An InvalidError means that a digest has attachments, but the policy accepts none of them:
// another key or identity signed, or the content is not what was signed.
type InvalidError struct {
	Digest  name.Digest
	Type    string  // predicate type, or SignatureType
	Reasons []error // of the first attachments that were refused
	More    int     // how many more were refused
}

func (e *InvalidError) Error() string {
	what := "attestation of type " + e.Type
	if e.Type == SignatureType {
		what = "signature"
	}
	var reasons []string
	for _, reason := range e.Reasons {
		text := oneLine(reason.Error())
		if len(reasons) == 0 || reasons[len(reasons)-1] != text {
			reasons = append(reasons, text)
		}
	}
	if e.More > 0 {
		reasons = append(reasons, fmt.Sprintf("and %d more", e.More))
	}
	return fmt.Sprintf("no valid %s of %s: %s", what, e.Digest, strings.Join(reasons, "; "))
}

func (e *InvalidError) Unwrap() []error { return e.Reasons }

// A RegistryError means that a registry did not answer, refused the request, or sent
// something unexpected. It says nothing about signatures.
type RegistryError struct {
	Op  string // what failed, such as "attach to DIGEST"
	Err error
}

func (e *RegistryError) Error() string { return e.Op + ": " + oneLine(e.Err.Error()) }
func (e *RegistryError) Unwrap() error { return e.Err }

// credentialFault returns an error of kind Credentials: a wrong password, or a missing or
// expired identity token.
func credentialFault(err error) error {
	return &fault.Fault{Kind: fault.Credentials, Err: &singleLine{err}}
}

// singleLine is an error with outside text, on one line.
type singleLine struct{ error }

func (e *singleLine) Error() string { return oneLine(e.error.Error()) }
func (e *singleLine) Unwrap() error { return e.error }

// short limits the length of an error with outside text.
func short(err error) error {
	if err == nil || len(err.Error()) <= mostReason {
		return err
	}
	why := errors.New(text.Short(err.Error()[:mostReason], mostReason))
	var registry *RegistryError
	switch {
	case !errors.As(err, &registry):
		return why
	case answered(registry):
		return &RegistryError{"read an attachment", why}
	}
	return err
}

// mostReason is the largest length of such a text, in bytes.
const mostReason = 400

// oneLine replaces the line breaks of outside text.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
