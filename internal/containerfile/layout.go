package containerfile

import (
	"fmt"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/oci/layout"
)

// layoutImage is an image of an OCI layout for one platform.
type layoutImage struct {
	layout   *layout.Layout // with an absolute path
	top      v1.Descriptor  // what ref names: a manifest or an index
	manifest v1.Descriptor
	image    v1.Manifest
}

// findImage finds an image in the layout in dir. ref is a digest, which need not be in
// index.json yet, the name of an entry, or "" if there is only one. If ref is an index,
// the image for the platform is taken.
func findImage(dir, ref, platform string) (layoutImage, error) {
	p := layoutImage{}
	fail := func(err error) (layoutImage, error) {
		return layoutImage{}, fmt.Errorf("OCI layout %s: %w", dir, err)
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return fail(err)
	}
	if p.layout, err = layout.Open(absolute); err != nil {
		return layoutImage{}, err
	}
	if p.top, err = p.entry(ref); err != nil {
		return fail(err)
	}
	p.manifest = p.top
	if p.top.MediaType.IsIndex() {
		want, err := v1.ParsePlatform(platform)
		if err != nil {
			return fail(err)
		}
		if p.manifest, err = p.layout.ForPlatform([]v1.Descriptor{p.top}, *want); err != nil {
			return fail(fmt.Errorf("image %q: %w", ref, err))
		}
	}
	if err = p.layout.ReadJSON(p.manifest, &p.image); err != nil {
		return fail(err)
	}
	return p, nil
}

// entry returns the descriptor that ref names.
func (p layoutImage) entry(ref string) (v1.Descriptor, error) {
	if digestForm().MatchString(ref) {
		digest, err := v1.NewHash(ref)
		if err != nil {
			return v1.Descriptor{}, err
		}
		return p.layout.Describe(digest)
	}
	entries, err := p.layout.Entries()
	if err != nil {
		return v1.Descriptor{}, err
	}
	var names []string
	for _, d := range entries {
		name := d.Annotations[layout.RefNameAnnotation]
		if names = append(names, name); ref != "" && name == ref || ref == "" && len(entries) == 1 {
			return d, nil
		}
	}
	return v1.Descriptor{}, fmt.Errorf("no image %q: it has %s", ref, strings.Join(names, ", "))
}

// parts lists the blobs of the image: config and layers.
func (p layoutImage) parts() []v1.Descriptor {
	return append([]v1.Descriptor{p.image.Config}, p.image.Layers...)
}
