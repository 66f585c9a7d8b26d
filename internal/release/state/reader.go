package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
)

// Reader compares a catalogue with what is built and published.
type Reader struct {
	Nix       *nix.Nix
	Catalogue *nix.Catalogue
	Output    string             // directory of the OCI layout
	Registry  *registry.Client   // nil where only the layout is read
	CopyTo    []*registry.Client // further registries that get the same
	Signing   *Signing           // nil: nothing is signed, nor attested
	Deep      bool               // read and verify all attachments, not only the lists of them
	Warn      func(id catalog.ID, warning string)
}

// Release is all images of an app's variant: what becomes visible at once.
type Release struct {
	App      catalog.App
	Variant  string
	Targets  []*release.Target
	selected []*release.Target
}

// Name is app/variant.
func (r *Release) Name() string { return r.App.Name + "/" + r.Variant }

// Ref is the reference of the release's record.
func (r *Release) Ref() catalog.Ref { return r.App.RecordRef(r.Variant) }

// IsSelected tells whether the command names an image. The other images of the release
// are its siblings.
func (r *Release) IsSelected(target *release.Target) bool { return slices.Contains(r.selected, target) }

// attachAgain is what to type where an attachment is gone.
func (r *Release) attachAgain() string {
	return fmt.Sprintf("attach it again with: libre push '%s/*/%s'", r.App.Name, r.Variant)
}

// PutBack is the command that points the release's tags to what was published.
func (r *Release) PutBack() string { return putBackCommand(r.App.Name, r.Variant) }

// Releases evaluates the selected images and their siblings: whether a release is whole
// depends on these too. Images that no system can have are left out.
func (r *Reader) Releases(ctx context.Context, request nix.Request) ([]*Release, *nix.Evaluation, error) {
	selected := request.Patterns
	request.Patterns = nil
	for _, pattern := range selected {
		request.Patterns = append(request.Patterns, catalog.Pattern{App: pattern.App, Component: "*", Variant: pattern.Variant})
	}
	request.AllSystems = true
	go r.Registry.Warm(ctx)
	evaluation, err := r.Catalogue.Evaluate(ctx, request)
	if err != nil {
		return nil, nil, err
	}
	if _, err := catalog.SelectImages(selected, evaluation.Apps); err != nil {
		return nil, nil, err
	}
	byName := map[string]*Release{}
	var all []*Release
	for _, target := range release.Targets(evaluation.Images) {
		if len(target.Specs) == 0 {
			continue
		}
		rel := byName[target.ID.App+"/"+target.ID.Variant]
		if rel == nil {
			rel = &Release{App: evaluation.Apps[target.ID.App], Variant: target.ID.Variant}
			byName[rel.Name()] = rel
			all = append(all, rel)
		}
		rel.Targets = append(rel.Targets, target)
		if slices.ContainsFunc(selected, func(s catalog.Pattern) bool { return s.Match(target.ID) }) {
			rel.selected = append(rel.selected, target)
		}
	}
	return all, evaluation, nil
}

// Local reads the OCI layout in Output. Without a layout there are no images.
func (r *Reader) Local() (Local, error) {
	dist, err := layout.Open(r.Output)
	if errors.Is(err, fs.ErrNotExist) {
		return Local{}, nil
	}
	if err != nil {
		return Local{}, err
	}
	return ReadLocal(dist)
}

// Readers is how many releases are compared at a time: most of it is waiting for the
// registry.
const Readers = 64

// InParallel calls do for each of a list, up to limit at the same time.
func InParallel[T any](limit int, list []T, do func(int, T)) {
	var group errgroup.Group
	group.SetLimit(max(limit, 1))
	for n, element := range list {
		group.Go(func() error {
			do(n, element)
			return nil
		})
	}
	_ = group.Wait() // none of them fails
}
