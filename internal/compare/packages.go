package compare

import (
	"cmp"
	"slices"
	"strings"

	"github.com/anchore/packageurl-go"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/sbom"
)

// PackagesDelta compares the packages in the SBOMs of two images.
type PackagesDelta struct {
	From    int             `json:"from"`    // number of packages in the first image
	To      int             `json:"to"`      // number of packages in the second image
	Rebuilt int             `json:"rebuilt"` // number of packages with the same name and version, but other store paths
	Changes []PackageChange `json:"changes"` // by type and name
}

// PackageChange is a package that was added, removed or has another version.
type PackageChange struct {
	Name   string   `json:"name"` // in its ecosystem
	Type   string   `json:"type"` // the ecosystem in syft's words: nix, go-module, npm
	Change Edit     `json:"change"`
	From   []string `json:"from"` // versions, the lowest first
	To     []string `json:"to"`   // as from
}

// LicenseChange is a package that both images have, with different licences.
type LicenseChange struct {
	Name string   `json:"name"` // of the package
	Type string   `json:"type"` // ecosystem of the package
	From []string `json:"from"` // SPDX expressions, sorted; empty if none is known
	To   []string `json:"to"`   // as from
}

// packageKey identifies a package in all its versions.
type packageKey struct{ kind, name string }

// packageSet collects the versions of one package in an image.
type packageSet struct {
	versions, licenses, paths []string
}

// packages compares documents by package, wherever the packages are in the images.
func packages(from, to *sbom.Document) (*PackagesDelta, []LicenseChange) {
	was, is := packageSets(from), packageSets(to)
	delta := &PackagesDelta{From: len(was), To: len(is), Changes: []PackageChange{}}
	licenses := []LicenseChange{}
	for key, before := range was {
		after, has := is[key]
		switch {
		case !has:
			delta.Changes = append(delta.Changes, PackageChange{key.name, key.kind, Removed, before.versions, []string{}})
			continue
		case !slices.Equal(before.versions, after.versions):
			delta.Changes = append(delta.Changes, PackageChange{key.name, key.kind, Changed, before.versions, after.versions})
		case !slices.Equal(before.paths, after.paths):
			delta.Rebuilt++
		}
		if !slices.Equal(before.licenses, after.licenses) {
			licenses = append(licenses, LicenseChange{key.name, key.kind, before.licenses, after.licenses})
		}
	}
	for key, after := range is {
		if _, had := was[key]; !had {
			delta.Changes = append(delta.Changes, PackageChange{key.name, key.kind, Added, []string{}, after.versions})
		}
	}
	slices.SortFunc(delta.Changes, func(a, b PackageChange) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(licenses, func(a, b LicenseChange) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name))
	})
	return delta, licenses
}

// packageSets groups the components of a document. The store path that becomes the image's root
// folder does not count: it has the image's name, and is not a package.
func packageSets(document *sbom.Document) map[packageKey]*packageSet {
	all := map[packageKey]*packageSet{}
	for _, c := range document.Components {
		if slices.Contains(c.Where, "/") {
			continue
		}
		key := packageKey{c.Type, packageName(c)}
		if all[key] == nil {
			all[key] = &packageSet{versions: []string{}, licenses: []string{}}
		}
		set := all[key]
		set.versions = append(set.versions, c.Version)
		if c.License.Expression != "" {
			set.licenses = append(set.licenses, c.License.Expression)
		}
		if c.StorePath != "" {
			set.paths = append(set.paths, c.StorePath)
		}
	}
	for _, set := range all {
		slices.SortFunc(set.versions, func(a, b string) int {
			return cmp.Or(catalog.CompareVersions(a, b), strings.Compare(a, b))
		})
		set.versions = slices.Compact(set.versions)
		slices.Sort(set.licenses)
		set.licenses = slices.Compact(set.licenses)
		slices.Sort(set.paths)
	}
	return all
}

// packageName returns a package's name with its namespace, because only some documents include
// the namespace in the name. It leaves out the namespace of a distribution, which is the
// distribution's name.
func packageName(c sbom.Component) string {
	purl, err := packageurl.FromString(c.PURL)
	if err != nil || purl.Namespace == "" || strings.Contains(c.Name, purl.Namespace) {
		return c.Name
	}
	switch purl.Type {
	case packageurl.TypeMaven, packageurl.TypeComposer, packageurl.TypeNPM, packageurl.TypeGolang:
		return purl.Namespace + "/" + c.Name
	}
	return c.Name
}
