package cli

import (
	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/ui"
)

func (a *app) planCommand() *cobra.Command {
	var o buildOptions
	cmd := &cobra.Command{
		Use:   "plan SELECTION... | --all",
		Short: "Show what build would do, and why",
		Long: `Shows for each selected image whether it would be built and why, without building
anything: new, image key changed, or nothing to do. Keys of Containerfile images
need no network; where nixpkgs cannot be reached, the key of a Nix image is
unknown.

On a terminal a table; otherwise tab-separated: image, action, reason, key.`,
		Example: "  libre plan --all\n  libre plan docs --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, request, err := a.request(cmd.Context(), o, args, "plan")
			if err != nil {
				return err
			}
			catalogue, err := p.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.warnUntracked(p)()
			plans, evaluation, err := p.builder(catalogue, o).Plan(cmd.Context(), request)
			if err != nil {
				return err
			}
			if o.json {
				err = a.JSON(plansJSON(p.config.Registry, plans))
			} else {
				err = a.Table(planTable(plans))
			}
			if err != nil {
				return err
			}
			return a.reportBroken(evaluation)
		},
		ValidArgsFunction: a.completeSelection,
	}
	o.add(cmd)
	return cmd
}

func planTable(plans []release.Plan) ui.Table {
	table := ui.Table{Header: []string{"IMAGE", "ACTION", "REASON", "KEY"}}
	for _, p := range plans {
		key := p.Key
		if len(key) > 19 {
			key = key[:19]
		}
		table.Rows = append(table.Rows, []string{p.ID.String(), p.Action, p.Reason, key})
	}
	return table
}

// planJSON is one image of `plan --json`.
type planJSON struct {
	Image     string `json:"image"` // app/component/variant
	Reference string `json:"reference"`
	Action    string `json:"action"` // build or nothing
	Reason    string `json:"reason"`
	Key       string `json:"key,omitempty"` // absent where it is unknown
}

func plansJSON(registry string, plans []release.Plan) []planJSON {
	list := []planJSON{}
	for _, p := range plans {
		list = append(list, planJSON{p.ID.String(), reference(registry, p.RefName), p.Action, p.Reason, p.Key})
	}
	return list
}
