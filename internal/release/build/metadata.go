package build

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/sbom"
)

// metadata is what is known of an image from elsewhere than its files: from its definition,
// from the package set, and from the derivations of its store paths.
func (b *Builder) metadata(ctx context.Context, spec *catalog.Spec, document *sbom.Document) (sbom.Metadata, error) {
	m := sbom.Metadata{Application: application(spec), Paths: map[string]sbom.Facts{}, Modules: map[string]map[string]string{}}
	m.Application.Creator = cmp.Or(m.Application.Creator, document.Creator)
	var drvs, paths []string
	for _, derivation := range []*catalog.Derivation{spec.Rootfs(), spec.Tools()} {
		if derivation != nil && derivation.Drv != nil {
			drvs = append(drvs, *derivation.Drv)
		}
	}
	var names []nix.StoreName
	for _, c := range document.Components {
		if c.StorePath != "" {
			paths = append(paths, c.StorePath)
			names = append(names, nix.StoreName{Path: c.StorePath, PName: c.Name, Version: c.Version})
		}
	}
	if len(paths) == 0 {
		return m, nil
	}
	origins, err := nix.Origins(drvs, paths)
	if err != nil {
		return m, err
	}
	for i, name := range names {
		if origin := origins[name.Path]; origin.PName != "" {
			names[i].PName, names[i].Version = origin.PName, origin.Version
		}
	}
	known, err := b.Catalogue.Inventory(ctx, spec, names)
	if err != nil {
		return m, fmt.Errorf("asking the package set about what is in %s: %w", spec.ID(), err)
	}
	for _, name := range names {
		m.Paths[name.Path] = factsOf(origins[name.Path], known[name.Path])
	}
	// The trees that libre makes of the definition are the image's own.
	for _, root := range document.DependsOn {
		facts := m.Paths[root]
		facts.Version, facts.License = document.Subject.Version, cmp.Or(facts.License, m.Application.License)
		facts.Creator = cmp.Or(facts.Creator, m.Application.Creator)
		m.Paths[root] = facts
	}
	b.warnUnknown(spec.ID(), names, known, m)
	m.Modules, err = b.modules(ctx, document, origins)
	return m, err
}

// factsOf joins what the derivation and the package set say of a store path.
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

// valid is a license expression, "" if it is none.
func valid(expression string) string {
	if license.Check(expression) != nil {
		return ""
	}
	return expression
}

// advisory is an ID in the name of a patch, as nixpkgs names them: CVE-2026-1234.patch.
var advisory = regexp.MustCompile(`(?i)CVE-\d{4}-\d{4,}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}`)

func advisories(name string) []string {
	var ids []string
	for _, id := range advisory.FindAllString(name, -1) {
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

// modules finds the licenses of the Go modules that are linked into the programs of store
// paths, in the folders that these were built from. What the store lacks of them is fetched.
func (b *Builder) modules(ctx context.Context, document *sbom.Document, origins map[string]nix.Origin) (map[string]map[string]string, error) {
	folders := map[string]nix.Folder{}
	var outputs []nix.Output
	for _, owner := range document.LinkedModules() {
		if folder := origins[owner].Modules; folder.Path != "" {
			folders[owner] = folder
			outputs = append(outputs, folder.Output)
		}
	}
	if len(folders) == 0 {
		return nil, nil
	}
	roots, err := os.MkdirTemp("", "libre-roots-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(roots)
	failures, err := b.Nix.Realise(ctx, outputs, roots, func(nix.LogEvent) {})
	if err != nil {
		return nil, err
	}
	for _, failure := range failures {
		return nil, failure
	}
	licenses := map[string]map[string]string{}
	for owner, folder := range folders {
		if licenses[owner], err = b.Files.ModuleLicenses(ctx, folder.Dir()); err != nil {
			return nil, err
		}
	}
	return licenses, nil
}

// warnUnknown says how much the package set does not know.
func (b *Builder) warnUnknown(id catalog.ID, names []nix.StoreName, known map[string]nix.Known, m sbom.Metadata) {
	var unknown []string
	for _, name := range names {
		if !known[name.Path].Known && m.Paths[name.Path].License == "" && name.Path != m.Application.Program {
			unknown = append(unknown, name.PName)
		}
	}
	if len(unknown) > 0 {
		b.Watcher.Warn(id, fmt.Sprintf("the package set does not know %d of %d store paths: %s", len(unknown), len(names), strings.Join(unknown, ", ")))
	}
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
