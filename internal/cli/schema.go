package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/describe"
)

func (e *env) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema application",
		Short: "Print the JSON Schema of the application document",
		Long: `Print the JSON Schema 2020-12 of the application document, which libre show -o
prints and the release record has. Its descriptions say what each field means,
and what Score, YunoHost, publiccode.yml and the OCI annotations call it.`,
		Example:   "  libre schema application > application.schema.json",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: []string{"application"},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] != "application" {
				return usageError{fmt.Errorf("expected libre schema application")}
			}
			return e.Printf("%s", describe.Schema)
		},
	}
}
