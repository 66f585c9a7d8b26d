package cli

import (
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
)

// version is that of the next release, until its tag sets it: -ldflags
// "-X …/internal/cli.version=1.2.3". nix/program.nix reads it here.
var version = "0.1.0"

func (e *env) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, and the catalogue schema that it reads",
		Args:  takes(0, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			revision := ""
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, setting := range info.Settings {
					if setting.Key == "vcs.revision" {
						revision = " (" + setting.Value[:min(12, len(setting.Value))] + ")"
					}
				}
			}
			return e.Printf("libre %s%s, catalogue schema %d\n", version, revision, catalog.Schema)
		},
	}
}
