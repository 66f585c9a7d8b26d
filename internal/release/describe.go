package release

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/sbom"
)

// sboms writes the SBOMs of one platform's image, by predicate type.
func (p *Publisher) sboms(ctx context.Context, i *publication, n int) (map[string]json.RawMessage, error) {
	document, err := p.SBOM(ctx, i.target, i.index, i.manifests[n], p.Circumstances.Libre)
	if err != nil {
		return nil, err
	}
	cyclonedx, err := document.CycloneDX()
	if err != nil {
		return nil, err
	}
	spdx, err := document.SPDX()
	return map[string]json.RawMessage{CycloneDXType: cyclonedx, SPDXType: spdx}, err
}

// SBOM lists what one platform's image of the layout is made of: its files as
// syft recognises them, and for what Nix built the closure.
func (b *Builder) SBOM(ctx context.Context, target *Target, index, manifest v1.Descriptor, version string) (*sbom.Document, error) {
	spec := target.specFor(manifest.Platform.String())
	if spec == nil {
		return nil, fmt.Errorf("%s has no definition for %s", target.ID, manifest.Platform)
	}
	subject := sbom.Subject{
		Name: target.ID.Name(), Version: catalog.Tag(spec.Version, spec.PackageVersion),
		Index: index.Digest, Manifest: manifest.Digest, Platform: *manifest.Platform, Created: created(spec),
	}
	document, err := b.Files.FromLayout(ctx, b.Output, subject)
	if err != nil {
		return nil, err
	}
	if spec.Rootfs != nil || spec.Tools != nil {
		closure, err := b.closure(ctx, spec, subject)
		if err != nil {
			return nil, err
		}
		document = sbom.Merge(closure, document)
	}
	document.Tools = append(document.Tools, sbom.Tool{Name: "libre", Version: version})
	return document, nil
}

// closure lists the store paths of an image, which are built again if the store
// has lost them since.
func (b *Builder) closure(ctx context.Context, spec *catalog.Spec, subject sbom.Subject) (*sbom.Document, error) {
	roots, err := os.MkdirTemp("", "libre-roots-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(roots)
	rootfs, tools := "", []string{}
	var outputs []nix.Output
	if spec.Rootfs != nil {
		rootfs = spec.Rootfs.Out
		outputs = append(outputs, outputOf(spec.Rootfs))
	}
	if spec.Tools != nil {
		tools = append(tools, spec.Tools.Out)
		outputs = append(outputs, outputOf(spec.Tools))
	}
	failures, err := b.Nix.Realise(ctx, outputs, roots, func(nix.LogEvent) {})
	if err != nil {
		return nil, err
	}
	for _, failure := range failures {
		return nil, failure
	}
	var paths []string
	for _, output := range outputs {
		paths = append(paths, output.Path)
	}
	store, err := b.Nix.ReadStore(ctx, paths)
	if err != nil {
		return nil, err
	}
	var closure []nix.PathInfo
	seen := map[string]bool{}
	for _, path := range paths {
		for _, info := range store.Closure(path) {
			if !seen[info.Path] {
				seen[info.Path] = true
				closure = append(closure, info)
			}
		}
	}
	return sbom.FromClosure(subject, closure, rootfs, tools...)
}

// specFor gives the spec whose platform, as os/architecture, is wanted.
func (t *Target) specFor(platform string) *catalog.Spec {
	for _, spec := range t.Specs {
		if name, err := catalog.Platform(spec.System); err == nil && name == platform {
			return spec
		}
	}
	return nil
}

// SBOM builds the one image that is requested, and lists what it is made of.
func SBOM(ctx context.Context, b *Builder, request nix.Request, version string) (*sbom.Document, error) {
	evaluation, err := b.Catalogue.Evaluate(ctx, request)
	if err != nil {
		return nil, err
	}
	for _, err := range evaluation.Failures {
		return nil, err
	}
	all := targets(evaluation.Images)
	if len(all) != 1 {
		return nil, fmt.Errorf("an SBOM is of one image, %d are selected: name it as app/component/variant", len(all))
	}
	results, err := b.buildTargets(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, result := range results {
		if result.Err != nil {
			return nil, result.Err
		}
	}
	layout, err := image.OpenLayout(b.Output)
	if err != nil {
		return nil, err
	}
	entry, _, err := layout.Lookup(all[0].RefName)
	if err != nil {
		return nil, err
	}
	manifests, err := layout.Manifests(entry.Descriptor)
	if err != nil {
		return nil, err
	}
	return b.SBOM(ctx, all[0], entry.Descriptor, manifests[0], version)
}
