// Package files finds packages in the files of an image with syft. Only the program
// libre-inspect imports it: syft takes 20 ms of CPU time to start, which would slow down
// each command of libre.
package files

import (
	"context"
	"os"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/anchore/stereoscope/pkg/image"
	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/cataloging"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"
	syftsbom "github.com/anchore/syft/syft/sbom"
	syftsource "github.com/anchore/syft/syft/source"

	_ "github.com/glebarez/go-sqlite" // syft reads RPM databases with it

	"github.com/libresh/libre/internal/sbom"
)

// fromLayout lists the packages in the files of an image of an OCI layout, by the manifest
// of the subject. It uses no daemon and no network. It unpacks the layers into the folder
// for temporary files.
func fromLayout(ctx context.Context, layout string, subject sbom.Subject, w *watch) (*sbom.Document, error) {
	source, done, err := openLayout(ctx, layout, subject)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := w.unpacked(); err != nil {
		return nil, err
	}
	document, err := recognise(ctx, source)
	if err == nil {
		document.Subject = subject
	}
	return document, err
}

// openLayout opens an image of an OCI layout for syft. The caller must call done.
func openLayout(ctx context.Context, layout string, subject sbom.Subject) (source syftsource.Source, done func(), err error) {
	dir, err := singleImage(layout, subject.Manifest)
	if err != nil {
		return nil, nil, err
	}
	platform, err := image.NewPlatform(subject.Platform.String())
	if err == nil {
		source, err = syft.GetSource(ctx, dir, syft.DefaultGetSourceConfig().WithSources("oci-dir").WithPlatform(platform))
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return source, func() { source.Close(); os.RemoveAll(dir) }, nil
}

// recognise lists the packages that syft finds, in a document without a subject.
func recognise(ctx context.Context, source syftsource.Source) (*sbom.Document, error) {
	scanner, err := licenseScanner()
	if err != nil {
		return nil, err
	}
	found, err := syft.CreateSBOM(scannerContext{ctx, scanner}, source, syftConfig())
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil { // syft itself continues and returns a part
		return nil, err
	}
	resolver, err := source.FileResolver(syftsource.SquashedScope)
	if err != nil {
		return nil, err
	}
	return fromSyft(found, &fileReader{resolver, map[string]string{}})
}

// syftConfig selects syft's catalogers for images, and only packages and dependencies of their
// results. It compiles hundreds of regular expressions, so it is made once.
var syftConfig = sync.OnceValue(func() *syft.CreateSBOMConfig {
	return syft.DefaultCreateSBOMConfig().
		WithoutFiles().
		WithDataGenerationConfig(cataloging.DefaultDataGenerationConfig().WithGenerateCPEs(false)).
		WithRelationshipsConfig(cataloging.DefaultRelationshipsConfig().WithPackageFileOwnership(false)).
		WithComplianceConfig(cataloging.ComplianceConfig{
			MissingName: cataloging.ComplianceActionDrop, MissingVersion: cataloging.ComplianceActionKeep,
		})
})

// licenseScanner returns a context with syft's scanner of licence texts. Making the scanner
// takes almost a second.
var licenseScanner = sync.OnceValues(func() (context.Context, error) {
	return syft.SetContextLicenseScanner(context.Background(), cataloging.DefaultLicenseConfig())
})

// scannerContext is a context that also has the values of a second context.
type scannerContext struct {
	context.Context
	scanner context.Context
}

func (c scannerContext) Value(key any) any {
	if value := c.Context.Value(key); value != nil {
		return value
	}
	return c.scanner.Value(key)
}

// fromSyft makes one component of a package, which syft lists once for each place. If the
// entries differ, the first one counts.
func fromSyft(found *syftsbom.SBOM, reader *fileReader) (*sbom.Document, error) {
	components := map[string]*sbom.Component{}
	for _, p := range found.Artifacts.Packages.Sorted() {
		id := packageID(p)
		c := components[id]
		if c == nil {
			c = &sbom.Component{ID: id, Name: p.Name, Version: p.Version, Type: string(p.Type), PURL: p.PURL}
			if p.Type != pkg.BinaryPkg { // a file does not contain these
				c.License, c.Creator = licenseOf(p), makerOf(p)
			}
			components[id] = c
		}
		places := locations(p)
		c.Where = append(c.Where, places...)
		if len(places) > 0 && slices.Contains(places, slices.Min(c.Where)) {
			var err error
			if c.File, err = reader.file(p, slices.Min(c.Where)); err != nil {
				return nil, err
			}
		}
	}
	for _, relation := range found.Relationships {
		needed, isPackage := relation.From.(pkg.Package)
		needing, arePackages := relation.To.(pkg.Package)
		if !isPackage || !arePackages || relation.Type != artifact.DependencyOfRelationship {
			continue
		}
		if c := components[packageID(needing)]; c != nil {
			c.DependsOn = append(c.DependsOn, packageID(needed))
		}
	}
	return sbom.NewDocument(components, tools()...), nil
}

// tools lists the tools that find packages.
func tools() []sbom.Tool {
	return []sbom.Tool{{Name: "syft", Version: moduleVersion("github.com/anchore/syft")}}
}

func packageID(p pkg.Package) string {
	if p.PURL != "" {
		return p.PURL
	}
	return string(p.Type) + ":" + p.Name + "@" + p.Version
}

// locations lists the paths that syft marks as the places of a package. If it marks none, it
// lists all paths with evidence of the package.
func locations(p pkg.Package) []string {
	var primary, all []string
	for _, location := range p.Locations.ToSlice() {
		all = append(all, location.RealPath)
		if isPrimary(location) {
			primary = append(primary, location.RealPath)
		}
	}
	if len(primary) > 0 {
		return primary
	}
	return all
}

func isPrimary(location file.Location) bool {
	return location.Annotations[pkg.EvidenceAnnotationKey] == pkg.PrimaryEvidenceAnnotation
}

// moduleVersion returns the version of a module that is linked into this program.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if i := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == path }); i >= 0 {
		return info.Deps[i].Version
	}
	return ""
}
