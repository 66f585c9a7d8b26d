package sbom

import (
	"net/url"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/anchore/packageurl-go"
)

// Names of properties. The properties of store paths have sbomnix's names.
const (
	propertyType       = "syft:package:type"
	propertyStorePath  = "nix:output_path"
	propertyNarHash    = "nix:nar_hash"
	propertySourceHash = "nix:source_hash" // SRI, of the unpacked source
	propertyPatch      = "libre:patch"     // HASH NAME of each patch of the pedigree, in order
	propertyCPE        = "syft:cpe23"      // each CPE but the first
	// https://github.com/BSI-Bund/tr-03183-cyclonedx-property-taxonomy
	propertyFileName   = "bsi:component:filename"
	propertyExecutable = "bsi:component:executable"
	propertyArchive    = "bsi:component:archive"
	propertyStructured = "bsi:component:structured"
)

// cdxComponent returns a component in CycloneDX's form. Its type is library, which the format
// recommends for unknown types, unless it is the application or one of its images.
func cdxComponent(c Component) cdx.Component {
	component := cdx.Component{
		BOMRef: c.ID, Type: cdx.ComponentTypeLibrary,
		Name: c.Name, Version: c.Version, PackageURL: c.PURL,
		Manufacturer: cdxCreator(c.Creator), Licenses: cdxLicense(c.License), Pedigree: cdxPedigree(c.Patches),
	}
	var properties []string
	switch {
	case c.Type == applicationType:
		component.Type = cdx.ComponentTypeApplication
	case c.Type == containerType:
		component.Type = cdx.ComponentTypeContainer
		if purl, err := packageurl.FromString(c.PURL); err == nil {
			component.Hashes = cdxHash(purl.Version)
		}
	case c.StorePath != "":
		component.Hashes = cdxHash(c.NarHash)
		properties = []string{propertyStorePath, c.StorePath, propertyNarHash, c.NarHash}
	default:
		properties = []string{propertyType, c.Type}
	}
	if len(c.CPEs) > 0 {
		component.CPE = c.CPEs[0]
		for _, other := range c.CPEs[1:] {
			properties = append(properties, propertyCPE, other)
		}
	}
	if c.Source.Hash != "" {
		properties = append(properties, propertySourceHash, c.Source.Hash)
	}
	for _, patch := range c.Patches {
		properties = append(properties, propertyPatch, patch.Hash+" "+patch.Name)
	}
	component.Properties = cdxProperties(append(properties, cdxFile(c.File)...)...)
	component.ExternalReferences = cdxReferences(c)
	if len(c.Where) > 0 {
		occurrences := make([]cdx.EvidenceOccurrence, len(c.Where))
		for i, where := range c.Where {
			occurrences[i].Location = where
		}
		component.Evidence = &cdx.Evidence{Occurrences: &occurrences}
	}
	return component
}

// cdxLicense returns a license as one expression. The format cannot express that a license is
// unknown.
func cdxLicense(license License) *cdx.Licenses {
	if license.Expression == "" {
		return nil
	}
	acknowledgement := cdx.LicenseAcknowledgementDeclared
	if license.Concluded {
		acknowledgement = cdx.LicenseAcknowledgementConcluded
	}
	return &cdx.Licenses{{Expression: license.Expression, Acknowledgement: &acknowledgement}}
}

func cdxPedigree(patches []Patch) *cdx.Pedigree {
	if len(patches) == 0 {
		return nil
	}
	all := make([]cdx.Patch, len(patches))
	for i, patch := range patches {
		all[i].Type = cdx.PatchTypeUnofficial
		if patch.URL != "" {
			all[i].Type, all[i].Diff = cdx.PatchTypeCherryPick, &cdx.Diff{URL: patch.URL}
		}
		var issues []cdx.Issue
		for _, id := range patch.Resolves {
			issues = append(issues, cdx.Issue{Type: cdx.IssueTypeSecurity, ID: id})
		}
		if issues != nil {
			all[i].Resolves = &issues
		}
	}
	return &cdx.Pedigree{Patches: &all}
}

// cdxFile returns the properties of a file that BSI TR-03183-2 requires. A component with files
// is "structured", because its files are known.
func cdxFile(f File) []string {
	if f.Name == "" {
		return nil
	}
	executable, archive := "non-executable", "no archive"
	if f.Executable {
		executable = "executable"
	}
	if f.Archive {
		archive = "archive"
	}
	return []string{propertyFileName, f.Name, propertyExecutable, executable, propertyArchive, archive, propertyStructured, "structured"}
}

// cdxReferences returns references to the source, and to the file in the image with its
// SHA-512, which BSI TR-03183-2 requires in a reference.
func cdxReferences(c Component) *[]cdx.ExternalReference {
	var references []cdx.ExternalReference
	if c.Source.URL != "" {
		references = append(references, cdx.ExternalReference{Type: cdx.ERTypeSourceDistribution, URL: c.Source.URL})
	}
	if c.File.SHA512 != "" && len(c.Where) > 0 {
		place := url.URL{Scheme: "file", Path: c.Where[0]}
		references = append(references, cdx.ExternalReference{
			Type: cdx.ERTypeDistribution, URL: place.String(),
			Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA512, Value: c.File.SHA512}},
		})
	}
	if references == nil {
		return nil
	}
	return &references
}

func cdxHash(digest string) *[]cdx.Hash {
	return &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: strings.TrimPrefix(digest, "sha256:")}}
}

func cdxProperties(namesAndValues ...string) *[]cdx.Property {
	var properties []cdx.Property
	for i := 0; i < len(namesAndValues); i += 2 {
		properties = append(properties, cdx.Property{Name: namesAndValues[i], Value: namesAndValues[i+1]})
	}
	if properties == nil {
		return nil
	}
	return &properties
}
