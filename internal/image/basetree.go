package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/oci/layout"
)

// node is an entry of a file system, with only what is needed to resolve paths: it has no
// content.
type node struct {
	children map[string]*node // of a folder; nil for everything else
	target   string           // of a symlink; "" for everything else
	layer    int              // the layer that it comes from
}

// baseTree is the file system of an image, merged from its layers as an unpacker does: https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md
type baseTree struct {
	root *node
	keep bool // ignore whiteouts: keep the files of all layers
}

const (
	whiteout       = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
	maxLinks       = 40 // as in Linux
)

// readBaseTree reads the tar headers of all layers, the lowest first.
func readBaseTree(ctx context.Context, l *layout.Layout, layers []v1.Descriptor) (*baseTree, error) {
	t := &baseTree{root: &node{children: map[string]*node{}}}
	for i, d := range layers {
		if err := t.addBlob(ctx, l, d, i); err != nil {
			return nil, fmt.Errorf("reading the layer %s: %w", d.Digest, err)
		}
	}
	return t, nil
}

// assembledTree returns the file system of an assembled image, without the content of
// store paths.
func assembledTree(ctx context.Context, spec *Spec, storeRoot string) (*baseTree, error) {
	sources, err := spec.sources(storeRoot)
	if err != nil {
		return nil, err
	}
	t := &baseTree{root: &node{children: map[string]*node{}}}
	for _, p := range spec.Closure {
		if p.Path == spec.Root {
			continue
		}
		if _, err := t.makeDir(p.Path, 0); err != nil {
			return nil, err
		}
	}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(sources[len(sources)-1].fill(ctx, writer)) }()
	defer reader.Close()
	return t, t.addLayer(ctx, reader, 1)
}

func (t *baseTree) addBlob(ctx context.Context, l *layout.Layout, d v1.Descriptor, layer int) error {
	return readLayer(l, d, func(r io.Reader) error { return t.addLayer(ctx, r, layer) })
}

// addLayer merges a layer. Entries that no unpacker accepts are errors.
func (t *baseTree) addLayer(ctx context.Context, r io.Reader, layer int) error {
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.addEntry(h, layer); err != nil {
			return err
		}
	}
}

func (t *baseTree) addEntry(h *tar.Header, layer int) error {
	name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	if name == "" || h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	dir, base := path.Split(name)
	parent, err := t.makeDir(dir, layer)
	if err != nil {
		return fmt.Errorf("entry %q: %w", h.Name, err)
	}
	if hidden, ok := strings.CutPrefix(base, whiteout); ok {
		// A whiteout hides files of lower layers, wherever it is in its own layer.
		for child, n := range parent.children {
			if !t.keep && (base == whiteoutOpaque || child == hidden) && n.hide(layer) {
				delete(parent.children, child)
			}
		}
		return nil
	}
	n := &node{layer: layer}
	switch h.Typeflag {
	case tar.TypeDir:
		n.children = map[string]*node{}
		if old := parent.children[base]; old != nil && old.children != nil {
			n.children = old.children // a folder over a folder keeps its content
		}
	case tar.TypeSymlink:
		n.target = h.Linkname
	case tar.TypeLink:
		if old, _, err := t.lookup(h.Linkname, false); err == nil && old != nil {
			n.target = old.target
		}
	}
	parent.children[base] = n
	return nil
}

// hide removes the entries of lower layers from n, and reports whether nothing is left.
func (n *node) hide(layer int) bool {
	for name, c := range n.children {
		if c.hide(layer) {
			delete(n.children, name)
		}
	}
	return n.layer < layer && len(n.children) == 0
}

// makeDir resolves the path of a folder and creates missing folders.
func (t *baseTree) makeDir(name string, layer int) (*node, error) {
	_, real, err := t.lookup(name, true)
	if err != nil {
		return nil, err
	}
	at := t.root
	for _, part := range split(real) {
		next := at.children[part]
		if next == nil {
			next = &node{children: map[string]*node{}, layer: layer}
			at.children[part] = next
		}
		if next.children == nil {
			return nil, fmt.Errorf("%s is below a file", name)
		}
		at = next
	}
	return at, nil
}

// lookup resolves a path in the image. It follows links on the way and, if follow is set, at
// the end. Absolute link targets start at the root of the image. real is the relative path
// without links; n is nil if there is no such entry.
func (t *baseTree) lookup(name string, follow bool) (n *node, real string, err error) {
	type place struct {
		name string
		node *node // nil: does not exist
	}
	at := []place{{"", t.root}}
	rest := split(name)
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		here := at[len(at)-1]
		if part == ".." {
			if len(at) > 1 {
				at = at[:len(at)-1]
			}
			continue
		}
		var next *node
		if here.node != nil {
			next = here.node.children[part]
		}
		if next != nil && next.target != "" && (follow || len(rest) > 0) {
			if links++; links > maxLinks {
				return nil, "", fmt.Errorf("%s: too many links", name)
			}
			if strings.HasPrefix(next.target, "/") {
				at = at[:1]
			}
			rest = append(split(next.target), rest...)
			continue
		}
		at = append(at, place{path.Join(here.name, part), next})
	}
	last := at[len(at)-1]
	return last.node, last.name, nil
}

// split returns the elements of a path, without empty ones and ".".
func split(name string) []string {
	var out []string
	for part := range strings.SplitSeq(name, "/") {
		if part != "" && part != "." {
			out = append(out, part)
		}
	}
	return out
}
