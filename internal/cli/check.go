package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/ui"
)

type checkOptions struct {
	selection []string
	registry  registryOptions
	json      bool
}

func (e *env) checkCommand() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check [SELECTION...]",
		Short: "Check that releases can be published",
		Long: `Compare the catalogue, or the selected releases, with what is published, before
a change is merged. These are problems:

  - an image has another key than the one published under the same tag
  - a version is lower than the newest published version
  - a Containerfile has a base image that is not pinned by digest
  - licenses in libre.yaml refuses a component of an image that is built; images
    that are not built are named

check fetches the sources of Containerfile components that are not in the Nix
store, to read their base images. It builds nothing, and needs no private key.

Exit code 1 if there is a problem. The output has one line per problem:
app/variant or app/component, problem, fix.`,
		Example: "  libre check --to registry.example/lasuite\n  libre check docs --key cosign.pub",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selection = args
			return e.runCheck(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.registry.addFlags(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	e.addSummary(cmd)
	return cmd
}

func (e *env) runCheck(ctx context.Context, o checkOptions) error {
	ws, patterns, err := e.selected(ctx, "check", o.selection, len(o.selection) == 0)
	if err != nil {
		return err
	}
	reader, err := e.reader(ctx, ws, o.registry)
	if err != nil {
		return err
	}
	problems, err := reader.Check(ctx, nix.Request{Patterns: patterns})
	if err == nil && ws.settings.Licenses.IsSet() {
		var refused []state.Problem
		refused, err = e.checkLicenses(ctx, ws, patterns)
		problems = append(problems, refused...)
	}
	table := ui.Table{Header: []string{"RELEASE", "PROBLEM", "FIX"}, Sentences: []int{1, 2}}
	for _, problem := range problems {
		table.Rows = append(table.Rows, []string{problem.Name, problem.What, problem.Fix})
	}
	switch {
	case o.json:
		err = errors.Join(err, e.JSON(append([]state.Problem{}, problems...)))
	case len(problems) > 0:
		err = errors.Join(err, e.Table(table))
	}
	if err == nil && len(problems) > 0 {
		err = fmt.Errorf("problems found: %d", len(problems))
	}
	return err
}

// checkLicenses checks the licenses of the images that are built.
func (e *env) checkLicenses(ctx context.Context, ws *workspace, patterns []catalog.Pattern) ([]state.Problem, error) {
	evaluation, err := ws.evaluate(ctx, nix.Request{Patterns: patterns, AllSystems: true})
	if err != nil {
		return nil, err
	}
	builder, err := ws.builder(ctx, "")
	if err != nil {
		return nil, err
	}
	if builder.Files, err = ws.scanner(); err != nil {
		return nil, err
	}
	defer builder.Files.Close()
	builder.Watcher = &buildWatcher{env: e}
	built, missing, err := builder.BuiltImages(evaluation)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		e.Warnf("licenses are checked of built images only; %s", notBuilt(missing))
	}
	var problems []state.Problem
	for _, image := range built {
		id := image.Target.ID
		document, err := builder.SBOM(ctx, builder.Output, image.Target, image.Index, image.Manifest, version)
		if ctx.Err() != nil {
			return problems, ctx.Err()
		}
		if err != nil {
			problems = append(problems, state.Problem{Name: id.String(), What: "its licenses are unknown: " + fault.Reason(err), Fix: cmp.Or(fault.Fix(err), "libre build "+id.String())})
			continue
		}
		if err := refusedLicenses(&ws.settings.Licenses, id, document); err != nil {
			problems = append(problems, state.Problem{Name: id.String(), What: fault.Reason(err), Fix: fault.Fix(err)})
		}
	}
	return problems, nil
}

// notBuilt names images that a command leaves out because they are not built, and says how
// to build them.
func notBuilt(images []catalog.ID) string {
	var names []string
	for _, id := range images {
		names = append(names, id.String())
	}
	return "not built: " + text.Enumerate(names, ", ", 10) + "; build them with libre build --all"
}
