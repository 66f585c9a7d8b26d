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
	asJSON := false
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version, and the catalogue schema that it reads",
		Example: "  libre version --json",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			if asJSON {
				return e.JSON(thisVersion())
			}
			return e.Printf("%s\n", thisVersion())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// versionJSON is the result of `version --json`.
type versionJSON struct {
	Version  string `json:"version"`            // of libre
	Revision string `json:"revision,omitempty"` // commit that it was built from, if the build knew it
	Schema   int    `json:"catalogueSchema"`    // version of the flake's output that it reads
}

func thisVersion() versionJSON {
	this := versionJSON{Version: version, Schema: catalog.Schema}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				this.Revision = setting.Value
			}
		}
	}
	return this
}

// String: libre 0.1.0 (7f3a1d79aa01), catalogue schema 1.
func (v versionJSON) String() string {
	revision := ""
	if v.Revision != "" {
		revision = " (" + v.Revision[:min(12, len(v.Revision))] + ")"
	}
	return fmt.Sprintf("libre %s%s, catalogue schema %d", v.Version, revision, v.Schema)
}
