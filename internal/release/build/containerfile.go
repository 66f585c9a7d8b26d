package build

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/release"
)

// containerfile builds a Containerfile in the changed source with an engine.
func (r *run) containerfile(ctx context.Context, spec *catalog.Spec) (image.Result, release.BaseImage, error) {
	fail := func(err error) (image.Result, release.BaseImage, error) {
		return image.Result{}, release.BaseImage{}, err
	}
	source, err := r.sourceOf(spec)
	if err != nil {
		return fail(err)
	}
	platform, err := release.Platform(spec)
	if err != nil {
		return fail(err)
	}
	origins, known, err := r.origins(ctx, spec)
	if err != nil {
		return fail(err)
	}
	r.waits(spec, "for the container engine")
	builder, err := r.containerfileBuilder(ctx)
	if err != nil {
		return fail(err)
	}
	free, err := r.slot(ctx, spec)
	if err != nil {
		return fail(err)
	}
	defer free()
	work, remove, err := builder.NewWork(r.layout.Dir()) // on the layout's disk, which must have room for the image
	if err != nil {
		return fail(err)
	}
	defer remove()
	request := r.engineRequest(spec, platform)
	request.Source, request.Bases, request.Work = source, origins, work
	var result image.Result
	var base release.BaseImage
	request.OnResult = func(built containerfile.Result) (err error) {
		base = r.builtOn(spec, built, known)
		said := release.Labels(spec, spec.Key(), base)
		result, err = image.Import(ctx, built.Layout, r.layout, image.ImportSpec{
			Platform: platform, Configure: release.Configure(spec.Config),
			Labels: said, Upstream: built.Labels, Annotations: said, Created: release.Created(spec), HasBase: built.From != nil,
			Codec: image.Codec(spec.Compression),
		}, r.layerOptions(spec))
		return err
	}
	if _, err := builder.Build(ctx, request); err != nil {
		return fail(err)
	}
	return result, base, nil
}

// sourceOf returns the folder of the changed source. It warns about parts of the definition
// that have no effect, and fails if the Containerfile cannot be built.
func (r *run) sourceOf(spec *catalog.Spec) (string, error) {
	for _, defect := range containerfile.Defects(spec, "") {
		return "", defect.Err
	}
	source, err := r.realised.require(spec.Containerfile().Fetch)
	if err != nil {
		return "", err
	}
	for _, defect := range containerfile.Defects(spec, source) {
		if defect.Fatal {
			return "", defect.Err
		}
		r.builder.Watcher.Warn(spec.ID(), defect.Err.Error())
	}
	return source, nil
}

// engineRequest returns the request to an engine, without the paths of source, bases and
// work.
func (r *run) engineRequest(spec *catalog.Spec, platform v1.Platform) containerfile.Request {
	of, args := spec.Containerfile(), map[string]string{}
	for name, value := range of.Args {
		args[name] = *value
	}
	target := ""
	if of.Target != nil {
		target = *of.Target
	}
	return containerfile.Request{
		Context: of.Context, File: of.File, Target: target, Args: args, Contexts: of.Contexts,
		Platform: platform.String(), Timestamp: release.Created(spec).Unix(), Log: filepath.Join(r.builder.LogDir, spec.ID().Name()+".log"),
		Step: func(done, total int, line string) {
			r.builder.Watcher.Progress(spec.ID(), StepContainerfile, done, total, line)
		},
		Warn:  func(warning string) { r.builder.Watcher.Warn(spec.ID(), warning) },
		Cache: spec.App + "/" + spec.Component, App: spec.App, Steps: r.builder.Steps,
	}
}

// builtOn returns the base of the built image. It warns about bases that are not pinned.
func (r *run) builtOn(spec *catalog.Spec, built containerfile.Result, known map[string]string) release.BaseImage {
	for _, used := range built.Bases {
		if !used.Pinned {
			r.builder.Watcher.Warn(spec.ID(), fmt.Sprintf("base %s is not pinned, it is %s today: set components.%s.bases.%q",
				used.Name, used.Digest, spec.Component, used.Name))
		}
	}
	if last := built.From; last != nil {
		return release.BaseImage{Name: cmp.Or(known[last.Key], last.Reference), Digest: last.Digest}
	}
	return release.BaseImage{}
}

// origins returns the origin of each declared base. A base in the catalogue that was not
// found is made first. known has the references of the bases in the catalogue.
func (r *run) origins(ctx context.Context, spec *catalog.Spec) (origins map[string]containerfile.Origin, known map[string]string, err error) {
	origins, known = map[string]containerfile.Origin{}, map[string]string{}
	bases := spec.Containerfile().Bases
	for _, name := range slices.Sorted(maps.Keys(bases)) {
		base := bases[name]
		if base.Image == nil {
			origins[name] = containerfile.Origin{Digest: base.Digest}
			continue
		}
		below := r.below(ctx, spec, base.Image)
		if below.err != nil {
			return nil, nil, fmt.Errorf("base %s (%s): %w", name, base.Image.ID(), below.err)
		}
		origins[name] = containerfile.Origin{Layout: r.layout.Dir(), Ref: below.result.Descriptor.Digest.String()}
		known[name] = base.Image.Ref().String()
	}
	return origins, known, nil
}

// containerfileBuilder finds the engine, once.
func (r *run) containerfileBuilder(ctx context.Context) (*containerfile.Builder, error) {
	r.engineOnce.Do(func() {
		var engine containerfile.Engine
		if engine, r.engineErr = containerfile.Detect(ctx, r.builder.Engine); r.engineErr == nil {
			r.engine = containerfile.NewBuilder(engine, filepath.Join(r.builder.CacheDir, "containers"))
			r.engine.KeepAtMost(r.builder.Storage)
		}
	})
	return r.engine, r.engineErr
}
