package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/compare"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/vex"
)

// PublishedRelease is a release with a verified record, or one verified image as a release of
// one component.
type PublishedRelease struct {
	About  compare.Release            // without images
	Source string                     // URL of upstream's project
	Tag    string                     // upstream's tag of the version, or its commit
	Image  string                     // the component, if it is a single image
	Images map[string][]PlatformImage // by component
	Record *Record                    // nil if it is a single image

	client  *registry.Client
	signing *Signing
}

// OpenRelease reads and verifies the release or image that a reference names. It reads no
// images of a release. If the tag does not exist, the error lists the existing releases. Other
// errors are those of VerifyReference.
func OpenRelease(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference) (*PublishedRelease, error) {
	p := &PublishedRelease{About: compare.Release{Name: reference.String()}, Images: map[string][]PlatformImage{}, client: client, signing: signing}
	record, _, err := ShowRecord(ctx, client, signing, reference)
	switch {
	case err == nil:
		err = p.openRecord(reference, record)
	case errors.Is(err, errNoRecord):
		err = p.openImage(ctx, reference)
	}
	if errors.Is(err, registry.ErrNotFound) {
		return nil, Missing(ctx, client, reference, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", reference, err)
	}
	return p, nil
}

func (p *PublishedRelease) openRecord(reference name.Reference, record *Record) (err error) {
	p.Record, p.Source, p.Tag = record, record.Source, record.Revision
	p.About.App, p.About.Variant, p.About.Version, p.About.PackageVersion = record.App, record.Variant, record.Version, record.PackageVersion
	p.About.Migration = migration(record.Migration)
	if p.About.Application = record.Application; record.Application != nil {
		p.About.Migration = record.Application.Spec.Migration
	}
	if p.About.Outline, err = record.outline(); err != nil {
		return err
	}
	images, err := recordImages(p.client, reference, record)
	for _, component := range record.components() {
		for _, image := range images {
			if record.Components[component].Systems[image.Platform] == image.Digest.DigestStr() {
				p.Images[component] = append(p.Images[component], image)
			}
		}
	}
	return err
}

// openImage fills in a release from the annotations of an image.
func (p *PublishedRelease) openImage(ctx context.Context, reference name.Reference) error {
	got, err := verifiedImage(ctx, p.client, p.signing, reference)
	if err != nil {
		return err
	}
	var manifest struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(got.Content, &manifest); err != nil {
		return err
	}
	annotation := func(name string) string { return manifest.Annotations[release.LibrePrefix+name] }
	p.Source, p.Tag = manifest.Annotations[release.OCIPrefix+"source"], manifest.Annotations[release.OCIPrefix+"revision"]
	p.About.App, p.About.Variant, p.About.Version = annotation("app"), annotation("variant"), annotation("app-version")
	p.About.PackageVersion, _ = strconv.Atoi(annotation("package-version"))
	component := annotation("component")
	if p.About.App == "" || component == "" || p.About.Version == "" {
		return errors.New("it is neither a release nor an image of libre: its annotations name no app, component and version")
	}
	if text := annotation("migration"); text != "" {
		if err := json.Unmarshal([]byte(text), &p.About.Migration); err != nil {
			return fmt.Errorf("its annotation %smigration: %w", release.LibrePrefix, err)
		}
	}
	p.Image = component
	p.Images[component], err = indexImages(reference, got)
	return err
}

// outline returns the description of the app in a record without an application document, apart
// from the versions and the migration. An image's volumes, user and health command are in its
// configuration.
func (r *Record) outline() (json.RawMessage, error) {
	type component struct {
		Ports     map[string]int             `json:"ports,omitempty"`
		Protocols map[string]string          `json:"protocols,omitempty"`
		Health    string                     `json:"health,omitempty"`
		Services  map[string]catalog.Service `json:"services,omitempty"`
		License   string                     `json:"license,omitempty"`
	}
	about := struct {
		License    string                     `json:"license,omitempty"`
		Homepage   string                     `json:"homepage,omitempty"`
		Needs      map[string]json.RawMessage `json:"needs,omitempty"`
		Components map[string]component       `json:"components"`
	}{r.License, r.Homepage, r.Needs, map[string]component{}}
	for name, c := range r.Components {
		about.Components[name] = component{c.Ports, c.Protocols, c.Health, c.Services, c.License}
	}
	return json.Marshal(about)
}

// Described returns an app's variant as a release without images. It has an application
// document if the evaluation asked for descriptions.
func Described(app catalog.App, variant string) (*compare.Release, error) {
	record := &Record{License: app.Meta.License, Homepage: app.Meta.Homepage, Needs: app.Needs, Components: map[string]*RecordComponent{}}
	for name, c := range app.Components {
		record.Components[name] = &RecordComponent{Ports: c.Ports, Protocols: c.Protocols, Health: c.Health, Services: c.Services, License: c.License}
	}
	outline, err := record.outline()
	described := &compare.Release{
		Name: "working tree", App: app.Name, Variant: variant, Version: app.Version, PackageVersion: app.PackageVersion,
		Migration: migration(app.Migration), Outline: outline,
	}
	if err != nil || app.Described == nil {
		return described, err
	}
	if described.Application, err = describe.New(app, variant); err == nil {
		described.Migration = described.Application.Spec.Migration
	}
	return described, err
}

// migration returns the migration as in the application document.
func migration(m *catalog.Migration) *describe.Migration {
	if m == nil {
		return nil
	}
	return &describe.Migration{Kind: m.Kind, MinFrom: m.MinFrom, Notes: m.Notes}
}

// Platforms returns the platforms of a component's images, sorted, or nil if they are not
// known.
func (p *PublishedRelease) Platforms(component string) []string {
	var all []string
	for _, image := range p.Images[component] {
		if image.Platform != "" {
			all = append(all, image.Platform)
		}
	}
	slices.Sort(all)
	return all
}

// ReadImage reads one component's image for a platform: the manifest, the configuration and the
// attested SBOM. A reference to an image without an index has the same image for every
// platform.
func (p *PublishedRelease) ReadImage(ctx context.Context, component, platform string) (*compare.Image, name.Digest, error) {
	images := p.Images[component]
	i := slices.IndexFunc(images, func(image PlatformImage) bool { return image.Platform == platform || image.Platform == "" })
	if i < 0 {
		return nil, name.Digest{}, &fault.Fault{
			Kind: fault.NotFound, Err: fmt.Errorf("%s has no image of %s for %s, only for %s", p.About.Name, component, platform, strings.Join(p.Platforms(component), ", ")),
			Fix: "give --system",
		}
	}
	image := images[i]
	compared, err := p.ReadManifest(ctx, component, image)
	if err != nil {
		return nil, image.Digest, err
	}
	if compared.SBOM, err = AttestedSBOM(ctx, p.signing, image.Digest); err != nil {
		return nil, image.Digest, fmt.Errorf("%s: %w", image.Reference, err)
	}
	return compared, image.Digest, nil
}

// ReadManifest is like ReadImage for one of the component's images, without the SBOM.
func (p *PublishedRelease) ReadManifest(ctx context.Context, component string, image PlatformImage) (*compare.Image, error) {
	got, err := p.client.Get(ctx, image.Digest)
	if err != nil {
		return nil, err
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(got.Content, &manifest); err != nil {
		return nil, fmt.Errorf("reading %s: %w", image.Digest, err)
	}
	content, err := p.client.Blob(ctx, image.Digest, manifest.Config, mostConfig)
	if err != nil {
		return nil, err
	}
	var config v1.ConfigFile
	if err := json.Unmarshal(content, &config); err != nil {
		return nil, fmt.Errorf("reading the configuration of %s: %w", image.Digest, err)
	}
	compared := compare.NewImage(image.Digest.DigestStr(), manifest, config)
	compared.Platforms = p.Platforms(component)
	return compared, nil
}

// Answers returns the statements about an image's vulnerabilities.
func (p *PublishedRelease) Answers(ctx context.Context, image name.Digest) (*vex.Answers, error) {
	return Answers(ctx, p.signing, image)
}
