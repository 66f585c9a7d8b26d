package cli

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/bump"
	"github.com/libresh/libre/internal/bump/propose"
	"github.com/libresh/libre/internal/patch"
	"github.com/libresh/libre/internal/ui"
)

type patchOptions struct {
	fixes            []string
	variant          string
	allowUnreachable bool
	json             bool
	commit           commitFlag
	write            bumpOptions // dryRun, build and pr
}

// commitFlag is --commit, which commits the edit, and --commit DIGITS, which takes the patch
// from a commit of the source's repository.
type commitFlag struct {
	edit   bool
	digits string
}

// Type is that of a flag whose value is optional.
func (c *commitFlag) Type() string   { return "bool" }
func (c *commitFlag) String() string { return c.digits }

// Set takes "true" for --commit alone.
func (c *commitFlag) Set(value string) error {
	if value == "true" {
		c.edit = true
		return nil
	}
	place := patch.ParsePlace(value)
	if place.Commit == "" {
		return errors.New("expected nothing, or at least 7 digits of a commit's ID")
	}
	c.digits = place.Commit
	return nil
}

func (e *env) patchCommand() *cobra.Command {
	var o patchOptions
	cmd := &cobra.Command{
		Use:   "patch APP FILE|URL|COMMIT --fixes ID",
		Short: "Patch a vulnerability before upstream releases",
		Long: `Add a patch to an app, and raise its package version. The patch is stored in the
catalogue as apps/APP/patches/ID.patch, and listed in patches of the definition
with the vulnerabilities that it fixes and its origin. The SBOM and the VEX
statements take them from there. Nothing else changes: libre edits a copy of the
catalogue, and checks by evaluation that only the planned values changed.

libre tries the patch on the source, with the app's other changes, in every
variant. If it does not apply, libre names the file and the hunk, and changes
nothing. bump says when upstream has the patch, and bump --drop-applied removes
it.

The patch is a file, an https URL of a patch, or a commit of the source's
repository: its URL, or at least 7 digits of its ID, also as --commit DIGITS.
libre reads a commit with git, and records all 40 digits. It refuses a commit
that no branch or tag of that repository leads to, because forges also show the
commits of forks and pull requests under upstream's address. If you have read
the commit and trust it, add --allow-unreachable.

A patch may change text files inside of the source only. libre refuses links,
submodules, binary files, renames, private addresses and patches of more than 4
MiB.

--fixes gives the vulnerability, such as CVE-2026-1234, GHSA-4xqx-pqpj-9fqw,
GO-2026-1234 or PYSEC-2026-12; it may be repeated. The first one names the file.
libre also prints the vulnerabilities that the patch's text mentions. These are
proposals: anybody can write a text, so libre records none of them.

--variant patches one variant only. --dry-run prints the edits as a diff.
--commit makes a commit. --pr changes no files here, but opens a pull request
from the branch libre/APP-ID of origin, which later updates of the app leave
alone. Tokens are those of bump.`,
		Example: `  libre patch docs https://github.com/suitenumerique/docs/commit/4f2a9c1 --fixes CVE-2026-1234
  libre patch docs --commit 4f2a9c1 --fixes CVE-2026-1234 --build
  libre patch docs fix.patch --fixes CVE-2026-1234,GHSA-4xqx-pqpj-9fqw --commit
  libre patch docs fix.patch --fixes CVE-2026-1234 --variant lyon --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			add, err := o.parse(e.args, args)
			if err != nil {
				return usageError{err}
			}
			return e.runPatch(cmd.Context(), o, add)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.fixes, "fixes", nil, "the vulnerability `ID` that the patch fixes; can be repeated")
	flags.StringVar(&o.variant, "variant", "", "patch the variant `NAME` only")
	flags.BoolVar(&o.allowUnreachable, "allow-unreachable", false, "take a commit that no branch or tag of the source's repository leads to")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	flags.BoolVar(&o.write.dryRun, "dry-run", false, "change nothing; print the edits as a diff")
	flags.BoolVar(&o.write.build, "build", false, "build the app")
	flags.Var(&o.commit, "commit", "commit the edit; with `DIGITS`, take the patch from that commit of the source's repository")
	flags.Lookup("commit").NoOptDefVal = "true"
	flags.BoolVar(&o.write.pr, "pr", false, "open a pull request; change nothing here")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "pr")
	cmd.ValidArgsFunction = e.completePatch
	return cmd
}

// parse checks the arguments before anything is evaluated. given are those of the whole
// command line: pflag takes --commit DIGITS for --commit and another argument.
func (o *patchOptions) parse(given, args []string) (bump.NewPatch, error) {
	add := bump.NewPatch{Variant: o.variant}
	if at := slices.Index(given, "--commit"); at >= 0 && len(args) == 2 && args[1] == slices.Concat(given, []string{""})[at+1] {
		if err := o.commit.Set(args[1]); err == nil {
			o.commit.edit, args = slices.Contains(given[at+1:], "--commit"), args[:1]
		}
	}
	if o.commit.digits != "" {
		args = append(args, o.commit.digits)
	}
	if len(args) != 2 {
		return add, errors.New("expected an app and a patch: libre patch APP FILE|URL|COMMIT --fixes ID")
	}
	switch {
	case o.commit.edit && o.write.dryRun:
		return add, errors.New("--commit and --dry-run: give one of them, not both")
	case o.commit.edit && o.write.pr:
		return add, errors.New("--commit and --pr: give one of them, not both")
	}
	o.write.commit = o.commit.edit
	add.App, add.From = args[0], patch.ParsePlace(args[1])
	add.From.AllowUnreachable = o.allowUnreachable
	var err error
	add.Fixes, err = patch.ParseIDs(o.fixes)
	return add, err
}

func (e *env) runPatch(ctx context.Context, o patchOptions, add bump.NewPatch) error {
	ws, err := e.workspace()
	if err != nil {
		return err
	}
	defer e.warnLeftOut(ctx, ws)()
	bumper, err := ws.bumper()
	if err != nil {
		return err
	}
	progress := e.Progress()
	defer progress.Close()
	bumper.Progress = func(app, doing string) { progress.Set(app, ui.State{Phase: ui.Patching, Message: doing}) }
	write, err := e.bumpWriter(ctx, ws, o.write, bumper, progress)
	if err != nil {
		return err
	}
	result, err := bumper.Patch(ctx, add, func(result *bump.Result) (bool, error) { return write.result(ctx, result) })
	progress.Close()
	if err != nil {
		return err
	}
	if err := e.printPatched(o, result); err != nil {
		return err
	}
	if err := e.reportBumps(o.write, []*bump.Result{result}); err != nil {
		return err
	}
	for _, id := range result.Patch.Mentions {
		e.Notef("%s: the text of the patch mentions %s: --fixes %s if the patch fixes it", result.App, id, id)
	}
	if o.write.build && !o.write.dryRun && !o.write.pr {
		return e.buildBumped(ctx, []*bump.Result{result})
	}
	return nil
}

// patchResultJSON is the output of `patch --json`.
type patchResultJSON struct {
	*bump.Result
	Outcome string   `json:"outcome"` // patched or dry-run
	Files   []string `json:"files"`
}

func (e *env) printPatched(o patchOptions, result *bump.Result) error {
	outcome := "patched"
	if o.write.dryRun {
		outcome = "dry-run"
	}
	switch {
	case o.json:
		return e.JSON(patchResultJSON{result, outcome, slices.Sorted(maps.Keys(result.After))})
	case o.write.dryRun:
		return e.Printf("%s", propose.Diff(result.Before, result.After))
	}
	row := []string{result.App, result.From.String(), result.To.String(), strings.Join(result.Patch.Fixes, ","), result.Patch.File}
	return e.Table(ui.Table{Header: []string{"APP", "FROM", "TO", "FIXES", "PATCH"}, Rows: [][]string{row}})
}

// completePatch completes the app, and then files.
func (e *env) completePatch(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return e.completeOne(1)(cmd, args, typed)
}
