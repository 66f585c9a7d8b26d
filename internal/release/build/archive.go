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

// Archive writes the images that were built, for all their systems, into one
// oci-archive, which is renamed to file when it is complete. Docker, which loads
// one platform of an image, gets those for system. It gives the number of images
// and the size in bytes.
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

// Load hands the images that were built for system to podman or docker, where
// each has its name, and calls loaded after each. One at a time: podman keeps
// the digest of an image that is alone in its archive, and makes another
// manifest of those that are not.
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
