package cli

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/compare"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/find"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/site"
)

// keyFile is what the pages call the public key.
const keyFile = "cosign.pub"

// siteRelease is a release with what it is compared by.
type siteRelease struct {
	site.Release
	about *compare.Release // nil if it does not verify, or its images were not read
}

// release reads one release; inFull, what its images contain. What does not verify is no
// error, but a warning.
func (r *siteReader) release(ctx context.Context, repository, variant, tag string, inFull bool) (*siteRelease, error) {
	reference, err := r.client.Tag(catalog.Ref{Repository: repository, Tag: tag})
	if err != nil {
		return nil, err
	}
	results := state.VerifySignatures(ctx, r.client, r.signing, reference, keyFile)
	record := results[0]
	read := &siteRelease{Release: site.Release{Variant: variant, Tag: tag, Reference: reference.String(), Digest: record.Digest.DigestStr()}}
	if record.Err == nil && record.Kind != "release" {
		r.Warnf("%s does not verify: it is an image, not a release", reference)
		return read, nil
	}
	if w := state.AsWithdrawn(record.Err); w != nil {
		read.Withdrawn = &site.Withdrawn{Date: w.Date, Reason: w.Reason, Instead: w.Instead}
	} else if record.Err != nil {
		return read, r.unverified(ctx, reference, record.Err, &read.Release)
	}
	opened, err := state.OpenRelease(ctx, r.client, r.signing, record.Digest)
	if err != nil {
		return nil, err
	}
	read.Verified, read.Document, read.Date = true, documentOf(opened.Record), record.SignedAt()
	about := opened.About
	about.Name, about.Images = reference.String(), map[string]*compare.Image{}
	for i, component := range slices.Sorted(maps.Keys(opened.Record.Components)) {
		image, compared, err := r.image(ctx, opened, component, results[i+1], inFull)
		if err != nil {
			return nil, err
		}
		read.Images = append(read.Images, image)
		if compared != nil {
			about.Images[component] = compared
		}
	}
	if inFull {
		read.about = &about
	}
	if read.Date.IsZero() {
		read.Date = newestImage(read.Images)
	}
	return read, nil
}

// unverified warns about a release that does not verify, and finds its digest. It returns
// an error if the release cannot be read.
func (r *siteReader) unverified(ctx context.Context, reference name.Tag, err error, release *site.Release) error {
	if state.IsUnknown(err) {
		return err
	}
	r.Warnf("%s does not verify: %s", reference, err)
	if release.Digest != "" {
		return nil
	}
	got, err := r.client.Get(ctx, reference)
	if err == nil {
		release.Digest = got.Digest.String()
	}
	return err
}

// documentOf returns the application document of a record. If the record has none, because
// an older libre wrote it, it returns what the record says.
func documentOf(record *state.Record) *describe.Application {
	if document, err := record.Document(); err == nil {
		return document
	}
	document := &describe.Application{Metadata: describe.Metadata{Name: record.App}, Spec: describe.Spec{
		Version: record.Version, PackageVersion: record.PackageVersion, Variant: record.Variant, Registry: record.Registry,
		Description: record.Description, Homepage: record.Homepage, License: record.License, Source: record.Source, Revision: record.Revision,
	}}
	if m := record.Migration; m != nil {
		document.Spec.Migration = &describe.Migration{Kind: m.Kind, MinFrom: m.MinFrom, Notes: m.Notes}
	}
	return document
}

// newestImage returns the time of the newest image, or zero if no image was read.
func newestImage(images []site.Image) (newest time.Time) {
	for _, image := range images {
		for _, platform := range image.Platforms {
			if platform.Created.After(newest) {
				newest = platform.Created
			}
		}
	}
	return newest
}

// image reads one image of a release. compared is the one for the platform by which releases
// are compared.
func (r *siteReader) image(ctx context.Context, opened *state.PublishedRelease, component string, verified state.Verification, inFull bool) (image site.Image, compared *compare.Image, err error) {
	image = site.Image{Component: component, Reference: verified.Reference, Digest: opened.Record.Components[component].Digest}
	if err := verified.Err; err != nil {
		if state.IsUnknown(err) {
			return image, nil, err
		}
		r.Warnf("%s does not verify: %s", verified.Reference, err)
		return image, nil, nil
	}
	image.Verified, image.Cosign = true, r.signing.Policy.CosignCommand(verified.Digest, sign.SignatureType, keyFile)
	if !inFull {
		return image, nil, nil
	}
	for _, published := range opened.Images[component] {
		platform, one, err := r.platform(ctx, opened, component, published)
		if err != nil && state.IsUnknown(err) {
			return image, nil, err
		}
		if err != nil {
			r.Warnf("%s does not verify: %s", verified.Reference, err)
			return site.Image{Component: component, Reference: image.Reference, Digest: image.Digest}, nil, nil
		}
		image.Platforms = append(image.Platforms, platform)
		if compared == nil || platform.Name == "linux/amd64" {
			compared = one
		}
	}
	return image, compared, nil
}

// platform reads an image for one platform.
func (r *siteReader) platform(ctx context.Context, opened *state.PublishedRelease, component string, published state.PlatformImage) (site.Platform, *compare.Image, error) {
	platform := site.Platform{Name: published.Platform, Digest: published.Digest.DigestStr()}
	compared, err := opened.ReadManifest(ctx, component, published)
	if err != nil {
		return platform, nil, err
	}
	for _, layer := range compared.Layers {
		platform.Size += layer.Size
	}
	if platform.SBOM, err = r.sbom(ctx, published.Digest); err != nil {
		return platform, nil, err
	}
	if created := platform.SBOM.Subject.Created; created.Year() > 1970 { // which is that of a source without a date
		platform.Created = created
	}
	if r.matcher != nil {
		if platform.Findings, err = r.findings(ctx, opened, component, published, platform.SBOM); err != nil {
			return platform, nil, err
		}
	}
	compared.SBOM, compared.Findings = platform.SBOM, platform.Findings
	return platform, compared, nil
}

// sbom is the attested SBOM, from the index if that has it.
func (r *siteReader) sbom(ctx context.Context, digest name.Digest) (*sbom.Document, error) {
	manifest, err := v1.NewHash(digest.DigestStr())
	if err != nil {
		return nil, err
	}
	image := find.Image{Repository: digest.Context().String(), Manifest: manifest, Policy: r.signing.Policy.Fingerprint()}
	read := func(ctx context.Context, _ int) (*sbom.Document, error) {
		return state.AttestedSBOM(ctx, r.signing, digest)
	}
	if err := r.index.Refresh(ctx, []find.Image{image}, read)[image]; err != nil {
		return nil, err
	}
	return r.index.Get(image)
}

func (r *siteReader) findings(ctx context.Context, opened *state.PublishedRelease, component string, published state.PlatformImage, document *sbom.Document) ([]scan.Finding, error) {
	answers, err := opened.Answers(ctx, published.Digest)
	if err != nil {
		return nil, err
	}
	root := opened.About.App + "/" + component
	found, err := r.matcher.Scan(ctx, r.database, scan.Image{Name: published.Reference, Root: root}, document, answers)
	return found.Findings, err
}

// compareEach compares each release with the one before, if both were read.
func (r *siteReader) compareEach(ctx context.Context, app catalog.App, releases []*siteRelease) {
	for i, newer := range releases {
		before := slices.IndexFunc(releases[i+1:], func(older *siteRelease) bool { return older.about != nil })
		if newer.about == nil || before < 0 {
			continue
		}
		newer.Changes = compare.Compare(releases[i+1+before].about, newer.about)
		if r.options.notes && newer.Changes.Kind == compare.AppVersion && !r.noNotes.Load() {
			d := &differ{env: r.env, ws: r.ws}
			newer.Changes.Notes = d.notes(ctx, &diffSide{source: &app}, newer.Changes)
			r.noNotes.Store(newer.Changes.Notes == nil && app.Source.Followed())
		}
	}
}
