package build

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
)

// image makes one image for all its systems: the manifests, the index over them
// and, last, its entry in the layout.
func (r *run) image(ctx context.Context, target *release.Target) (Result, error) {
	result := Result{ID: target.ID, Ref: target.Ref, Skipped: target.Skipped, State: state.Built}
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
		wasThere = wasThere && made.taken
	}
	if wasThere {
		result.State = state.Unchanged
	}
	if err := r.keep(ctx, target); err != nil {
		return result, err
	}
	annotations := release.Labels(target.Specs[0], target.Key(), release.BaseImage{})
	index, err := image.Index(ctx, r.layout, manifests, annotations)
	if err != nil {
		return result, err
	}
	if err := r.layout.Put(target.Ref.String(), index, map[string]string{image.ImageKeyAnnotation: target.Key()}); err != nil {
		return result, err
	}
	result.measure(layout.Entry{Descriptor: index, Content: r.layout.Content(index)})
	return result, nil
}

// manifest is an image on one system. A run makes it only once, even if debug images or images
// on a base in the catalogue need it too.
type manifest struct {
	once     sync.Once
	result   image.Result
	base     release.BaseImage
	err      error
	taken    bool // it was found, not made
	inLayout bool // it was found in the layout
}

// below returns an image that another one is built on. It makes the image if the run did not
// find it.
func (r *run) below(ctx context.Context, spec, base *catalog.Spec) *manifest {
	if there := r.taken(base.Key()); there != nil {
		return there
	}
	r.waits(spec, "for "+base.ID().String())
	return r.made(ctx, base)
}

func (r *run) made(ctx context.Context, spec *catalog.Spec) *manifest {
	key := spec.Key()
	if there := r.taken(key); there != nil && !r.options.Rebuild {
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
		switch content := spec.Content.(type) {
		case *catalog.DebugImage:
			made.result, made.base, made.err = r.debug(ctx, spec, content)
		case *catalog.NixImage:
			made.result, made.err = r.assemble(ctx, spec, content)
		case *catalog.ContainerfileImage:
			made.result, made.base, made.err = r.containerfile(ctx, spec)
		}
		for _, warning := range made.result.Warnings {
			r.builder.Watcher.Warn(spec.ID(), warning.Error())
		}
		r.mu.Lock()
		r.finished[key] = made
		r.mu.Unlock()
	})
	return made
}

// waits reports what an image waits for.
func (r *run) waits(spec *catalog.Spec, reason string) {
	r.builder.Watcher.Progress(spec.ID(), StepWait, 0, 0, reason)
}

// slot waits until fewer than Jobs images are being made.
func (r *run) slot(ctx context.Context, spec *catalog.Spec) (free func(), err error) {
	return r.slots.Take(ctx, func(reason string) { r.waits(spec, reason) })
}

// layerOptions returns the options for writing an image's layers. The layout needs all
// layers of images that a Containerfile makes or builds on.
func (r *run) layerOptions(spec *catalog.Spec) image.Options {
	options := image.Options{Cache: r.cache, Progress: func(done, total int, layer image.Layer) {
		r.builder.Watcher.Progress(spec.ID(), StepLayers, done, total, "")
		if r.options.Layer != nil {
			r.options.Layer(spec.ID(), layer)
		}
	}}
	if spec.Kind() == catalog.KindNix && !r.isBase[spec.Key()] {
		options.Elsewhere = r.options.Remote
	}
	return options
}

// assemble makes an image from store paths.
func (r *run) assemble(ctx context.Context, spec *catalog.Spec, content *catalog.NixImage) (image.Result, error) {
	if _, err := r.realised.require(content.Rootfs); err != nil {
		return image.Result{}, err
	}
	assembled, err := imageSpec(spec, content, r.realised.paths())
	if err != nil {
		return image.Result{}, err
	}
	free, err := r.slot(ctx, spec)
	if err != nil {
		return image.Result{}, err
	}
	defer free()
	return image.Assemble(ctx, r.layout, *assembled, r.layerOptions(spec))
}

// imageSpec returns the input for assembling an image from store paths.
func imageSpec(spec *catalog.Spec, content *catalog.NixImage, store nix.Store) (*image.Spec, error) {
	platform, err := release.Platform(spec)
	if err != nil {
		return nil, err
	}
	owners := map[string]image.Owner{}
	for path, owner := range content.Owners {
		mode, err := strconv.ParseUint(owner.Mode, 8, 32)
		if err != nil {
			return nil, fmt.Errorf("mode of %s: %w", path, err)
		}
		owners[path] = image.Owner{Mode: uint32(mode), UID: owner.UID, GID: owner.GID}
	}
	said := release.Labels(spec, spec.Key(), release.BaseImage{})
	var config v1.Config
	release.Configure(spec.Config)(&config)
	config.Labels = said
	return &image.Spec{
		Platform: platform, Closure: store.Closure(content.Rootfs.Out), Root: content.Rootfs.Out, Owners: owners,
		Config: config, Created: release.Created(spec), Annotations: said, Codec: image.Codec(spec.Compression),
	}, nil
}

// debug adds tools to the default image.
func (r *run) debug(ctx context.Context, spec *catalog.Spec, content *catalog.DebugImage) (image.Result, release.BaseImage, error) {
	from := r.below(ctx, spec, spec.Production())
	if from.err != nil {
		return image.Result{}, release.BaseImage{}, from.err
	}
	if _, err := r.realised.require(content.Tools); err != nil {
		return image.Result{}, release.BaseImage{}, err
	}
	tools, err := toolsSpec(spec, content, from.result.Descriptor, from.base, r.realised.paths())
	if err != nil {
		return image.Result{}, release.BaseImage{}, err
	}
	free, err := r.slot(ctx, spec)
	if err != nil {
		return image.Result{}, release.BaseImage{}, err
	}
	defer free()
	result, err := image.AddTools(ctx, r.layout, *tools, r.layerOptions(spec))
	return result, from.base, err
}

// toolsSpec returns the input for adding tools to the image base, whose own base is from.
func toolsSpec(spec *catalog.Spec, content *catalog.DebugImage, base v1.Descriptor, from release.BaseImage, store nix.Store) (*image.ToolsSpec, error) {
	said := release.Labels(spec, spec.Key(), from)
	tools := &image.ToolsSpec{
		Base: base, Closure: store.Closure(content.Tools.Out), Root: content.Tools.Out,
		Labels: said, Annotations: said, Created: release.Created(spec), Codec: image.Codec(spec.Compression),
	}
	of, isNix := content.Of.(*catalog.NixImage)
	if !isNix {
		return tools, nil
	}
	var err error
	tools.Of, err = imageSpec(spec.Production(), of, store)
	return tools, err
}
