package bump

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/nixedit"
	"github.com/libresh/libre/internal/upstream"
)

// findHashes finds the copy's unknown hashes by building the fixed outputs that have them,
// all at once; those that depend on others need another round. It edits the copy, and
// completes the edits with the hashes. others are hashes that are no attributes of mkApp,
// with their values before, which those get back that no image uses.
func (b *Bumper) findHashes(ctx context.Context, c *checkout, app catalog.App, planned edits, others map[string]string) error {
	for round := 1; ; round++ {
		unknown := map[string]string{} // hash → attribute
		for attribute, value := range planned {
			if hash := unknownHash(app.Name, attribute); value.String() == hash {
				unknown[hash] = attribute
			}
		}
		if len(unknown) == 0 {
			return nil
		}
		b.progress(app.Name, fmt.Sprintf("finding %d hashes", len(unknown)))
		is, drvs, err := b.derivations(ctx, c, app.Name)
		if err == nil && len(others) > 0 {
			is, _, err = c.withOtherHashes(is)
		}
		if err != nil {
			return err
		}
		fixed, err := b.Nix.FixedOutputs(ctx, drvs, slices.Sorted(maps.Keys(unknown)))
		if err != nil {
			return err
		}
		now := edits{}
		for _, hash := range slices.Sorted(maps.Keys(unknown)) {
			if former, other := others[unknown[hash]]; fixed[hash] == "" && other {
				if now[unknown[hash]], err = nixedit.Hash(former); err != nil {
					return err
				}
				delete(planned, unknown[hash])
			} else if fixed[hash] == "" {
				return fmt.Errorf("apps/%s: %s is used by no image: remove it, or use it in package", app.Name, unknown[hash])
			}
		}
		found, err := b.buildHashes(ctx, app.Name, fixed)
		if err != nil {
			return err
		}
		for hash, got := range found {
			value, err := nixedit.Hash(got)
			if err != nil {
				return fmt.Errorf("apps/%s: %s: %w", app.Name, unknown[hash], err)
			}
			planned[unknown[hash]], now[unknown[hash]] = value, value
		}
		changes, err := now.changes(is)
		if err != nil {
			return err
		}
		if err := c.edit(changes...); err != nil {
			return err
		}
	}
}

// derivations evaluates an app's images in the copy. It returns the app with the current
// places of its attributes, and the derivations that its images are built from.
func (b *Bumper) derivations(ctx context.Context, c *checkout, name string) (catalog.App, []string, error) {
	evaluation, err := b.evaluate(ctx, c.copy, nix.Request{Patterns: onlyApp(name), AllSystems: true})
	if err != nil {
		return catalog.App{}, nil, err
	}
	if err := evaluation.Failures[name]; err != nil {
		return catalog.App{}, nil, fmt.Errorf("apps/%s: %w", name, err)
	}
	return evaluation.Apps[name], derivationsOf(evaluation.Images), nil
}

// derivationsOf returns the derivations that images are built from.
func derivationsOf(images []*catalog.Spec) []string {
	drvs := []string{}
	for _, spec := range images {
		for _, realisable := range spec.Production().Content.Derivations() {
			if realisable != nil && realisable.Drv != nil && !slices.Contains(drvs, *realisable.Drv) {
				drvs = append(drvs, *realisable.Drv)
			}
		}
	}
	return drvs
}

// buildHashes builds fixed outputs with unknown hashes. None succeeds; each reports its
// actual hash, unless it depends on another one.
func (b *Bumper) buildHashes(ctx context.Context, app string, fixed map[string]string) (map[string]string, error) {
	roots, err := os.MkdirTemp("", "libre-roots-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(roots)
	if len(fixed) == 0 {
		return nil, nil
	}
	var outputs []nix.Output
	for _, hash := range slices.Sorted(maps.Keys(fixed)) {
		outputs = append(outputs, nix.Output{Drv: fixed[hash]})
	}
	failures, err := b.Nix.Realise(ctx, outputs, roots, func(event nix.LogEvent) {
		if event.Kind == nix.LogBuildLine {
			b.progress(app, event.Text)
		}
	}, "--max-silent-time", fmt.Sprint(int(b.Upstream.Deadline().Seconds()))) // it downloads, from servers that may hang
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for hash, drv := range fixed {
		if failure := failures[drv]; failure != nil && failure.Got != "" {
			found[hash] = failure.Got
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	var all []error
	for _, drv := range slices.Sorted(maps.Keys(failures)) {
		all = append(all, failures[drv])
	}
	if len(all) == 0 {
		return nil, errors.New("finding hashes: nix reports none")
	}
	return nil, all[0]
}

// onlyApp selects all images of one app.
func onlyApp(name string) []catalog.Pattern {
	return []catalog.Pattern{{App: name, Component: "*", Variant: "*"}}
}

// isUnknown reports whether an error means that upstream offers nothing to find.
func isUnknown(err error) bool {
	var nothing *upstream.NothingToFindError
	return errors.As(err, &nothing)
}
