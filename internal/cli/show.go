package cli

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
)

type showOptions struct {
	selection []string
	registry  registryOptions // for a reference
	json      bool
}

func (e *env) showCommand() *cobra.Command {
	var o showOptions
	cmd := &cobra.Command{
		Use:   "show APP... | REFERENCE",
		Short: "Show all about an app, or a published release",
		Long: `Shows the metadata of the selected apps: where the source comes from, the
components with their ports, services and licence, what the app needs, what an
upgrade does to its data, and where in the definition versions and hashes stand.
It needs no network. Of a component that Nix has built it names the packages
that bring a shell into the image. Of one that a Containerfile makes it shows what
upstream says by EXPOSE, VOLUME, USER, HEALTHCHECK, STOPSIGNAL, ENTRYPOINT, CMD,
WORKDIR and LABEL, from the file where the store has the source, else from the image
in dist, and what of it the image has otherwise, as the definition says so.

It ends with what is wrong with an app, as far as that is known without building:
values of a wrong type, arguments that are required and not set, bases that the
catalogue has not; and where the store has the source, a Containerfile, a stage
or a build context that is not there, and arguments, bases and named contexts
that the file has no use for. Exit code 1 then.

Of a reference to a release record, REGISTRY/APP-VARIANT:TAG, it shows the
record, as JSON, once the signature is verified: digests of the images, ports,
services, needs, migration. That needs no catalogue: give --key, or --identity and
--issuer. stderr says under which reference it was signed; what was signed for
another registry is refused, unless it is a copy: see libre verify --help.`,
		Example: "  libre show docs\n  libre show registry.example/lasuite/docs-default:5.4.1-1 --key cosign.pub",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selection = args
			return e.runShow(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.registry.addReferenceFlags(cmd, "reference")
	cmd.Flags().BoolVar(&o.json, "json", false, "print all metadata, as JSON")
	return cmd
}

func (e *env) runShow(ctx context.Context, o showOptions) error {
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
	evaluation, err := ws.evaluate(ctx, nix.Request{Patterns: patterns})
	if err != nil {
		return err
	}
	builder, err := ws.builder(ctx, "")
	if err != nil {
		return err
	}
	// As far as that needs no network, no package set and no build.
	images, err := ws.evaluate(ctx, nix.Request{Patterns: patterns, AllSystems: true, KeysOnly: true, NoPackages: true})
	if err != nil {
		return err
	}
	if err := builder.AddUpstream(ctx, images.Images, evaluation.Apps); err != nil {
		return err
	}
	if err := e.printApps(ctx, ws, patterns, evaluation.Apps, o.json); err != nil {
		return err
	}
	defects, err := release.Defects(ctx, ws.nix, images.Images)
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
	var texts []string
	for app := range valuesInOrder(apps) {
		texts = append(texts, describe(app, shells))
	}
	return e.Printf("%s", strings.Join(texts, "\n"))
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
	record, as, err := release.ShowRecord(ctx, client, signing, reference)
	if err != nil {
		return err
	}
	e.Notef("signed as %s", as)
	return e.JSON(record)
}

// shells lists, by default image, the packages that bring a shell, as far as the
// images' closures are in the store. It leaves out what cannot be evaluated, since show
// works without the package set.
func (ws *workspace) shells(ctx context.Context, patterns []catalog.Pattern) map[catalog.ID][]string {
	found := map[catalog.ID][]string{}
	system, err := nix.MachineSystem()
	if err != nil {
		return found
	}
	catalogue, err := ws.catalogue(ctx)
	if err != nil || catalogue.Unused(ctx) { // else show would wait for a toolchain to be copied
		return found
	}
	evaluation, err := catalogue.Evaluate(ctx, nix.Request{Patterns: patterns, Systems: []string{system}, KeysOnly: true})
	if err != nil {
		return found
	}
	for _, spec := range evaluation.Images {
		if spec.Variant != "default" || spec.Rootfs == nil {
			continue
		}
		if store, err := ws.nix.ReadStore(ctx, []string{spec.Rootfs.Out}); err == nil {
			found[spec.ID()] = nix.Shells(store.Closure(spec.Rootfs.Out))
		}
	}
	return found
}
