package release

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/nix"
)

// image makes one image for all its systems: the manifests, the index over them
// and, last, its entry in the layout.
func (r *run) image(ctx context.Context, target *Target) (Result, error) {
	result := Result{ID: target.ID, RefName: target.RefName, Skipped: target.Skipped, State: Built}
	var manifests []v1.Descriptor
	wasThere := true
	for _, spec := range target.Specs {
		made := r.made(ctx, spec)
		if err := made.err; err != nil {
			if len(target.Specs) > 1 {
				err = fmt.Errorf("%s: %w", spec.System, err)
			}
			return result, err
		}
		manifests = append(manifests, made.result.Descriptor)
		wasThere = wasThere && made == r.taken.byKey[spec.Key()]
	}
	if wasThere {
		result.State = Unchanged
	}
	if err := r.keep(ctx, target); err != nil {
		return result, err
	}
	annotations := labels(target.Specs[0], target.Key(), baseImage{})
	index, err := image.Index(ctx, r.layout, manifests, annotations)
	if err != nil {
		return result, err
	}
	if err := r.layout.Put(target.RefName, index, map[string]string{image.ImageKeyAnnotation: target.Key()}); err != nil {
		return result, err
	}
	result.measure(image.Entry{Descriptor: index, Content: r.layout.Content(index)})
	return result, nil
}

// manifest is an image on one system, made once in a run: debug images and
// images on a base of the catalogue are made from others.
type manifest struct {
	once     sync.Once
	result   image.Result
	base     baseImage
	err      error
	inLayout bool // it was not made, it was there
}

// below is an image that others are made of, which need not be made for them.
func (r *run) below(ctx context.Context, spec *catalog.Spec) *manifest {
	if there := r.taken.byKey[spec.Key()]; there != nil {
		return there
	}
	return r.made(ctx, spec)
}

func (r *run) made(ctx context.Context, spec *catalog.Spec) *manifest {
	key := spec.Key()
	if there := r.taken.byKey[key]; there != nil && !r.rebuild {
		return there
	}
	r.mu.Lock()
	made := r.manifests[key]
	if made == nil {
		made = &manifest{}
		r.manifests[key] = made
	}
	r.mu.Unlock()
	made.once.Do(func() {
		switch {
		case spec.Tools != nil:
			made.result, made.base, made.err = r.debug(ctx, spec)
		case spec.Kind == "nix":
			made.result, made.err = r.assemble(ctx, spec)
		default:
			made.result, made.base, made.err = r.containerfile(ctx, spec)
		}
		for _, warning := range made.result.Warnings {
			r.Watcher.Warn(spec.ID(), warning.Error())
		}
		r.mu.Lock()
		r.finished[key] = made
		r.mu.Unlock()
	})
	return made
}

// slot waits until there is room for one more image to be worked on.
func (r *run) slot(ctx context.Context) (release func(), err error) {
	select {
	case r.slots <- struct{}{}:
		return func() { <-r.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// options says how to write an image's layers. What a Containerfile makes, or
// builds on, must be there as a whole.
func (r *run) options(spec *catalog.Spec) image.Options {
	return image.Options{Cache: r.cache, Whole: spec.Kind != "nix" || r.bases[spec.Key()], Progress: func(done, total int, layer image.Layer) {
		r.Watcher.Progress(spec.ID(), StepLayers, done, total, "")
	}}
}

// assemble makes an image of store paths.
func (r *run) assemble(ctx context.Context, spec *catalog.Spec) (image.Result, error) {
	if _, err := r.require(spec.Rootfs); err != nil {
		return image.Result{}, err
	}
	assembled, err := imageSpec(spec, r.store)
	if err != nil {
		return image.Result{}, err
	}
	release, err := r.slot(ctx)
	if err != nil {
		return image.Result{}, err
	}
	defer release()
	return image.Assemble(ctx, r.layout, *assembled, r.options(spec))
}

// imageSpec is what an image of store paths is assembled from.
func imageSpec(spec *catalog.Spec, store nix.Store) (*image.Spec, error) {
	platform, err := platformOf(spec)
	if err != nil {
		return nil, err
	}
	owners := map[string]image.Owner{}
	for path, owner := range spec.Owners {
		mode, err := strconv.ParseUint(owner.Mode, 8, 32)
		if err != nil {
			return nil, fmt.Errorf("mode of %s: %w", path, err)
		}
		owners[path] = image.Owner{Mode: uint32(mode), UID: owner.UID, GID: owner.GID}
	}
	said := labels(spec, spec.Key(), baseImage{})
	var config v1.Config
	configure(spec.Config)(&config)
	config.Labels = said
	return &image.Spec{
		Platform: platform, Closure: store.Closure(spec.Rootfs.Out), Root: spec.Rootfs.Out, Owners: owners,
		Config: config, Created: created(spec), Annotations: said,
	}, nil
}

// debug adds tools to the default image.
func (r *run) debug(ctx context.Context, spec *catalog.Spec) (image.Result, baseImage, error) {
	from := r.below(ctx, production(spec))
	if from.err != nil {
		return image.Result{}, baseImage{}, from.err
	}
	if _, err := r.require(spec.Tools); err != nil {
		return image.Result{}, baseImage{}, err
	}
	tools, err := toolsSpec(spec, from.result.Descriptor, from.base, r.store)
	if err != nil {
		return image.Result{}, baseImage{}, err
	}
	release, err := r.slot(ctx)
	if err != nil {
		return image.Result{}, baseImage{}, err
	}
	defer release()
	result, err := image.AddTools(ctx, r.layout, *tools, r.options(spec))
	return result, from.base, err
}

// production is what a debug image adds tools to.
func production(debug *catalog.Spec) *catalog.Spec {
	spec := *debug
	spec.Variant, spec.Tools = "default", nil
	return &spec
}

// toolsSpec is what a debug image adds to the image base, which was built on from.
func toolsSpec(spec *catalog.Spec, base v1.Descriptor, from baseImage, store nix.Store) (*image.ToolsSpec, error) {
	said := labels(spec, spec.Key(), from)
	tools := &image.ToolsSpec{
		Base: base, Closure: store.Closure(spec.Tools.Out), Root: spec.Tools.Out,
		Labels: said, Annotations: said, Created: created(spec),
	}
	if spec.Kind != "nix" {
		return tools, nil
	}
	var err error
	tools.Of, err = imageSpec(production(spec), store)
	return tools, err
}

// containerfile has an engine build a Containerfile in the changed source.
func (r *run) containerfile(ctx context.Context, spec *catalog.Spec) (image.Result, baseImage, error) {
	fail := func(err error) (image.Result, baseImage, error) { return image.Result{}, baseImage{}, err }
	for _, defect := range containerfile.Defects(spec, "") {
		return fail(defect.Err)
	}
	source, err := r.require(spec.Fetch)
	if err != nil {
		return fail(err)
	}
	for _, defect := range containerfile.Defects(spec, source) {
		if defect.Fatal {
			return fail(defect.Err)
		}
		r.Watcher.Warn(spec.ID(), defect.Err.Error())
	}
	platform, err := platformOf(spec)
	if err != nil {
		return fail(err)
	}
	origins, known, err := r.origins(ctx, spec)
	if err != nil {
		return fail(err)
	}
	builder, err := r.containerfileBuilder(ctx)
	if err != nil {
		return fail(err)
	}
	release, err := r.slot(ctx)
	if err != nil {
		return fail(err)
	}
	defer release()
	work, remove, err := builder.NewWork(r.layout.Dir()) // on the layout's disk, which must have room for the image
	if err != nil {
		return fail(err)
	}
	defer remove()
	args := map[string]string{}
	for name, value := range spec.Args {
		args[name] = *value
	}
	target := ""
	if spec.Target != nil {
		target = *spec.Target
	}
	built, err := builder.Build(ctx, containerfile.Request{
		Source: source, Context: spec.Context, File: spec.File, Target: target, Args: args,
		Contexts: spec.Contexts, Bases: origins, Platform: platform.String(), Timestamp: created(spec).Unix(),
		Work: work, Log: filepath.Join(r.LogDir, spec.ID().Name()+".log"),
		Step: func(done, total int, line string) {
			r.Watcher.Progress(spec.ID(), StepContainerfile, done, total, line)
		},
		Warn:  func(warning string) { r.Watcher.Warn(spec.ID(), warning) },
		Cache: spec.App + "/" + spec.Component, App: spec.App, Steps: r.Steps,
	})
	if err != nil {
		return fail(err)
	}
	var base baseImage
	for _, used := range built.Bases {
		if !used.Pinned {
			r.Watcher.Warn(spec.ID(), fmt.Sprintf("base %s is not pinned, it is %s today: set components.%s.bases.%q",
				used.Name, used.Digest, spec.Component, used.Name))
		}
	}
	if last := built.From; last != nil {
		base = baseImage{cmp.Or(known[last.Key], last.Reference), last.Digest}
	}
	said := labels(spec, spec.Key(), base)
	result, err := image.Import(ctx, built.Layout, r.layout, image.ImportSpec{
		Platform: platform, Configure: configure(spec.Config),
		Labels: said, Annotations: said, Created: created(spec), HasBase: built.From != nil,
	}, r.options(spec))
	return result, base, err
}

// origins says where each declared base comes from. A base that is an image of
// the catalogue is taken as it is, or made first; known has the names of those.
func (r *run) origins(ctx context.Context, spec *catalog.Spec) (origins map[string]containerfile.Origin, known map[string]string, err error) {
	origins, known = map[string]containerfile.Origin{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(spec.Bases)) {
		base := spec.Bases[name]
		if base.Image == nil {
			origins[name] = containerfile.Origin{Digest: base.Digest}
			continue
		}
		below := r.below(ctx, base.Image)
		if below.err != nil {
			return nil, nil, fmt.Errorf("base %s (%s): %w", name, base.Image.ID(), below.err)
		}
		origins[name] = containerfile.Origin{Layout: r.layout.Dir(), Ref: below.result.Descriptor.Digest.String()}
		known[name] = base.Image.RefName()
	}
	return origins, known, nil
}

// containerfileBuilder finds the engine, once.
func (r *run) containerfileBuilder(ctx context.Context) (*containerfile.Builder, error) {
	r.engineOnce.Do(func() {
		var engine containerfile.Engine
		if engine, r.engineErr = containerfile.Detect(ctx, r.Engine); r.engineErr == nil {
			r.engine = containerfile.NewBuilder(engine, filepath.Join(r.CacheDir, "containers"))
		}
	})
	return r.engine, r.engineErr
}

func platformOf(spec *catalog.Spec) (v1.Platform, error) {
	name, err := catalog.Platform(spec.System)
	if err != nil {
		return v1.Platform{}, err
	}
	os, architecture, _ := strings.Cut(name, "/")
	return v1.Platform{OS: os, Architecture: architecture}, nil
}
