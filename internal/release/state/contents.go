package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/sbom"
)

// PlatformImage is a published image for one platform, which has an SBOM of its own.
type PlatformImage struct {
	Reference string      // tag of the image, or reference that was read; with the registry
	Platform  string      // OS/ARCHITECTURE[/VARIANT]
	Digest    name.Digest // of the platform's manifest
}

// PublishedImages lists the images of all releases in some repositories of release records.
// A release that cannot be read or does not verify is named in the errors.
func PublishedImages(ctx context.Context, client *registry.Client, signing *Signing, repositories []string) ([]PlatformImage, []error) {
	type release struct {
		reference name.Reference
		images    []PlatformImage
		err       error
	}
	lists := make([][]release, len(repositories))
	InParallel(Readers, repositories, func(n int, repository string) {
		tags, err := client.Tags(ctx, repository)
		if err != nil {
			lists[n] = []release{{err: err}}
		}
		for _, tag := range ReleaseTags(tags) {
			reference, err := client.Tag(catalog.Ref{Repository: repository, Tag: tag})
			lists[n] = append(lists[n], release{reference: reference, err: err})
		}
	})
	all := slices.Concat(lists...)
	InParallel(Readers, all, func(n int, r release) {
		if r.err == nil {
			all[n].images, all[n].err = PlatformImages(ctx, client, signing, r.reference)
		}
	})
	var images []PlatformImage
	var failed []error
	for _, r := range all {
		images = append(images, r.images...)
		if r.err != nil && r.reference != nil {
			r.err = fmt.Errorf("%s: %w", r.reference, r.err)
		}
		if r.err != nil {
			failed = append(failed, r.err)
		}
	}
	return images, failed
}

// PlatformImages lists what a reference names: the images of a release record, or one image,
// for each platform. It verifies the signature of the record or index. Errors are as
// VerifyReference's.
func PlatformImages(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference) ([]PlatformImage, error) {
	record, _, err := ShowRecord(ctx, client, signing, reference)
	switch {
	case err == nil:
		return recordImages(client, reference, record)
	case !errors.Is(err, errNoRecord):
		return nil, err
	}
	got, err := client.Get(ctx, reference)
	if err != nil {
		return nil, err
	}
	digest := reference.Context().Digest(got.Digest.String())
	signature, err := signing.Client.Verify(ctx, digest, signing.Policy)
	if err != nil {
		return nil, Explained(err)
	}
	if _, err := checkName(reference, digest, got.Content, signature); err != nil {
		return nil, err
	}
	return indexImages(reference, got)
}

func recordImages(client *registry.Client, reference name.Reference, record *Record) ([]PlatformImage, error) {
	var all []PlatformImage
	for _, component := range record.components() {
		entry := record.Components[component]
		tag, err := client.Sibling(reference, entry.Reference)
		if err != nil {
			return nil, err
		}
		for _, platform := range slices.Sorted(maps.Keys(entry.Systems)) {
			all = append(all, PlatformImage{tag.String(), platform, tag.Context().Digest(entry.Systems[platform])})
		}
	}
	return all, nil
}

// indexImages lists the images of an index. Any other manifest is one image, whose platform
// only its configuration knows.
func indexImages(reference name.Reference, got *registry.Manifest) ([]PlatformImage, error) {
	if !got.MediaType.IsIndex() {
		return []PlatformImage{{Reference: reference.String(), Digest: reference.Context().Digest(got.Digest.String())}}, nil
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(got.Content, &index); err != nil {
		return nil, fmt.Errorf("reading %s: %w", reference, err)
	}
	var all []PlatformImage
	for _, child := range index.Manifests {
		image := PlatformImage{Reference: reference.String(), Digest: reference.Context().Digest(child.Digest.String())}
		if child.Platform != nil {
			image.Platform = child.Platform.String()
		}
		all = append(all, image)
	}
	return all, nil
}

// AttestedSBOM reads and verifies the attested SBOM of a platform's image. No layer is
// fetched. Errors are as VerifyImage's, or say that the document cannot be read.
func AttestedSBOM(ctx context.Context, signing *Signing, image name.Digest) (*sbom.Document, error) {
	statements, err := attested(ctx, signing, signing.Client.Attachments(image), image, CycloneDXType)
	if err != nil {
		return nil, Explained(err)
	}
	var reasons []error
	for _, statement := range statements {
		document, err := sbom.Decode(statement.Predicate)
		if err == nil && document.Subject.Manifest.String() != image.DigestStr() {
			err = fmt.Errorf("it describes %s", document.Subject.Manifest)
		}
		if err == nil {
			return document, nil
		}
		reasons = append(reasons, err)
	}
	return nil, fmt.Errorf("the SBOM of %s: %w", image, errors.Join(reasons...))
}
