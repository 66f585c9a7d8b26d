package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/text"
)

// SBOM lists the contents of one platform's image in the layout in dir. For a Containerfile
// image these are the packages that syft finds in its files. For a Nix image it is the closure,
// with the packages that syft finds in each store path. Store paths that the former SBOMs list
// are not read again.
func (b *Builder) SBOM(ctx context.Context, dir string, target *release.Target, index, manifest v1.Descriptor, version string, former ...*sbom.Document) (*sbom.Document, error) {
	spec := target.SpecFor(manifest.Platform.String())
	if spec == nil {
		return nil, fmt.Errorf("%s has no definition for %s", target.ID, manifest.Platform)
	}
	subject := sbom.Subject{
		Name: target.ID.Name(), Version: catalog.Tag(spec.Version, spec.PackageVersion),
		Index: index.Digest, Manifest: manifest.Digest, Platform: *manifest.Platform, Created: release.Created(spec),
	}
	tools, err := b.Files.Tools(ctx)
	if err != nil {
		return nil, err
	}
	tools = append(tools, sbom.Tool{Name: "libre", Version: version})
	var rest *sbom.Document
	if spec.Kind() != catalog.KindNix {
		if rest, err = b.Files.FromLayout(ctx, dir, subject); err != nil {
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
	closure.Tools, closure.Creator = tools, b.Creator
	known := sbom.Findings{}
	for _, document := range former {
		maps.Copy(known, document.Findings(closure))
	}
	found, err := b.Files.FromStorePaths(ctx, closure, known)
	if err != nil {
		return nil, err
	}
	merged := sbom.Merge(closure, found, rest)
	metadata, err := b.metadata(ctx, spec, merged)
	if err != nil {
		return nil, err
	}
	b.warnOfLicenses(target.ID, merged.Disagreements(metadata))
	return merged.Describe(metadata), nil
}

// warnOfLicenses names the components whose declared license differs from the license in their
// files.
func (b *Builder) warnOfLicenses(id catalog.ID, all []sbom.Disagreement) {
	var named []string
	for _, one := range all {
		named = append(named, fmt.Sprintf("%s %s (%s by %s, %s by %s)", one.Name, one.Version, one.Declared, one.By, one.Found, one.In))
	}
	named = slices.Compact(named)
	if len(named) > 0 {
		b.Watcher.Warn(id, fmt.Sprintf("declared licenses disagree with what is in the image: %s; correct the definition where it is wrong", text.Enumerate(named, ", ", 5)))
	}
}

// realised builds the store paths of an image again if the store has lost them. It keeps them
// from the garbage collector until done is called.
func (b *Builder) realised(ctx context.Context, spec *catalog.Spec) (store nix.Store, done func(), err error) {
	outputs, done := outputsOf(spec), func() {}
	if !b.kept.has(outputs) {
		roots, err := os.MkdirTemp("", "libre-roots-")
		if err != nil {
			return nil, nil, err
		}
		done = func() { os.RemoveAll(roots) }
		failures, err := b.Nix.Realise(ctx, outputs, roots, func(nix.LogEvent) {})
		for _, failure := range failures {
			err = cmp.Or(err, error(failure))
		}
		if err != nil {
			done()
			return nil, nil, err
		}
	}
	store, err = b.Nix.ReadStore(ctx, nix.PathsOf(outputs))
	if err != nil {
		done()
	}
	return store, done, err
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
	if tree := spec.Rootfs(); tree != nil {
		rootfs = tree.Out
		add(rootfs)
	}
	if tree := spec.Tools(); tree != nil {
		tools = append(tools, tree.Out)
		add(tree.Out)
	}
	return sbom.FromClosure(subject, closure, rootfs, tools...)
}

// Described is an image in a layout with the SBOM of one platform.
type Described struct {
	Target   *release.Target
	Index    v1.Descriptor
	Manifest v1.Descriptor
	Content  v1.Manifest // of the manifest; set by SBOMsOf only, like Config
	Config   v1.ConfigFile
	Document *sbom.Document
	Err      error // why the image could not be built or read; set by DescribeEach only; the rest is then zero
}

// SBOMsOf returns the SBOM of each of the requested images, for its first platform. It builds
// images that the layout lacks. If another run writes to the layout, it builds them in a
// temporary layout, so that neither run waits.
func (b *Builder) SBOMsOf(ctx context.Context, request nix.Request, version string) ([]Described, error) {
	evaluation, err := b.Catalogue.Evaluate(ctx, request)
	if err != nil {
		return nil, err
	}
	for _, err := range evaluation.Failures {
		return nil, err
	}
	described, err := b.DescribeEach(ctx, evaluation, version)
	if err != nil {
		return nil, err
	}
	for _, one := range described {
		if one.Err != nil {
			return nil, one.Err
		}
	}
	return described, nil
}

// DescribeEach is like SBOMsOf for evaluated images, but it continues after an image that
// fails.
func (b *Builder) DescribeEach(ctx context.Context, evaluation *nix.Evaluation, version string) ([]Described, error) {
	targets := release.Targets(evaluation.Images)
	all := slices.DeleteFunc(slices.Clone(targets), func(t *release.Target) bool { return len(t.Specs) == 0 })
	if len(all) == 0 {
		for _, target := range targets {
			return nil, fmt.Errorf("%s %s", target.ID, target.Skipped[0].Reason)
		}
		return nil, errors.New("no image is selected")
	}
	dir, failed, done, err := b.ensureBuilt(ctx, all)
	if err != nil {
		return nil, err
	}
	defer done()
	dist, err := layout.Open(dir)
	if err != nil {
		return nil, err
	}
	var specs []*catalog.Spec
	for _, target := range all {
		if failed[target.ID] == nil {
			specs = append(specs, target.Specs[0])
		}
	}
	defer b.Prepare(ctx, specs)()
	described := make([]Described, len(all))
	for i, target := range all {
		err := failed[target.ID]
		if err == nil {
			described[i], err = b.describe(ctx, dist, target, version)
		}
		if err != nil {
			described[i] = Described{Target: target, Err: err}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return described, nil
}

// describe reads an image of a layout for its first platform, and makes its SBOM.
func (b *Builder) describe(ctx context.Context, dist *layout.Layout, target *release.Target, version string) (d Described, err error) {
	entry, _, err := dist.Lookup(target.Ref.String())
	if err != nil {
		return d, err
	}
	manifests, err := dist.Manifests(entry.Descriptor)
	if err != nil {
		return d, err
	}
	d = Described{Target: target, Index: entry.Descriptor, Manifest: manifests[0]}
	if err = dist.ReadJSON(d.Manifest, &d.Content); err != nil {
		return d, err
	}
	if d.Config, err = dist.Config(d.Manifest); err != nil {
		return d, err
	}
	d.Document, err = b.SBOM(ctx, dist.Dir(), target, d.Index, d.Manifest, version)
	return d, err
}

// AppSBOM returns one document for images of one app. For a single image it returns the image's
// own SBOM.
func AppSBOM(images []Described) (*sbom.Document, error) {
	first := images[0].Target
	name := catalog.RecordRef(first.ID.App, first.ID.Variant, "", 0).Repository
	var documents []*sbom.Document
	for _, image := range images {
		if image.Target.ID.App != first.ID.App {
			return nil, fmt.Errorf("an SBOM is of one image or of one app, and %s and %s are selected: select one app", first.ID.App, image.Target.ID.App)
		}
		if image.Target.ID.Variant != first.ID.Variant {
			name = first.ID.App
		}
		documents = append(documents, image.Document)
	}
	if len(documents) == 1 {
		return documents[0], nil
	}
	return sbom.MergeImages(name, first.Ref.Tag, documents)
}

// ensureBuilt returns the directory of a layout that has the targets, except those that failed.
// This is Output, or a temporary layout if Output lacks a target and another run writes to it.
// done removes the temporary layout.
func (b *Builder) ensureBuilt(ctx context.Context, all []*release.Target) (dir string, failed map[catalog.ID]error, done func(), err error) {
	nothing := func() {}
	local, err := (&state.Reader{Output: b.Output}).Local()
	if err != nil {
		return "", nil, nil, err
	}
	plans, _ := local.Plans(all, nil)
	if !slices.ContainsFunc(plans, func(p state.Plan) bool { return p.Action != state.ToNothing }) {
		return b.Output, nil, nothing, nil
	}
	dist, err := layout.Create(ctx, b.Output, nil)
	if err == nil {
		failed, err = b.buildAll(ctx, dist, all, b.Options())
		return b.Output, failed, nothing, err
	}
	if !errors.Is(err, layout.ErrLocked) {
		return "", nil, nil, err
	}
	if dir, err = os.MkdirTemp("", "libre-layout-"); err != nil {
		return "", nil, nil, err
	}
	o := b.Options()
	o.Output = dir
	if dist, err = layout.Create(ctx, dir, nil); err == nil {
		failed, err = b.buildAll(ctx, dist, all, o)
	}
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, nil, err
	}
	return dir, failed, func() { os.RemoveAll(dir) }, nil
}

// buildAll builds targets into a layout and closes it. It returns the error of each image that
// failed.
func (b *Builder) buildAll(ctx context.Context, dist *layout.Layout, all []*release.Target, o Options) (map[catalog.ID]error, error) {
	defer dist.Close()
	results, err := b.buildInto(ctx, dist, all, o)
	if err != nil {
		return nil, err
	}
	failed := map[catalog.ID]error{}
	for _, result := range results {
		if result.Err != nil {
			failed[result.ID] = result.Err
		}
	}
	return failed, nil
}
