package bump

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/bump/review"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/nixedit"
	"github.com/libresh/libre/internal/patch"
	"github.com/libresh/libre/internal/upstream"
)

// NewPatch is a patch to add to an app.
type NewPatch struct {
	App     string
	Variant string // that alone is patched; "" for all
	From    patch.Place
	Fixes   []string // IDs of vulnerabilities, as patch.ParseIDs gives them
}

// AddedPatch is a patch that was added to an app.
type AddedPatch struct {
	File     string   `json:"file"` // in the catalogue
	Variant  string   `json:"variant,omitempty"`
	Fixes    []string `json:"fixes"`              // IDs of vulnerabilities
	Origin   string   `json:"origin,omitempty"`   // URL that the patch comes from
	Commit   string   `json:"commit,omitempty"`   // of the source's repository, 40 digits
	Changes  []string `json:"changes"`            // files in the source
	Mentions []string `json:"mentions,omitempty"` // other IDs in the patch's text: anybody may have written them
}

// Patch adds a patch to an app, or to one variant of it, and raises the package version. It
// tries the patch on the source with the app's other changes, in every variant, and edits a
// copy of the catalogue. accept gets the result; as with Bump, nothing has changed if
// anything goes wrong.
func (b *Bumper) Patch(ctx context.Context, add NewPatch, accept func(*Result) (keep bool, err error)) (*Result, error) {
	app, evaluation, err := b.evaluatedApp(ctx, add.App)
	if err != nil {
		return nil, err
	}
	if err := add.check(app); err != nil {
		return nil, err
	}
	b.progress(app.Name, "fetching "+add.From.String())
	content, err := patch.Fetch(ctx, b.Upstream, add.From, b.Upstream.RepositoryOf(sourceOf(app.Source)))
	if err != nil {
		return nil, err
	}
	result := &Result{
		App: app.Name, From: Version{app.Version, app.PackageVersion}, To: Version{app.Version, app.PackageVersion + 1},
		Warnings: content.Notes, Patch: add.added(app, content),
	}
	err = b.each(ctx, []*Result{result}, evaluation.Apps, accept, func(c *checkout, result *Result) (edits, step, error) {
		return b.addPatch(ctx, c, result, app, content)
	})
	return result, cmp.Or(err, result.Err)
}

// check refuses what cannot be patched, or is already.
func (p NewPatch) check(app catalog.App) error {
	changes := app.Changes
	switch {
	case app.Source == nil:
		return fmt.Errorf("apps/%s: it has no source to patch", app.Name)
	case p.Variant == "default" || p.Variant == "debug":
		return fmt.Errorf("apps/%s: variant %s is built in: a patch without --variant is for all variants", app.Name, p.Variant)
	case p.Variant != "" && !slices.Contains(app.Variants, p.Variant):
		return fmt.Errorf("apps/%s: no variant %s, expected one of %s", app.Name, p.Variant, strings.Join(app.Variants[2:], ", "))
	case p.Variant != "":
		changes = slices.Concat(changes, app.VariantChanges[p.Variant])
	}
	for _, change := range changes {
		for _, id := range p.Fixes {
			if slices.Contains(change.Fixes, id) {
				return &fault.Fault{Err: fmt.Errorf("apps/%s: %s fixes %s already", app.Name, change.Patch, id), Fix: "to replace it, remove it from the definition"}
			}
		}
	}
	return nil
}

// added describes the patch. Its file is beside the definition, and is named after a
// validated ID.
func (p NewPatch) added(app catalog.App, content *patch.Patch) *AddedPatch {
	folder := "apps/" + app.Name
	if at := app.Positions["packageVersion"]; at != nil {
		folder = path.Dir(at.File)
	}
	name := p.Fixes[0]
	if p.Variant != "" {
		name += "-" + p.Variant
	}
	mentions := slices.DeleteFunc(slices.Clone(content.IDs), func(id string) bool { return slices.Contains(p.Fixes, id) })
	return &AddedPatch{
		File: path.Join(folder, "patches", name+".patch"), Variant: p.Variant, Fixes: p.Fixes,
		Origin: content.Origin, Commit: content.Commit, Changes: content.Files, Mentions: mentions,
	}
}

// addPatch tries a patch, and edits the copy.
func (b *Bumper) addPatch(ctx context.Context, c *checkout, result *Result, app catalog.App, content *patch.Patch) (edits, step, error) {
	to := step{version: result.To.Version, packageVersion: result.To.PackageVersion, patch: result.Patch}
	if err := b.tryPatch(ctx, c, result, app, content); err != nil {
		return nil, to, err
	}
	if err := c.create(result.Patch.File, content.Text); err != nil {
		return nil, to, err
	}
	entry, err := result.Patch.entry(app)
	if err != nil {
		return nil, to, err
	}
	planned, err := c.setPackageVersion(app, to.packageVersion, entry)
	return planned, to, err
}

// entry is the change of the definition: in its list patches, which may have to be made, or
// in a variant's function.
func (p *AddedPatch) entry(app catalog.App) (nixedit.Change, error) {
	attribute := "patches"
	switch {
	case p.Variant != "":
		attribute = "variants." + p.Variant
	case app.Positions[attribute] == nil:
		attribute = "packageVersion"
	}
	at := app.Positions[attribute]
	if at == nil {
		return nil, fmt.Errorf("apps/%s: %s has no place in a file: write it as a plain attribute of mkApp's argument", app.Name, attribute)
	}
	file, err := filepath.Rel(filepath.Dir(at.File), p.File)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(file, "../") {
		file = "./" + file
	}
	entry, err := nixedit.NewPatch(file, p.Fixes, p.Origin)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.File, err)
	}
	place := nixedit.Attribute{Path: attribute, At: *at}
	switch attribute {
	case "patches":
		return nixedit.AddPatch{Attribute: place, Patch: entry}, nil
	case "packageVersion":
		return nixedit.CreatePatches{Attribute: place, Patch: entry}, nil
	}
	return nixedit.PatchVariant{Attribute: place, Patch: entry}, nil
}

// tryPatch tries a patch on the app's source, after the changes that come before it, and the
// variants' changes after it.
func (b *Bumper) tryPatch(ctx context.Context, c *checkout, result *Result, app catalog.App, content *patch.Patch) error {
	source, err := b.currentSource(ctx, c, result, app)
	if err != nil {
		return fmt.Errorf("fetching the source to try the patch on: %w", err)
	}
	if source == nil {
		result.Warnings = append(result.Warnings, "the patch was not tried: libre cannot read the source, a build tries it")
		return nil
	}
	if closer, ok := source.(io.Closer); ok {
		defer closer.Close()
	}
	changes, err := b.sourceChanges(ctx, c, app)
	if err != nil {
		return err
	}
	own := review.Change{Variant: result.Patch.Variant, Kind: review.PatchChange, Name: result.Patch.File, Patch: content.Text}
	changes = append(changes, own)
	checks, err := review.CheckChanges(ctx, source, source, changes)
	if err != nil {
		return err
	}
	var broken []error
	for _, check := range checks {
		if reason := b.refuses(result, check); reason != nil {
			broken = append(broken, reason)
		}
	}
	result.PatchChecks = checks
	return errors.Join(broken...)
}

// refuses returns why the patch cannot be added: because of itself, or of another change
// that it conflicts with.
func (b *Bumper) refuses(r *Result, check review.PatchCheck) error {
	where := r.App + " " + r.From.Version
	switch own := check.Name == r.Patch.File; {
	case own && check.Verdict == review.AppliesFuzz && b.PackageSet == nix.HostPackageName:
		return &fault.Fault{Err: fmt.Errorf("the patch applies to the source of %s only if some of its context is ignored, which busybox' patch does not do: nothing was changed", where),
			Fix: "write it anew for this source"}
	case own && check.Verdict == review.InUpstream:
		return fmt.Errorf("the source of %s has the patch already: nothing was changed", where)
	case own && check.Verdict != review.Applies && check.Verdict != review.AppliesFuzz:
		return fmt.Errorf("the patch does not apply to the source of %s: %s; nothing was changed", where, check.Why())
	case !own && check.Verdict == review.InUpstream:
		return &fault.Fault{Err: fmt.Errorf("the patch does what %s%s does: nothing was changed", check.Name, inVariant(check.Variant)), Fix: "remove that from the definition first"}
	case !own && check.Breaks():
		return fmt.Errorf("with the patch, %s; nothing was changed", check)
	}
	return nil
}

func inVariant(variant string) string {
	if variant == "" {
		return ""
	}
	return " in variant " + variant
}

// currentSource returns the app's source as its definition names it, or nil if only Nix can
// read it.
func (b *Bumper) currentSource(ctx context.Context, c *checkout, result *Result, app catalog.App) (fs.FS, error) {
	if app.Source.Kind == "path" {
		folder, err := c.place(app.Source.Path)
		if err != nil {
			return nil, err
		}
		root, err := os.OpenRoot(folder)
		if err != nil {
			return nil, err
		}
		return rootFS{root.FS(), root}, nil
	}
	archive, err := b.currentArchive(ctx, app)
	if err != nil || archive == nil {
		return nil, err
	}
	if app.Source.Hash != archive.Hash {
		result.Warnings = append(result.Warnings, fmt.Sprintf("the source that the patch was tried on has the hash %s, the definition has %s", archive.Hash, app.Source.Hash))
	}
	return archive, nil
}

// currentArchive fetches the source that the definition names, nil if only Nix can read it.
func (b *Bumper) currentArchive(ctx context.Context, app catalog.App) (*upstream.Archive, error) {
	url := app.Source.Archive
	switch {
	case url != "":
	case app.Source.Kind == "url":
		url = app.Source.Page
	case app.Source.Kind == "github" && app.Source.Tag == "":
		url = app.Source.Page + "/archive/" + app.Source.Rev + ".tar.gz"
	default:
		finder, err := b.Upstream.Open(sourceOf(app.Source))
		if err != nil {
			return nil, err
		}
		url = finder.Links("", app.Source.Revision).Archive
	}
	return b.source(ctx, app, url, app.Source.Revision, app.Source.Rev)
}

// rootFS is a folder of the copy, from which no link leads out.
type rootFS struct {
	fs.FS
	io.Closer
}

func (r rootFS) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(r.FS, name) }
func (r rootFS) ReadLink(name string) (string, error)   { return fs.ReadLink(r.FS, name) }

// checkAdded compares the changes of a source before and after: they differ by one patch at
// the end.
func checkAdded(was, is catalog.App, patch *AddedPatch) error {
	added := catalog.SourceChange{Patch: patch.File, Fixes: patch.Fixes, Origin: patch.Origin}
	before, after := changesOf(was), changesOf(is)
	before[patch.Variant] = append(slices.Clone(before[patch.Variant]), added)
	for variant, changes := range before {
		if len(changes) != len(after[variant]) || len(changes) > 0 && !reflect.DeepEqual(changes, after[variant]) {
			return fmt.Errorf("apps/%s: the edit does not add %s alone to the changes of %s: edit it by hand", is.Name, patch.File, cmp.Or(variant, "the app"))
		}
	}
	return nil
}

// changesOf returns the changes of an app's source, by variant. Those of the app itself are
// under "".
func changesOf(app catalog.App) map[string][]catalog.SourceChange {
	all := map[string][]catalog.SourceChange{"": app.Changes}
	for variant, changes := range app.VariantChanges {
		all[variant] = changes
	}
	return all
}
