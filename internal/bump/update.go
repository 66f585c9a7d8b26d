package bump

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/bump/review"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/nixedit"
	"github.com/libresh/libre/internal/upstream"
)

// repack plans the edit of a package version.
func (c *checkout) repack(app catalog.App) (edits, step, error) {
	to := step{version: app.Version, packageVersion: app.PackageVersion + 1}
	planned, err := c.setPackageVersion(app, to.packageVersion)
	return planned, to, err
}

// setPackageVersion edits a package version, with other changes of the same file.
func (c *checkout) setPackageVersion(app catalog.App, n int, more ...nixedit.Change) (edits, error) {
	number, err := nixedit.Integer(n)
	if err != nil {
		return nil, err
	}
	planned := edits{"packageVersion": number}
	changes, err := planned.changes(app)
	if err != nil {
		return nil, err
	}
	return planned, c.edit(append(changes, more...)...)
}

// rehash plans the edit of hashes that differ from those that builds find. There is no plan
// if none differ.
func (b *Bumper) rehash(ctx context.Context, c *checkout, app catalog.App) (edits, step, error) {
	planned, to := edits{}, step{version: app.Version, packageVersion: app.PackageVersion}
	for _, attribute := range hashAttributes(app) {
		unknown, err := nixedit.Hash(unknownHash(app.Name, attribute))
		if err != nil {
			return nil, to, err
		}
		planned[attribute] = unknown
	}
	changes, err := planned.changes(app)
	if err == nil {
		err = c.edit(changes...)
	}
	if err == nil {
		err = b.findHashes(ctx, c, app, planned, nil)
	}
	if err != nil {
		return nil, to, err
	}
	changed, err := c.changed()
	if err != nil || len(changed) == 0 {
		return nil, to, err
	}
	is, _, err := b.derivations(ctx, c, app.Name) // the attributes' places now
	if err != nil {
		return nil, to, err
	}
	raised, to, err := c.repack(is)
	planned["packageVersion"] = raised["packageVersion"]
	return planned, to, err
}

// update edits an app in the copy for the chosen version.
func (b *Bumper) update(ctx context.Context, c *checkout, result *Result, outlook *Candidates) (edits, step, error) {
	app, decision := outlook.App, outlook.Decision
	to := step{
		version: decision.Version, packageVersion: decision.PackageVersion,
		tag: decision.Tag, commit: decision.Commit,
	}
	if decision.Release != nil {
		to.date = day(decision.Release.Date)
	}
	result.Links = outlook.Finder.Links(app.Source.Revision, decision.Tag)
	before, unknown := b.images(ctx, c, app.Name)
	url := result.Links.Archive
	if app.Source.Archive != "" {
		var err error
		if to.archive, err = b.archiveAfter(ctx, c, app, to); err != nil {
			return nil, to, err
		}
		url = to.archive
	}
	archive, err := b.source(ctx, app, url, to.tag, to.commit)
	if err != nil {
		return nil, to, err
	}
	var dropped []nixedit.Change
	if archive != nil {
		defer archive.Close()
		if err := compareArchive(archive, app, decision, &to); err != nil {
			return nil, to, err
		}
		result.warnOfArchive(archive)
		if dropped, err = b.review(ctx, c, result, app, archive); err != nil {
			return nil, to, err
		}
	}
	if app.Source.Git != "" { // it is fetched during the evaluation: no build finds the hash
		if to.hash, err = b.Nix.GitHash(ctx, app.Source.Git, to.commit); err != nil {
			return nil, to, err
		}
	}
	planned, err := b.write(ctx, c, app, to, dropped)
	if err != nil {
		return nil, to, err
	}
	if hash, ok := planned["source.hash"]; ok && hash.String() == app.Source.Hash {
		return nil, to, sameSource(app, decision)
	}
	if len(pinsOf(app)) > 0 {
		moved, err := b.followBases(ctx, c, result, app.Name, before)
		if err != nil {
			return nil, to, err
		}
		planned = withEdits(planned, moved)
	}
	if unknown != nil {
		result.Warnings = append(result.Warnings, "the downloads of its images are not compared: "+unknown.Error())
		return planned, to, nil
	}
	return planned, to, b.checkFetched(ctx, c, app, before, planned, to)
}

// write edits an app in the copy for a step, and finds the hashes that need builds.
func (b *Bumper) write(ctx context.Context, c *checkout, app catalog.App, to step, dropped []nixedit.Change) (edits, error) {
	planned, err := c.edits(app, to)
	if err != nil {
		return nil, err
	}
	changes, err := planned.changes(app)
	if err != nil {
		return nil, err
	}
	if err := c.edit(append(changes, dropped...)...); err != nil {
		return nil, err
	}
	for _, drop := range dropped {
		if err := c.removeDropped(drop); err != nil {
			return nil, err
		}
	}
	return planned, b.findHashes(ctx, c, app, planned, nil)
}

// warnOfArchive adds warnings about an archive.
func (r *Result) warnOfArchive(archive *upstream.Archive) {
	for _, lack := range archive.Lacks {
		r.Warnings = append(r.Warnings, "the archive lacks "+lack)
	}
	for _, file := range archive.ExportSubst {
		r.Warnings = append(r.Warnings, file+" has export-subst: two archives of one commit may differ")
	}
}

// compareArchive compares an archive's commit with the tag's, and reads its date.
func compareArchive(archive *upstream.Archive, app catalog.App, decision *Decision, to *step) error {
	if archive.Commit != "" && decision.Commit != "" && archive.Commit != decision.Commit {
		return fmt.Errorf("the archive of %s is of commit %s, the tag is at %s: try again later", decision.Tag, archive.Commit, decision.Commit)
	}
	if archive.Hash == app.Source.Hash {
		return sameSource(app, decision)
	}
	to.hash = archive.Hash
	if to.commit == "" {
		to.commit = archive.Commit
	}
	if to.date == "" && !archive.Date.IsZero() {
		to.date = archive.Date.UTC().Format(time.DateOnly)
	}
	return nil
}

// sameSource refuses a version with the same source as the current one.
func sameSource(app catalog.App, decision *Decision) error {
	return fmt.Errorf("%s has the same source as %s: there is nothing to update", decision.Tag, app.Source.Revision)
}

// review tries the app's changes on the new source, and compares it with the old one. A
// change that no longer applies ends the update; a failed comparison is a warning. It
// returns the edits that drop what upstream has.
func (b *Bumper) review(ctx context.Context, c *checkout, result *Result, app catalog.App, after fs.FS) ([]nixedit.Change, error) {
	var before fs.FS
	if old := b.oldSource(ctx, result, app); old != nil {
		defer old.Close()
		before = old
	}
	changes, err := b.sourceChanges(ctx, c, app)
	if err != nil {
		return nil, err
	}
	if result.PatchChecks, err = review.CheckChanges(ctx, before, after, changes); err != nil {
		return nil, err
	}
	var dropped []nixedit.Change
	var broken []error
	for i, check := range result.PatchChecks {
		switch {
		case check.Verdict == review.InUpstream && b.DropApplied:
			drop, err := dropPatch(app, check)
			if err != nil {
				broken = append(broken, err)
			}
			dropped = append(dropped, drop)
			result.PatchChecks[i].Verdict = review.Dropped
		case check.Verdict == review.InUpstream:
			broken = append(broken, fmt.Errorf("%s: --drop-applied removes it", check))
		case check.Breaks():
			broken = append(broken, errors.New(check.String()))
		}
	}
	if len(broken) > 0 {
		return nil, errors.Join(broken...)
	}
	if before != nil {
		result.Findings, err = review.Review(review.Sources{
			Before: before, After: after, OldVersion: result.From.Version, Version: result.To.Version,
			Containerfiles: containerfiles(app),
		})
	}
	return dropped, err
}

// oldSource fetches the app's current source, nil if it is unavailable.
func (b *Bumper) oldSource(ctx context.Context, result *Result, app catalog.App) *upstream.Archive {
	finder, err := b.Upstream.Open(sourceOf(app.Source))
	if err != nil {
		return nil
	}
	if app.Source.Kind == "github" && app.Source.Tag == "" {
		return nil // a commit without a tag
	}
	archive, err := b.source(ctx, app, cmp.Or(app.Source.Archive, finder.Links("", app.Source.Revision).Archive), app.Source.Revision, app.Source.Rev)
	if err != nil {
		result.Warnings = append(result.Warnings, "not compared with the current source: "+err.Error())
		return nil
	}
	return archive
}

// source fetches a version of an app's source, nil if only Nix can.
func (b *Bumper) source(ctx context.Context, app catalog.App, url, version, commit string) (*upstream.Archive, error) {
	b.progress(app.Name, "fetching "+version)
	switch {
	case app.Source.GoModule != "":
		return b.Upstream.ModuleArchive(ctx, app.Source.GoModule, version)
	case url != "":
		archive, err := b.Upstream.Archive(ctx, url)
		if errors.Is(err, upstream.ErrArchiveFormat) {
			return nil, nil // a build finds its hash
		}
		return archive, err
	case app.Source.Git != "":
		return b.Upstream.GitArchive(ctx, app.Source.Git, commit)
	}
	return nil, nil
}

// archiveAfter is the URL of a step's packed source as Nix will fetch it: as the edited
// copy evaluates. Afterwards the copy is as before.
func (b *Bumper) archiveAfter(ctx context.Context, c *checkout, app catalog.App, to step) (string, error) {
	planned, err := c.edits(app, to)
	if err != nil {
		return "", err
	}
	changes, err := planned.changes(app)
	if err != nil {
		return "", err
	}
	if err := c.edit(changes...); err != nil {
		return "", err
	}
	evaluation, err := b.evaluate(ctx, c.copy, nix.Request{Patterns: onlyApp(app.Name)})
	if err != nil {
		return "", err
	}
	if err := evaluation.Failures[app.Name]; err != nil {
		return "", fmt.Errorf("apps/%s: after the edit: %w", app.Name, err)
	}
	is := evaluation.Apps[app.Name]
	if err := cmp.Or(checkArchive(app, is, to), checkPatches(app, is)); err != nil {
		return "", err
	}
	return is.Source.Archive, c.settle(false)
}

// sourceChanges reads the catalogue's changes to an app's source.
func (b *Bumper) sourceChanges(ctx context.Context, c *checkout, app catalog.App) ([]review.Change, error) {
	var all []review.Change
	add := func(variant string, changes []catalog.SourceChange) error {
		for _, change := range changes {
			switch {
			case change.Patch != "":
				patch, err := b.patch(ctx, c, change.Patch)
				if err != nil {
					return err
				}
				all = append(all, review.Change{Variant: variant, Kind: review.PatchChange, Name: change.Patch, Patch: patch})
			case change.Add != "":
				all = append(all, review.Change{Variant: variant, Kind: review.AddChange, File: change.File, Added: filepath.Join(c.copy, change.Add)})
			default:
				for _, from := range slices.Sorted(maps.Keys(change.Replace)) {
					all = append(all, review.Change{Variant: variant, Kind: review.SubstituteChange, File: change.File, From: from, To: change.Replace[from]})
				}
			}
		}
		return nil
	}
	if err := add("", app.Changes); err != nil {
		return nil, err
	}
	for _, variant := range slices.Sorted(maps.Keys(app.VariantChanges)) {
		if err := add(variant, app.VariantChanges[variant]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// maxPatch is the size in bytes of the largest patch that libre tries.
const maxPatch = 64 << 20

// patch reads a patch of the catalogue, or fetches one.
func (b *Bumper) patch(ctx context.Context, c *checkout, place string) ([]byte, error) {
	if !strings.Contains(place, "://") {
		return c.read(place)
	}
	body, err := b.Upstream.Get(ctx, place)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(body, maxPatch+1))
	if err == nil && len(content) > maxPatch {
		err = fmt.Errorf("it has more than %d bytes", maxPatch)
	}
	if err != nil {
		return nil, fmt.Errorf("fetching the patch %s: %w", place, err)
	}
	return content, nil
}

// containerfiles are those that the app's components are built from.
func containerfiles(app catalog.App) []review.ContainerfileUse {
	var all []review.ContainerfileUse
	for _, name := range slices.Sorted(maps.Keys(app.Components)) {
		if c := app.Components[name]; c.Containerfile != "" {
			all = append(all, review.ContainerfileUse{Path: c.Containerfile, Target: c.Target})
		}
	}
	return all
}
