package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/sign"
)

// Verification is the result of verifying one image or release record.
type Verification struct {
	Reference string // the reference that the user gave, or its tag
	Digest    name.Digest
	Kind      string // image or release
	Checks    []string
	Command   string      // the cosign command that checks the signature
	SignedAs  string      // the reference that it was signed as, with the registry if the signature names it
	OldKey    string      // the former key that signed it, "" if the present one did
	VEX       *VEXSummary // of an image that verifies; otherwise nil
	Err       error

	// RefusedWithdrawal is true if something is attached that claims to be a withdrawal, and
	// none of it verifies.
	RefusedWithdrawal bool

	signature *sign.Signature
	view      *sign.Attachments // of the digest
}

// State returns Verified, Withdrawn, Moved, Unknown or Failed.
func (v Verification) State() State {
	switch {
	case v.Err == nil:
		return Verified
	case AsWithdrawn(v.Err) != nil:
		return Withdrawn
	case errors.As(v.Err, new(*MovedError)):
		return Moved
	case IsUnknown(v.Err):
		return Unknown
	}
	return Failed
}

// SignedAt returns the time of the signature if a service dated it, or zero.
func (v Verification) SignedAt() time.Time {
	if v.signature == nil {
		return time.Time{}
	}
	return v.signature.Time
}

// IsUnknown reports whether an error means that something could not be read. It returns false
// for something that was read and is wrong.
func IsUnknown(err error) bool {
	return err != nil && AsWithdrawn(err) == nil && !IsUnsigned(err) && !errors.As(err, new(*MovedError)) && !errors.As(err, new(*wrongError)) && !IsUnreadableVEX(err) && !errors.Is(err, registry.ErrNotFound)
}

// A wrongError means that something was read and is wrong.
type wrongError struct{ text string }

func (e *wrongError) Error() string { return e.text }

func wrong(format string, args ...any) error { return &wrongError{fmt.Sprintf(format, args...)} }

// signed sets the signature and the command with which cosign checks it: with the key that
// signed, or with keyFile if that key is unknown.
func (v *Verification) signed(signing *Signing, signature *sign.Signature, keyFile string) {
	v.signature = signature
	if signature != nil && signature.Key != "" {
		keyFile = signature.Key
	}
	if signature != nil && signature.Former {
		v.OldKey = signature.Key
	}
	v.Command = signing.Policy.CosignCommand(v.Digest, sign.SignatureType, keyFile)
}

// checkWithdrawn sets the error of an image or record that verifies but is withdrawn.
func (v *Verification) checkWithdrawn(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference, tag string) {
	said, err := ReadWithdrawals(ctx, signing, v.view, v.Digest)
	if v.RefusedWithdrawal = said.Refused; err == nil {
		err = said.check(ctx, client, reference, tag)
	}
	v.Err = err
}

// mostUnsigned is the size, in bytes, up to which a manifest is decoded before its
// signature is verified. The limit bounds memory.
const mostUnsigned = 64 << 10

// VerifyReference verifies an image, or a release record with all its images and their
// tags.
func VerifyReference(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference, keyFile string) []Verification {
	return verifyReference(ctx, client, signing, reference, keyFile, verifyOne)
}

// VerifySignatures is like VerifyReference, but for images it only verifies the signature of
// the index, and no other attachment.
func VerifySignatures(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference, keyFile string) []Verification {
	return verifyReference(ctx, client, signing, reference, keyFile, verifySignature)
}

// verifyImage verifies an image's index. children are the digests of its platforms' manifests.
type verifyImage func(ctx context.Context, signing *Signing, reference string, digest name.Digest, children []string, keyFile string) Verification

func verifySignature(ctx context.Context, signing *Signing, reference string, digest name.Digest, _ []string, keyFile string) Verification {
	v := Verification{Reference: reference, Digest: digest, Kind: "image", view: signing.Client.Attachments(digest)}
	signature, err := v.view.Verify(ctx, signing.Policy)
	if v.Err = Explained(err); v.Err == nil {
		v.Checks = []string{"signature"}
	}
	v.signed(signing, signature, keyFile)
	return v
}

func verifyReference(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference, keyFile string, one verifyImage) []Verification {
	failed := func(err error) []Verification { return []Verification{{Reference: reference.String(), Err: err}} }
	got, err := client.Get(ctx, reference)
	if err != nil {
		return failed(err)
	}
	if len(got.Content) > mostUnsigned {
		digest := reference.Context().Digest(got.Digest.String())
		if _, err := signing.Client.Verify(ctx, digest, signing.Policy); err != nil {
			return []Verification{{Reference: reference.String(), Digest: digest, Kind: "image", Err: Explained(err)}}
		}
	}
	record, digest, err := decodeRecord(ctx, client, reference, got)
	var all []Verification
	switch {
	case err == nil:
		all = verifyRecord(ctx, client, signing, reference, record, digest, keyFile, one)
	case errors.Is(err, errNoRecord):
		var children []string
		if children, err = platformManifests(got); err != nil {
			return failed(fmt.Errorf("reading %s: %w", reference, err))
		}
		all = []Verification{one(ctx, signing, reference.String(), digest, children, keyFile)}
	default:
		return failed(err)
	}
	named := &all[0]
	if named.Err == nil {
		named.SignedAs, named.Err = checkName(reference, digest, got.Content, named.signature)
	}
	if named.Err == nil {
		as, _ := signedAs(got.Content) // checkName read it
		named.checkWithdrawn(ctx, client, signing, reference, as.Tag)
	}
	if tag, ok := reference.(name.Tag); ok && len(all) == 1 && named.Err != nil && named.State() != Withdrawn && !IsUnknown(named.Err) {
		if err := movedImage(ctx, client, signing, tag, digest.DigestStr()); err != nil {
			named.Err = err
		}
	}
	return all
}

// verifyOne verifies an image's index and the manifests of its platforms, because operators
// may pin either.
func verifyOne(ctx context.Context, signing *Signing, reference string, digest name.Digest, children []string, keyFile string) Verification {
	v := Verification{Reference: reference, Digest: digest, Kind: "image", view: signing.Client.Attachments(digest)}
	checks, signature, err := verifyAttachments(ctx, signing, v.view, digest)
	v.Checks, v.Err = checks, err
	v.signed(signing, signature, keyFile)
	if v.Err == nil {
		v.VEX, v.Err = readVEXSummary(ctx, signing, v.view, digest)
	}
	for _, child := range children {
		if v.Err == nil {
			_, _, v.Err = VerifyImage(ctx, signing, digest.Context().Digest(child))
		}
	}
	return v
}

// platformManifests returns the digests that an index lists, or none for another manifest.
func platformManifests(got *registry.Manifest) ([]string, error) {
	if !got.MediaType.IsIndex() {
		return nil, nil
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(got.Content, &index); err != nil {
		return nil, err
	}
	var digests []string
	for _, child := range index.Manifests {
		digests = append(digests, child.Digest.String())
	}
	return digests, nil
}

// verifyRecord verifies a record, then each image in it. The image's tag must point to the
// digest in the record.
func verifyRecord(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference, record *Record, digest name.Digest, keyFile string, one verifyImage) []Verification {
	release := Verification{Reference: reference.String(), Digest: digest, Kind: "release", Checks: []string{"signature"}}
	release.view = signing.Client.Attachments(digest)
	signature, err := signing.VerifyRecord(ctx, record, digest, release.view.Verify)
	release.Err = Explained(err)
	release.signed(signing, signature, keyFile)
	if release.Err != nil {
		return []Verification{release} // do not trust the content of an unverified record
	}
	all := []Verification{release}
	for _, component := range record.components() {
		entry := record.Components[component]
		tag, err := client.Sibling(reference, entry.Reference)
		if err != nil {
			all = append(all, Verification{Reference: entry.Reference.String(), Err: err})
			continue
		}
		image := one(ctx, signing, tag.String(), tag.Context().Digest(entry.Digest), slices.Sorted(maps.Values(entry.Systems)), keyFile)
		if image.Err == nil {
			head, err := client.HeadAt(ctx, tag, entry.Digest)
			switch {
			case errors.Is(err, registry.ErrNotFound):
				image.Err = wrong("not tagged: there is no tag %s, the release record names %s", tag, entry.Digest)
			case err != nil:
				image.Err = err
			case head.Digest.String() != entry.Digest:
				image.Err = MovedFault(&MovedError{Reference: tag.String(), Shows: head.Digest.String(), Signed: entry.Digest, By: recordNames}, putBackCommand(record.App, record.Variant))
			default:
				image.Checks = append(image.Checks, "tag")
			}
		}
		image.SignedAs = entry.Reference.String()
		if image.signature != nil && image.signature.For != "" {
			image.SignedAs = image.signature.For + ":" + tag.TagStr()
		}
		all = append(all, image)
	}
	return all
}

// ShowRecord reads and verifies a record. It returns the reference that the record is
// signed as. A withdrawn release is no error: see Record.Withdrawn.
func ShowRecord(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference) (record *Record, as string, err error) {
	record, _, as, err = readVerified(ctx, client, signing, reference)
	if err == nil {
		record.withdrawn = record.Withdrawals.check(ctx, client, reference, record.ref().Tag)
	}
	return record, as, err
}

// ReadVerified reads and verifies a record, with its Withdrawals.
func ReadVerified(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference) (*Record, name.Digest, error) {
	record, digest, _, err := readVerified(ctx, client, signing, reference)
	return record, digest, err
}

func readVerified(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference) (record *Record, digest name.Digest, as string, err error) {
	got, err := client.Get(ctx, reference)
	if err != nil {
		return nil, name.Digest{}, "", err
	}
	record, digest, err = decodeRecord(ctx, client, reference, got)
	if err != nil {
		return nil, digest, "", err
	}
	view := signing.Client.Attachments(digest)
	signature, err := signing.VerifyRecord(ctx, record, digest, view.Verify)
	if err != nil {
		return nil, digest, "", Explained(err)
	}
	if as, err = checkName(reference, digest, got.Content, signature); err != nil {
		return record, digest, as, err
	}
	record.Withdrawals, err = ReadWithdrawals(ctx, signing, view, digest)
	return record, digest, as, err
}

// FindRecord is like ShowRecord for a reference that the user gave: if the tag does not exist,
// the error lists the existing releases, and for an image it says what to give.
func FindRecord(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference) (record *Record, as string, err error) {
	record, as, err = ShowRecord(ctx, client, signing, reference)
	if errors.Is(err, errNoRecord) {
		err = &fault.Fault{Err: err, Fix: "give the reference of a release, REGISTRY/APP-VARIANT:TAG"}
	}
	return record, as, Missing(ctx, client, reference, err)
}
