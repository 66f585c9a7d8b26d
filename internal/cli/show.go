package cli

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release/state"
)

type showOptions struct {
	selection []string
	registry  registryOptions // for a reference
	json      bool
	format    string // of the application document: yaml or json; "" for none
}

func (e *env) showCommand() *cobra.Command {
	var o showOptions
	cmd := &cobra.Command{
		Use:   "show APP... | REFERENCE",
		Short: "Show an app, or a published release",
		Long: `Show the selected apps: the source, the components with their ports and licence,
how the app migrates its data, where the definition sets versions and hashes;
and tables of its services, needs, settings and routes. show needs no network.

For a component that Nix has built, show lists the packages that bring a shell
into the image. For a Containerfile component, it shows upstream's EXPOSE,
VOLUME, USER, HEALTHCHECK, STOPSIGNAL, ENTRYPOINT, CMD, WORKDIR and LABEL, and
where the definition changes them. It reads these from the source in the Nix
store, or else from the image in dist.

show ends with what is wrong with an app, as far as libre can tell without a
build: values of a wrong type, required arguments that are not set, and bases
that the catalogue does not have. If the source is in the store, also a
Containerfile, stage or build context that does not exist, and arguments, bases
and named contexts that the file does not use. The exit code is then 1.

-o prints the application document: a description in a format that other tools
can read, of what the app is made of, what it needs and how to run it; see libre
schema application. Its images have digests if they are built. Without a
variant, it describes the variant default.

For a reference to a release record, REGISTRY/APP-VARIANT:TAG, show verifies
the signature and prints the record as JSON: digests of the images, ports,
services, needs, migration. This needs no catalogue: give --key, or --identity
with --issuer. stderr names the reference that it was signed as. show refuses a
record that was signed for another registry, unless it is a copy: see libre
verify --help.`,
		Example: "  libre show docs\n  libre show registry.example/lasuite/docs-default:5.4.1-1 --key cosign.pub",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selection = args
			return e.runShow(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.registry.addReferenceFlags(cmd, "reference")
	cmd.Flags().BoolVar(&o.json, "json", false, "print all metadata as JSON")
	cmd.Flags().StringVarP(&o.format, "output-format", "o", "", "print the application document as `FORMAT`: yaml or json")
	return cmd
}

func (e *env) runShow(ctx context.Context, o showOptions) error {
	if err := checkDocumentFormat(o.format); err != nil {
		return err
	}
	if len(o.selection) == 1 && isRepository(o.selection[0]) {
		return noTag(o.selection[0])
	}
	if len(o.selection) == 1 && isReference(o.selection[0]) {
		return e.showRecord(ctx, o, o.selection[0])
	}
	ws, patterns, err := e.selected(ctx, "show", o.selection, false)
	if err != nil {
		return err
	}
	defer e.warnLeftOut(ctx, ws)()
	if o.format != "" {
		return e.showDocuments(ctx, ws, patterns, o.format)
	}
	evaluation, err := ws.evaluate(ctx, nix.Request{Patterns: patterns, Described: !o.json})
	if err != nil {
		return err
	}
	reader, err := e.layoutReader(ctx, ws, "")
	if err != nil {
		return err
	}
	// This needs no network, no package set and no build.
	images, err := ws.evaluate(ctx, nix.Request{Patterns: patterns, AllSystems: true, KeysOnly: true, NoPackages: true})
	if err != nil {
		return err
	}
	if err := reader.AddUpstream(ctx, images.Images, evaluation.Apps); err != nil {
		return err
	}
	if err := e.printApps(ctx, ws, patterns, evaluation.Apps, o.json); err != nil {
		return err
	}
	defects, err := state.Defects(ctx, ws.nix, images.Images)
	if err != nil {
		return err
	}
	failures := map[string]error{}
	maps.Copy(failures, images.Failures)
	maps.Copy(failures, evaluation.Failures)
	return e.reportWrong(failures, defects)
}

func (e *env) printApps(ctx context.Context, ws *workspace, patterns []catalog.Pattern, apps map[string]catalog.App, asJSON bool) error {
	if asJSON {
		return e.JSON(slices.Collect(valuesInOrder(apps)))
	}
	shells := ws.shells(ctx, patterns)
	between := ""
	for app := range valuesInOrder(apps) {
		document, err := describe.New(app, "default")
		if err != nil {
			return err
		}
		if err := e.Printf("%s%s", between, aboutApp(app, document, shells)); err != nil {
			return err
		}
		if err := e.printTables(document); err != nil {
			return err
		}
		between = "\n"
	}
	return nil
}

// showRecord prints a release record that verifies.
func (e *env) showRecord(ctx context.Context, o showOptions, word string) error {
	_, client, signing, err := e.verifier(ctx, o.registry, word)
	if err != nil {
		return err
	}
	reference, err := client.Parse(word)
	if err != nil {
		return err
	}
	record, as, err := state.FindRecord(ctx, client, signing, reference)
	if err != nil {
		return err
	}
	e.Notef("signed as %s", as)
	if err := record.Withdrawn(); err != nil {
		e.Warnf("%s", err)
	}
	if o.format == "" {
		return e.JSON(record)
	}
	document, err := record.Document()
	if err != nil {
		return err
	}
	return e.printDocuments([]*describe.Application{document}, o.format)
}

// shells lists the packages that bring a shell into each default image. It leaves out
// images that are not in the store or cannot be evaluated, since show works without the
// package set.
func (ws *workspace) shells(ctx context.Context, patterns []catalog.Pattern) map[catalog.ID][]string {
	found := map[catalog.ID][]string{}
	system, err := nix.MachineSystem()
	if err != nil {
		return found
	}
	catalogue, err := ws.catalogue(ctx)
	if err != nil || catalogue.Unused(ctx) { // otherwise show would wait for a toolchain to be copied
		return found
	}
	evaluation, err := catalogue.Evaluate(ctx, nix.Request{Patterns: patterns, Systems: []string{system}, KeysOnly: true})
	if err != nil {
		return found
	}
	for _, spec := range evaluation.Images {
		if spec.Variant != "default" || spec.Rootfs() == nil {
			continue
		}
		if store, err := ws.nix.ReadStore(ctx, []string{spec.Rootfs().Out}); err == nil {
			found[spec.ID()] = nix.Shells(store.Closure(spec.Rootfs().Out))
		}
	}
	return found
}
