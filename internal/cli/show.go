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

func (e *env) showCommand() *cobra.Command {
	var asJSON bool
	var o publishOptions
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
			switch {
			case len(args) == 1 && isRepository(args[0]):
				return noTag(args[0])
			case len(args) == 1 && isReference(args[0]):
				return e.showRecord(cmd.Context(), o, args[0])
			}
			return e.showApps(cmd, args, asJSON)
		},
		ValidArgsFunction: e.completeSelection,
	}
	flags := cmd.Flags()
	flags.BoolVar(&asJSON, "json", false, "print all metadata, as JSON")
	flags.StringVar(&o.key, "key", "", "of a reference: the public key in `FILE`\n(default: sign in libre.yaml)")
	o.signer.add(cmd)
	flags.BoolVar(&o.insecure, "insecure", false, "of a reference: allow HTTP and unknown certificates")
	return cmd
}

// showApps prints the metadata of the selected apps, and what is wrong with them.
func (e *env) showApps(cmd *cobra.Command, words []string, asJSON bool) error {
	if len(words) == 0 {
		ws, err := e.workspace()
		if err != nil {
			return err
		}
		return e.nothingSelected(cmd.Context(), ws, "show")
	}
	evaluation, err := e.metadata(cmd, words)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	images, builder, err := e.imagesKnown(ctx, words)
	if err != nil {
		return err
	}
	if err := builder.AddUpstream(ctx, images.Images, evaluation.Apps); err != nil {
		return err
	}
	if asJSON {
		err = e.JSON(slices.Collect(valuesInOrder(evaluation.Apps)))
	} else {
		shells := e.shells(ctx, words)
		var texts []string
		for app := range valuesInOrder(evaluation.Apps) {
			texts = append(texts, describe(app, shells))
		}
		err = e.Printf("%s", strings.Join(texts, "\n"))
	}
	if err != nil {
		return err
	}
	defects, err := release.Defects(ctx, builder.Nix, images.Images)
	if err != nil {
		return err
	}
	failures := maps.Clone(images.Failures)
	if failures == nil {
		failures = map[string]error{}
	}
	maps.Copy(failures, evaluation.Failures)
	return e.reportWrong(failures, defects)
}

// imagesKnown evaluates images as far as that needs no network, no package set and no
// build, with a builder that knows what is built of them.
func (e *env) imagesKnown(ctx context.Context, words []string) (*nix.Evaluation, *release.Builder, error) {
	ws, err := e.workspace()
	if err != nil {
		return nil, nil, err
	}
	patterns, err := ws.selection(words, false)
	if err != nil {
		return nil, nil, err
	}
	catalogue, err := ws.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	builder, err := ws.builder(ctx, catalogue, buildOptions{})
	if err != nil {
		return nil, nil, err
	}
	images, err := catalogue.Evaluate(ctx, nix.Request{Patterns: patterns, AllSystems: true, KeysOnly: true, NoPackages: true})
	return images, builder, err
}

// showRecord prints a release record that verifies.
func (e *env) showRecord(ctx context.Context, o publishOptions, word string) error {
	_, client, signing, err := e.verifier(ctx, o, []string{word}, false)
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
// images' closures are in the store. What cannot be evaluated is left out: show
// works without the package set.
func (e *env) shells(ctx context.Context, words []string) map[catalog.ID][]string {
	found := map[catalog.ID][]string{}
	ws, request, err := e.request(ctx, buildOptions{}, words, "show")
	if err != nil {
		return found
	}
	catalogue, err := ws.open(ctx)
	if err != nil || catalogue.Unused(ctx) { // else show would wait for a toolchain to be copied
		return found
	}
	request.KeysOnly = true
	evaluation, err := catalogue.Evaluate(ctx, request)
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
