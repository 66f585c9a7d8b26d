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
		Short: "Follow upstream: new versions, hashes and package versions",
		Long: `Asks upstream for its versions, decides by each app's update rule which one to
take, and edits the definition: version, package version 1, source hash and
date, and every dependent hash, which builds tell. Only these literals change,
and a version never goes down. An app is edited as a whole or not at all: the
edit is made in a copy of the catalogue first, which must evaluate to what was
planned.

Patches and substitutions are tried against the new source first. stderr tells
what a reviewer would look for: licence, lock files, runtimes, migrations,
settings. Where upstream's Containerfile moves a base to another tag, its pin in
bases moves too, with the digest that the new tag has.

A newer version that the rule does not let through is named: "held: 0.40.4 needs
go 1.27", "held: 6.0.0 outside of update.range minor". "up to date" is said only
where nothing higher exists, prereleases aside.

--check, --explain and --dry-run change nothing. --check ends with exit code 10
if something is outdated; an app that is held is not. --explain lists upstream's
versions with a verdict on each. --dry-run prints the edits as a diff.

Instead of upstream's version, --repack raises the package version alone: a
rebuild for security. --hashes-only mends dependent hashes that an updated input
made wrong. --inputs, of the whole catalogue, updates flake.lock and the digests
and tags of base images, and writes those that are missing; --input updates one flake
input alone. All raise the package version of the apps that change by it.

--commit makes a commit of each app. --pr leaves the catalogue as it is, and
opens a pull request for each app, from the branch libre/APP of origin: updated
when a newer version comes or the base moves, closed when there is nothing left
to do, not opened again for a version that somebody closed. --group makes one of
all. Tokens are GH_TOKEN or GITHUB_TOKEN, FORGEJO_TOKEN with FORGEJO_SERVER_URL,
or for any host access-tokens of nix.conf and ~/.netrc.

stdout has a line for each app: app, from, to, result.`,
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
	flags.BoolVar(&o.check, "check", false, "change nothing; exit code 10 if something is outdated")
	flags.BoolVar(&o.explain, "explain", false, "change nothing; list the versions with their verdicts")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	flags.BoolVar(&o.dryRun, "dry-run", false, "change nothing; print the edits as a diff")
	flags.BoolVar(&o.repack, "repack", false, "raise the package version, and nothing else")
	flags.BoolVar(&o.dropApplied, "drop-applied", false, "remove patches that the new source has already")
	flags.BoolVar(&o.build, "build", false, "then build the apps that were bumped")
	flags.BoolVar(&o.commit, "commit", false, "commit the edit of each app")
	flags.BoolVar(&o.pr, "pr", false, "open a pull request for each app, change nothing here")
	flags.StringVar(&o.group, "group", "", "one pull request for all, from the branch libre/`NAME`")
	flags.BoolVar(&o.inputs, "inputs", false, "update all flake inputs, and digests of base images")
	flags.StringSliceVar(&o.input, "input", nil, "update the flake input `NAME` only; may be repeated")
	flags.BoolVar(&o.hashesOnly, "hashes-only", false, "find the dependent hashes anew")
	cmd.MarkFlagsMutuallyExclusive("check", "explain", "repack", "inputs", "input", "hashes-only")
	cmd.MarkFlagsMutuallyExclusive("check", "explain", "dry-run", "commit", "pr")
}

func (e *env) runBump(ctx context.Context, o bumpOptions) error {
	if o.group != "" && !o.pr {
		return usageError{errors.New("--group is for --pr")}
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
	write, err := e.bumpWriter(ctx, ws, o, bumper)
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

// bumper is what finds and edits versions in the catalogue.
func (ws *workspace) bumper() (*bump.Bumper, error) {
	client, err := ws.upstream()
	if err != nil {
		return nil, err
	}
	bases, err := registry.NewReader(ws.clientOptions(false))
	return &bump.Bumper{Nix: ws.nix, Dir: ws.dir, PackageSet: ws.packageSet, Upstream: client, BaseDigest: bases.Digest, Now: time.Now()}, err
}

// outcome says in a few words what became of an app.
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

// reportBumps prints what a reviewer should know and what failed, and says how the
// run ends.
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
			e.Warnf("%s: %s has an update that is not committed", r.App, strings.Join(r.Uncommitted, ", "))
		}
		for _, proof := range r.Proofs {
			if proof.Verdict != review.Applies && !proof.Breaks() {
				e.Warnf("%s: %s", r.App, proof)
			}
		}
		for _, finding := range r.Findings {
			e.Notef("%s: %s: %s", r.App, finding.Kind, finding)
		}
		if r.Err != nil {
			failed++
			e.Errorf("%s: %s", r.App, strings.ReplaceAll(r.Err.Error(), "\n", "; "))
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
		return someFailed{"apps", failed, len(results)}
	case outdated > 0 && o.check:
		return someOutdated{outdated, len(results)}
	}
	return nil
}

// buildBumped builds the apps that have another version now.
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
	Outcome string            `json:"outcome"`
	Error   string            `json:"error,omitempty"`
	Files   []string          `json:"files,omitempty"`
	Links   map[string]string `json:"links,omitempty"`
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

// someOutdated says that upstream has what the catalogue has not.
type someOutdated struct{ count, of int }

func (e someOutdated) Error() string { return fmt.Sprintf("%d of %d apps are outdated", e.count, e.of) }
