package cli

import (
	"fmt"
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
		RunE:  func(cmd *cobra.Command, args []string) error { return e.Printf("%s\n", versionText()) },
	}
}

// versionText: libre 0.1.0 (7f3a1d79aa01), catalogue schema 1.
func versionText() string {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				revision = " (" + setting.Value[:min(12, len(setting.Value))] + ")"
			}
		}
	}
	return fmt.Sprintf("libre %s%s, catalogue schema %d", version, revision, catalog.Schema)
}
