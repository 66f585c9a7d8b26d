package nix

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	nixcode "github.com/libresh/libre/nix"
)

// Catalogue is a catalogue's folder, ready for evaluation.
type Catalogue struct {
	nix   *Nix
	flake Flake
	host  *hostPackages // nil: pkgs is the catalogue's own nixpkgs
}

// The package sets, which are `pkgs` in a definition.
const (
	Nixpkgs         = "nixpkgs" // the catalogue's own, pinned in its flake.lock
	HostPackageName = "host"    // made of this machine's Go and busybox
)

// nixpkgsInput is the flake input that provides a catalogue's pkgs.
const nixpkgsInput = "nixpkgs"

// OpenCatalogue prepares a folder with a flake.nix. The evaluation uses the catalogue's
// own nix/ if it has one, as libre's repository does, else the embedded code. It adds only
// the code of the host package set to the store, which is enough for metadata.
func (n *Nix) OpenCatalogue(ctx context.Context, dir, packageSet string) (*Catalogue, error) {
	c := &Catalogue{nix: n, flake: Flake{Dir: dir}}
	if _, err := os.Stat(filepath.Join(dir, "nix", "mkCatalogue.nix")); errors.Is(err, os.ErrNotExist) {
		library, err := n.AddFS(ctx, nixcode.Library(), nil)
		if err != nil {
			return nil, err
		}
		c.flake.Overrides = append(c.flake.Overrides, Override{"libre", library.FlakeRef()})
	}
	if packageSet == HostPackageName {
		code, err := n.AddFS(ctx, nixcode.HostPackages(), nil)
		if err != nil {
			return nil, err
		}
		c.flake.Overrides = append(c.flake.Overrides, Override{nixpkgsInput, code.FlakeRef()})
		c.host = &hostPackages{nix: n}
	}
	if n.AllowLocalInputs {
		return c, nil
	}
	return c, n.checkInputs(ctx, dir, c.flake.Overrides, true)
}

// TryEvaluation evaluates a small flake like a catalogue: in a folder, with an input that
// is overridden by a folder in the store.
func (n *Nix) TryEvaluation(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "libre-try-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	const flake = `{ inputs.nixpkgs.url = "github:NixOS/nixpkgs"; outputs = { nixpkgs, ... }: { libre = builtins.attrNames nixpkgs.legacyPackages; }; }`
	if err := os.WriteFile(filepath.Join(dir, "flake.nix"), []byte(flake), 0o644); err != nil {
		return err
	}
	code, err := n.AddFS(ctx, nixcode.HostPackages(), nil)
	if err != nil {
		return err
	}
	var systems []string
	return n.Eval(ctx, Flake{Dir: dir, Overrides: []Override{{nixpkgsInput, code.FlakeRef()}}}, "libre", "systems: systems", &systems)
}

// flakeFor returns the flake with the inputs for a request: images need the complete host
// package set, metadata only its code.
func (c *Catalogue) flakeFor(ctx context.Context, request Request) (Flake, error) {
	flake := c.flake
	flake.Offline = request.KeysOnly
	if c.host == nil || request.metadata() || request.NoPackages {
		return flake, nil
	}
	host, err := c.host.source(ctx)
	if err != nil {
		return flake, err
	}
	flake.Overrides = slices.Clone(flake.Overrides)
	for i, override := range flake.Overrides {
		if override.Input == nixpkgsInput {
			flake.Overrides[i].Ref = host.FlakeRef()
		}
	}
	return flake, nil
}

// Unused reports whether nothing was built with the package set yet: the toolchain of the
// host package set is not in the store.
func (c *Catalogue) Unused(ctx context.Context) bool {
	if c.host == nil {
		return false
	}
	parts, err := FindHostParts(ctx)
	if err != nil {
		return true
	}
	_, _, known := c.nix.cached(parts.goKey())
	return !known
}

// Request says what to evaluate.
type Request struct {
	Patterns   []catalog.Pattern
	Systems    []string // of the images; empty: no images, metadata only
	AllSystems bool     // images for all systems of the catalogue
	KeysOnly   bool     // do not wait for the network: keys may stay unknown
	NoPackages bool     // omit what needs the package set, and add nothing of it to the store
	Described  bool     // with App.Described
}

// metadata reports whether no image is requested.
func (r Request) metadata() bool { return len(r.Systems) == 0 && !r.AllSystems }

// Evaluation is the result of an evaluation.
type Evaluation struct {
	Systems  []string               // of the catalogue
	Names    []string               // of all its apps
	Apps     map[string]catalog.App // the selected ones
	Images   []*catalog.Spec        // the selected ones, by system
	Failures map[string]error       // by app: why it cannot be evaluated
	PkgsErr  error                  // why the package set is not available: keys that need it are unknown
}

// logName returns the name of an evaluation's log.
func (r *Request) logName() string {
	if len(r.Patterns) == 0 || slices.ContainsFunc(r.Patterns, func(p catalog.Pattern) bool { return p.App != r.Patterns[0].App || strings.Contains(p.App, "*") }) {
		return "evaluate"
	}
	return "evaluate-" + r.Patterns[0].App
}

// raw is the JSON that an evaluation prints.
type raw struct {
	Schema  int                    `json:"schema"`
	Systems []string               `json:"systems"`
	Names   []string               `json:"names"`
	Apps    map[string]catalog.App `json:"apps"`
	Images  []*catalog.Spec        `json:"images"`
}

// Evaluate evaluates a request in one nix process. If that fails, it evaluates the apps
// one by one, so that a broken app fails alone. If the package set is not available and
// only keys are requested, it omits what needs the package set.
func (c *Catalogue) Evaluate(ctx context.Context, request Request) (*Evaluation, error) {
	result, err := c.evaluate(ctx, request)
	if err == nil {
		return c.finish(request, result, nil)
	}
	with, failed, done, mirrorErr := c.mirrored(ctx, request, err)
	defer done()
	if mirrorErr != nil {
		return nil, mirrorErr
	}
	if with != nil {
		evaluation, err := with.Evaluate(ctx, request)
		if err == nil {
			for name := range evaluation.Failures {
				evaluation.Failures[name] = cmp.Or(failed[name], evaluation.Failures[name])
			}
		}
		return evaluation, err
	}
	if fault.Is(err, fault.Credentials) {
		return c.oneByOne(ctx, request, err)
	}
	var failure *Error
	if !errors.As(err, &failure) {
		return nil, err
	}
	if version, err := c.nix.Version(ctx); err == nil && !Supported(version) {
		return nil, fmt.Errorf("%s is too old: libre needs Nix 2.8 or newer, see https://nixos.org/download", version)
	}
	if strings.Contains(failure.Message, "is not a valid URL") { // up to 2.1x at least
		return nil, fmt.Errorf("nix cannot read the path %q: move the catalogue to a path of letters, digits,  \".\", \"_\" and \"-\"", c.flake.Dir)
	}
	if strings.Contains(failure.Message, "does not provide attribute") {
		return nil, fmt.Errorf("%s is not a catalogue: its flake has no output libre; run libre init to make one", c.flake.Dir)
	}
	if !failure.Fetch || request.metadata() || request.NoPackages {
		return c.oneByOne(ctx, request, err)
	}
	if !request.KeysOnly {
		return nil, fmt.Errorf("nixpkgs is not available: %s; use --package-set host to build with this machine's own Go and busybox", failure.Message)
	}
	request.NoPackages = true
	var evaluation *Evaluation
	if result, err = c.evaluate(ctx, request); err == nil {
		evaluation, err = c.finish(request, result, nil)
	} else {
		evaluation, err = c.oneByOne(ctx, request, err)
	}
	if err == nil {
		evaluation.PkgsErr = errors.New("nixpkgs not available")
	}
	return evaluation, err
}

// evaluate runs nix once.
func (c *Catalogue) evaluate(ctx context.Context, request Request) (*raw, error) {
	flake, err := c.flakeFor(ctx, request)
	if err != nil {
		return nil, err
	}
	var result raw
	if err := c.nix.Eval(ctx, flake, "libre", expression(request), &result); err != nil {
		var failure *Error
		if errors.As(err, &failure) && failure.output != "" {
			failure.Log = c.nix.keepLog(request.logName(), failure.output)
		}
		return nil, err
	}
	if result.Schema != catalog.Schema {
		return nil, schemaError(result.Schema)
	}
	return &result, result.check()
}

// oneByOne evaluates each of the selected apps in its own process. whole is the error of
// evaluating them together.
func (c *Catalogue) oneByOne(ctx context.Context, request Request, whole error) (*Evaluation, error) {
	all, err := c.evaluate(ctx, Request{})
	if err != nil {
		var failure *Error
		if errors.As(whole, &failure) && (missingFile().MatchString(failure.Message) || linkLoop().MatchString(failure.Message)) {
			return nil, &fault.Fault{Doing: failure.Doing, Err: c.explain(ctx, failure, "")}
		}
		return nil, whole
	}
	names, err := catalog.Select(request.Patterns, all.Names)
	if err != nil {
		return nil, c.hintUntracked(err)
	}
	all.Apps = map[string]catalog.App{}
	failures := map[string]error{}
	var lock sync.Mutex
	var group errgroup.Group
	group.SetLimit(2)
	for _, name := range names {
		group.Go(func() error {
			single := request
			single.Patterns = nil
			for _, pattern := range request.Patterns {
				if pattern.MatchApp(name) {
					single.Patterns = append(single.Patterns, catalog.Pattern{App: name, Component: pattern.Component, Variant: pattern.Variant})
				}
			}
			result, err := c.evaluate(ctx, single)
			lock.Lock()
			defer lock.Unlock()
			var failure *Error
			switch {
			case fault.Is(err, fault.Credentials):
				failures[name] = err
			case errors.As(err, &failure):
				failures[name] = c.explain(ctx, failure, "apps/"+name+"/default.nix")
			case err != nil:
				return err
			default:
				all.Apps[name] = result.Apps[name]
				all.Images = append(all.Images, result.Images...)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return c.finish(request, all, failures)
}

// finish checks the result of an evaluation as a whole.
func (c *Catalogue) finish(request Request, from *raw, failures map[string]error) (*Evaluation, error) {
	if _, err := catalog.Select(request.Patterns, from.Names); err != nil {
		return nil, c.hintUntracked(err)
	}
	if _, err := catalog.SelectImages(request.Patterns, from.Apps); err != nil {
		return nil, err
	}
	if err := catalog.CheckNames(from.Apps); err != nil {
		return nil, err
	}
	for _, system := range request.Systems {
		if !slices.Contains(from.Systems, system) {
			return nil, fmt.Errorf("the catalogue is for %s, not for %s: add it to systems in flake.nix", strings.Join(from.Systems, ", "), system)
		}
	}
	for _, app := range from.Apps {
		inCatalogue(app)
	}
	for _, spec := range from.Images {
		spec.Compress(c.nix.Compression)
	}
	slices.SortFunc(from.Images, func(a, b *catalog.Spec) int {
		return slices.Compare([]string{a.Ref().String(), a.System}, []string{b.Ref().String(), b.System})
	})
	return &Evaluation{
		Systems: from.Systems, Names: from.Names, Apps: from.Apps, Images: from.Images,
		Failures: failures,
	}, nil
}

// inCatalogue replaces paths in the store, where Nix evaluates a copy of the catalogue, with
// paths in the catalogue.
func inCatalogue(app catalog.App) {
	for _, position := range app.Positions {
		if position != nil {
			position.File = sourcePath().ReplaceAllString(position.File, "")
		}
	}
	if app.Source != nil && app.Source.Path != "" {
		app.Source.Path = path.Clean(sourcePath().ReplaceAllString(app.Source.Path+"/", ""))
	}
	for _, changes := range append(slices.Collect(maps.Values(app.VariantChanges)), app.Changes) {
		for i := range changes {
			changes[i].Patch = sourcePath().ReplaceAllString(changes[i].Patch, "")
			changes[i].Add = sourcePath().ReplaceAllString(changes[i].Add, "")
		}
	}
}

// hintUntracked adds a note to the error about an unknown app: git does not track the app, so
// Nix does not see it.
func (c *Catalogue) hintUntracked(err error) error {
	var unknown *catalog.UnknownError
	if errors.As(err, &unknown) && slices.Contains(UntrackedApps(c.flake.Dir), unknown.Name) {
		return fmt.Errorf("no app %s: git does not track apps/%s; git add apps/%s", unknown.Name, unknown.Name, unknown.Name)
	}
	return err
}

func schemaError(schema int) error {
	if schema > catalog.Schema {
		return fmt.Errorf("the catalogue has schema %d, this version of libre supports %d: update libre", schema, catalog.Schema)
	}
	return fmt.Errorf("the catalogue has schema %d, this version of libre supports %d: update the catalogue's libre input", schema, catalog.Schema)
}

// expression returns the Nix function that selects the requested part of the output
// `libre`. Names and patterns have no special characters, but are quoted anyway.
func expression(request Request) string {
	var patterns, systems []string
	for _, p := range request.Patterns {
		patterns = append(patterns, fmt.Sprintf("{ app = %s; component = %s; variant = %s; }",
			Quote(catalog.Regexp(p.App)), Quote(catalog.Regexp(p.Component)), Quote(catalog.Regexp(p.Variant))))
	}
	for _, system := range request.Systems {
		systems = append(systems, Quote(system))
	}
	wanted := "[ " + strings.Join(systems, " ") + " ]"
	if request.AllSystems {
		wanted = "null"
	}
	return fmt.Sprintf("(%s) { patterns = [ %s ]; systems = %s; packages = %t; described = %t; }",
		nixcode.Select, strings.Join(patterns, " "), wanted, !request.NoPackages, request.Described)
}
