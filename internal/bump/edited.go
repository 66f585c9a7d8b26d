package bump

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/patch"
)

// EditedSource is the source of an app to change by hand. The changes are one patch of the
// catalogue.
type EditedSource struct {
	App      string
	Variant  string // "" for all variants
	Version  string // the app's
	Identity string // of the source, with the changes that come before the patch
	File     string // the patch, in the catalogue
	Listed   bool   // whether the definition lists it
	Patch    []byte // its content; nil if there is none yet

	source nix.AppSource
	app    catalog.App
	all    map[string]catalog.App
}

// EditedSource finds the source of an app, or of one of its variants, with the changes that come
// before the patch of libre edit.
func (b *Bumper) EditedSource(ctx context.Context, name, variant string) (*EditedSource, error) {
	app, evaluation, err := b.evaluatedApp(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := checkVariant(app, variant); err != nil {
		return nil, err
	}
	edited := &EditedSource{App: name, Variant: variant, Version: app.Version, File: editedFile(app, variant), app: app, all: evaluation.Apps}
	changes := slices.Concat(app.Changes, app.VariantChanges[variant])
	before := slices.IndexFunc(changes, func(c catalog.SourceChange) bool { return c.Patch == edited.File })
	if edited.Listed = before >= 0; !edited.Listed {
		before = len(changes)
	}
	catalogue, err := b.Nix.OpenCatalogue(ctx, b.Dir, b.PackageSet)
	if err != nil {
		return nil, err
	}
	if edited.source, err = catalogue.AppSource(ctx, name, variant, before); err != nil {
		return nil, hashed(err, name)
	}
	edited.Identity = edited.source.Identity
	if edited.Listed {
		edited.Patch, err = b.patchFile(ctx, edited.File)
	}
	return edited, err
}

// patchFile reads a patch as a flake sees it.
func (b *Bumper) patchFile(ctx context.Context, name string) ([]byte, error) {
	c, err := newCheckout(ctx, b.Dir)
	if err != nil {
		return nil, err
	}
	defer c.remove()
	return c.read(name)
}

// checkVariant refuses an app or a variant whose source cannot be changed.
func checkVariant(app catalog.App, variant string) error {
	switch {
	case app.Source == nil:
		return fmt.Errorf("apps/%s: it has no source to change", app.Name)
	case variant == "default" || variant == "debug":
		return fmt.Errorf("apps/%s: variant %s is built in: without --variant the patch is for all variants", app.Name, variant)
	case variant != "" && !slices.Contains(app.Variants, variant):
		return &fault.Fault{Err: fmt.Errorf("apps/%s has no variant %s", app.Name, variant), Fix: fmt.Sprintf("libre new variant %s/%s", app.Name, variant)}
	}
	return nil
}

// editedFile is the patch of an app, or of one of its variants, that libre edit writes.
func editedFile(app catalog.App, variant string) string {
	folder := "apps/" + app.Name
	if at := app.Positions["packageVersion"]; at != nil {
		folder = path.Dir(at.File)
	}
	name := "changes"
	if variant != "" {
		name += "-" + variant
	}
	return path.Join(folder, "patches", name+".patch")
}

// Unpacked realises the source, and calls use with its folder in the Nix store.
func (b *Bumper) Unpacked(ctx context.Context, edited *EditedSource, use func(folder string) error) error {
	err := b.Nix.WithOutput(ctx, edited.source.Derivation, func(event nix.LogEvent) {
		if event.Kind == nix.LogBuildLine {
			b.progress(edited.App, event.Text)
		}
	}, use)
	return hashed(err, edited.App)
}

// hashed adds the fix to the error of a wrong hash.
func hashed(err error, app string) error {
	if nix.IsWrongHash(err) {
		return &fault.Fault{Err: err, Fix: "libre hash " + app + " writes the right one"}
	}
	return err
}

// SaveEdited writes a patch of an edited source into a copy of the catalogue, and lists it in the
// definition. The package version rises if a release with the former source is published. accept
// gets the result; nothing has changed if anything goes wrong.
func (b *Bumper) SaveEdited(ctx context.Context, edited *EditedSource, content *patch.Patch, accept func(*Result) (keep bool, err error)) (*Result, error) {
	app := edited.app
	is := Version{app.Version, app.PackageVersion}
	result := &Result{App: app.Name, From: is, To: is, filling: true, Patch: &AddedPatch{File: edited.File, Variant: edited.Variant, Changes: content.Files}}
	published, err := b.publishedVariant(ctx, app, edited.Variant)
	if err != nil {
		return nil, err
	}
	if published {
		result.To.PackageVersion++
	}
	err = b.each(ctx, []*Result{result}, edited.all, accept, func(c *checkout, result *Result) (edits, step, error) {
		return b.saveEdited(ctx, c, result, edited, content)
	})
	return result, cmp.Or(err, result.Err)
}

// publishedVariant reports whether the current version of a variant is published, or of any for
// "".
func (b *Bumper) publishedVariant(ctx context.Context, app catalog.App, variant string) (bool, error) {
	if b.Published == nil {
		return false, nil
	}
	if variant != "" {
		app.Variants = []string{variant}
	}
	return b.Published(ctx, app)
}

func (b *Bumper) saveEdited(ctx context.Context, c *checkout, result *Result, edited *EditedSource, content *patch.Patch) (edits, step, error) {
	to := step{version: result.To.Version, packageVersion: result.To.PackageVersion}
	if edited.Listed {
		if _, err := c.read(edited.File); err != nil {
			return nil, to, err
		}
		if err := c.write(edited.File, content.Text); err != nil {
			return nil, to, err
		}
		planned, err := c.setPackageVersion(edited.app, to.packageVersion)
		return planned, to, err
	}
	to.patch = result.Patch
	if edited.Variant == "" && len(edited.app.VariantChanges) > 0 {
		if err := b.tryPatch(ctx, c, result, edited.app, content); err != nil {
			return nil, to, err
		}
	}
	if err := c.create(edited.File, content.Text); err != nil {
		return nil, to, err
	}
	entry, err := result.Patch.entry(edited.app)
	if err != nil {
		return nil, to, err
	}
	planned, err := c.setPackageVersion(edited.app, to.packageVersion, entry)
	return planned, to, err
}

// Moved says that a folder was made of another source than the app has now, nil if it was not.
func (e *EditedSource) Moved(identity, version string) error {
	if identity == e.Identity {
		return nil
	}
	changed := "its source or an earlier change is another one"
	if version != e.Version {
		changed = fmt.Sprintf("the folder has %s, the definition %s", version, e.Version)
	}
	again := "libre edit " + e.App
	if e.Variant != "" {
		again += " --variant " + e.Variant
	}
	return &fault.Fault{Err: fmt.Errorf("apps/%s has changed since the folder was made: %s; nothing was saved", e.App, changed),
		Fix: "unpack it anew with " + again + " FOLDER, and bring your changes there by git diff and git apply"}
}

// Same reports whether a patch is the one that the catalogue has.
func (e *EditedSource) Same(content *patch.Patch) bool {
	return e.Listed && bytes.Equal(e.Patch, content.Text)
}

// Name returns the app, with the variant.
func (e *EditedSource) Name() string { return strings.TrimSuffix(e.App+"/"+e.Variant, "/") }

// At returns the app's version and its package version.
func (e *EditedSource) At() Version { return Version{e.app.Version, e.app.PackageVersion} }
