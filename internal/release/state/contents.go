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
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/text"
)

// PlatformImage is a published image for one platform, which has an SBOM of its own.
type PlatformImage struct {
	Reference string      // tag of the image, or reference that was read; with the registry
	Platform  string      // OS/ARCHITECTURE[/VARIANT]
	Digest    name.Digest // of the platform's manifest
}

// ReleaseImages lists the images in some repositories of release records.
type ReleaseImages struct {
	Images   []PlatformImage // of the releases that verify
	Releases int             // number of releases
	Older    int             // number of releases that were left out, because a newer one can be used
	Failed   []error         // errors of releases that cannot be read or do not verify, each with the release's name
}

// ReadReleaseImages lists the images of the releases in some repositories of release records:
// of all releases, or of the newest one in each repository that is not withdrawn. A registry
// that does not answer gives one error, not one for each repository.
func ReadReleaseImages(ctx context.Context, client *registry.Client, signing *Signing, repositories []string, onlyNewest bool) ReleaseImages {
	tags, failed := make([][]string, len(repositories)), make([]error, len(repositories))
	InParallel(Readers, repositories, func(n int, repository string) {
		tags[n], failed[n] = client.Tags(ctx, repository)
	})
	p := ReleaseImages{Failed: oncePerCause(client, failed)}
	var references []name.Reference
	for n, repository := range repositories {
		releases := ReleaseTags(tags[n])
		p.Releases += len(releases)
		if onlyNewest && len(releases) > 1 {
			p.Older += len(releases) - 1
			releases = releases[:1]
		}
		for _, tag := range releases {
			reference, err := client.Tag(catalog.Ref{Repository: repository, Tag: tag})
			if err != nil {
				p.Failed = append(p.Failed, err)
				continue
			}
			references = append(references, reference)
		}
	}
	images, errs := make([][]PlatformImage, len(references)), make([]error, len(references))
	InParallel(Readers, references, func(n int, reference name.Reference) {
		if onlyNewest {
			reference, errs[n] = NotWithdrawn(ctx, client, signing, reference)
		}
		if errs[n] == nil {
			images[n], errs[n] = PlatformImages(ctx, client, signing, reference)
		}
		if errs[n] != nil && AsWithdrawn(errs[n]) == nil && !fault.Is(errs[n], fault.Unreachable) {
			errs[n] = fmt.Errorf("%s: %w", reference, errs[n])
		}
	})
	p.Images = slices.Concat(images...)
	p.Failed = append(p.Failed, oncePerCause(client, errs)...)
	return p
}

// oncePerCause drops the nil errors. It joins the errors of a registry that does not answer,
// which differ only in the request.
func oncePerCause(client *registry.Client, errs []error) []error {
	var all []error
	causes := map[string]bool{}
	for _, err := range errs {
		var unanswered *fault.Fault
		switch {
		case err == nil:
		case errors.As(err, &unanswered) && unanswered.Kind == fault.Unreachable:
			if cause := unanswered.Err.Error(); !causes[cause] {
				causes[cause] = true
				all = append(all, &fault.Fault{Kind: fault.Unreachable, Doing: "reading the releases in " + client.String(), Err: unanswered.Err, Fix: unanswered.Fix})
			}
		default:
			all = append(all, err)
		}
	}
	return all
}

// PlatformImages lists the images that a reference names, for each platform: those of a release
// record, or one image. It verifies the signature of the record or index. Errors are those of
// VerifyReference.
func PlatformImages(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference) ([]PlatformImage, error) {
	record, _, err := ShowRecord(ctx, client, signing, reference)
	switch {
	case err == nil:
		return recordImages(client, reference, record)
	case !errors.Is(err, errNoRecord):
		return nil, Missing(ctx, client, reference, err)
	}
	got, err := verifiedImage(ctx, client, signing, reference)
	if err != nil {
		return nil, err
	}
	return indexImages(reference, got)
}

// verifiedImage reads an index or image, and verifies its signature and name.
func verifiedImage(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference) (*registry.Manifest, error) {
	got, err := client.Get(ctx, reference)
	if err != nil {
		return nil, err
	}
	digest := reference.Context().Digest(got.Digest.String())
	signature, err := signing.Client.Verify(ctx, digest, signing.Policy)
	if err != nil {
		return nil, Explained(err)
	}
	_, err = checkName(reference, digest, got.Content, signature)
	return got, err
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

// indexImages lists the images of an index. Any other manifest is one image without a platform,
// because only its configuration has the platform.
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

// AttestedSBOM reads and verifies the attested SBOM of a platform's image. It fetches no layer.
// Errors are those of VerifyImage, or say that the document cannot be read.
func AttestedSBOM(ctx context.Context, signing *Signing, image name.Digest) (*sbom.Document, error) {
	statements, err := attested(ctx, signing, signing.Client.Attachments(image), image, CycloneDXType)
	if err != nil {
		return nil, Explained(err)
	}
	var reasons []string
	for _, statement := range statements {
		document, err := sbom.Decode(statement.Predicate)
		if err == nil && document.Subject.Manifest.String() != image.DigestStr() {
			err = fmt.Errorf("it describes %s", document.Subject.Manifest)
		}
		if err == nil {
			return document, nil
		}
		reasons = append(reasons, err.Error())
	}
	return nil, fmt.Errorf("the SBOM of %s: %s", image, text.Enumerate(slices.Compact(reasons), "; ", 3))
}
