package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/sign"
)

// sboms writes the SBOMs of one platform's image, by predicate type.
func (p *Publisher) sboms(ctx context.Context, i *publication, n int) (map[string]json.RawMessage, error) {
	former, err := p.formerSBOMs(ctx, i, i.manifests[n])
	if err != nil {
		return nil, err
	}
	circumstances, err := p.Circumstances()
	if err != nil {
		return nil, err
	}
	document, err := p.SBOM(ctx, i.target, i.index, i.manifests[n], circumstances.Libre, former...)
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

// formerSBOMs are what we said of the image that was published before, where layers
// of it were not written again: nor need their files be read. Elsewhere they are,
// as that asks nothing of the registry.
func (p *Publisher) formerSBOMs(ctx context.Context, i *publication, manifest v1.Descriptor) ([]*sbom.Document, error) {
	former, ok := i.former[manifest.Platform.String()]
	if !ok {
		return nil, nil
	}
	dist, err := layout.Open(p.Output)
	if err != nil || dist.Content(manifest).Complete {
		return nil, err
	}
	statements, err := p.Signing.Client.Attachments(former).VerifyAttestations(ctx, CycloneDXType, p.Signing.Policy)
	if err != nil && !errors.Is(err, sign.ErrNotAttached) {
		p.Watcher.Warn(i.target.ID, "reading the former SBOM, all files are read instead: "+err.Error())
	}
	var documents []*sbom.Document
	for _, statement := range statements {
		document, err := sbom.Read(statement.Predicate)
		if err == nil && document.Subject.Manifest.String() == former.DigestStr() {
			documents = append(documents, document)
		}
	}
	return documents, nil
}

// SBOM lists what one platform's image of the layout is made of: what a
// Containerfile made as syft recognises its files, what Nix built as the closure
// and what syft recognises in each of its store paths. These are not read where the
// SBOMs of former images list them.
func (b *Builder) SBOM(ctx context.Context, target *Target, index, manifest v1.Descriptor, version string, former ...*sbom.Document) (*sbom.Document, error) {
	spec := target.specFor(manifest.Platform.String())
	if spec == nil {
		return nil, fmt.Errorf("%s has no definition for %s", target.ID, manifest.Platform)
	}
	subject := sbom.Subject{
		Name: target.ID.Name(), Version: catalog.Tag(spec.Version, spec.PackageVersion),
		Index: index.Digest, Manifest: manifest.Digest, Platform: *manifest.Platform, Created: created(spec),
	}
	tools, err := b.Files.Tools(ctx)
	if err != nil {
		return nil, err
	}
	tools = append(tools, sbom.Tool{Name: "libre", Version: version})
	var rest *sbom.Document
	if spec.Kind != "nix" {
		if rest, err = b.Files.FromLayout(ctx, b.Output, subject); err != nil {
			return nil, err
		}
	}
	store, done, err := b.realised(ctx, spec)
	if err != nil {
		return nil, err
	}
	defer done()
	closure, err := closureOf(spec, store, subject)
	if err != nil {
		return nil, err
	}
	closure.Tools = tools
	known := sbom.Findings{}
	for _, document := range former {
		maps.Copy(known, document.Findings(closure))
	}
	found, err := b.Files.FromStorePaths(ctx, closure, known)
	if err != nil {
		return nil, err
	}
	return sbom.Merge(closure, found, rest), nil
}

// realised builds the store paths of an image again if the store has lost them
// since, and holds them until done is called.
func (b *Builder) realised(ctx context.Context, spec *catalog.Spec) (store nix.Store, done func(), err error) {
	roots, err := os.MkdirTemp("", "libre-roots-")
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(roots)
		}
	}()
	var outputs []nix.Output
	var paths []string
	for _, realisable := range []*catalog.Derivation{spec.Rootfs, spec.Tools} {
		if realisable != nil {
			outputs = append(outputs, outputOf(realisable))
			paths = append(paths, realisable.Out)
		}
	}
	failures, err := b.Nix.Realise(ctx, outputs, roots, func(nix.LogEvent) {})
	if err != nil {
		return nil, nil, err
	}
	for _, failure := range failures {
		return nil, nil, failure
	}
	store, err = b.Nix.ReadStore(ctx, paths)
	return store, func() { os.RemoveAll(roots) }, err
}

// closureOf lists the store paths of an image.
func closureOf(spec *catalog.Spec, store nix.Store, subject sbom.Subject) (*sbom.Document, error) {
	rootfs, tools := "", []string{}
	var closure []nix.PathInfo
	seen := map[string]bool{}
	add := func(root string) {
		for _, info := range store.Closure(root) {
			if !seen[info.Path] {
				seen[info.Path] = true
				closure = append(closure, info)
			}
		}
	}
	if spec.Rootfs != nil {
		rootfs = spec.Rootfs.Out
		add(rootfs)
	}
	if spec.Tools != nil {
		tools = append(tools, spec.Tools.Out)
		add(spec.Tools.Out)
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

// SBOM lists what the one image that is requested is made of. It is built where the
// layout lacks it; where another run writes to the layout, into one of its own, so
// that nobody waits.
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
	b, done, err := b.withBuilt(ctx, all)
	if err != nil {
		return nil, err
	}
	defer done()
	dist, err := layout.Open(b.Output)
	if err != nil {
		return nil, err
	}
	entry, _, err := dist.Lookup(all[0].Ref.String())
	if err != nil {
		return nil, err
	}
	manifests, err := dist.Manifests(entry.Descriptor)
	if err != nil {
		return nil, err
	}
	return b.SBOM(ctx, all[0], entry.Descriptor, manifests[0], version)
}

// withBuilt gives a builder whose layout has the targets: b itself, or, where b's
// layout lacks one and another run writes to it, one with a layout that done removes.
func (b *Builder) withBuilt(ctx context.Context, all []*Target) (with *Builder, done func(), err error) {
	nothing := func() {}
	have, err := b.built()
	if err != nil {
		return nil, nil, err
	}
	plans, _ := have.plans(all, nil)
	if !slices.ContainsFunc(plans, func(p Plan) bool { return p.Action != ToNothing }) {
		return b, nothing, nil
	}
	dist, err := layout.Create(ctx, b.Output, nil)
	if err == nil {
		return b, nothing, b.buildAll(ctx, dist, all)
	}
	if !errors.Is(err, layout.ErrLocked) {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "libre-layout-")
	if err != nil {
		return nil, nil, err
	}
	own := *b
	own.Output = dir
	dist, err = layout.Create(ctx, dir, nil)
	if err == nil {
		err = own.buildAll(ctx, dist, all)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return &own, func() { os.RemoveAll(dir) }, nil
}

// buildAll builds targets into a layout, all of which must succeed, and closes it.
func (b *Builder) buildAll(ctx context.Context, dist *layout.Layout, all []*Target) error {
	defer dist.Close()
	results, err := b.buildInto(ctx, dist, all)
	if err != nil {
		return err
	}
	for _, result := range results {
		if result.Err != nil {
			return result.Err
		}
	}
	return nil
}
