package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/settings"
)

func (e *env) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema application | settings",
		Short: "Print the JSON Schema of application documents or libre.yaml",
		Long: `Print a JSON Schema 2020-12.

schema application is for the application document, which libre show -o prints
and the release record has. Its descriptions say what each field means, and what
Score, YunoHost, publiccode.yml and the OCI annotations call it.

schema settings is for libre.yaml: editors complete and check the file with it.
libre itself checks more.`,
		Example:   "  libre schema application > application.schema.json",
		ValidArgs: []string{"application", "settings"},
		RunE: func(_ *cobra.Command, args []string) error {
			schema := map[string][]byte{"application": describe.Schema, "settings": settings.Schema}
			if len(args) != 1 || schema[args[0]] == nil {
				return usageError{errors.New("expected libre schema application, or libre schema settings")}
			}
			return e.Printf("%s", schema[args[0]])
		},
	}
}
