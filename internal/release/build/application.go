package build

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/anchore/packageurl-go"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/sbom"
)

// application returns the program of an image, as its definition describes it.
func application(spec *catalog.Spec) sbom.Application {
	app := sbom.Application{Facts: sbom.Facts{
		Name: spec.App, Version: spec.Version, PURL: applicationPURL(spec),
		Creator: cmp.Or(spec.Annotations.URL, spec.Annotations.Source), License: valid(spec.Annotations.License),
	}}
	app.Release = "v" + strings.TrimPrefix(spec.Version, "v")
	software := spec.Software
	if software == nil {
		return app
	}
	app.Program = software.Program
	if cpe := software.Identifiers.CPE; cpe != "" {
		app.CPEs = []string{cpe}
	}
	for _, patch := range software.Patches {
		resolves := slices.Sorted(slices.Values(patch.Fixes))
		app.Patches = append(app.Patches, sbom.Patch{Name: patch.Name, URL: patch.URL, Hash: sha256Of(patch.Hash), Resolves: slices.Compact(resolves)})
	}
	if source := software.Source; source != nil {
		app.Source = sbom.Source{URL: sourceURL(source), Hash: source.Hash}
		switch {
		case source.GoModule != "":
			app.Module, app.Release = source.GoModule, source.Version
		case overHTTPS(source.Page):
			page, _ := url.Parse(source.Page)
			app.Module = page.Host + strings.TrimSuffix(strings.TrimSuffix(page.Path, "/"), ".git")
		}
	}
	return app
}

// applicationPURL returns the package URL that follows from the source.
// https://github.com/package-url/purl-spec
func applicationPURL(spec *catalog.Spec) string {
	if spec.Software != nil && spec.Software.Identifiers.PURL != "" {
		return spec.Software.Identifiers.PURL
	}
	qualifiers := map[string]string{}
	if spec.Software != nil && spec.Software.Source != nil {
		source := spec.Software.Source
		switch {
		case source.GoModule != "":
			return sbom.GoPURL(source.GoModule, source.Version)
		case source.GitHub != "" && strings.EqualFold(source.Page, "https://github.com/"+source.GitHub):
			owner, repository, _ := strings.Cut(strings.ToLower(source.GitHub), "/")
			return packageurl.NewPackageURL(packageurl.TypeGithub, owner, repository, cmp.Or(source.Tag, source.Rev), nil, "").ToString()
		case source.Kind == "github" || source.Kind == "git":
			qualifiers["vcs_url"] = "git+" + source.Page + "@" + cmp.Or(source.Rev, source.Tag)
		case source.Kind == "url":
			qualifiers["download_url"] = source.Page
		}
	}
	return packageurl.NewPackageURL(packageurl.TypeGeneric, "", spec.App, spec.Version, packageurl.QualifiersFromMap(qualifiers), "").ToString()
}

// sourceURL returns the URL of the source: of the archive if the definition names one,
// otherwise of the repository.
func sourceURL(source *catalog.Source) string { return cmp.Or(source.Archive, source.Page) }

func overHTTPS(page string) bool { return strings.HasPrefix(page, "https://") }
