package bump

import (
	"context"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/nixedit"
	"github.com/libresh/libre/internal/upstream"
)

// Fill finds the hashes of the selected apps that are empty or wrong, and pins bases without
// a digest: the source's hash by fetching it, the others by building. The package version
// rises only if it is published. accept gets the result of each app that changes, as with
// Bump.
func (b *Bumper) Fill(ctx context.Context, patterns []catalog.Pattern, accept func(*Result) (keep bool, err error)) ([]*Result, error) {
	evaluation, names, err := b.selected(ctx, patterns)
	if err != nil {
		return nil, err
	}
	var results []*Result
	for _, name := range names {
		at := Version{evaluation.Apps[name].Version, evaluation.Apps[name].PackageVersion}
		results = append(results, &Result{App: name, From: at, To: at, Err: evaluation.Failures[name], filling: true})
	}
	return results, b.each(ctx, results, evaluation.Apps, accept, func(c *checkout, result *Result) (edits, step, error) {
		planned, to, err := b.fill(ctx, c, result, evaluation.Apps[result.App])
		result.filling = len(planned) > 0
		return planned, to, err
	})
}

// fill finds an app's hashes and missing pins in the copy. There is no plan if all are right.
func (b *Bumper) fill(ctx context.Context, c *checkout, result *Result, app catalog.App) (edits, step, error) {
	to := step{version: app.Version, packageVersion: app.PackageVersion}
	planned, err := b.sourceHash(ctx, result, app)
	if err != nil {
		return nil, to, err
	}
	app, others, err := c.withOtherHashes(app)
	if err != nil {
		return nil, to, err
	}
	result.former = others
	for _, attribute := range slices.Concat(hashAttributes(app), slices.Collect(maps.Keys(others))) {
		if planned[attribute], err = nixedit.Hash(unknownHash(app.Name, attribute)); err != nil {
			return nil, to, err
		}
	}
	changes, err := planned.changes(app)
	if err == nil {
		err = c.edit(changes...)
	}
	if err == nil {
		err = b.findHashes(ctx, c, app, planned, others)
	}
	if err != nil {
		return nil, to, err
	}
	pins, err := b.pinBases(ctx, c, result)
	if err != nil {
		return nil, to, err
	}
	planned = withEdits(planned, pins)
	changed, err := c.changed()
	if err != nil || len(changed) == 0 {
		return nil, to, err
	}
	return b.raiseIfPublished(ctx, c, result, app, planned)
}

// sourceHash plans the edit of the source's hash, if that is not right: an unknown one, if
// only a build can find it.
func (b *Bumper) sourceHash(ctx context.Context, result *Result, app catalog.App) (edits, error) {
	planned := edits{}
	if app.Source == nil || app.Source.Kind == "path" {
		return planned, nil
	}
	hash, err := b.currentHash(ctx, app)
	if err != nil {
		return nil, fmt.Errorf("finding the hash of the source: %w", err)
	}
	if hash != "" && hash == app.Source.Hash {
		return planned, nil
	}
	if hash != "" && app.Source.Hash != "" {
		result.Warnings = append(result.Warnings, fmt.Sprintf(
			"source.hash was %s: if it was right for %s, upstream has replaced that release, so look at what changed", app.Source.Hash, app.Source.Revision))
	}
	planned["source.hash"], err = nixedit.Hash(orUnknown(hash, app.Name, "source.hash"))
	return planned, err
}

// currentHash returns the hash of the source as the definition names it, or "" if a build
// has to find it.
func (b *Bumper) currentHash(ctx context.Context, app catalog.App) (string, error) {
	if app.Source.Git != "" { // it is fetched during the evaluation
		b.progress(app.Name, "fetching "+app.Source.Rev)
		return b.Nix.GitHash(ctx, app.Source.Git, app.Source.Rev)
	}
	archive, err := b.currentArchive(ctx, app)
	if err != nil || archive == nil {
		return "", err
	}
	defer archive.Close()
	return archive.Hash, checkCommit(app, archive)
}

// checkCommit refuses an archive that is of another commit than the definition says.
func checkCommit(app catalog.App, archive *upstream.Archive) error {
	if archive.Commit == "" || app.Source.Commit == "" || archive.Commit == app.Source.Commit {
		return nil
	}
	return fmt.Errorf("%s is commit %s, but source.commit is %s: upstream moved the tag, or source.commit is another version's; correct it, or remove it",
		app.Source.Revision, archive.Commit, app.Source.Commit)
}

// withOtherHashes adds the places of hashes that are written in the definition's folder and
// are no attributes of mkApp, such as npmDepsHash of a package. others are their values by
// attribute, which has file and line: apps/docs/default.nix:12.npmDepsHash.
func (c *checkout) withOtherHashes(app catalog.App) (_ catalog.App, others map[string]string, err error) {
	others = map[string]string{}
	if app.Positions["version"] == nil {
		return app, others, nil
	}
	literals, err := c.hashLiterals(path.Dir(app.Positions["version"].File))
	if err != nil {
		return app, nil, err
	}
	known := map[catalog.Position]bool{}
	for attribute, at := range app.Positions {
		if at == nil || !filepath.IsLocal(at.File) {
			continue
		}
		content, err := c.read(at.File)
		if err != nil {
			return app, nil, err
		}
		if found, err := nixedit.Find(content, nixedit.Attribute{Path: attribute, At: *at}); err == nil {
			known[found.Literal] = true
		}
	}
	positions := maps.Clone(app.Positions)
	for _, literal := range literals {
		if known[literal.Literal] {
			continue
		}
		attribute := fmt.Sprintf("%s:%d.%s", literal.At.File, literal.At.Line, literal.Path)
		for n := 2; positions[attribute] != nil; n++ {
			attribute = fmt.Sprintf("%s:%d#%d.%s", literal.At.File, literal.At.Line, n, literal.Path)
		}
		positions[attribute], others[attribute] = &literal.At, literal.Text
	}
	app.Positions = positions
	return app, others, nil
}

// hashLiterals are the hashes in the Nix files of a folder of the copy.
func (c *checkout) hashLiterals(folder string) ([]nixedit.HashLiteral, error) {
	files, err := filepath.Glob(filepath.Join(c.copy, folder, "*.nix"))
	if err != nil {
		return nil, err
	}
	var all []nixedit.HashLiteral
	for _, file := range files {
		name := path.Join(folder, filepath.Base(file))
		content, err := c.read(name)
		if err != nil {
			return nil, err
		}
		literals, err := nixedit.Hashes(name, content)
		if err != nil {
			return nil, err
		}
		all = append(all, literals...)
	}
	return all, nil
}

// pinBases pins the bases of an app's Containerfiles that have no pin, in the copy. What
// cannot be pinned is a warning.
func (b *Bumper) pinBases(ctx context.Context, c *checkout, result *Result) (edits, error) {
	evaluation, err := b.evaluate(ctx, c.copy, nix.Request{Patterns: onlyApp(result.App), AllSystems: true})
	if err != nil || evaluation.Failures[result.App] != nil {
		return nil, err // the app's own errors are found by the final check
	}
	warn := func(format string, args ...any) {
		result.Warnings = append(result.Warnings, fmt.Sprintf(format, args...))
	}
	used, err := b.readPins(ctx, result.App, evaluation.Images, warn)
	if err != nil {
		return nil, err
	}
	digests, err := b.baseDigests(ctx, result.App, used.missing)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		warn("its bases are not pinned: %v; libre hash %s pins them later", err, result.App)
		return nil, nil
	}
	written, err := c.writePins(evaluation.Apps, used.missing, digests)
	for _, refused := range written.refused {
		warn("%s", refused)
	}
	return written.planned[result.App], err
}

// raiseIfPublished raises the package version in the copy, if what it names is published:
// tags never change their content.
func (b *Bumper) raiseIfPublished(ctx context.Context, c *checkout, result *Result, app catalog.App, planned edits) (edits, step, error) {
	to := step{version: app.Version, packageVersion: app.PackageVersion}
	if b.Published == nil {
		return planned, to, nil
	}
	published, err := b.Published(ctx, app)
	if err != nil && ctx.Err() == nil {
		result.Warnings = append(result.Warnings, fmt.Sprintf("cannot tell whether %s is published: %v; if it is, raise the package version with libre bump --repack %s", result.From, err, app.Name))
	}
	if err != nil || !published {
		return planned, to, ctx.Err()
	}
	is, _, err := b.derivations(ctx, c, app.Name) // the attributes' places now
	if err != nil {
		return nil, to, err
	}
	raised, to, err := c.repack(is)
	result.To.PackageVersion = to.packageVersion
	return withEdits(planned, raised), to, err
}
