package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/ui"
)

func (a *app) planCommand() *cobra.Command {
	var o buildOptions
	var to publishOptions
	cmd := &cobra.Command{
		Use:   "plan SELECTION... | --all",
		Short: "Show what build or push would do, and why",
		Long: `Shows for each selected image what would be done and why, without doing it. Keys
of Containerfile images need no network; where nixpkgs cannot be reached, the
key of a Nix image is unknown.

Without a registry, what build would do: build, or nothing. With one (--to, or
registry in libre.yaml), what push would do, for all systems of the catalogue:

  build    it is new, or its image key changed
  push     it is built, and not published
  sign     it is published, and not signed by this catalogue
  tag      a tag is missing
  refuse   it is published with another image key under the same tag: raise the
           package version
  nothing  it is published
  fail     it cannot be built: its definition is wrong

What is wrong with a definition is said, also where the image is built without
that part of it; exit code 1 then.

stdout has a line for each image: image, action, reason, key.`,
		Example: "  libre plan --all\n  libre plan docs --to registry.example/lasuite --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, request, err := a.request(cmd.Context(), o, args, "plan")
			if err != nil {
				return err
			}
			plans, evaluation, err := a.plans(cmd.Context(), p, o, to, request)
			if err != nil {
				return err
			}
			defects, err := release.Defects(cmd.Context(), p.nix, evaluation.Images)
			if err != nil {
				return err
			}
			defects = release.MarkDefects(plans, defects)
			if o.json {
				err = a.JSON(plansJSON(p.config.Registry, plans))
			} else {
				err = a.Table(planTable(plans))
			}
			if err != nil {
				return err
			}
			return a.reportWrong(evaluation.Failures, defects)
		},
		ValidArgsFunction: a.completeSelection,
	}
	o.add(cmd)
	to.add(cmd)
	return cmd
}

// plans asks the registry too, where there is one.
func (a *app) plans(ctx context.Context, p *place, o buildOptions, to publishOptions, request nix.Request) ([]release.Plan, *nix.Evaluation, error) {
	if _, err := p.registries(to); err != nil && len(to.to) == 0 {
		defer a.warnLeftOut(ctx, p)()
		catalogue, err := p.open(ctx)
		if err != nil {
			return nil, nil, err
		}
		return p.builder(catalogue, o).Plan(ctx, request)
	}
	to.output = o.output
	publisher, err := a.publisher(ctx, p, to)
	if err != nil {
		return nil, nil, err
	}
	if publisher.Signing, err = p.signing(ctx, to, publisher.Registry, false); err != nil {
		a.Warnf("signatures are not looked at: %s", err)
	}
	publisher.Watcher = &buildWatcher{app: a}
	return publisher.Plan(ctx, request)
}

func planTable(plans []release.Plan) ui.Table {
	table := ui.Table{Header: []string{"IMAGE", "ACTION", "REASON", "KEY"}}
	for _, p := range plans {
		key := p.Key
		if len(key) > 19 {
			key = key[:19]
		}
		table.Rows = append(table.Rows, []string{p.ID.String(), string(p.Action), p.Reason, key})
	}
	return table
}

// planJSON is one image of `plan --json`.
type planJSON struct {
	Image     string `json:"image"` // app/component/variant
	Reference string `json:"reference"`
	Action    string `json:"action"` // build, push, sign, tag, refuse, nothing or fail
	Reason    string `json:"reason"`
	Key       string `json:"key,omitempty"` // absent where it is unknown
}

func plansJSON(registry string, plans []release.Plan) []planJSON {
	list := []planJSON{}
	for _, p := range plans {
		list = append(list, planJSON{p.ID.String(), reference(registry, p.RefName), string(p.Action), p.Reason, p.Key})
	}
	return list
}
