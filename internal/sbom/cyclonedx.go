package sbom

import (
	"bytes"
	"fmt"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// CycloneDX writes the document as CycloneDX 1.6 JSON, on one line.
// https://cyclonedx.org/docs/1.6/json/
func (d *Document) CycloneDX() ([]byte, error) {
	id, err := d.checkedID()
	if err != nil {
		return nil, err
	}
	return d.cyclonedx(id)
}

func (d *Document) cyclonedx(id uuid.UUID) ([]byte, error) {
	// EncodeVersion would copy the document to convert fields that are not used here.
	bom := cdx.NewBOM()
	bom.SpecVersion, bom.JSONSchema = cdx.SpecVersion1_6, "http://cyclonedx.org/schema/bom-1.6.schema.json"
	bom.SerialNumber = id.URN()
	bom.Metadata = d.cdxMetadata()
	components := make([]cdx.Component, len(d.Components))
	for i, c := range d.Components {
		components[i] = cdxComponent(c)
	}
	bom.Components = &components
	bom.Dependencies, bom.Compositions = d.cdxGraph()
	var b bytes.Buffer
	encoder := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetEscapeHTML(false)
	if err := encoder.Encode(bom); err != nil {
		return nil, fmt.Errorf("writing the SBOM of %s as CycloneDX: %w", d.Subject.Name, err)
	}
	return b.Bytes(), nil
}

func (d *Document) cdxMetadata() *cdx.Metadata {
	tools := make([]cdx.Component, len(d.Tools))
	for i, tool := range d.Tools {
		tools[i] = cdx.Component{Type: cdx.ComponentTypeApplication, Name: tool.Name, Version: tool.Version}
	}
	return &cdx.Metadata{
		Timestamp:    d.Subject.time(),
		Tools:        &cdx.ToolsChoice{Components: &tools},
		Manufacturer: cdxCreator(d.Creator),
		Component:    d.cdxSubject(),
	}
}

func (d *Document) cdxSubject() *cdx.Component {
	s := d.Subject
	subject := &cdx.Component{
		BOMRef: s.PURL(), Type: cdx.ComponentTypeApplication,
		Name: s.Name, Version: s.Version, PackageURL: s.PURL(),
		Licenses: cdxLicense(d.License), Manufacturer: cdxCreator(d.Creator),
	}
	if d.ofImages() {
		return subject
	}
	subject.Type, subject.Hashes = cdx.ComponentTypeContainer, cdxHash(s.Manifest.String())
	subject.Properties = cdxProperties(
		"libre:index-digest", s.Index.String(),
		"libre:manifest-digest", s.Manifest.String(),
		"libre:platform", s.Platform.String())
	return subject
}

func cdxCreator(creator string) *cdx.OrganizationalEntity {
	switch {
	case creator == "":
		return nil
	case strings.Contains(creator, "://"):
		return &cdx.OrganizationalEntity{Name: creator, URL: &[]string{creator}}
	default:
		return &cdx.OrganizationalEntity{Name: creator, Contact: &[]cdx.OrganizationalContact{{Email: creator}}}
	}
}

// cdxGraph returns the dependencies, and how complete they are. All store paths of an image are
// known. The linked or copied parts of a package are known only if syft finds them.
func (d *Document) cdxGraph() (*[]cdx.Dependency, *[]cdx.Composition) {
	subject := d.Subject.PURL()
	dependencies := []cdx.Dependency{cdxDependency(subject, d.DependsOn)}
	refs := []cdx.BOMReference{}
	for _, c := range d.Components {
		dependencies = append(dependencies, cdxDependency(c.ID, c.DependsOn))
		refs = append(refs, cdx.BOMReference(c.ID))
	}
	image := cdx.Composition{
		Aggregate:    cdx.CompositionAggregateUnknown,
		Assemblies:   &[]cdx.BOMReference{cdx.BOMReference(subject)},
		Dependencies: &[]cdx.BOMReference{cdx.BOMReference(subject)},
	}
	if d.Complete {
		image.Aggregate = cdx.CompositionAggregateComplete
	}
	return &dependencies, &[]cdx.Composition{image, {Aggregate: cdx.CompositionAggregateUnknown, Dependencies: &refs}}
}

func cdxDependency(id string, dependsOn []string) cdx.Dependency {
	if len(dependsOn) == 0 {
		return cdx.Dependency{Ref: id}
	}
	return cdx.Dependency{Ref: id, Dependencies: &dependsOn}
}
