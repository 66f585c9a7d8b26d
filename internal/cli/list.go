package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/ui"
)

type listOptions struct {
	selection []string
	registry  registryOptions // for a repository
	json      bool
}

func (e *env) listCommand() *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:   "list [SELECTION...] | REGISTRY/APP-VARIANT",
		Short: "List apps, or the releases in a repository",
		Long: `List the apps of the catalogue, or the selected ones. list reads metadata only:
it needs no network and no package set. The output has one line per app: app,
tag, components, variants, description.

For a repository, REGISTRY[/NAMESPACE]/APP-VARIANT, list shows the releases
that are published there, newest version first. The output has one line per
tag: tag, kind (release or image), digest, signed (yes, no, moved, unknown, or
not asked), time, and the reason if it is not signed or withdrawn.

A repository needs no catalogue: --key, --identity with --issuer, or sign in
libre.yaml, says who must have signed. Without them, list shows what the
releases say about themselves.`,
		Example: "  libre list\n  libre list 'do*' --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selection = args
			return e.runList(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.registry.addReferenceFlags(cmd, "repository")
	cmd.Flags().BoolVar(&o.json, "json", false, "print all metadata as JSON")
	return cmd
}

func (e *env) runList(ctx context.Context, o listOptions) error {
	if i := slices.IndexFunc(o.selection, isRepository); i >= 0 {
		if len(o.selection) > 1 {
			return usageError{fmt.Errorf("%s is a repository: list it alone", o.selection[i])}
		}
		return e.listPublished(ctx, o, o.selection[0])
	}
	ws, patterns, err := e.selected(ctx, "list", o.selection, len(o.selection) == 0)
	if err != nil {
		return err
	}
	defer e.warnLeftOut(ctx, ws)()
	evaluation, err := ws.evaluate(ctx, nix.Request{Patterns: patterns})
	if err != nil {
		return err
	}
	if o.json {
		err = e.JSON(slices.Collect(valuesInOrder(evaluation.Apps)))
	} else {
		err = e.Table(appTable(evaluation.Apps))
	}
	if err != nil {
		return err
	}
	return e.reportWrong(evaluation.Failures, nil)
}

// reportWrong prints errors in the definitions of apps and their components. A doubt is
// printed as a warning.
func (e *env) reportWrong(failures map[string]error, defects []state.Defect) error {
	wrong := len(failures) > 0
	for _, name := range slices.Sorted(maps.Keys(failures)) {
		for problem := range strings.Lines(failures[name].Error()) {
			e.Errorf("%s", strings.TrimSpace(problem))
		}
	}
	for _, defect := range defects {
		if defect.Found.Warning {
			e.Warnf("%s", defect)
			continue
		}
		e.Errorf("%s", defect)
		wrong = true
	}
	if wrong {
		return errReported
	}
	return nil
}

func valuesInOrder(apps map[string]catalog.App) func(func(catalog.App) bool) {
	return func(yield func(catalog.App) bool) {
		for _, name := range slices.Sorted(maps.Keys(apps)) {
			if !yield(apps[name]) {
				return
			}
		}
	}
}

func appTable(apps map[string]catalog.App) ui.Table {
	table := ui.Table{Header: []string{"APP", "TAG", "COMPONENTS", "VARIANTS", "DESCRIPTION"}}
	for app := range valuesInOrder(apps) {
		table.Rows = append(table.Rows, []string{
			app.Name,
			catalog.Tag(app.Version, app.PackageVersion),
			strings.Join(slices.Sorted(maps.Keys(app.Components)), " "),
			strings.Join(app.Variants, " "),
			app.Meta.Description,
		})
	}
	return table
}
