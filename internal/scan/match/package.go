package match

import (
	"slices"
	"strings"

	"github.com/anchore/grype/grype/distro"
	"github.com/anchore/grype/grype/pkg"
	"github.com/anchore/packageurl-go"
	"github.com/anchore/syft/syft/cpe"
	syft "github.com/anchore/syft/syft/pkg"
	cpes "github.com/anchore/syft/syft/pkg/cataloger/common/cpe"

	"github.com/libresh/libre/internal/scan"
)

// packagesOf makes the packages of an SBOM's component as grype does. guessed reports whether
// the CPEs were made from the component's name, as syft makes them. A component without a
// version or a known ecosystem has no packages.
//
// The matchers of most ecosystems ignore CPEs, because syft guesses one for every package. The
// CPEs in our SBOMs are stated by definitions or the package set, so a second package searches
// for them. The Go standard library has better data of its own.
func packagesOf(c scan.Component) (all []pkg.Package, guessed bool) {
	found := syft.Package{Name: c.Name, Version: c.Version, Type: syft.Type(c.Type), PURL: c.PURL, Language: syft.LanguageFromPURL(c.PURL)}
	if !slices.Contains(syft.AllPkgs, found.Type) {
		found.Type = syft.TypeFromPURL(c.PURL)
	}
	for _, name := range c.CPEs {
		if read, err := cpe.New(name, cpe.DeclaredSource); err == nil && read.Attributes.Product != cpe.Any {
			found.CPEs = append(found.CPEs, read)
		}
	}
	stated := len(found.CPEs) > 0
	switch {
	case c.Name == "" || c.Version == "" && !stated:
		return nil, false
	case foundByCPE(found.Type) && !stated:
		found.CPEs, guessed = cpes.Generate(found), true
	case found.Type == syft.UnknownPkg && !stated:
		return nil, false
	}
	add := func(p syft.Package) {
		made := pkg.New(p, addDistribution)
		made.ID = pkg.ID(c.ID)
		all = append(all, made)
	}
	add(found)
	if stated && !foundByCPE(found.Type) && found.Type != syft.UnknownPkg && c.Name != "stdlib" {
		found.Type, found.Language, found.PURL = syft.UnknownPkg, syft.UnknownLanguage, ""
		add(found)
	}
	return all, guessed
}

// foundByCPE reports whether packages of a type are in no ecosystem's data, so only a CPE can
// find them.
func foundByCPE(t syft.Type) bool { return t == syft.NixPkg || t == syft.BinaryPkg }

// addDistribution adds the distribution and the source package from a package URL, as grype
// does for SBOMs: pkg:deb/debian/libssl3@3.0.17-1?distro=debian-12&upstream=openssl.
func addDistribution(p *pkg.Package, purl packageurl.PackageURL, _ syft.Package) {
	qualifiers := purl.Qualifiers.Map()
	if name, version := distro.ParseDistroString(qualifiers[syft.PURLQualifierDistro]); name != "" {
		p.Distro = distro.NewFromNameVersion(name, version)
	}
	upstream := qualifiers[syft.PURLQualifierUpstream]
	if upstream == "" || len(p.Upstreams) > 0 {
		return
	}
	name, version, _ := strings.Cut(upstream, "@")
	if p.Type == syft.RpmPkg {
		name, version = sourceOfRPM(upstream)
	}
	if name != "" && name != purl.Name {
		p.Upstreams = []pkg.UpstreamPackage{{Name: name, Version: version}}
	}
}

// sourceOfRPM splits NAME-VERSION-RELEASE.src.rpm.
func sourceOfRPM(file string) (name, version string) {
	file = strings.TrimSuffix(strings.TrimSuffix(file, ".rpm"), ".src")
	release := strings.LastIndex(file, "-")
	if release < 0 {
		return "", ""
	}
	start := strings.LastIndex(file[:release], "-")
	if start < 0 {
		return "", ""
	}
	return file[:start], file[start+1:]
}
