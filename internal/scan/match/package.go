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

// packageOf makes a package as grype makes it of an SBOM's component. guessed says that its
// CPEs were made from its name, as syft makes them. It is not ok without a version, or if
// nothing tells what the name is a name of.
func packageOf(c scan.Component) (p pkg.Package, guessed, ok bool) {
	found := syft.Package{Name: c.Name, Version: c.Version, Type: syft.Type(c.Type), PURL: c.PURL, Language: syft.LanguageFromPURL(c.PURL)}
	if !slices.Contains(syft.AllPkgs, found.Type) {
		found.Type = syft.TypeFromPURL(c.PURL)
	}
	for _, name := range c.CPEs {
		if read, err := cpe.New(name, cpe.DeclaredSource); err == nil && read.Attributes.Product != cpe.Any {
			found.CPEs = append(found.CPEs, read)
		}
	}
	if len(found.CPEs) == 0 && foundByCPE(found.Type) && c.Name != "" && c.Version != "" {
		found.CPEs, guessed = cpes.Generate(found), true
	}
	if c.Version == "" && len(found.CPEs) == 0 || c.Name == "" {
		return pkg.Package{}, false, false
	}
	if found.Type == syft.UnknownPkg && len(found.CPEs) == 0 {
		return pkg.Package{}, false, false
	}
	p = pkg.New(found, addDistribution)
	p.ID = pkg.ID(c.ID)
	return p, guessed, true
}

// foundByCPE reports whether no ecosystem's data has packages of a type, so that only a CPE
// can find them.
func foundByCPE(t syft.Type) bool { return t == syft.NixPkg || t == syft.BinaryPkg }

// addDistribution reads what a package URL says of the distribution and the source package,
// as grype does of SBOMs: pkg:deb/debian/libssl3@3.0.17-1?distro=debian-12&upstream=openssl.
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
