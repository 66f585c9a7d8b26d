package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
)

// fromRegistry finds an image by its digest in a verified release record, and fetches it. It
// returns nil if there is none. The error is the reason why a published image is not used.
func (b *Bases) fromRegistry(ctx context.Context, spec *catalog.Spec) (*Base, error) {
	client, signing, err := b.where(ctx)
	if err != nil || client == nil {
		return nil, err
	}
	digest, known := b.options.Recorded[spec.Key()]
	if !known {
		record, err := b.publishedRecord(ctx, client, signing, spec)
		if err != nil || record == nil {
			return nil, err
		}
		if digest, err = record.ImageFor(client, spec); err != nil {
			return nil, err
		}
	}
	got, err := client.Get(ctx, digest)
	if err != nil {
		return nil, err
	}
	var read v1.Manifest
	if err := json.Unmarshal(got.Content, &read); err != nil {
		return nil, fmt.Errorf("reading %s: %w", digest, err)
	}
	if key := read.Annotations[image.ImageKeyAnnotation]; key != spec.Key() {
		return nil, &otherKeyError{digest, key, spec.Key()}
	}
	platform, err := release.Platform(spec)
	if err != nil {
		return nil, err
	}
	described := got.Descriptor
	described.Platform = &platform
	var layers []v1.Hash
	for _, layer := range read.Layers {
		layers = append(layers, layer.Digest)
	}
	there := newBase(described, read.Annotations, layers)
	if b.options.Fetch == nil {
		return there, nil
	}
	source := layout.Source{Descriptor: described, Open: func(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
		return client.Open(ctx, digest.Context(), d)
	}}
	if err := b.options.Fetch(ctx, spec, digest, source); err != nil {
		return nil, err
	}
	return there, nil
}

// where calls options.Where, once.
func (b *Bases) where(ctx context.Context) (*registry.Client, *Signing, error) {
	if !b.asked && b.options.Where != nil {
		b.client, b.signing, b.err = b.options.Where(ctx)
	}
	b.asked = true
	return b.client, b.signing, b.err
}

// otherKeyError means that an image is published with another image key than the wanted
// one.
type otherKeyError struct {
	digest name.Digest
	is     string
	wanted string
}

func (e *otherKeyError) Error() string {
	return fmt.Sprintf("%s has another image key, %s and not %s", e.digest, short(e.is), short(e.wanted))
}

// publishedRecord returns the verified record of an image's release, or nil if it is not
// published.
func (b *Bases) publishedRecord(ctx context.Context, client *registry.Client, signing *Signing, spec *catalog.Spec) (*Record, error) {
	ref := spec.RecordRef()
	if found, known := b.records[ref]; known {
		return found.record, found.err
	}
	for _, other := range b.records {
		if fault.Is(other.err, fault.Unreachable) {
			return nil, other.err // the registry would not answer this time either
		}
	}
	record, err := readPublishedRecord(ctx, client, signing, ref)
	if errors.Is(err, registry.ErrNotFound) && !errors.As(err, new(*MovedError)) {
		record, err = nil, nil
	}
	b.records[ref] = recordResult{record, err}
	return record, err
}

func readPublishedRecord(ctx context.Context, client *registry.Client, signing *Signing, ref catalog.Ref) (*Record, error) {
	tag, err := client.Tag(ref)
	if err != nil {
		return nil, err
	}
	record, digest, err := readRecord(ctx, client, tag)
	if err != nil {
		return nil, err
	}
	if signing == nil {
		return nil, fmt.Errorf("%s: no setting says who must have signed it", tag)
	}
	if _, err := signing.VerifyRecord(ctx, record, digest, signing.Client.Attachments(digest).Verify); err != nil {
		return nil, notSignedByUs(tag, err)
	}
	if as := record.ref(); as != ref {
		return nil, &MovedError{Reference: tag.String(), Shows: digest.DigestStr(), Named: as}
	}
	return record, nil
}

// notSignedByUs adds the release to the error of a missing or invalid signature.
func notSignedByUs(tag name.Tag, err error) error {
	err = Explained(err)
	if !IsUnsigned(err) {
		return err
	}
	return fmt.Errorf("%s is not signed by this catalogue's signer: %w", tag, err)
}

// ImageFor returns the manifest that a record names for an image on its system.
func (r *Record) ImageFor(client *registry.Client, spec *catalog.Spec) (name.Digest, error) {
	component := r.Components[spec.Component]
	platform, err := release.Platform(spec)
	if err != nil {
		return name.Digest{}, err
	}
	if component != nil {
		tag, err := client.Tag(component.Reference)
		if err != nil {
			return name.Digest{}, err
		}
		for system, digest := range component.Systems {
			if system == platform.String() || strings.HasPrefix(system, platform.String()+"/") {
				return tag.Context().Digest(digest), nil
			}
		}
	}
	return name.Digest{}, fmt.Errorf("the release record %s names no %s for %s", r.ref(), spec.ID(), platform)
}
