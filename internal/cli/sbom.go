package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/ui"
)

type sbomOptions struct {
	images   imageOptions // or references
	registry registryOptions
	format   string
	check    string // bsi: list what is missing, instead of the contents
}

func (e *env) sbomCommand() *cobra.Command {
	var o sbomOptions
	cmd := &cobra.Command{
		Use:   "sbom SELECTION | REFERENCE",
		Short: "List the contents of images",
		Long: `List what an image contains: the store paths that Nix built, and the packages
that are recognised in its files, with their licences, makers, sources and
patches. libre builds the image first if it is not built. push attaches the same
documents to the image. For several images of one app, libre makes one document.
For a published image or release, given by its reference, it reads and verifies
the attested documents, and fetches no layer.

The table has: name, version, type, package URL, where the package was found,
licence.

--check bsi lists what BSI TR-03183-2 v2.1 requires and the SBOM lacks: the
component, its version, the fields. The exit code is 1 if anything is.`,
		Example: "  libre sbom guestbook/backend/default\n  libre sbom guestbook/backend/default -o spdx-json > guestbook.spdx.json\n  libre sbom 'guestbook/*/default' --check bsi\n  libre sbom registry.example/coop/docs-default:5.4.1-1 --key cosign.pub",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.images.selection = args
			return e.runSBOM(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	cmd.Flags().StringVarP(&o.format, "output-format", "o", "table", "print as `FORMAT`: table, cyclonedx-json or spdx-json")
	cmd.Flags().StringVar(&o.check, "check", "", "list what `RULES` require but the SBOM lacks: bsi")
	cmd.Flags().StringSliceVar(&o.images.systems, "system", nil, "`SYSTEM` of the image (default: this machine's)")
	o.registry.addReferenceFlags(cmd, "reference")
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
	document, err := e.document(ctx, o)
	if err != nil {
		return err
	}
	if o.check == "bsi" {
		return e.printMissing(document)
	}
	switch o.format {
	case "cyclonedx-json":
		return e.printIndented(document.CycloneDX())
	case "spdx-json":
		return e.printIndented(document.SPDX())
	}
	return e.Table(ui.Table{Header: []string{"NAME", "VERSION", "TYPE", "PACKAGE URL", "WHERE", "LICENSE"}, Sentences: []int{3, 4, 5}, Rows: document.Rows()})
}

// printIndented prints a JSON document for people.
func (e *env) printIndented(document []byte, err error) error {
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, document, "", "  "); err != nil {
		return err
	}
	return e.Printf("%s\n", text.Bytes())
}

// contents lists what images contain. It builds those that are not built.
func (e *env) contents(ctx context.Context, ws *workspace, output string, request nix.Request) ([]build.Described, error) {
	progress := e.Progress()
	defer progress.Close()
	return e.contentsWatched(ctx, ws, output, request, progress)
}

// contentsWatched is like contents, with the progress of a larger run.
func (e *env) contentsWatched(ctx context.Context, ws *workspace, output string, request nix.Request, progress *ui.Progress) ([]build.Described, error) {
	builder, err := e.describer(ctx, ws, output, progress)
	if err != nil {
		return nil, err
	}
	defer builder.Files.Close()
	return builder.SBOMsOf(ctx, request, version)
}

// describer builds and describes images. Close its Files after use.
func (e *env) describer(ctx context.Context, ws *workspace, output string, progress *ui.Progress) (*build.Builder, error) {
	builder, err := ws.builder(ctx, output)
	if err != nil {
		return nil, err
	}
	builder.Jobs = runtime.NumCPU()
	builder.Watcher = &buildWatcher{env: e, progress: progress}
	builder.Files, err = ws.scanner()
	return builder, err
}

// document returns the SBOM of the selected images, or of a published image or release.
func (e *env) document(ctx context.Context, o sbomOptions) (*sbom.Document, error) {
	if len(o.images.selection) == 1 && isReference(o.images.selection[0]) {
		return e.attestedDocument(ctx, o.registry, o.images.selection[0])
	}
	ws, request, err := e.request(ctx, "sbom", o.images)
	if err != nil {
		return nil, err
	}
	images, err := e.contents(ctx, ws, o.images.output, request)
	if err != nil {
		return nil, err
	}
	return build.AppSBOM(images)
}

// An attestedDocument is one of the documents that a reference leads to.
func (e *env) attestedDocument(ctx context.Context, o registryOptions, reference string) (*sbom.Document, error) {
	_, documents, err := e.attestedDocuments(ctx, o, []string{reference})
	switch {
	case err != nil:
		return nil, err
	case len(documents) == 1:
		return documents[0], nil
	}
	repository, _, _ := strings.Cut(path.Base(reference), "@")
	return sbom.MergeImages(catalog.ParseRef(repository).Repository, documents[0].Subject.Version, documents)
}

// attestedDocuments reads and verifies the SBOMs of published images and releases.
func (e *env) attestedDocuments(ctx context.Context, o registryOptions, references []string) (ws *workspace, all []*sbom.Document, err error) {
	for _, word := range references {
		found, client, signing, err := e.verifier(ctx, o, word)
		if err != nil {
			return nil, nil, err
		}
		ws = found
		reference, err := client.Parse(word)
		if err != nil {
			return nil, nil, err
		}
		images, err := state.PlatformImages(ctx, client, signing, reference)
		if err == nil {
			err = e.warnWithdrawn(ctx, client, signing, reference)
		}
		if err != nil {
			return nil, nil, about(word, err)
		}
		for _, image := range images {
			document, err := state.AttestedSBOM(ctx, signing, image.Digest)
			if err != nil {
				return nil, nil, err
			}
			all = append(all, document)
		}
	}
	return ws, all, nil
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
	if err := e.Table(ui.Table{Header: []string{"COMPONENT", "VERSION", "MISSING", "ID"}, Sentences: []int{2, 3}, Rows: rows}); err != nil {
		return err
	}
	return errReported
}
