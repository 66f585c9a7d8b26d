package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/bump"
	"github.com/libresh/libre/internal/ui"
)

type newVariantOptions struct {
	app, variant string
	stdout       bool
	json         bool
}

func (e *env) newVariantCommand() *cobra.Command {
	var o newVariantOptions
	cmd := &cobra.Command{
		Use:   "variant APP/NAME",
		Short: "Add a variant to an app",
		Long: `Add a variant to the definition of an app: variants.NAME, a function from the
app to the app, with an empty list of patches. Nothing else changes: libre edits
a copy of the catalogue, and checks by evaluation that only the variant is new.

libre edit then unpacks the source into a folder, and saves what you change
there as a patch of the variant.

The output has one line per file.`,
		Example: "  libre new variant docs/lyon\n  libre new variant docs/lyon --stdout",
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			app, variant, found := strings.Cut(args[0], "/")
			if !found || app == "" || variant == "" || strings.Contains(variant, "/") {
				return usageError{fmt.Errorf("%s: expected APP/NAME, such as docs/lyon", args[0])}
			}
			o.app, o.variant = app, variant
			return e.runNewVariant(cmd.Context(), o)
		},
		ValidArgsFunction: e.completePatch,
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.stdout, "stdout", false, "print the definition, and write nothing")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	cmd.MarkFlagsMutuallyExclusive("stdout", "json")
	return cmd
}

func (e *env) runNewVariant(ctx context.Context, o newVariantOptions) error {
	ws, err := e.workspace()
	if err != nil {
		return err
	}
	bumper, err := ws.bumper()
	if err != nil {
		return err
	}
	progress := e.Progress()
	defer progress.Close()
	progress.Set(o.app, ui.State{Phase: ui.Looking, Message: "adding the variant " + o.variant})
	result, err := bumper.AddVariant(ctx, o.app, o.variant)
	progress.Close()
	if err != nil {
		return err
	}
	files := slices.Sorted(maps.Keys(result.After))
	if o.stdout {
		return e.Printf("%s", result.After[files[0]])
	}
	if err := bump.Install(ws.dir, result.Before, result.After); err != nil {
		return err
	}
	if o.json {
		err = e.JSON(newVariantJSON{o.app, o.variant, files})
	} else {
		err = e.Printf("%s\n", files[0])
	}
	e.Notef("next: libre edit %s --variant %s unpacks its source into a folder; libre edit --save there keeps what you change as a patch", o.app, o.variant)
	return err
}

// newVariantJSON is the result of `new variant --json`.
type newVariantJSON struct {
	App     string   `json:"app"`
	Variant string   `json:"variant"`
	Files   []string `json:"files"` // that were changed, in the catalogue
}
