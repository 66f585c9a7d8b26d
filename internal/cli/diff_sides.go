package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/compare"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/upstream"
	"github.com/libresh/libre/internal/vex"
)

// differ reads two releases.
type differ struct {
	*env
	options diffOptions
	ws      *workspace
	system  string // Nix system that is compared

	// contents lists what images are made of, and builds them: env.contents.
	contents func(context.Context, *workspace, string, nix.Request) ([]build.Described, error)
}

// diffSide is a release to compare.
type diffSide struct {
	compare.Release
	source  *catalog.App                                           // where upstream's notes are; nil if that is not known
	answers map[string]func(context.Context) (*vex.Answers, error) // by component: what is said of its vulnerabilities
}

// sides reads what the words name.
func (d *differ) sides(ctx context.Context) (from, to *diffSide, err error) {
	if d.system = d.options.system; d.system == "" {
		if d.system, err = nix.MachineSystem(); err != nil {
			return nil, nil, err
		}
	}
	if _, err := catalog.Platform(d.system); err != nil {
		return nil, nil, usageError{err}
	}
	if len(d.options.words) > 0 && isReference(d.options.words[0]) {
		return d.references(ctx)
	}
	return d.releases(ctx)
}

// references reads two references. It needs no catalogue.
func (d *differ) references(ctx context.Context) (from, to *diffSide, err error) {
	var opened [2]*state.PublishedRelease
	for i, word := range d.options.words {
		ws, client, signing, err := d.verifier(ctx, d.options.registry, word)
		if err != nil {
			return nil, nil, err
		}
		d.ws = ws
		reference, err := client.Parse(word)
		if err != nil {
			return nil, nil, err
		}
		if opened[i], err = state.OpenRelease(ctx, client, signing, reference); err != nil {
			return nil, nil, err
		}
		if err := d.warnWithdrawn(ctx, client, signing, reference); err != nil {
			return nil, nil, err
		}
	}
	if err := checkPair(opened[0], opened[1]); err != nil {
		return nil, nil, err
	}
	return d.both(ctx, opened[0], opened[1], nil)
}

// checkPair refuses two references that are not of the same app or image: everything would
// look added or removed.
func checkPair(first, second *state.PublishedRelease) error {
	kind := func(p *state.PublishedRelease) string {
		if p.Image != "" {
			return "an image of " + p.About.App + "/" + p.Image
		}
		return "a release of " + p.About.App
	}
	if one, other := kind(first), kind(second); one != other {
		return usageError{fmt.Errorf("%s is %s, and %s is %s: give two references to the same", first.About.Name, one, second.About.Name, other)}
	}
	return nil
}

// both reads two published releases, of components that match.
func (d *differ) both(ctx context.Context, first, second *state.PublishedRelease, match func(component string) bool) (from, to *diffSide, err error) {
	platforms := map[string]string{}
	for _, p := range []*state.PublishedRelease{first, second} {
		for component := range p.Images {
			platforms[component] = d.platform(first.Platforms(component), second.Platforms(component))
		}
	}
	if from, err = d.published(ctx, first, platforms, match); err != nil {
		return nil, nil, err
	}
	to, err = d.published(ctx, second, platforms, match)
	return from, to, err
}

// platform returns the platform of --system, or else one that both have, preferably this
// machine's. A component that one of them does not have is compared with nothing.
func (d *differ) platform(first, second []string) string {
	wanted, _ := catalog.Platform(d.system) // it was checked
	common := slices.DeleteFunc(slices.Clone(first), func(platform string) bool { return !slices.Contains(second, platform) })
	if len(first) == 0 || len(second) == 0 {
		common = slices.Concat(first, second)
	}
	if d.options.system != "" || slices.Contains(common, wanted) || len(common) == 0 {
		return wanted
	}
	return common[0]
}

// published reads the images of a published release.
func (d *differ) published(ctx context.Context, p *state.PublishedRelease, platforms map[string]string, match func(string) bool) (*diffSide, error) {
	side := &diffSide{Release: p.About, source: sourceOf(p), answers: map[string]func(context.Context) (*vex.Answers, error){}}
	side.Images = map[string]*compare.Image{}
	components := slices.Sorted(maps.Keys(p.Images))
	if match != nil {
		components = slices.DeleteFunc(components, func(component string) bool { return !match(component) })
	}
	images, digests, errs := make([]*compare.Image, len(components)), make([]name.Digest, len(components)), make([]error, len(components))
	state.InParallel(state.Readers, components, func(i int, component string) {
		images[i], digests[i], errs[i] = p.ReadImage(ctx, component, platforms[component])
	})
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return nil, errs[i]
	}
	for i, component := range components {
		side.Images[component] = images[i]
		side.answers[component] = func(ctx context.Context) (*vex.Answers, error) { return p.Answers(ctx, digests[i]) }
	}
	return side, nil
}

// sourceOf returns the source of a published release, for upstream's notes, or nil if it is
// not at a known forge.
func sourceOf(p *state.PublishedRelease) *catalog.App {
	hosting, err := upstream.HostingOf(p.Source, "", os.Getenv)
	if err != nil || hosting.Kind == "gitlab" { // whose releases upstream does not read
		return nil
	}
	source := &catalog.Source{Kind: "git", Page: p.Source, Git: p.Source, Forge: hosting.Kind, Revision: p.Tag}
	if hosting.Kind == "github" {
		source.Kind, source.GitHub = "github", hosting.String()
	}
	return &catalog.App{Name: p.About.App, Version: p.About.Version, Source: source}
}

// releases reads releases of the catalogue's app: two published ones, or one and the working
// tree.
func (d *differ) releases(ctx context.Context) (from, to *diffSide, err error) {
	words := d.options.words
	var patterns []catalog.Pattern
	if d.ws, patterns, err = d.selected(ctx, "diff", words[:min(1, len(words))], false); err != nil {
		return nil, nil, err
	}
	for i := range patterns {
		if patterns[i].Variant == "*" {
			patterns[i].Variant = "default"
		}
	}
	tags := words[1:]
	if len(tags) == 0 {
		tags = []string{""}
	}
	return d.ofCatalogue(ctx, patterns, tags)
}

// ofCatalogue reads the releases with the given tags. The tag "" stands for the newest
// release. If there is only one tag, the working tree is the second side.
func (d *differ) ofCatalogue(ctx context.Context, patterns []catalog.Pattern, tags []string) (from, to *diffSide, err error) {
	evaluation, err := d.ws.evaluate(ctx, nix.Request{Patterns: patterns, Described: true})
	if err != nil {
		return nil, nil, err
	}
	refs := state.RecordRefs(patterns, evaluation.Apps)
	if err := checkOne(patterns, evaluation, refs); err != nil {
		return nil, nil, err
	}
	var opened []*state.PublishedRelease
	for _, tag := range tags {
		p, err := d.open(ctx, refs[0].Repository, tag)
		if err != nil {
			return nil, nil, err
		}
		opened = append(opened, p)
	}
	id, err := catalog.SelectImages(patterns, evaluation.Apps)
	if err != nil {
		return nil, nil, err
	}
	app, variant := evaluation.Apps[id[0].App], id[0].Variant
	match := func(component string) bool {
		id := catalog.ID{App: app.Name, Component: component, Variant: variant}
		return slices.ContainsFunc(patterns, func(p catalog.Pattern) bool { return p.Match(id) })
	}
	if len(opened) == 2 {
		from, to, err = d.both(ctx, opened[0], opened[1], match)
	} else if to, err = d.workingTree(ctx, app, variant, patterns); err == nil {
		platforms := map[string]string{}
		for component := range opened[0].Images {
			platforms[component] = d.platform(opened[0].Platforms(component), nil)
		}
		for component, image := range to.Images {
			platforms[component] = image.Platform
		}
		from, err = d.published(ctx, opened[0], platforms, match)
	}
	if err != nil {
		return nil, nil, err
	}
	to.source = &app
	return from, to, nil
}

// checkOne checks that exactly one release is selected.
func checkOne(patterns []catalog.Pattern, evaluation *nix.Evaluation, refs []catalog.Ref) error {
	for _, err := range evaluation.Failures {
		return err
	}
	if _, err := catalog.SelectImages(patterns, evaluation.Apps); err != nil {
		return err
	}
	if len(refs) != 1 {
		var names []string
		for _, ref := range refs {
			names = append(names, ref.Repository)
		}
		return usageError{fmt.Errorf("diff compares one app and variant, and these are selected: %s; select one, such as docs or docs/*/lyon", strings.Join(names, ", "))}
	}
	return nil
}

// open opens a published release of a repository by its tag; "" is the newest that is not
// withdrawn.
func (d *differ) open(ctx context.Context, repository, tag string) (*state.PublishedRelease, error) {
	client, err := d.ws.registry(d.options.registry)
	if err != nil {
		return nil, err
	}
	signing, err := d.ws.operatorVerifying(ctx, d.options.registry, client)
	if err != nil {
		return nil, err
	}
	if tag == "" {
		newest, err := d.newest(ctx, client, signing, repository)
		if err != nil {
			return nil, err
		}
		return state.OpenRelease(ctx, client, signing, newest)
	}
	reference, err := client.Tag(catalog.Ref{Repository: repository, Tag: tag})
	if err != nil {
		return nil, usageError{fmt.Errorf("%q is not a release tag, expected one such as 5.4.0-1: %w", tag, err)}
	}
	opened, err := state.OpenRelease(ctx, client, signing, reference)
	if err == nil {
		err = d.warnWithdrawn(ctx, client, signing, reference)
	}
	return opened, err
}

// newest is the newest release of a repository that is not withdrawn.
func (d *differ) newest(ctx context.Context, client *registry.Client, signing *state.Signing, repository string) (name.Reference, error) {
	tags, err := client.Tags(ctx, repository)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return nil, err
	}
	releases := state.ReleaseTags(tags)
	if len(releases) == 0 {
		return nil, &fault.Fault{Kind: fault.NotFound, Err: fmt.Errorf("%s/%s has no release to compare with", client, repository), Fix: "publish one first: libre push " + d.options.words[0]}
	}
	reference, err := client.Tag(catalog.Ref{Repository: repository, Tag: releases[0]})
	if err != nil {
		return nil, err
	}
	return state.NotWithdrawn(ctx, client, signing, reference)
}

// workingTree builds the images of an app's variant, and reads them.
func (d *differ) workingTree(ctx context.Context, app catalog.App, variant string, patterns []catalog.Pattern) (*diffSide, error) {
	release, err := state.Described(app, variant)
	if err != nil {
		return nil, err
	}
	side := &diffSide{Release: *release, answers: map[string]func(context.Context) (*vex.Answers, error){}}
	side.Images = map[string]*compare.Image{}
	stated, err := vex.Load(d.ws.dir, app, time.Now())
	if err != nil {
		return nil, err
	}
	images, err := d.contents(ctx, d.ws, d.options.output, nix.Request{Patterns: patterns, Systems: []string{d.system}})
	if err != nil {
		return nil, err
	}
	for _, image := range images {
		component := image.Target.ID.Component
		compared := compare.NewImage(image.Manifest.Digest.String(), image.Content, image.Config)
		compared.SBOM = image.Document
		side.Images[component] = compared
		side.answers[component] = func(context.Context) (*vex.Answers, error) {
			said, err := sayOf(image, app, stated, d.ws.settings.Registries())
			if err != nil {
				return nil, err
			}
			return said.Platforms[0].Answers, nil
		}
	}
	return side, nil
}
