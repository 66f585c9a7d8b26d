package bump

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
)

// Create adds an app to a copy of the catalogue: new files by path, one of which is
// apps/NAME/default.nix. It finds the app's hashes and pins its bases. If these cannot be
// found, the files stay as they are, and the result has a warning. The result's After has the
// files; the catalogue is unchanged.
func (b *Bumper) Create(ctx context.Context, name string, files map[string][]byte) (*Result, error) {
	c, err := newCheckout(ctx, b.Dir)
	if err != nil {
		return nil, err
	}
	defer c.remove()
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if err := c.create(file, files[file]); err != nil {
			return nil, err
		}
	}
	result := &Result{App: name, filling: true}
	app, err := b.created(ctx, c, name)
	if err != nil {
		return nil, err
	}
	result.From = Version{app.Version, app.PackageVersion}
	result.To = result.From
	if err := b.fillCreated(ctx, c, result, app, files); err != nil {
		return nil, err
	}
	result.After, err = c.changed()
	result.Before = map[string][]byte{}
	return result, err
}

// fillCreated finds hashes, or restores the files if it cannot.
func (b *Bumper) fillCreated(ctx context.Context, c *checkout, result *Result, app catalog.App, files map[string][]byte) error {
	_, _, err := b.fill(ctx, c, result, app)
	if err == nil {
		_, err = b.created(ctx, c, app.Name)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	result.Warnings = append(result.Warnings, fmt.Sprintf("hashes are not found yet: %v; libre hash %s finds them later", err, app.Name))
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if err := c.write(file, files[file]); err != nil {
			return err
		}
	}
	return b.writeSourceHash(ctx, c, app)
}

// writeSourceHash writes the hash of the source into the copy, if no build has to find it. If
// it is unknown, it stays empty.
func (b *Bumper) writeSourceHash(ctx context.Context, c *checkout, app catalog.App) error {
	planned, err := b.sourceHash(ctx, &Result{}, app)
	if err != nil || planned["source.hash"].String() == unknownHash(app.Name, "source.hash") {
		return ctx.Err()
	}
	changes, err := planned.changes(app)
	if err != nil {
		return err
	}
	return c.edit(changes...)
}

// created evaluates the new app in the copy.
func (b *Bumper) created(ctx context.Context, c *checkout, name string) (catalog.App, error) {
	evaluation, err := b.evaluate(ctx, c.copy, nix.Request{Patterns: onlyApp(name)})
	if err != nil {
		return catalog.App{}, err
	}
	return evaluation.Apps[name], evaluation.Failures[name]
}
