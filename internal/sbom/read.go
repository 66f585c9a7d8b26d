package sbom

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Read reads a document that CycloneDX wrote. It returns an error if the serial number does not
// match the content, because then another version of libre, or somebody else, wrote it.
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

// Decode reads a document that any version of libre wrote. It trusts the content: first verify
// who signed it.
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
	document = &Document{Creator: readCreator(bom.Metadata.Manufacturer), License: readLicense(bom.Metadata.Component.Licenses), Serial: bom.SerialNumber}
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
		return subject, errors.New("it has no valid timestamp")
	}
	if subject.Index, err = v1.NewHash(property(c, "libre:index-digest")); err != nil {
		return subject, errors.New("it does not say which index it is about: libre did not write it")
	}
	if subject.Manifest, err = v1.NewHash(property(c, "libre:manifest-digest")); err != nil {
		return subject, errors.New("it does not say which manifest it is about: libre did not write it")
	}
	platform, err := v1.ParsePlatform(property(c, "libre:platform"))
	if err != nil {
		return subject, errors.New("it does not say for which platform the image is: libre did not write it")
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
		Type: property(&c, propertyType), StorePath: property(&c, propertyStorePath), NarHash: property(&c, propertyNarHash),
		Creator: readCreator(c.Manufacturer), License: readLicense(c.Licenses),
		Source: Source{Hash: property(&c, propertySourceHash)}, Patches: readPatches(&c),
		File: File{
			Name: property(&c, propertyFileName), Executable: property(&c, propertyExecutable) == "executable",
			Archive: property(&c, propertyArchive) == "archive",
		},
	}
	switch {
	case component.StorePath != "":
		component.Type = nixType
	case c.Type == cdx.ComponentTypeApplication:
		component.Type = applicationType
	}
	if c.CPE != "" {
		component.CPEs = append([]string{c.CPE}, properties(&c, propertyCPE)...)
	}
	for _, reference := range list(c.ExternalReferences) {
		switch reference.Type {
		case cdx.ERTypeSourceDistribution:
			component.Source.URL = reference.URL
		case cdx.ERTypeDistribution:
			for _, hash := range list(reference.Hashes) {
				component.File.SHA512 = hash.Value
			}
		}
	}
	if c.Evidence != nil {
		for _, occurrence := range list(c.Evidence.Occurrences) {
			component.Where = append(component.Where, occurrence.Location)
		}
	}
	return component
}

func readLicense(licenses *cdx.Licenses) License {
	if licenses == nil || len(*licenses) != 1 {
		return License{}
	}
	choice := (*licenses)[0]
	return License{choice.Expression, choice.Acknowledgement != nil && *choice.Acknowledgement == cdx.LicenseAcknowledgementConcluded}
}

func readPatches(c *cdx.Component) []Patch {
	if c.Pedigree == nil {
		return nil
	}
	names := properties(c, propertyPatch)
	var patches []Patch
	for i, patch := range list(c.Pedigree.Patches) {
		var read Patch
		if i < len(names) {
			read.Hash, read.Name, _ = strings.Cut(names[i], " ")
		}
		if patch.Diff != nil {
			read.URL = patch.Diff.URL
		}
		for _, issue := range list(patch.Resolves) {
			read.Resolves = append(read.Resolves, issue.ID)
		}
		patches = append(patches, read)
	}
	return patches
}

func property(c *cdx.Component, name string) string {
	if values := properties(c, name); len(values) > 0 {
		return values[0]
	}
	return ""
}

func properties(c *cdx.Component, name string) (values []string) {
	for _, property := range list(c.Properties) {
		if property.Name == name {
			values = append(values, property.Value)
		}
	}
	return values
}

// list returns the elements of an optional list.
func list[T any](elements *[]T) []T {
	if elements == nil {
		return nil
	}
	return *elements
}
