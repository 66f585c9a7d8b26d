package cli

import (
	"context"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/ui"
)

func (e *env) sbomCommand() *cobra.Command {
	var o buildOptions
	var format string
	cmd := &cobra.Command{
		Use:   "sbom SELECTION",
		Short: "List what an image is made of",
		Long: `Lists what one image is made of, building it first where that is needed: the
store paths of what Nix built, and the packages that are recognised in its
files. The same documents are attached to the image by push.

The table has: name, version, type, package URL, where it was found.`,
		Example: "  libre sbom guestbook/backend/default\n  libre sbom guestbook/backend/default -o spdx-json > guestbook.spdx.json",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.sbom(cmd.Context(), o, format, args)
		},
		ValidArgsFunction: e.completeSelection,
	}
	cmd.Flags().StringVarP(&format, "output-format", "o", "table", "print as `FORMAT`: table, cyclonedx-json or\nspdx-json")
	cmd.Flags().StringSliceVar(&o.systems, "system", nil, "`SYSTEM` of the image (default: this machine's)")
	cmd.Flags().StringVar(&o.output, "output", "", "use the OCI layout in `DIR`\n(default: dist in the catalogue)")
	return cmd
}

func (e *env) sbom(ctx context.Context, o buildOptions, format string, words []string) error {
	switch format {
	case "table", "cyclonedx-json", "spdx-json":
	default:
		return usageError{fmt.Errorf("format %q, expected table, cyclonedx-json or spdx-json", format)}
	}
	ws, request, err := e.request(ctx, o, words, "sbom")
	if err != nil {
		return err
	}
	catalogue, err := ws.open(ctx)
	if err != nil {
		return err
	}
	o.jobs = runtime.NumCPU()
	builder, err := ws.builder(ctx, catalogue, o)
	if err != nil {
		return err
	}
	if builder.Files, err = ws.scanner(); err != nil {
		return err
	}
	defer builder.Files.Close()
	progress := e.Progress()
	builder.Watcher = &buildWatcher{env: e, progress: progress}
	document, err := release.SBOM(ctx, builder, request, version)
	progress.Close()
	if err != nil {
		return err
	}
	switch format {
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

// scanner recognises files, within the catalogue's limits.
func (ws *workspace) scanner() (*sbom.Scanner, error) {
	limits := ws.config.Limits
	return sbom.NewScanner(sbom.Limits{Image: limits.Image, Nested: limits.Nested, Memory: limits.Memory})
}
