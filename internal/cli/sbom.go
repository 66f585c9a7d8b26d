package cli

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/ui"
)

type sbomOptions struct {
	images imageOptions
	format string
	check  string // bsi: list what is missing, instead of the contents
}

func (e *env) sbomCommand() *cobra.Command {
	var o sbomOptions
	cmd := &cobra.Command{
		Use:   "sbom SELECTION",
		Short: "List the contents of images",
		Long: `List what an image contains: the store paths that Nix built, and the packages
that are recognised in its files, with their licences, makers, sources and
patches. libre builds the image first if it is not built. push attaches the same
documents to the image. Of several images of one app, they become one document.

The table has: name, version, type, package URL, where the package was found,
licence.

--check bsi lists what BSI TR-03183-2 v2.1 requires and is missing: the
component, its version, the fields. The exit code is 1 if anything is.`,
		Example: "  libre sbom guestbook/backend/default\n  libre sbom guestbook/backend/default -o spdx-json > guestbook.spdx.json\n  libre sbom 'guestbook/*/default' --check bsi",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.images.selection = args
			return e.runSBOM(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	cmd.Flags().StringVarP(&o.format, "output-format", "o", "table", "print as `FORMAT`: table, cyclonedx-json or spdx-json")
	cmd.Flags().StringVar(&o.check, "check", "", "list what `RULES` require and is missing: bsi")
	cmd.Flags().StringSliceVar(&o.images.systems, "system", nil, "`SYSTEM` of the image (default: this machine's)")
	addOutputFlag(cmd, &o.images.output)
	return cmd
}

func (e *env) runSBOM(ctx context.Context, o sbomOptions) error {
	switch o.format {
	case "table", "cyclonedx-json", "spdx-json":
	default:
		return usageError{fmt.Errorf("format %q, expected table, cyclonedx-json or spdx-json", o.format)}
	}
	if o.check != "" && o.check != "bsi" {
		return usageError{fmt.Errorf("--check %q, expected bsi", o.check)}
	}
	ws, request, err := e.request(ctx, "sbom", o.images)
	if err != nil {
		return err
	}
	images, err := e.contents(ctx, ws, o.images.output, request)
	if err != nil {
		return err
	}
	document, err := build.AppSBOM(images)
	if err != nil {
		return err
	}
	if o.check == "bsi" {
		return e.printMissing(document)
	}
	switch o.format {
	case "cyclonedx-json":
		text, err := document.CycloneDX()
		if err != nil {
			return err
		}
		return e.Printf("%s\n", text)
	case "spdx-json":
		text, err := document.SPDX()
		if err != nil {
			return err
		}
		return e.Printf("%s\n", text)
	}
	return e.Table(ui.Table{Header: []string{"NAME", "VERSION", "TYPE", "PACKAGE URL", "WHERE", "LICENCE"}, Rows: document.Rows()})
}

// contents lists what images are made of. It builds those that are not built.
func (e *env) contents(ctx context.Context, ws *workspace, output string, request nix.Request) ([]build.Described, error) {
	builder, err := ws.builder(ctx, output)
	if err != nil {
		return nil, err
	}
	builder.Jobs = runtime.NumCPU()
	if builder.Files, err = ws.scanner(); err != nil {
		return nil, err
	}
	defer builder.Files.Close()
	progress := e.Progress()
	defer progress.Close()
	builder.Watcher = &buildWatcher{env: e, progress: progress}
	return builder.SBOMsOf(ctx, request, version)
}

// printMissing prints what BSI TR-03183-2 requires and the document lacks.
func (e *env) printMissing(document *sbom.Document) error {
	missing := document.MissingForBSI()
	if len(missing) == 0 {
		e.Notef("%s has all that BSI TR-03183-2 v2.1 requires", document.Subject.Name)
		return nil
	}
	var rows [][]string
	for _, m := range missing {
		if m.ID == "" {
			m.Name = "the SBOM (set sbom.creator in libre.yaml)"
		}
		rows = append(rows, []string{m.Name, m.Version, strings.Join(m.Fields, ", "), m.ID})
	}
	if err := e.Table(ui.Table{Header: []string{"COMPONENT", "VERSION", "MISSING", "ID"}, Rows: rows}); err != nil {
		return err
	}
	return errReported
}
