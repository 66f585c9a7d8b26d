package containerfile

import (
	"fmt"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/oci/layout"
)

// picked is one image of an OCI layout, for one platform.
type picked struct {
	layout   *layout.Layout // its folder is an absolute path
	top      v1.Descriptor  // what ref names: a manifest or an index
	manifest v1.Descriptor
	image    v1.Manifest
}

// pick finds ref in the layout in a folder, and in an index that it names the
// manifest of the platform. ref is a digest or an entry's name; "" where the layout
// has one entry only. A digest need not be in index.json yet.
func pick(dir, ref, platform string) (picked, error) {
	p := picked{}
	fail := func(err error) (picked, error) {
		return picked{}, fmt.Errorf("OCI layout %s: %w", dir, err)
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return fail(err)
	}
	if p.layout, err = layout.Open(absolute); err != nil {
		return picked{}, err
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

// entry is what ref means in the layout.
func (p picked) entry(ref string) (v1.Descriptor, error) {
	if digestForm.MatchString(ref) {
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

// parts are the blobs of an image: configuration and layers.
func (p picked) parts() []v1.Descriptor {
	return append([]v1.Descriptor{p.image.Config}, p.image.Layers...)
}
