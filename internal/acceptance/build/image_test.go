package build

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

const refName = "org.opencontainers.image.ref.name"

// entries returns the entries of a layout's index.json by name.
func entries(t *testing.T, dir string) map[string]v1.Descriptor {
	t.Helper()
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]v1.Descriptor{}
	for _, entry := range manifest.Manifests {
		named[entry.Annotations[refName]] = entry
	}
	return named
}

// references lists the images of a layout, sorted. If variants are given, it lists only
// images of these.
func references(t *testing.T, dir string, variants ...string) []string {
	t.Helper()
	var names []string
	for name := range entries(t, dir) {
		image, _, _ := strings.Cut(name, ":")
		variant := image[strings.LastIndexByte(image, '-')+1:]
		if len(variants) == 0 || slices.Contains(variants, variant) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatalf("no images in %s", dir)
	}
	slices.Sort(names)
	return names
}

// openIndex opens an image of a layout for all its platforms.
func openIndex(t *testing.T, dir, reference string) v1.ImageIndex {
	t.Helper()
	entry, found := entries(t, dir)[reference]
	if !found {
		t.Fatalf("no %s in %s", reference, dir)
	}
	all, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	index, err := all.ImageIndex(entry.Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// openImage opens an image of a layout for a platform such as linux/amd64. The platform may
// be "" if the image has only one.
func openImage(t *testing.T, dir, reference, platform string) v1.Image {
	t.Helper()
	index := openIndex(t, dir, reference)
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var found []v1.Descriptor
	for _, d := range manifest.Manifests {
		if platform == "" || d.Platform.String() == platform {
			found = append(found, d)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s has %d manifests for %q, want 1", reference, len(found), platform)
	}
	img, err := index.Image(found[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func configOf(t *testing.T, img v1.Image) *v1.ConfigFile {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// environment returns the value of a variable in an image's configuration.
func environment(config *v1.ConfigFile, name string) string {
	for _, kv := range config.Config.Env {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// tree is an image's root file system, by clean absolute path.
type tree map[string]*node

type node struct {
	*tar.Header
	content []byte
}

func readTree(t *testing.T, img v1.Image) tree {
	t.Helper()
	stream := mutate.Extract(img)
	defer stream.Close()
	files := tree{}
	for r := tar.NewReader(stream); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[path.Clean("/"+header.Name)] = &node{header, content}
	}
}

// resolve follows the links in a path within the tree.
func (files tree) resolve(name string) (*node, error) {
	at, rest := "/", strings.Split(strings.Trim(path.Clean(name), "/"), "/")
	for steps := 0; len(rest) > 0; steps++ {
		if steps > 100 {
			return nil, fmt.Errorf("%s: too many links", name)
		}
		next := path.Join(at, rest[0])
		rest = rest[1:]
		if n := files[next]; n != nil && n.Typeflag == tar.TypeSymlink {
			if path.IsAbs(n.Linkname) {
				at = "/"
			}
			rest = append(strings.Split(strings.Trim(n.Linkname, "/"), "/"), rest...)
			continue
		}
		at = next
	}
	if files[at] == nil {
		return nil, fmt.Errorf("%s: no %s", name, at)
	}
	return files[at], nil
}

// text returns the content of a file. It follows links.
func (files tree) text(t *testing.T, name string) string {
	t.Helper()
	n, err := files.resolve(name)
	if err != nil {
		t.Error(err)
		return ""
	}
	return string(n.content)
}
