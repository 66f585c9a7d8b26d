package build

import (
	"context"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/release"
)

// Archive writes the built images, for all their systems, into one oci-archive. It writes a
// temporary file and renames it to file when it is complete. For docker, which loads one
// platform of an image, it writes only the images for system. It returns the number of
// images and the size in bytes.
func (b *Builder) Archive(ctx context.Context, results []Result, system, file string) (images int, size int64, err error) {
	dist, spec, err := b.archive(system)
	if err != nil {
		return 0, 0, err
	}
	for _, result := range results {
		if result.Digest != "" {
			spec.RefNames = append(spec.RefNames, result.Ref.String())
		}
	}
	size, err = dist.WriteArchiveFile(ctx, spec, file)
	return len(spec.RefNames), size, err
}

// Load loads the images that were built for system into podman or docker, where each gets
// its name, and calls loaded after each. It loads one at a time: podman keeps the digest of
// an image that is alone in its archive, and otherwise makes another manifest.
func (b *Builder) Load(ctx context.Context, results []Result, system string, into containerfile.Loader, loaded func(ref catalog.Ref)) error {
	dist, spec, err := b.archive(system)
	if err != nil {
		return err
	}
	if into.Name == "podman" {
		spec.Registry = "localhost" // podman's name for local images
	}
	for _, result := range results {
		foreign := slices.ContainsFunc(result.Skipped, func(skip release.Skip) bool { return skip.System == system })
		if result.Digest == "" || foreign {
			continue
		}
		spec.RefNames = []string{result.Ref.String()}
		write := func(w io.Writer) error { return dist.WriteArchive(ctx, spec, w) }
		if err := into.Load(ctx, result.Ref.String(), write); err != nil {
			return err
		}
		loaded(result.Ref)
	}
	return nil
}

func (b *Builder) archive(system string) (*layout.Layout, layout.ArchiveSpec, error) {
	dist, err := layout.Open(b.Output)
	if err != nil {
		return nil, layout.ArchiveSpec{}, err
	}
	name, err := catalog.Platform(system)
	if err != nil {
		return nil, layout.ArchiveSpec{}, err
	}
	platform, err := v1.ParsePlatform(name)
	if err != nil {
		return nil, layout.ArchiveSpec{}, err
	}
	return dist, layout.ArchiveSpec{Platform: *platform}, nil
}
