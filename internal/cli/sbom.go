package cli

import (
	"context"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/ui"
)

type sbomOptions struct {
	images imageOptions
	format string
}

func (e *env) sbomCommand() *cobra.Command {
	var o sbomOptions
	cmd := &cobra.Command{
		Use:   "sbom SELECTION",
		Short: "List the contents of an image",
		Long: `List what an image contains: the store paths that Nix built, and the packages
that are recognised in its files. libre builds the image first if it is not
built. push attaches the same documents to the image.

The table has: name, version, type, package URL, where the package was found.`,
		Example: "  libre sbom guestbook/backend/default\n  libre sbom guestbook/backend/default -o spdx-json > guestbook.spdx.json",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.images.selection = args
			return e.runSBOM(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	cmd.Flags().StringVarP(&o.format, "output-format", "o", "table", "print as `FORMAT`: table, cyclonedx-json or spdx-json")
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
	ws, request, err := e.request(ctx, "sbom", o.images)
	if err != nil {
		return err
	}
	builder, err := ws.builder(ctx, o.images.output)
	if err != nil {
		return err
	}
	builder.Jobs = runtime.NumCPU()
	if builder.Files, err = ws.scanner(); err != nil {
		return err
	}
	defer builder.Files.Close()
	progress := e.Progress()
	builder.Watcher = &buildWatcher{env: e, progress: progress}
	document, err := builder.SBOMOf(ctx, request, version)
	progress.Close()
	if err != nil {
		return err
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
	return e.Table(ui.Table{Header: []string{"NAME", "VERSION", "TYPE", "PACKAGE URL", "WHERE"}, Rows: document.Rows()})
}
