package cli

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/bump"
	"github.com/libresh/libre/internal/bump/propose"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/ui"
)

type hashOptions struct {
	selection []string
	all       bool
	dryRun    bool
	json      bool
}

func (e *env) hashCommand() *cobra.Command {
	var o hashOptions
	cmd := &cobra.Command{
		Use:   "hash SELECTION... | --all",
		Short: "Fill in hashes that are empty or wrong",
		Long: `Find the hashes of apps, and write those that are empty or wrong: the source's,
those in hashes, and any other in the folder of the definition, such as
npmDepsHash = "" in a package. Pin the bases of Containerfiles that have no
digest. Nothing else changes.

libre fetches the source, and builds the outputs of the other hashes, all at
once. An output that depends on another hash is built in the next round. It
edits a copy of the catalogue, and checks by evaluation that only the planned
values changed. It edits an app completely or not at all.

The package version stays as it is, unless the registry of libre.yaml has it.

libre warns if the source of a release has changed. libre build --fix-hashes
does the same for the apps that need it.

The output has one line per hash: app, attribute, hash.`,
		Example: "  libre hash docs\n  libre hash docs --dry-run\n  libre build docs --fix-hashes",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selection = args
			return e.runHash(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.all, "all", false, "select every app")
	flags.BoolVar(&o.dryRun, "dry-run", false, "change nothing; print the edits as a diff")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func (e *env) runHash(ctx context.Context, o hashOptions) error {
	ws, patterns, err := e.selected(ctx, "hash", o.selection, o.all)
	if err != nil {
		return err
	}
	defer e.warnLeftOut(ctx, ws)()
	results, err := e.fillHashes(ctx, ws, patterns, o.dryRun)
	if err != nil {
		return err
	}
	if err := e.printHashes(o, results); err != nil {
		return err
	}
	return e.reportBumps(bumpOptions{}, results)
}

// fillHashes writes the hashes of the selected apps.
func (e *env) fillHashes(ctx context.Context, ws *workspace, patterns []catalog.Pattern, dryRun bool) ([]*bump.Result, error) {
	bumper, err := ws.bumper()
	if err != nil {
		return nil, err
	}
	progress := e.Progress()
	defer progress.Close()
	bumper.Progress = func(app, doing string) { progress.Set(app, ui.State{Phase: ui.Hashing, Message: doing}) }
	bumper.Published = ws.isPublished
	write, err := e.bumpWriter(ctx, ws, bumpOptions{dryRun: dryRun}, bumper, progress)
	if err != nil {
		return nil, err
	}
	return bumper.Fill(ctx, patterns, func(result *bump.Result) (bool, error) { return write.result(ctx, result) })
}

// isPublished reports whether the registry of libre.yaml has a release of an app's current
// version.
func (ws *workspace) isPublished(ctx context.Context, app catalog.App) (bool, error) {
	if ws.settings.Registry == "" {
		return false, nil
	}
	client, err := ws.registry(registryOptions{})
	if err != nil {
		return false, err
	}
	for _, variant := range app.Variants {
		tag, err := client.Tag(app.RecordRef(variant))
		if err != nil {
			return false, err
		}
		if _, err = client.Head(ctx, tag); !errors.Is(err, registry.ErrNotFound) {
			return err == nil, mayBePublished(err)
		}
	}
	return false, nil
}

// mayBePublished adds a fix to the error of a registry that does not answer.
func mayBePublished(err error) error {
	var unanswered *fault.Fault
	if !errors.As(err, &unanswered) || unanswered.Kind != fault.Unreachable || unanswered.Fix != "" {
		return err
	}
	withFix := *unanswered
	withFix.Fix = "try again, because a version that is published needs a higher package version, or remove registry from libre.yaml for now"
	return &withFix
}

// hashResultJSON is one app of `hash --json`.
type hashResultJSON struct {
	*bump.Result
	Error string   `json:"error,omitempty"`
	Files []string `json:"files,omitempty"`
}

func (e *env) printHashes(o hashOptions, results []*bump.Result) error {
	table := ui.Table{Header: []string{"APP", "ATTRIBUTE", "HASH"}}
	list := []hashResultJSON{}
	diff := ""
	for _, r := range results {
		one := hashResultJSON{Result: r, Files: slices.Sorted(maps.Keys(r.After))}
		if r.Err != nil {
			one.Error = r.Err.Error()
		} else if len(r.Edits) == 0 && !o.json {
			e.Notef("%s: all hashes are right", r.App)
		}
		for _, edit := range r.Edits {
			table.Rows = append(table.Rows, []string{r.App, edit.Attribute, edit.New})
		}
		list = append(list, one)
		diff += propose.Diff(r.Before, r.After)
	}
	switch {
	case o.json:
		return e.JSON(list)
	case o.dryRun:
		return e.Printf("%s", diff)
	}
	return e.Table(table)
}
