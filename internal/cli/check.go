package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/ui"
)

func (e *env) checkCommand() *cobra.Command {
	var o publishOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check [SELECTION...]",
		Short: "Find what could not be published, before it is merged",
		Long: `Compares the catalogue, or the selected releases, with what is published. It is
a problem if an image has another key than the one that is published under the
same tag, or if a version is lower than the newest one that is published. Every
base image of a Containerfile must be pinned by digest: for that the sources of
Containerfile components are fetched, if the store does not have them.

Nothing is built, and no private key is needed. Exit code 1 where there is a
problem. stdout has a line for each: app/variant or app/component, what is
wrong, what to type.`,
		Example: "  libre check --to registry.example/lasuite\n  libre check docs --key cosign.pub",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			_, publisher, patterns, err := e.reader(ctx, o, args, len(args) == 0, "check")
			if err != nil {
				return err
			}
			publisher.Watcher = &buildWatcher{env: e}
			problems, err := publisher.Check(ctx, nix.Request{Patterns: patterns})
			table := ui.Table{Header: []string{"RELEASE", "PROBLEM", "TYPE"}, Sentences: []int{1, 2}}
			for _, problem := range problems {
				table.Rows = append(table.Rows, []string{problem.Name, problem.What, problem.Mend})
			}
			switch {
			case asJSON:
				err = errors.Join(err, e.JSON(append([]release.Problem{}, problems...)))
			case len(problems) > 0:
				err = errors.Join(err, e.Table(table))
			}
			if err == nil && len(problems) > 0 {
				err = fmt.Errorf("problems found: %d", len(problems))
			}
			return err
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	e.addSummary(cmd)
	return cmd
}
