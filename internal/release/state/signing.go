package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/sign"
)

// Signing describes how attachments are made and verified.
type Signing struct {
	Client *sign.Client
	Signer func() (*sign.Signer, error) // opens the secret at the first call; nil if only the policy is needed
	Policy *sign.Policy
}

// Prefix returns the REGISTRY[/NAMESPACE] that a release is published to.
func (r *Reader) Prefix(rel *Release) (string, error) {
	tag, err := r.Registry.Tag(rel.Ref())
	return sign.Prefix(tag.Context()), err
}

// prefixes returns each REGISTRY[/NAMESPACE] that a release's record may name: this one,
// those that it may be a copy of, and "" for old records, which name none.
func (r *Reader) prefixes(rel *Release) ([]string, error) {
	prefix, err := r.Prefix(rel)
	if r.Signing == nil || err != nil {
		return []string{prefix, ""}, err
	}
	return slices.Concat([]string{prefix}, r.Signing.Policy.CopiesIn(prefix), []string{""}), nil
}

// VerifyRecord verifies the signature of a record with look, which is Verify or
// VerifyListed of its sign.Attachments. A record for another registry counts as not signed.
func (s *Signing) VerifyRecord(ctx context.Context, record *Record, digest name.Digest, look func(context.Context, *sign.Policy) (*sign.Signature, error)) (*sign.Signature, error) {
	signature, err := look(ctx, s.Policy)
	if err != nil || record.Registry == "" {
		return signature, err
	}
	base := "/" + path.Base(digest.Context().RepositoryStr())
	if found := sign.Prefix(digest.Context()); !sign.SamePrefix(record.Registry, found) && !s.Policy.AcceptsCopy(record.Registry, found) {
		other := &sign.RepositoryError{For: record.Registry + base, In: found + base}
		return nil, &sign.InvalidError{Digest: digest, Type: sign.SignatureType, Reasons: []error{other}}
	}
	signature.For = record.Registry + base
	return signature, nil
}

// placed adds a fix to the error of a signature for another registry.
func placed(err error) error {
	var elsewhere *sign.RepositoryError
	if !errors.As(err, &elsewhere) {
		return err
	}
	of, in, is := elsewhere.Elsewhere()
	if !is {
		return err
	}
	return &fault.Fault{Err: err, Fix: fmt.Sprintf("somebody may have copied it there: if push did, set registry: %[1]s and copyTo: [%[2]s] in libre.yaml; if you trust another copy, set copies: [{of: %[1]s, in: %[2]s}] below sign, or give verify, show and list --copy-of %[1]s", of, in)}
}

// signedAs returns the reference in the annotations of an image's or record's manifest.
func signedAs(manifest []byte) (catalog.Ref, error) {
	var read struct {
		Annotations map[string]string `json:"annotations"`
	}
	err := json.Unmarshal(manifest, &read)
	return catalog.Ref{Repository: read.Annotations[release.OCIPrefix+"title"], Tag: read.Annotations[release.OCIPrefix+"version"]}, err
}

// signedElsewhere returns the error, with its fix, of a signature for another registry, and
// nil for any other error.
func signedElsewhere(err error) error {
	if errors.As(err, new(*sign.RepositoryError)) {
		return placed(err)
	}
	return nil
}

// checkName compares a reference with the name and version in the signed manifest, because
// anybody with push access may put an old image under a new tag. It returns the reference
// that the manifest is signed as, with registry and namespace if the signature or the
// record names them.
func checkName(reference name.Reference, digest name.Digest, manifest []byte, signature *sign.Signature) (as string, err error) {
	named, err := signedAs(manifest)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", reference, err)
	}
	as = named.String()
	if signature != nil && signature.For != "" {
		as = signature.For + ":" + named.Tag
	}
	tag, ok := reference.(name.Tag)
	if !ok {
		if path.Base(reference.Context().RepositoryStr()) != named.Repository {
			return as, wrong("%s is signed as %s", reference, named)
		}
		return as, nil
	}
	appVersion, _, _ := catalog.ParseTag(named.Tag)
	_, _, immutable := catalog.ParseTag(tag.TagStr())
	if path.Base(reference.Context().RepositoryStr()) == named.Repository &&
		(tag.TagStr() == named.Tag || !immutable && catalog.MayMoveTo(tag.TagStr(), appVersion)) {
		return as, nil
	}
	return as, MovedFault(&MovedError{Reference: tag.String(), Shows: digest.DigestStr(), Named: named}, "libre push --force, in its catalogue")
}
