package bump

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/libresh/libre/internal/bump/review"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/upstream"
)

// Bumper updates the apps of a catalogue.
type Bumper struct {
	Nix         *nix.Nix
	Dir         string // the catalogue
	PackageSet  string
	Upstream    *upstream.Client
	BaseDigest  func(ctx context.Context, reference string) (string, error) // what a base image's tag points to now
	Now         time.Time
	Progress    func(app, doing string) // may be called from several goroutines
	DropApplied bool                    // remove patches that upstream has

	// Published reports whether a release of this version and package version is published;
	// nil if there is no registry.
	Published func(ctx context.Context, app catalog.App) (bool, error)
}

// Version is an app's version and its package version.
type Version struct {
	Version        string `json:"version"`
	PackageVersion int    `json:"packageVersion"`
}

func (v Version) String() string { return catalog.Tag(v.Version, v.PackageVersion) }

// Result is the outcome for one app.
type Result struct {
	App         string              `json:"app"`
	From        Version             `json:"from"` // the version before
	To          Version             `json:"to"`   // equal to from if there is nothing to do
	Decision    *Decision           `json:"decision,omitempty"`
	Edits       []Edit              `json:"edits,omitempty"`
	PatchChecks []review.PatchCheck `json:"proofs,omitempty"`   // patches and other changes, checked against the new source
	Findings    []review.Finding    `json:"findings,omitempty"` // what a reviewer should look at
	Warnings    []string            `json:"warnings,omitempty"`

	Patch *AddedPatch `json:"patch,omitempty"` // that was added

	rebuild string            // repack or hashes, if no version of upstream is looked for
	filling bool              // hashes are looked for, whatever the versions are
	former  map[string]string // values before, of attributes that are no metadata

	NotFollowed string `json:"notFollowed,omitempty"` // why there is no request to upstream

	Uncommitted []string `json:"uncommitted,omitempty"` // files with an earlier edit of libre that was never committed, if there is nothing else to do

	finder upstream.Finder
	Links  upstream.Links    `json:"-"`
	Before map[string][]byte `json:"-"` // changed files, by path in the catalogue
	After  map[string][]byte `json:"-"`
	Err    error             `json:"-"`

	Was, Is    catalog.App `json:"-"` // before and after
	Copy       string      `json:"-"` // folder of the edited catalogue, while the result is accepted
	Comparison string      `json:"-"` // for a pull request: Markdown of compare; set by who accepts the result
}

// Outdated reports whether there is something to do.
func (r *Result) Outdated() bool { return r.From != r.To || r.filling }

// Check decides what to do with the selected apps. It changes nothing.
func (b *Bumper) Check(ctx context.Context, patterns []catalog.Pattern) ([]*Result, error) {
	evaluation, err := b.evaluate(ctx, b.Dir, nix.Request{Patterns: catalog.All})
	if err != nil {
		return nil, err
	}
	return b.CheckEvaluated(ctx, evaluation, patterns)
}

// CheckEvaluated does what Check does, for apps that were evaluated already.
func (b *Bumper) CheckEvaluated(ctx context.Context, evaluation *nix.Evaluation, patterns []catalog.Pattern) ([]*Result, error) {
	results, _, err := b.look(ctx, evaluation, patterns)
	return results, err
}

// look decides for the selected apps, in order.
func (b *Bumper) look(ctx context.Context, evaluation *nix.Evaluation, patterns []catalog.Pattern) ([]*Result, map[string]*Candidates, error) {
	names, err := catalog.Select(patterns, evaluation.Names)
	if err != nil {
		return nil, nil, err
	}
	var results []*Result
	apps := map[string]catalog.App{}
	for _, name := range names {
		app := evaluation.Apps[name]
		at := Version{app.Version, app.PackageVersion}
		results = append(results, &Result{App: name, From: at, To: at, Err: evaluation.Failures[name]})
		if evaluation.Failures[name] == nil {
			apps[name] = app
		}
	}
	outlooks := Find(ctx, b.Upstream, apps, evaluation.Apps, b.Now)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	edited := findUncommitted(ctx, b.Dir)
	for _, result := range results {
		outlook := outlooks[result.App]
		if outlook == nil {
			continue
		}
		if result.Err = outlook.Err; isUnknown(result.Err) {
			result.NotFollowed, result.Err = result.Err.Error(), nil
		}
		result.finder = outlook.Finder
		if outlook.MovedTo != "" {
			result.Warnings = append(result.Warnings, "upstream has moved to "+outlook.MovedTo+": change source")
		}
		if decision := outlook.Decision; decision != nil {
			result.Decision = decision
			result.Warnings = append(result.Warnings, decision.Warnings...)
			if decision.Kind == NewVersion || decision.Kind == Moved {
				result.To = Version{decision.Version, decision.PackageVersion}
			}
		}
		if !result.Outdated() {
			result.Uncommitted = edited.files(apps[result.App])
		}
	}
	return results, outlooks, nil
}

// Bump updates the selected apps to the versions that Check would choose. It edits each app
// in a copy of the catalogue and calls accept with the result, one app at a time. accept
// decides whether the copy keeps the result for the apps that follow. If an app fails, its
// files are unchanged and the others go on.
func (b *Bumper) Bump(ctx context.Context, patterns []catalog.Pattern, accept func(*Result) (keep bool, err error)) ([]*Result, error) {
	evaluation, err := b.evaluate(ctx, b.Dir, nix.Request{Patterns: catalog.All})
	if err != nil {
		return nil, err
	}
	results, outlooks, err := b.look(ctx, evaluation, patterns)
	if err != nil {
		return nil, err
	}
	followed := map[string]*Result{} // what the apps follow, by app
	for _, result := range results {
		if outlook := outlooks[result.App]; outlook != nil {
			followed[result.App] = resultOf(results, outlook.Follow)
		}
	}
	return results, b.each(ctx, afterFollowed(results, followed), evaluation.Apps, accept, func(c *checkout, result *Result) (edits, step, error) {
		if other := followed[result.App]; other != nil && other.Err != nil {
			return nil, step{}, fmt.Errorf("update.follow: the update of %s failed", other.App)
		}
		return b.update(ctx, c, result, outlooks[result.App])
	})
}

// resultOf returns the result of an app, nil if there is none.
func resultOf(results []*Result, app string) *Result {
	at := slices.IndexFunc(results, func(r *Result) bool { return r.App == app })
	if at < 0 {
		return nil
	}
	return results[at]
}

// afterFollowed orders results so that each comes after the one that it follows.
func afterFollowed(results []*Result, followed map[string]*Result) []*Result {
	depth := func(r *Result) (steps int) {
		for next := followed[r.App]; next != nil && steps < len(results); next = followed[next.App] {
			steps++
		}
		return steps
	}
	return slices.SortedStableFunc(slices.Values(results), func(a, b *Result) int { return depth(a) - depth(b) })
}

// Repack increases the package version of the selected apps, for a rebuild.
func (b *Bumper) Repack(ctx context.Context, patterns []catalog.Pattern, accept func(*Result) (bool, error)) ([]*Result, error) {
	return b.raisePackageVersions(ctx, "repack", patterns, accept, func(c *checkout, app catalog.App) (edits, step, error) { return c.repack(app) })
}

// Rehash finds the dependent hashes of the selected apps again by building, since an
// updated input may change them, and increases the package version.
func (b *Bumper) Rehash(ctx context.Context, patterns []catalog.Pattern, accept func(*Result) (bool, error)) ([]*Result, error) {
	return b.raisePackageVersions(ctx, "hashes", patterns, accept, func(c *checkout, app catalog.App) (edits, step, error) { return b.rehash(ctx, c, app) })
}

// selected evaluates the catalogue, and returns the names of the selected apps, too.
func (b *Bumper) selected(ctx context.Context, patterns []catalog.Pattern) (*nix.Evaluation, []string, error) {
	evaluation, err := b.evaluate(ctx, b.Dir, nix.Request{Patterns: catalog.All})
	if err != nil {
		return nil, nil, err
	}
	names, err := catalog.Select(patterns, evaluation.Names)
	return evaluation, names, err
}

// raisePackageVersions increases the package version of the selected apps.
func (b *Bumper) raisePackageVersions(ctx context.Context, rebuild string, patterns []catalog.Pattern, accept func(*Result) (bool, error),
	edit func(*checkout, catalog.App) (edits, step, error)) ([]*Result, error) {
	evaluation, names, err := b.selected(ctx, patterns)
	if err != nil {
		return nil, err
	}
	var results []*Result
	for _, name := range names {
		app := evaluation.Apps[name]
		results = append(results, &Result{
			App: name, Err: evaluation.Failures[name], rebuild: rebuild,
			From: Version{app.Version, app.PackageVersion}, To: Version{app.Version, app.PackageVersion + 1},
		})
	}
	edited := findUncommitted(ctx, b.Dir)
	return results, b.each(ctx, results, evaluation.Apps, accept, func(c *checkout, result *Result) (edits, step, error) {
		planned, to, err := edit(c, evaluation.Apps[result.App])
		if err == nil && planned == nil {
			result.To, result.Uncommitted = result.From, edited.files(evaluation.Apps[result.App])
		}
		return planned, to, err
	})
}

// each edits one app after the other in a copy of the catalogue, and evaluates the result.
func (b *Bumper) each(ctx context.Context, results []*Result, apps map[string]catalog.App,
	accept func(*Result) (bool, error), edit func(*checkout, *Result) (edits, step, error)) error {
	if !slices.ContainsFunc(results, func(r *Result) bool { return r.Err == nil && r.Outdated() }) {
		return nil
	}
	c, err := newCheckout(ctx, b.Dir)
	if err != nil {
		return unreached(results, err)
	}
	defer c.remove()
	apps = maps.Clone(apps)
	for i, result := range results {
		if result.Err != nil || !result.Outdated() {
			continue
		}
		after, err := b.one(ctx, c, result, apps, edit)
		kept := false
		if err == nil && result.Outdated() {
			kept, err = accept(result)
		}
		if result.Err = err; err != nil {
			kept = false
		} else if kept {
			apps = after
		}
		if err := cmp.Or(ctx.Err(), c.settle(kept)); err != nil {
			return unreached(results[i+1:], err)
		}
	}
	return nil
}

// markUnreached marks the apps that a run did not get to; their files are unchanged.
func unreached(results []*Result, err error) error {
	for _, result := range results {
		if result.Err == nil && result.Outdated() {
			result.Err = err
		}
	}
	return err
}

// one edits one app in the copy, and checks that the result is as planned.
func (b *Bumper) one(ctx context.Context, c *checkout, result *Result, apps map[string]catalog.App,
	edit func(*checkout, *Result) (edits, step, error)) (map[string]catalog.App, error) {
	b.progress(result.App, result.From.String()+" → "+result.To.String())
	planned, to, err := edit(c, result)
	if err != nil || !result.Outdated() {
		return apps, err
	}
	evaluation, err := b.evaluate(ctx, c.copy, nix.Request{Patterns: catalog.All})
	if err != nil {
		return nil, err
	}
	if err := evaluation.Failures[result.App]; err != nil {
		return nil, fmt.Errorf("apps/%s: after the edit: %w", result.App, err)
	}
	if err := checkChanged(apps, evaluation.Apps, result.App, planned, to); err != nil {
		return nil, err
	}
	if result.After, err = c.changed(); err != nil {
		return nil, err
	}
	result.Before = map[string][]byte{}
	for name := range result.After {
		result.Before[name] = c.original[name]
	}
	result.Was, result.Is, result.Copy = apps[result.App], evaluation.Apps[result.App], c.copy
	was, err := flat(apps[result.App])
	if err != nil {
		return nil, err
	}
	for _, attribute := range slices.Sorted(maps.Keys(planned)) {
		if old, now := cmp.Or(was[attribute], result.former[attribute]), planned[attribute].String(); old != now {
			result.Edits = append(result.Edits, Edit{attribute, old, now})
		}
	}
	return evaluation.Apps, nil
}

// evaluate evaluates a catalogue, or a copy of one.
func (b *Bumper) evaluate(ctx context.Context, dir string, request nix.Request) (*nix.Evaluation, error) {
	catalogue, err := b.Nix.OpenCatalogue(ctx, dir, b.PackageSet)
	if err != nil {
		return nil, err
	}
	return catalogue.Evaluate(ctx, request)
}

func (b *Bumper) progress(app, doing string) {
	if b.Progress != nil {
		b.Progress(app, doing)
	}
}
