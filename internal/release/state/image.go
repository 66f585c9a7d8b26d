package state

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/vex"
)

// Image is the image of a target in the layout or the registry.
type Image struct {
	Target    *release.Target
	Index     v1.Descriptor
	Manifests []v1.Descriptor // by platform
	Subject   name.Digest     // the index in the registry
	Said      string          // digest of the catalogue's statements about its vulnerabilities, from Reader.Said
}

// Subjects returns the digests of the index and its children. A verifier resolves a tag to
// the index, and an operator may pin one of the children.
func (i *Image) Subjects() []name.Digest {
	all := []name.Digest{i.Subject}
	for _, manifest := range i.Manifests {
		all = append(all, i.Subject.Context().Digest(manifest.Digest.String()))
	}
	return all
}

// Gap is a missing attachment of an image.
type Gap struct {
	Kind     string // predicate type, or sign.SignatureType
	Manifest int    // index in Image.Manifests that an SBOM is for; -1 for other kinds
	Subject  name.Digest
}

// Kinds lists the kinds of the gaps, each once.
func Kinds(gaps []Gap) string {
	var names []string
	for _, g := range gaps {
		if name := kindName(g.Kind); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Adopt reads a published image that has the target's key and was made by this catalogue's
// signer: a record names it (isRecorded), or an attachment proves it. It returns nil for
// any other image. The gaps are the image's missing attachments. Running a Containerfile
// again may give another digest, so the digest that is published first for a key stays.
func (r *Reader) Adopt(ctx context.Context, target *release.Target, reference name.Reference, isRecorded bool, said string) (*Image, []Gap, error) {
	there, err := r.published(ctx, target, reference)
	if err != nil || there == nil {
		return nil, nil, err
	}
	there.Said = said
	if r.Signing != nil && !isRecorded {
		if ours, err := r.isOurs(ctx, there); err != nil || !ours {
			return nil, nil, err // it is built again and compared
		}
	}
	gaps, err := r.Gaps(ctx, there)
	if err != nil {
		return nil, nil, err
	}
	return there, gaps, nil
}

// published reads the image that a reference names. It returns nil if the image does not
// exist, is not complete or has another key than the target.
func (r *Reader) published(ctx context.Context, target *release.Target, reference name.Reference) (*Image, error) {
	described, index, err := r.readIndex(ctx, reference)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if index.Annotations[image.ImageKeyAnnotation] != target.Key() {
		return nil, nil // it is refused as other content
	}
	there := &Image{Target: target, Subject: reference.Context().Digest(described.Digest.String()), Index: described}
	for _, child := range index.Manifests {
		manifest, err := r.Registry.Get(ctx, reference.Context().Digest(child.Digest.String()))
		if errors.Is(err, registry.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		var read v1.Manifest
		if json.Unmarshal(manifest.Content, &read) != nil {
			return nil, nil
		}
		lost, err := r.Registry.Lost(ctx, reference.Context(), append(read.Layers, read.Config))
		if err != nil {
			return nil, err
		}
		if lost {
			return nil, nil // it is built and pushed again
		}
		child.Annotations = read.Annotations
		there.Manifests = append(there.Manifests, child)
	}
	return there, nil
}

// readIndex reads an image's index. It returns an empty one if the reference names
// something else.
func (r *Reader) readIndex(ctx context.Context, reference name.Reference) (v1.Descriptor, v1.IndexManifest, error) {
	got, err := r.Registry.Get(ctx, reference)
	if err != nil {
		return v1.Descriptor{}, v1.IndexManifest{}, err
	}
	var index v1.IndexManifest
	if json.Unmarshal(got.Content, &index) != nil {
		index = v1.IndexManifest{}
	}
	return got.Descriptor, index, nil
}

// isOurs reports whether an attachment proves that this catalogue's signer made the index.
func (r *Reader) isOurs(ctx context.Context, i *Image) (bool, error) {
	view := r.Signing.Client.Attachments(i.Subject)
	_, err := view.Verify(ctx, r.Signing.Policy)
	if IsUnsigned(err) {
		_, err = attested(ctx, r.Signing, view, i.Subject, ProvenanceType)
	}
	if IsUnsigned(err) {
		return false, nil
	}
	return err == nil, Explained(err)
}

// Gaps reads the attachments of the index and its children, and returns those that are
// missing or not valid. Without signing it returns none.
func (r *Reader) Gaps(ctx context.Context, i *Image) ([]Gap, error) {
	if r.Signing == nil {
		return nil, nil
	}
	var gaps []Gap
	for n, subject := range i.Subjects() {
		view := r.Signing.Client.Attachments(subject)
		if _, err := view.Verify(ctx, r.Signing.Policy); IsUnsigned(err) {
			gaps = append(gaps, Gap{sign.SignatureType, -1, subject})
		} else if err != nil {
			return nil, Explained(err)
		}
		for _, attestation := range attestationTypes {
			statements, err := attested(ctx, r.Signing, view, subject, attestation.predicate)
			if err != nil && !IsUnsigned(err) {
				return nil, Explained(err)
			}
			if attestation.predicate == ProvenanceType {
				if len(statements) == 0 {
					gaps = append(gaps, Gap{ProvenanceType, -1, subject})
				}
				continue
			}
			// The index has the SBOMs of all its children.
			for m, manifest := range i.Manifests {
				if (n == 0 || n == m+1) && !slices.ContainsFunc(statements, func(s sign.Statement) bool { return slices.Contains(s.Subjects, manifest.Digest) }) {
					gaps = append(gaps, Gap{attestation.predicate, m, subject})
				}
			}
		}
		said, err := r.vexGaps(ctx, view, subject, i.Said)
		if err != nil {
			return nil, err
		}
		gaps = append(gaps, said...)
	}
	return gaps, nil
}

// Attached checks that the registry has the image with its signature, SBOMs and provenance.
// If not, the error is registry.ErrNotFound or sign.ErrNotAttached.
func (r *Reader) Attached(ctx context.Context, i *Image) error {
	if _, err := r.Registry.Head(ctx, i.Subject); err != nil || r.Signing == nil {
		return err
	}
	for _, subject := range i.Subjects() {
		if _, _, err := VerifyImage(ctx, r.Signing, subject); err != nil {
			return err
		}
	}
	return nil
}

// AllGaps returns the gaps of an image without any attachments.
func (i *Image) AllGaps() []Gap {
	var gaps []Gap
	for n, subject := range i.Subjects() {
		gaps = append(gaps, Gap{sign.SignatureType, -1, subject}, Gap{ProvenanceType, -1, subject},
			Gap{vex.OpenVEXType, -1, subject}, Gap{vex.CycloneDXType, -1, subject})
		for m := range i.Manifests {
			if n == 0 || n == m+1 {
				gaps = append(gaps, Gap{CycloneDXType, m, subject}, Gap{SPDXType, m, subject})
			}
		}
	}
	return gaps
}
