package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/bump"
	"github.com/libresh/libre/internal/bump/propose"
	"github.com/libresh/libre/internal/bump/review"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/ui"
)

type bumpOptions struct {
	selection   []string
	all         bool
	check       bool
	explain     bool
	json        bool
	dryRun      bool
	repack      bool
	dropApplied bool
	build       bool
	commit      bool
	pr          bool
	group       string
	inputs      bool
	input       []string
	hashesOnly  bool
}

func (e *env) bumpCommand() *cobra.Command {
	var o bumpOptions
	cmd := &cobra.Command{
		Use:   "bump SELECTION... | --all",
		Short: "Update apps to upstream's versions",
		Long: `Find upstream's new versions, choose one by each app's update rule, and edit
the definition: version, package version (1), source hash and date, and
dependent hashes, which are found by building. Nothing else changes, and a
version never goes down. libre edits a copy of the catalogue, and checks by
evaluation that only the planned values changed. It edits an app completely or
not at all.

libre also tries patches and substitutions on the new source. It notes on
stderr what a reviewer should look at: licence, lock files, runtimes,
migrations and settings. If upstream's Containerfile moves a base to another
tag, the pin in bases moves too, to the digest of the new tag.

If the rule excludes a newer version, the result names it: "held: 0.40.4 needs
go 1.27", "held: 6.0.0 outside of update.range minor". "up to date" means that
there is no higher version, except prereleases.

--check, --explain and --dry-run change nothing. --check exits with code 10 if
an app is outdated; an app that is held is not. --explain lists upstream's
versions with a verdict on each. --dry-run prints the edits as a diff.

These take no version from upstream:

  --repack       raise the package version only: a rebuild for security
  --hashes-only  correct dependent hashes after an input was updated
  --inputs       update flake.lock, and the digests and tags of base images, for
                 the whole catalogue; add digests that are missing
  --input NAME   update one flake input

All of them raise the package version of the apps that change.

--commit makes a commit for each app. --pr changes no files here, but opens a
pull request for each app, from the branch libre/APP of origin. libre updates
it when a newer version comes or the base branch moves, closes it when nothing
is left to do, and does not open it again for a version that somebody closed.
Those of --repack and --hashes-only come from libre/APP-repack and
libre/APP-hashes, and a new version does not close them.
--group makes one pull request for all apps. With --build, a pull request has
the comparison of libre diff with the newest published release. Tokens are
GH_TOKEN or GITHUB_TOKEN, FORGEJO_TOKEN with FORGEJO_SERVER_URL, GITLAB_TOKEN
with GITLAB_HOST unless it is for gitlab.com, or, for any host, access-tokens of
nix.conf and ~/.netrc.

The output has one line per app: app, from, to, result.`,
		Example: "  libre bump docs\n  libre bump docs --explain\n  libre bump --all --check\n  libre bump docs --build --commit\n  libre bump --repack docs\n  libre bump --all --pr\n  libre bump @lasuite --pr --group lasuite\n  libre bump --inputs --commit\n  libre bump --input nixpkgs",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selection = args
			return e.runBump(cmd.Context(), o)
		},
	}
	o.addFlags(cmd)
	cmd.ValidArgsFunction = e.completeSelection
	e.addSummary(cmd)
	return cmd
}

func (o *bumpOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&o.all, "all", false, "select every app")
	flags.BoolVar(&o.check, "check", false, "change nothing; exit with code 10 if an app is outdated")
	flags.BoolVar(&o.explain, "explain", false, "change nothing; list upstream's versions with verdicts")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	flags.BoolVar(&o.dryRun, "dry-run", false, "change nothing; print the edits as a diff")
	flags.BoolVar(&o.repack, "repack", false, "raise the package version only")
	flags.BoolVar(&o.dropApplied, "drop-applied", false, "remove patches that the new source contains")
	flags.BoolVar(&o.build, "build", false, "build the apps that changed; with --pr, compare them with what is published")
	flags.BoolVar(&o.commit, "commit", false, "commit the edit of each app")
	flags.BoolVar(&o.pr, "pr", false, "open a pull request for each app; change nothing here")
	flags.StringVar(&o.group, "group", "", "open one pull request for all apps, from the branch libre/`NAME`")
	flags.BoolVar(&o.inputs, "inputs", false, "update all flake inputs, and digests of base images")
	flags.StringSliceVar(&o.input, "input", nil, "update the flake input `NAME`; can be repeated")
	flags.BoolVar(&o.hashesOnly, "hashes-only", false, "correct dependent hashes only")
	cmd.MarkFlagsMutuallyExclusive("check", "explain", "repack", "inputs", "input", "hashes-only")
	cmd.MarkFlagsMutuallyExclusive("check", "explain", "dry-run", "commit", "pr")
}

func (e *env) runBump(ctx context.Context, o bumpOptions) error {
	if o.group != "" && !o.pr {
		return usageError{errors.New("--group needs --pr")}
	}
	ws, err := e.workspace()
	if err != nil {
		return err
	}
	defer e.warnLeftOut(ctx, ws)()
	bumper, err := ws.bumper()
	if err != nil {
		return err
	}
	bumper.DropApplied = o.dropApplied
	progress := e.Progress()
	defer progress.Close()
	bumper.Progress = func(app, doing string) { progress.Set(app, ui.State{Phase: ui.Bumping, Message: doing}) }
	write, err := e.bumpWriter(ctx, ws, o, bumper, progress)
	if err != nil {
		return err
	}
	if o.inputs || len(o.input) > 0 {
		return e.bumpInputs(ctx, o, bumper, write, progress)
	}
	_, patterns, err := e.selected(ctx, "bump", o.selection, o.all)
	if err != nil {
		return err
	}
	accept := func(result *bump.Result) (bool, error) {
		keep, err := write.result(ctx, result)
		if err == nil {
			progress.Set(result.App, ui.State{Phase: ui.Done, Message: result.From.String() + " → " + result.To.String()})
		}
		return keep, err
	}
	results, err := o.edit(ctx, bumper, patterns, accept)
	if err == nil {
		err = write.finish(ctx, results)
	}
	progress.Close()
	if err := errors.Join(e.printBumped(o, results), err); err != nil {
		return err
	}
	if err := e.reportBumps(o, results); err != nil {
		return err
	}
	if o.build && !o.dryRun && !o.pr {
		return e.buildBumped(ctx, results)
	}
	return nil
}

// edit finds versions and edits the selected apps, as the options say.
func (o bumpOptions) edit(ctx context.Context, bumper *bump.Bumper, patterns []catalog.Pattern, accept func(*bump.Result) (bool, error)) ([]*bump.Result, error) {
	switch {
	case o.check || o.explain:
		return bumper.Check(ctx, patterns)
	case o.repack:
		return bumper.Repack(ctx, patterns, accept)
	case o.hashesOnly:
		return bumper.Rehash(ctx, patterns, accept)
	}
	return bumper.Bump(ctx, patterns, accept)
}

// bumper finds and edits versions in the catalogue.
func (ws *workspace) bumper() (*bump.Bumper, error) {
	client, err := ws.upstream()
	if err != nil {
		return nil, err
	}
	bases := registry.NewReader(ws.clientOptions(false))
	return &bump.Bumper{Nix: ws.nix, Dir: ws.dir, PackageSet: ws.packageSet, Upstream: client, BaseDigest: bases.Digest, Now: time.Now()}, nil
}

// bumpOutcome returns the result of an app in a few words.
func bumpOutcome(o bumpOptions, r *bump.Result) string {
	switch {
	case r.Err != nil:
		return "failed"
	case r.Outdated() && (o.check || o.explain):
		return "outdated"
	case r.Outdated() && o.dryRun:
		return "dry-run"
	case r.Outdated() && r.From.Version == r.To.Version:
		return "repacked"
	case r.Outdated():
		return "bumped"
	case o.hashesOnly:
		return "up to date"
	case r.Decision == nil && !o.hashesOnly:
		return "not followed: " + r.NotFollowed
	case r.Decision != nil && r.Decision.Kind == bump.Held:
		return "held: " + r.Decision.Reason
	}
	return "up to date"
}

func (e *env) printBumped(o bumpOptions, results []*bump.Result) error {
	switch {
	case o.json:
		return e.JSON(bumpJSON(o, results))
	case o.explain:
		return e.explain(results)
	case o.dryRun:
		for _, r := range results {
			if r.Err == nil && !r.Outdated() {
				e.Notef("%s %s: %s", r.App, r.From, bumpOutcome(o, r))
			}
			if err := e.Printf("%s", propose.Diff(r.Before, r.After)); err != nil {
				return err
			}
		}
		return nil
	}
	table := ui.Table{Header: []string{"APP", "FROM", "TO", "RESULT"}, Sentences: []int{3}, Style: func(column int, cell string) ui.Style {
		return map[string]ui.Style{"bumped": ui.OK, "repacked": ui.OK, "outdated": ui.Warn, "failed": ui.Error, "up to date": ui.Dim}[cell]
	}}
	for _, r := range results {
		table.Rows = append(table.Rows, []string{r.App, r.From.String(), r.To.String(), bumpOutcome(o, r)})
	}
	return e.Table(table)
}

// explain prints each app's candidates.
func (e *env) explain(results []*bump.Result) error {
	for _, r := range results {
		if r.Decision == nil {
			if r.NotFollowed != "" {
				e.Notef("%s %s: not followed: %s", r.App, r.From, r.NotFollowed)
			}
			continue
		}
		e.Notef("%s %s: %s", r.App, r.From, explainedDecision(r.Decision))
		header, rows := r.Decision.Table()
		if err := e.Table(ui.Table{Header: header, Rows: rows, Sentences: []int{len(header) - 1}}); err != nil {
			return err
		}
	}
	return nil
}

func explainedDecision(d *bump.Decision) string {
	switch d.Kind {
	case bump.NewVersion:
		return "take " + d.Version
	case bump.Moved:
		return d.Reason
	case bump.Held:
		return "held: " + d.Reason
	}
	return d.Reason
}

// reportBumps prints what a reviewer should know and what failed. Its error decides the
// exit code.
func (e *env) reportBumps(o bumpOptions, results []*bump.Result) error {
	failed, outdated := 0, 0
	var refused error
	for _, r := range results {
		for _, warning := range r.Warnings {
			e.Warnf("%s: %s", r.App, warning)
		}
		if r.Outdated() && r.Err == nil && r.Decision != nil && r.Decision.HeldBack != "" {
			e.Notef("%s: held: %s", r.App, r.Decision.HeldBack)
		}
		if len(r.Uncommitted) > 0 && r.Err == nil {
			e.Warnf("%s: %s has an uncommitted update", r.App, strings.Join(r.Uncommitted, ", "))
		}
		for _, proof := range r.PatchChecks {
			if proof.Verdict != review.Applies && !proof.Breaks() {
				e.Warnf("%s: %s", r.App, proof)
			}
		}
		for _, finding := range r.Findings {
			e.Notef("%s: %s: %s", r.App, finding.Kind, finding)
		}
		if r.Err != nil {
			failed++
			e.Errorf("%s: %s", r.App, strings.ReplaceAll(fault.OfDisk(r.Err).Error(), "\n", "; "))
			if exitCode(r.Err) == exitCredentials {
				refused = r.Err
			}
		} else if r.Outdated() {
			outdated++
		}
	}
	switch {
	case refused != nil:
		return refused
	case failed > 0:
		return someFailed(failedOf(failed, len(results), "app"))
	case outdated > 0 && o.check:
		return someOutdated{outdated, len(results)}
	}
	return nil
}

// buildBumped builds the apps whose version changed.
func (e *env) buildBumped(ctx context.Context, results []*bump.Result) error {
	var names []string
	for _, r := range results {
		if r.Err == nil && r.Outdated() {
			names = append(names, r.App)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return e.runBuild(ctx, buildOptions{images: imageOptions{selection: names}, jobs: runtime.NumCPU()})
}

// bumpResultJSON is one app of `bump --json`.
type bumpResultJSON struct {
	*bump.Result
	Outcome string            `json:"outcome"` // bumped, repacked, outdated, dry-run, up to date, failed; or "held: …" and "not followed: …" with the reason
	Error   string            `json:"error,omitempty"`
	Files   []string          `json:"files,omitempty"`
	Links   map[string]string `json:"links,omitempty"` // URLs of upstream: release, compare
}

func bumpJSON(o bumpOptions, results []*bump.Result) []bumpResultJSON {
	list := []bumpResultJSON{}
	for _, r := range results {
		entry := bumpResultJSON{Result: r, Outcome: bumpOutcome(o, r), Files: slices.Sorted(maps.Keys(r.After)), Links: map[string]string{}}
		if r.Err != nil {
			entry.Error = r.Err.Error()
		}
		for name, link := range map[string]string{"release": r.Links.Release, "compare": r.Links.Compare} {
			if link != "" {
				entry.Links[name] = link
			}
		}
		list = append(list, entry)
	}
	return list
}

// someOutdated is the error of --check if upstream has newer versions.
type someOutdated struct{ count, of int }

func (e someOutdated) Error() string { return fmt.Sprintf("%d of %d apps are outdated", e.count, e.of) }
