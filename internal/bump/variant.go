package bump

import (
	"context"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/nixedit"
)

// AddVariant adds a variant without changes to an app, in a copy of the catalogue, and returns
// the edited files. The package version stays: no release of the variant is published yet.
func (b *Bumper) AddVariant(ctx context.Context, name, variant string) (*Result, error) {
	app, evaluation, err := b.evaluatedApp(ctx, name)
	if err != nil {
		return nil, err
	}
	if slices.Contains(app.Variants, variant) {
		return nil, &fault.Fault{Err: fmt.Errorf("apps/%s has a variant %s already", name, variant), Fix: "choose another name"}
	}
	at := app.Positions["packageVersion"]
	if at == nil {
		return nil, fmt.Errorf("apps/%s: packageVersion has no place in a file: write it as a plain attribute of mkApp's argument", name)
	}
	c, err := newCheckout(ctx, b.Dir)
	if err != nil {
		return nil, err
	}
	defer c.remove()
	if err := c.edit(nixedit.AddVariant{Attribute: nixedit.Attribute{Path: "packageVersion", At: *at}, Name: variant}); err != nil {
		return nil, err
	}
	after, err := b.evaluate(ctx, c.copy, nix.Request{Patterns: catalog.All})
	if err != nil {
		return nil, err
	}
	if err := after.Failures[name]; err != nil {
		return nil, fmt.Errorf("apps/%s: after the edit: %w", name, err)
	}
	if err := checkVariantAdded(evaluation.Apps, after.Apps, name, variant); err != nil {
		return nil, err
	}
	is := Version{app.Version, app.PackageVersion}
	result := &Result{App: name, From: is, To: is, Before: map[string][]byte{}, Was: app, Is: after.Apps[name]}
	if result.After, err = c.changed(); err != nil {
		return nil, err
	}
	for file := range result.After {
		result.Before[file] = c.original[file]
	}
	return result, nil
}

// evaluatedApp evaluates the catalogue, which must have the app.
func (b *Bumper) evaluatedApp(ctx context.Context, name string) (catalog.App, *nix.Evaluation, error) {
	evaluation, err := b.evaluate(ctx, b.Dir, nix.Request{Patterns: catalog.All})
	if err != nil {
		return catalog.App{}, nil, err
	}
	if _, err := catalog.Select(onlyApp(name), evaluation.Names); err != nil {
		return catalog.App{}, nil, err
	}
	if err := evaluation.Failures[name]; err != nil {
		return catalog.App{}, nil, fmt.Errorf("apps/%s: %w", name, err)
	}
	return evaluation.Apps[name], evaluation, nil
}

// checkVariantAdded compares the apps before and after: one has another variant, and nothing
// else differs.
func checkVariantAdded(before, after map[string]catalog.App, name, variant string) error {
	for other, was := range before {
		is := after[other]
		was.Positions, is.Positions = nil, nil
		if other == name {
			if !slices.Contains(is.Variants, variant) || len(is.VariantChanges[variant]) > 0 {
				return fmt.Errorf("apps/%s: the edit does not give a variant %s without changes: edit it by hand", name, variant)
			}
			is.Variants = slices.DeleteFunc(slices.Clone(is.Variants), func(v string) bool { return v == variant })
			is.VariantChanges = maps.Clone(is.VariantChanges)
			delete(is.VariantChanges, variant)
		}
		if !reflect.DeepEqual(was, is) {
			return fmt.Errorf("apps/%s: the edit also changes %s: edit it by hand", name, path.Join("apps", other))
		}
	}
	return nil
}
