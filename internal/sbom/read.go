package sbom

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Read reads a document that CycloneDX wrote. It is an error if the serial number is not
// that of the content: then another version of libre, or somebody else, wrote it.
func Read(cyclonedx []byte) (*Document, error) {
	document, serial, err := read(cyclonedx)
	if err == nil {
		id, idErr := document.id()
		if err = idErr; err == nil && id.URN() != serial {
			err = fmt.Errorf("its serial number is %s, that of its content is %s", serial, id.URN())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading an SBOM: %w", err)
	}
	return document, nil
}

// Decode reads a document that any version of libre wrote. It trusts what the document
// says: verify first who signed it.
func Decode(cyclonedx []byte) (*Document, error) {
	document, _, err := read(cyclonedx)
	if err != nil {
		return nil, fmt.Errorf("reading an SBOM: %w", err)
	}
	return document, nil
}

func read(cyclonedx []byte) (document *Document, serial string, err error) {
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(cyclonedx), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return nil, "", err
	}
	if bom.Metadata == nil || bom.Metadata.Component == nil {
		return nil, "", errors.New("it names no image")
	}
	document = &Document{Creator: readCreator(bom.Metadata.Manufacturer), Serial: bom.SerialNumber}
	if document.Subject, err = readSubject(bom.Metadata); err != nil {
		return nil, "", err
	}
	if tools := bom.Metadata.Tools; tools != nil {
		for _, tool := range list(tools.Components) {
			document.Tools = append(document.Tools, Tool{tool.Name, tool.Version})
		}
	}
	needs := map[string][]string{}
	for _, dependency := range list(bom.Dependencies) {
		needs[dependency.Ref] = list(dependency.Dependencies)
	}
	subject := document.Subject.PURL()
	document.DependsOn = needs[subject]
	for _, c := range list(bom.Components) {
		component := readComponent(c)
		component.DependsOn = needs[component.ID]
		document.Components = append(document.Components, component)
	}
	for _, composition := range list(bom.Compositions) {
		for _, ref := range list(composition.Assemblies) {
			document.Complete = document.Complete || string(ref) == subject && composition.Aggregate == cdx.CompositionAggregateComplete
		}
	}
	return document, bom.SerialNumber, nil
}

func readSubject(metadata *cdx.Metadata) (Subject, error) {
	c := metadata.Component
	subject := Subject{Name: c.Name, Version: c.Version}
	var err error
	if subject.Created, err = time.Parse(time.RFC3339, metadata.Timestamp); err != nil {
		return subject, err
	}
	if subject.Index, err = v1.NewHash(property(c, "libre:index-digest")); err != nil {
		return subject, err
	}
	if subject.Manifest, err = v1.NewHash(property(c, "libre:manifest-digest")); err != nil {
		return subject, err
	}
	platform, err := v1.ParsePlatform(property(c, "libre:platform"))
	if err != nil {
		return subject, err
	}
	subject.Platform = *platform
	return subject, nil
}

func readCreator(creator *cdx.OrganizationalEntity) string {
	if creator == nil {
		return ""
	}
	return creator.Name
}

func readComponent(c cdx.Component) Component {
	component := Component{
		ID: c.BOMRef, Name: c.Name, Version: c.Version, PURL: c.PackageURL,
		Type: property(&c, "syft:package:type"), StorePath: property(&c, "nix:output_path"), NarHash: property(&c, "nix:nar_hash"),
	}
	if component.StorePath != "" {
		component.Type = nixType
	}
	if c.Evidence != nil {
		for _, occurrence := range list(c.Evidence.Occurrences) {
			component.Where = append(component.Where, occurrence.Location)
		}
	}
	return component
}

func property(c *cdx.Component, name string) string {
	for _, property := range list(c.Properties) {
		if property.Name == name {
			return property.Value
		}
	}
	return ""
}

// list gives the elements of an optional list.
func list[T any](elements *[]T) []T {
	if elements == nil {
		return nil
	}
	return *elements
}
