package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/find"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/patch"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/ui"
	"github.com/libresh/libre/internal/vex"
)

type findOptions struct {
	query     string
	license   string
	selection []string // or references
	registry  registryOptions
	output    string
	database  string
	json      bool
}

func (e *env) findCommand() *cobra.Command {
	var o findOptions
	cmd := &cobra.Command{
		Use:   "find QUERY [SELECTION... | REFERENCE...]",
		Short: "Find the images that contain a component",
		Long: `Find the images that contain a component, among all published releases of the
catalogue and the images that are built from the working tree.

QUERY is one of:
  openssl                               a name, or a word in names
  'python3*'                            a pattern for the whole name
  'pkg:golang/golang.org/x/net@<0.40'   a package URL, with or without versions
  CVE-2026-1234                         a vulnerability
With --license, it is an SPDX license identifier instead.

For a vulnerability, find lists the components that the vulnerability database
has it for, and those that a patch or a statement is about. The last column says
what is known: affected, fixed by a patch, or what the statement says. --db
names the database, as for libre scan.

find reads the attested SBOMs of published images, and no layers. It keeps them
in a local index, so that the next search reads new images only. It does not
search an SBOM whose signature does not verify, but names it.

The table has: reference, platform, published or built, component, version, the
path from the image to the component, and for a vulnerability what is known.
Exit code 1 if an SBOM could not be read, 4 if a registry refuses access.`,
		Example: "  libre find openssl\n  libre find 'pkg:golang/golang.org/x/net@<0.40' docs\n  libre find --license AGPL-3.0-only",
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.license == "" {
				if len(args) == 0 {
					return usageError{errors.New("nothing to find: give a name, a package URL or the ID of a vulnerability, or --license")}
				}
				o.query, args = args[0], args[1:]
			}
			o.selection = args
			return e.runFind(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.registry.addFlags(cmd)
	o.registry.signer.addFlags(cmd)
	addOutputFlag(cmd, &o.output)
	cmd.Flags().StringVar(&o.database, "db", "", "look a vulnerability up in the database in `DIR|FILE|URL` (default: scan.database in libre.yaml, else grype's)")
	cmd.Flags().StringVar(&o.license, "license", "", "find components under the license with this SPDX `IDENTIFIER`")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func (e *env) runFind(ctx context.Context, o findOptions) error {
	query, err := find.ParseQuery(o.query)
	if o.license != "" {
		query, err = find.LicenseQuery(o.license)
	}
	if err != nil {
		return usageError{err}
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	f := &finder{env: e, index: find.Index{Dir: filepath.Join(cache, "sboms")}}
	if i := slices.IndexFunc(o.selection, isRepository); i >= 0 {
		return noTag(o.selection[i])
	}
	if slices.ContainsFunc(o.selection, isReference) {
		err = f.addReferences(ctx, o)
	} else {
		err = f.addCatalogue(ctx, o)
	}
	if err != nil {
		return err
	}
	defer f.close()
	return f.search(ctx, query, o)
}

// finder collects the images to search.
type finder struct {
	*env
	index   find.Index
	images  []foundIn
	failed  []error
	unread  int // how many of images could not be read
	builder *build.Builder
	ws      *workspace
}

// foundIn is an image to search.
type foundIn struct {
	reference string
	platform  string
	where     string // published or built
	image     find.Image
	read      func(context.Context) (*sbom.Document, error)
	answers   func(context.Context, *sbom.Document) (*vex.Answers, error)
}

func (f *finder) close() {
	if f.builder != nil {
		f.builder.Files.Close()
	}
}

// addCatalogue adds the published releases of the catalogue, and what is built of the
// working tree.
func (f *finder) addCatalogue(ctx context.Context, o findOptions) error {
	ws, patterns, err := f.selected(ctx, "find", o.selection, len(o.selection) == 0)
	if err != nil {
		return err
	}
	f.ws = ws
	evaluation, err := ws.evaluate(ctx, nix.Request{Patterns: patterns, AllSystems: true})
	if err != nil {
		return err
	}
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		f.failed = append(f.failed, fmt.Errorf("%s: %w", app, build.NotEvaluated(evaluation.Failures[app])))
	}
	client, err := ws.registry(o.registry)
	if err == nil {
		err = f.addReleases(ctx, ws, o, client, patterns, evaluation)
	} else if errors.As(err, new(usageError)) && len(o.registry.to) == 0 {
		f.Warnf("only the working tree is searched: %v", err)
		err = nil
	}
	if err != nil {
		return err
	}
	return f.addBuilt(ctx, ws, o, evaluation)
}

// addReferences adds published images by their references.
func (f *finder) addReferences(ctx context.Context, o findOptions) error {
	ws, err := f.registryWorkspace()
	if err != nil {
		return err
	}
	f.ws = ws
	found, err := f.referenced(ctx, o.registry, o.selection)
	if err != nil {
		return err
	}
	return f.addPublished(found)
}

func (f *finder) addReleases(ctx context.Context, ws *workspace, o findOptions, client *registry.Client, patterns []catalog.Pattern, evaluation *nix.Evaluation) error {
	found, _, err := ws.released(ctx, o.registry, client, patterns, evaluation.Apps, false)
	if err != nil {
		return err
	}
	return f.addPublished(found)
}

func (f *finder) addPublished(found publishedImages) error {
	f.failed = append(f.failed, found.failed...)
	for _, image := range found.images {
		manifest, err := v1.NewHash(image.Digest.DigestStr())
		if err != nil {
			return err
		}
		f.images = append(f.images, foundIn{
			reference: image.Reference, platform: image.Platform, where: string(state.Published),
			image: find.Image{Repository: image.Digest.Context().String(), Manifest: manifest, Policy: image.signing.Policy.Fingerprint()},
			read: func(ctx context.Context) (*sbom.Document, error) {
				return state.AttestedSBOM(ctx, image.signing, image.Digest)
			},
			answers: func(ctx context.Context, _ *sbom.Document) (*vex.Answers, error) {
				return state.Answers(ctx, image.signing, image.Digest)
			},
		})
	}
	return nil
}

// thisMachine is the repository's name in the index for images that are built here.
const thisMachine = "this machine"

// addBuilt adds the images in the layout that are not published.
func (f *finder) addBuilt(ctx context.Context, ws *workspace, o findOptions, evaluation *nix.Evaluation) error {
	builder, err := ws.builder(ctx, o.output)
	if err != nil {
		return err
	}
	if builder.Files, err = ws.scanner(); err != nil {
		return err
	}
	f.builder = builder
	built, missing, err := builder.BuiltImages(evaluation)
	if err != nil {
		return err
	}
	for _, image := range built {
		if slices.ContainsFunc(f.images, func(other foundIn) bool { return other.image.Manifest == image.Manifest.Digest }) {
			continue
		}
		f.images = append(f.images, foundIn{
			reference: image.Target.Ref.String(), platform: image.Manifest.Platform.String(), where: string(state.Built),
			image: find.Image{Repository: thisMachine, Manifest: image.Manifest.Digest},
			read: func(ctx context.Context) (*sbom.Document, error) {
				return builder.SBOM(ctx, builder.Output, image.Target, image.Index, image.Manifest, version)
			},
			answers: func(_ context.Context, document *sbom.Document) (*vex.Answers, error) {
				return ws.answers(evaluation.Apps[image.Target.ID.App], image.Target.ID, document)
			},
		})
	}
	if len(missing) > 0 {
		f.Notef("of the working tree, built images only are searched; %s", notBuilt(missing))
	}
	return nil
}

// search reads the SBOMs that the index lacks, and prints what the query selects.
func (f *finder) search(ctx context.Context, query find.Query, o findOptions) error {
	images := make([]find.Image, len(f.images))
	for i, image := range f.images {
		images[i] = image.image
	}
	unread := f.index.Refresh(ctx, images, func(ctx context.Context, n int) (*sbom.Document, error) { return f.images[n].read(ctx) })
	for _, image := range f.images {
		if err := unread[image.image]; err != nil {
			f.failed = append(f.failed, fmt.Errorf("%s for %s: %w", image.reference, image.platform, err))
			f.unread++
			delete(unread, image.image) // several tags may have it
		}
	}
	matches, err := f.index.Search(query, images)
	if err != nil {
		return err
	}
	if query.Vulnerability != "" {
		f.answer(ctx, patch.Normal(query.Vulnerability), matches, o.database)
	}
	if err := f.print(matches, query.Vulnerability != "", o.json); err != nil {
		return err
	}
	for _, err := range f.failed {
		f.Errorf("%s", err)
	}
	if err := credentialsError(f.failed); err != nil || len(f.failed) == 0 {
		return err
	}
	return fmt.Errorf("the result may be incomplete: %s above", ui.Count(len(f.failed), "error"))
}

func (f *finder) print(matches [][]find.Match, withAnswers, asJSON bool) error {
	table := ui.Table{Header: []string{"REFERENCE", "PLATFORM", "STATE", "COMPONENT", "VERSION", "WAY"}, Sentences: []int{0, 5}}
	if withAnswers {
		table.Header, table.Sentences = append(table.Header, "ANSWER"), append(table.Sentences, 6)
	}
	list := []foundJSON{}
	with := 0
	for i, image := range f.images {
		with += min(len(matches[i]), 1)
		for _, match := range matches[i] {
			c := match.Component
			name, _, _ := strings.Cut(image.reference[strings.LastIndex(image.reference, "/")+1:], ":")
			way := append([]string{name}, match.Way...)
			row := []string{image.reference, image.platform, image.where, c.Name, c.Version, strings.Join(way, " → ")}
			if withAnswers {
				row = append(row, match.Answer)
			}
			table.Rows = append(table.Rows, row)
			list = append(list, foundJSON{
				Reference: image.reference, Digest: image.image.Manifest.String(), Platform: image.platform, State: image.where,
				Component: c.Name, Version: c.Version, PURL: c.PURL, License: c.License.Expression, Way: way,
				PatchedBy: match.PatchedBy, Answer: match.Answer,
			})
		}
	}
	if asJSON {
		return f.JSON(list)
	}
	switch read := len(f.images) - f.unread; {
	case len(f.failed) == 0:
		f.Notef("found in %d of %d images", with, read)
	case read > 0:
		f.Notef("found in %d of %d images that can be read", with, read)
	}
	if with == 0 {
		return nil
	}
	return f.Table(table)
}

// foundJSON is one component of `find --json`.
type foundJSON struct {
	Reference string   `json:"reference"`
	Digest    string   `json:"digest"` // of the platform's manifest
	Platform  string   `json:"platform"`
	State     string   `json:"state"` // published or built
	Component string   `json:"component"`
	Version   string   `json:"version,omitempty"`
	PURL      string   `json:"purl,omitempty"`
	License   string   `json:"license,omitempty"`   // SPDX expression
	Way       []string `json:"way"`                 // from the image to the component
	PatchedBy []string `json:"patchedBy,omitempty"` // patches of the catalogue that fix the vulnerability
	Answer    string   `json:"answer,omitempty"`    // of a vulnerability: affected, or what a statement says
}
