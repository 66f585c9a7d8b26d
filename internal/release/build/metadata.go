package build

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/sbom"
)

// metadata returns what is known about an image from other sources than its files: from its
// definition, from the package set, and from the derivations of its store paths. An image that
// an engine built on images of the catalogue also contains their store paths.
func (b *Builder) metadata(ctx context.Context, spec *catalog.Spec, document *sbom.Document) (sbom.Metadata, error) {
	m := sbom.Metadata{Application: application(spec), Paths: map[string]sbom.Facts{}}
	m.Application.Creator = cmp.Or(m.Application.Creator, document.Creator)
	specs := nixSpecs(spec)
	own := []string{m.Application.Program}
	for _, one := range specs {
		for _, derivation := range one.Content.Derivations() {
			own = append(own, derivation.Out)
		}
		if one != spec {
			base := application(one)
			base.Creator = cmp.Or(base.Creator, document.Creator)
			m.Bases, own = append(m.Bases, base), append(own, base.Program)
		}
	}
	paths := document.StorePaths()
	if len(paths) == 0 {
		return m, nil
	}
	origins, err := originsOf(specs, paths)
	if err != nil {
		return m, err
	}
	known, err := b.inventory(ctx, spec.ID(), specs, storeNames(paths, origins), own)
	if err != nil {
		return m, err
	}
	for _, path := range paths {
		m.Paths[path] = factsOf(origins[path], known[path])
	}
	for i, app := range append([]sbom.Application{m.Application}, m.Bases...) {
		describeTrees(m.Paths, specs[i], app)
	}
	m.Modules, err = b.modules(ctx, document, origins)
	return m, err
}

// originsOf reads what the derivations of images record about store paths.
func originsOf(specs []*catalog.Spec, paths []string) (map[string]nix.Origin, error) {
	var drvs []string
	for _, spec := range specs {
		for _, derivation := range spec.Content.Derivations() {
			if derivation.Drv != nil {
				drvs = append(drvs, *derivation.Drv)
			}
		}
	}
	return nix.Origins(drvs, paths)
}

// nixSpecs returns an image and all images of the catalogue that it is built on.
func nixSpecs(spec *catalog.Spec) []*catalog.Spec {
	all := []*catalog.Spec{spec}
	for i := 0; i < len(all); i++ {
		for _, base := range all[i].Dependencies() {
			if !slices.ContainsFunc(all, func(known *catalog.Spec) bool { return known.ID() == base.ID() }) {
				all = append(all, base)
			}
		}
	}
	return all
}

// describeTrees describes the store paths that libre makes from a definition, as part of the
// application.
func describeTrees(paths map[string]sbom.Facts, spec *catalog.Spec, app sbom.Application) {
	for _, tree := range outputsOf(spec) {
		if facts, there := paths[tree.Path]; there {
			facts.Version = catalog.Tag(spec.Version, spec.PackageVersion)
			facts.License, facts.Creator = cmp.Or(facts.License, app.License), cmp.Or(facts.Creator, app.Creator)
			paths[tree.Path] = facts
		}
	}
}

// factsOf joins what the derivation and the package set know about a store path.
func factsOf(origin nix.Origin, known nix.Known) sbom.Facts {
	facts := sbom.Facts{
		Name: origin.PName, Version: origin.Version,
		PURL: known.PURL, Creator: known.Homepage, License: valid(known.License),
		Source: sbom.Source{Hash: origin.Source.Hash},
	}
	if known.CPE != "" {
		facts.CPEs = []string{known.CPE}
	}
	if len(origin.Source.URLs) > 0 {
		facts.Source.URL = origin.Source.URLs[0]
	}
	for _, patch := range origin.Patches {
		facts.Patches = append(facts.Patches, sbom.Patch{
			Name: patch.Name(), URL: patch.URL, Hash: patch.Hash, Resolves: advisories(patch.Name()),
		})
	}
	return facts
}

// valid returns a license expression, or "" if it is not valid.
func valid(expression string) string {
	if license.Check(expression) != nil {
		return ""
	}
	return expression
}

// advisory matches an ID in the name of a patch. nixpkgs names patches like
// CVE-2026-1234.patch.
var advisory = lazyregexp.New(`(?i)CVE-\d{4}-\d{4,}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}`)

func advisories(name string) []string {
	var ids []string
	for _, id := range advisory().FindAllString(name, -1) {
		if prefix, rest, _ := strings.Cut(id, "-"); strings.EqualFold(prefix, "GHSA") {
			id = "GHSA-" + strings.ToLower(rest)
		} else {
			id = strings.ToUpper(id)
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// modules finds the licenses of the Go modules that are linked into the programs in store
// paths. It reads the folders that the programs were built from.
func (b *Builder) modules(ctx context.Context, document *sbom.Document, origins map[string]nix.Origin) (map[string]map[string]string, error) {
	folders, done, err := b.moduleFolders(ctx, document, origins)
	if err != nil {
		return nil, err
	}
	defer done()
	licenses := map[string]map[string]string{}
	for owner, folder := range folders {
		if licenses[owner], err = b.Files.ModuleLicenses(ctx, folder); err != nil {
			return nil, err
		}
	}
	return licenses, nil
}

// moduleFolders returns the folders of the Go modules that programs were built from, by the
// store path of the program. It fetches folders that the store lacks. They stay until done is
// called.
func (b *Builder) moduleFolders(ctx context.Context, document *sbom.Document, origins map[string]nix.Origin) (folders map[string]string, done func(), err error) {
	folders = map[string]string{}
	var outputs []nix.Output
	for _, owner := range document.LinkedModules() {
		if folder := origins[owner].Modules; folder.Path != "" {
			folders[owner] = folder.Dir()
			outputs = append(outputs, folder.Output)
		}
	}
	if len(folders) == 0 {
		return nil, func() {}, nil
	}
	roots, err := os.MkdirTemp("", "libre-roots-")
	if err != nil {
		return nil, nil, err
	}
	done = func() { os.RemoveAll(roots) }
	failures, err := b.Nix.Realise(ctx, outputs, roots, func(nix.LogEvent) {})
	for _, failure := range failures {
		err = errors.Join(err, failure)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return folders, done, nil
}

// sha256Of writes a hash of a patch as sha256:BASE16. A hash of another kind stays.
func sha256Of(hash string) string {
	if digest, ok := strings.CutPrefix(hash, "sha256-"); ok {
		if raw, err := base64.StdEncoding.DecodeString(digest); err == nil {
			return "sha256:" + hex.EncodeToString(raw)
		}
	}
	return hash
}
