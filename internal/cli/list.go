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
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/ui"
)

func (e *env) listCommand() *cobra.Command {
	var asJSON bool
	var o publishOptions
	cmd := &cobra.Command{
		Use:   "list [SELECTION...] | REGISTRY/APP-VARIANT",
		Short: "List the apps, their versions, components and variants",
		Long: `Lists the apps of the catalogue, all of them where nothing is selected. It reads
metadata only: no network and no package set is needed.

stdout has a line for each app: app, tag, components, variants, description.

Of a repository, REGISTRY[/NAMESPACE]/APP-VARIANT, it lists the releases that are
published there, the newest version first: tag, release or image, digest, whether it is
signed (yes, no, moved, unknown, or not asked), when, and why not. Who must have
signed is said by --key, by --identity and --issuer, or by sign in libre.yaml; that
needs no catalogue. Where nobody says it, all that is known is what each says of
itself.`,
		Example: "  libre list\n  libre list 'do*' --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, word := range args {
				if !isRepository(word) {
					continue
				}
				if len(args) > 1 {
					return usageError{fmt.Errorf("%s is a repository: list it alone", word)}
				}
				return e.listPublished(cmd.Context(), o, word, asJSON)
			}
			evaluation, err := e.metadata(cmd, args)
			if err != nil {
				return err
			}
			if asJSON {
				err = e.JSON(slices.Collect(valuesInOrder(evaluation.Apps)))
			} else {
				err = e.Table(appTable(evaluation.Apps))
			}
			if err != nil {
				return err
			}
			return e.reportBroken(evaluation)
		},
		ValidArgsFunction: e.completeSelection,
	}
	cmd.Flags().StringVar(&o.key, "key", "", "of a repository: the public key in `FILE`\n(default: sign in libre.yaml)")
	cmd.Flags().BoolVar(&o.insecure, "insecure", false, "of a repository: allow HTTP and unknown certificates")
	o.signer.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print all metadata, as JSON")
	return cmd
}

// metadata evaluates the metadata of the selected apps, of all without a
// selection.
func (e *env) metadata(cmd *cobra.Command, args []string) (*nix.Evaluation, error) {
	ws, err := e.workspace()
	if err != nil {
		return nil, err
	}
	patterns, err := ws.selection(args, len(args) == 0)
	if err != nil {
		return nil, err
	}
	catalogue, err := ws.open(cmd.Context())
	if err != nil {
		return nil, err
	}
	defer e.warnLeftOut(cmd.Context(), ws)()
	return catalogue.Evaluate(cmd.Context(), nix.Request{Patterns: patterns})
}

// warnLeftOut looks, while nix evaluates, for what nix does not see or take for an
// app; the function that it returns says it.
func (e *env) warnLeftOut(ctx context.Context, ws *workspace) func() {
	found := make(chan []string, 1)
	go func() { found <- nix.LeftOut(ctx, ws.dir) }()
	return func() {
		for _, line := range <-found {
			e.Warnf("%s", line)
		}
	}
}

// reportBroken prints the apps that could not be evaluated.
func (e *env) reportBroken(evaluation *nix.Evaluation) error {
	return e.reportWrong(evaluation.Failures, nil)
}

// reportWrong prints what is wrong with apps, by name, and with their components. What
// only may be is a warning.
func (e *env) reportWrong(failures map[string]error, defects []release.Defect) error {
	wrong := len(failures) > 0
	for _, name := range slices.Sorted(maps.Keys(failures)) {
		for problem := range strings.Lines(failures[name].Error()) {
			e.Errorf("%s", strings.TrimSpace(problem))
		}
	}
	for _, defect := range defects {
		if defect.Doubt {
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
