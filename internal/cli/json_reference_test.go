package cli

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/compare"
	"github.com/libresh/libre/internal/doctor"
	"github.com/libresh/libre/internal/history"
	"github.com/libresh/libre/internal/release/prune"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/ui"
)

// jsonResults has, by command, what --json prints: a value of its type, and what it is.
// docs/json.md is made of it, with the types' comments:
// UPDATE_GOLDEN=1 go test ./internal/cli -run TestJSON
var jsonResults = []struct {
	command, is string
	value       any
}{
	{"build", "An entry for each selected image.", []resultJSON{}},
	{"bump", "An entry for each selected app.", []bumpResultJSON{}},
	{"check", "An entry for each problem.", []state.Problem{}},
	{"diff", "What changes from one release to the other.", compare.Comparison{}},
	{"doctor", "An entry for each check.", []doctor.Check{}},
	{"edit", "The folder that was made.", editJSON{}},
	{"edit", "With `--save`: the patch that was saved.", savedJSON{}},
	{"find", "An entry for each component that was found, in each image.", []foundJSON{}},
	{"gc", "What can be removed from this machine, or was.", gcJSON{}},
	{"hash", "An entry for each selected app.", []hashResultJSON{}},
	{"init", "The catalogue that was made, or the workflows that were added.", initJSON{}},
	{"keygen", "The key pair that was made.", keygenJSON{}},
	{"licenses", "An entry for each component and licence.", []licenseRow{}},
	{"list", "An entry for each app of the catalogue.", []catalog.App{}},
	{"list", "For a registry's repository or namespace, an entry for each tag.", []state.PublishedTag{}},
	{"login", "The login that was stored. Never the password.", loginJSON{}},
	{"logs", "An entry for each run of build or push in this catalogue, the newest first.", []history.Run{}},
	{"new", "The app that was written.", newJSON{}},
	{"new variant", "The variant that was added.", newVariantJSON{}},
	{"patch", "The app that was patched.", patchResultJSON{}},
	{"plan", "An entry for each selected image.", []planJSON{}},
	{"prune", "The plan, which is also in its file. With --yes, what was deleted of it.", prune.Plan{}},
	{"push", "An entry for each image and each release record.", []pushedJSON{}},
	{"render", "With `--output`: an entry for each file that was written.", []renderedJSON{}},
	{"run", "Where the app answers. It is printed once all services answer, and libre goes on until it is interrupted.", runJSON{}},
	{"scan", "All findings, image by image.", scan.Report{}},
	{"show", "An entry for each selected app. `libre show APP -o json` is the application document instead: `libre schema application` prints its JSON Schema.", []catalog.App{}},
	{"show", "For a reference to a release record, the record.", state.Record{}},
	{"site", "The pages that were written.", siteJSON{}},
	{"status", "An entry for each selected release.", []statusJSON{}},
	{"verify", "An entry for each image and each release record.", []verifiedJSON{}},
	{"version", "This program.", versionJSON{}},
	{"vex", "An entry for each statement and image.", []vexRow{}},
	{"vex add", "The statement that was added.", vexAddJSON{}},
	{"withdraw", "The release that was withdrawn, or with --undo is not any more.", withdrawJSON{}},
}

const jsonPage = "../../docs/json.md"

// TestJSONIsDocumented holds docs/json.md against the types, so that no field is added,
// renamed or retyped without the page saying so.
func TestJSONIsDocumented(t *testing.T) {
	made := makeJSONPage(t)
	stands, err := os.ReadFile(jsonPage)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		err = os.WriteFile(jsonPage, []byte(made), 0o644)
	} else if err == nil && string(stands) != made {
		t.Error("docs/json.md is stale: UPDATE_GOLDEN=1 go test ./internal/cli -run TestJSON")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Every command that takes --json is in the page, and no other.
func TestJSONOfEveryCommandIsDocumented(t *testing.T) {
	var take, described []string
	var walk func(*cobra.Command)
	walk = func(command *cobra.Command) {
		if command.Flags().Lookup("json") != nil {
			take = append(take, strings.TrimPrefix(command.CommandPath(), "libre "))
		}
		for _, below := range command.Commands() {
			walk(below)
		}
	}
	walk(newEnv(ui.Options{}).rootCommand())
	for _, result := range jsonResults {
		described = append(described, result.command)
	}
	slices.Sort(take)
	slices.Sort(described)
	if described = slices.Compact(described); !slices.Equal(take, described) {
		t.Errorf("these take --json: %q\nthese are in jsonResults: %q", take, described)
	}
}

const jsonIntroduction = `# What ` + "`--json`" + ` prints

<!-- Made from the types in internal/: UPDATE_GOLDEN=1 go test ./internal/cli -run TestJSON -->

Every command with a result takes ` + "`--json`" + `. It prints one JSON value to stdout. Progress and
errors go to stderr, and the exit code is the same as without it. Where some images or apps
fail, the result still lists all of them.

Fields may be added. None is renamed, removed or given another type without a note in
[CHANGELOG.md](../CHANGELOG.md). Ignore the fields that you do not know.

A field with a "?" is left out where there is nothing to say. Take ` + "`null`" + ` for a list or an
object as an empty one, unless the table says more. Digests are ` + "`sha256:…`" + `, sizes are bytes,
times are [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339), and a platform is
` + "`OS/ARCHITECTURE`" + `.

Some commands have a standard format instead: ` + "`libre sbom -o cyclonedx-json`" + ` or
` + "`spdx-json`, `libre scan -o sarif` or `cyclonedx-vdr`, `libre vex -o openvex` or `cyclonedx`" + `,
and ` + "`libre schema`" + ` prints JSON Schemas.
`
