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
	"github.com/libresh/libre/internal/vex"
	"github.com/libresh/libre/internal/withdrawn"
)

// Reader compares a catalogue with the layout and the registries.
type Reader struct {
	Nix       *nix.Nix
	Catalogue *nix.Catalogue
	Output    string             // directory of the OCI layout
	Registry  *registry.Client   // nil if only the layout is read
	CopyTo    []*registry.Client // further registries with the same content
	Signing   *Signing           // nil if nothing is signed or attested
	Deep      bool               // read and verify all attachments, not only the lists of them
	Trusting  bool               // take a signed record's word that its images have their attachments
	AlsoTags  []string           // moving tags that passed catalog.CheckMovingTag
	Warn      func(id catalog.ID, warning string)
	Withdrawn withdrawn.List // of the catalogue
	// Stated reads the statements in an app's vex.yaml. It may be nil: then there are no
	// statements.
	Stated func(app catalog.App) ([]vex.Statement, error)
}

// Release has all images of an app's variant. They become visible at the same time.
type Release struct {
	App      catalog.App
	Variant  string
	Targets  []*release.Target
	Stated   []vex.Statement // from the app's vex.yaml
	selected []*release.Target
}

// Name returns app/variant.
func (r *Release) Name() string { return r.App.Name + "/" + r.Variant }

// Ref returns the reference of the release's record.
func (r *Release) Ref() catalog.Ref { return r.App.RecordRef(r.Variant) }

// IsSelected reports whether the command line selects an image. The other images of the
// release are its siblings.
func (r *Release) IsSelected(target *release.Target) bool { return slices.Contains(r.selected, target) }

// attachAgain returns the fix for a missing attachment.
func (r *Release) attachAgain() string {
	return fmt.Sprintf("attach it again with: libre push '%s/*/%s'", r.App.Name, r.Variant)
}

// PutBack returns the command that points the release's tags to its published images again.
func (r *Release) PutBack() string { return putBackCommand(r.App.Name, r.Variant) }

// Releases evaluates the selected images and their siblings, because the state of a release
// depends on all its images. It leaves out images that no system supports.
func (r *Reader) Releases(ctx context.Context, request nix.Request) ([]*Release, *nix.Evaluation, error) {
	selected := request.Patterns
	request.Patterns = nil
	for _, pattern := range selected {
		request.Patterns = append(request.Patterns, catalog.Pattern{App: pattern.App, Component: "*", Variant: pattern.Variant})
	}
	request.AllSystems, request.Described = true, true
	go r.Registry.Warm(ctx)
	evaluation, err := r.Catalogue.Evaluate(ctx, request)
	if err != nil {
		return nil, nil, err
	}
	if _, err := catalog.SelectImages(selected, evaluation.Apps); err != nil {
		return nil, nil, err
	}
	stated := r.readStated(evaluation)
	byName := map[string]*Release{}
	var all []*Release
	for _, target := range release.Targets(evaluation.Images) {
		if len(target.Specs) == 0 || evaluation.Failures[target.ID.App] != nil {
			continue
		}
		rel := byName[target.ID.App+"/"+target.ID.Variant]
		if rel == nil {
			rel = &Release{App: evaluation.Apps[target.ID.App], Variant: target.ID.Variant, Stated: stated[target.ID.App]}
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

// readStated reads the statements about each app. An app whose file has an error counts as one
// that cannot be evaluated: nothing of it is published before the file is fixed.
func (r *Reader) readStated(evaluation *nix.Evaluation) map[string][]vex.Statement {
	stated := map[string][]vex.Statement{}
	if r.Stated == nil {
		return stated
	}
	for name, app := range evaluation.Apps {
		statements, err := r.Stated(app)
		if err != nil && evaluation.Failures[name] == nil {
			if evaluation.Failures == nil {
				evaluation.Failures = map[string]error{}
			}
			evaluation.Failures[name] = err
		}
		stated[name] = statements
	}
	return stated
}

// Local reads the OCI layout in Output. Without a layout the result is empty.
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

// Readers is the number of releases that are compared in parallel. Most of the time they
// wait for the registry.
const Readers = 64

// InParallel calls do for each element of a list, up to limit at a time.
func InParallel[T any](limit int, list []T, do func(int, T)) {
	var group errgroup.Group
	group.SetLimit(max(limit, 1))
	for n, element := range list {
		group.Go(func() error {
			do(n, element)
			return nil
		})
	}
	_ = group.Wait() // the functions return no errors
}
