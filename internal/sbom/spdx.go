package sbom

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/libresh/libre/internal/license"
)

// The parts of SPDX 2.3 that libre writes. https://spdx.github.io/spdx-spec/v2.3/
type (
	spdxDocument struct {
		SPDXVersion       string             `json:"spdxVersion"`
		DataLicense       string             `json:"dataLicense"`
		SPDXID            string             `json:"SPDXID"`
		Name              string             `json:"name"`
		DocumentNamespace string             `json:"documentNamespace"`
		CreationInfo      spdxCreation       `json:"creationInfo"`
		Packages          []spdxPackage      `json:"packages"`
		Relationships     []spdxRelationship `json:"relationships"`
		Licenses          []spdxLicense      `json:"hasExtractedLicensingInfos,omitempty"`
	}
	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		SPDXID                string            `json:"SPDXID"`
		Name                  string            `json:"name"`
		VersionInfo           string            `json:"versionInfo,omitempty"`
		PackageFileName       string            `json:"packageFileName,omitempty"`
		Originator            string            `json:"originator,omitempty"`
		PrimaryPackagePurpose string            `json:"primaryPackagePurpose,omitempty"`
		DownloadLocation      string            `json:"downloadLocation"`
		FilesAnalyzed         bool              `json:"filesAnalyzed"`
		Checksums             []spdxChecksum    `json:"checksums,omitempty"`
		LicenseConcluded      string            `json:"licenseConcluded"`
		LicenseDeclared       string            `json:"licenseDeclared"`
		CopyrightText         string            `json:"copyrightText"`
		SourceInfo            string            `json:"sourceInfo,omitempty"`
		Comment               string            `json:"comment,omitempty"`
		ExternalRefs          []spdxExternalRef `json:"externalRefs,omitempty"`
		Annotations           []spdxAnnotation  `json:"annotations,omitempty"`
	}
	spdxAnnotation struct {
		Date      string `json:"annotationDate"`
		Type      string `json:"annotationType"`
		Annotator string `json:"annotator"`
		Comment   string `json:"comment"`
	}
	spdxLicense struct {
		ID   string `json:"licenseId"`
		Name string `json:"name"`
		Text string `json:"extractedText"`
	}
	spdxChecksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	spdxExternalRef struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	spdxRelationship struct {
		Element string `json:"spdxElementId"`
		Type    string `json:"relationshipType"`
		Related string `json:"relatedSpdxElement"`
	}
)

const (
	spdxRoot    = "SPDXRef-DOCUMENT"
	spdxImage   = "SPDXRef-Image"
	spdxUnknown = "NOASSERTION"
)

// SPDX writes the document as SPDX 2.3 JSON, on one line.
func (d *Document) SPDX() ([]byte, error) {
	id, err := d.checkedID()
	if err != nil {
		return nil, err
	}
	return d.spdx(id)
}

func (d *Document) spdx(id uuid.UUID) ([]byte, error) {
	document := spdxDocument{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: spdxRoot, Name: d.Subject.Name,
		DocumentNamespace: "https://libre.sh/spdx/" + id.String(),
		CreationInfo:      spdxCreation{Created: d.Subject.time(), Creators: d.spdxCreators()},
		Packages:          []spdxPackage{d.spdxSubject()},
		Relationships:     []spdxRelationship{{spdxRoot, "DESCRIBES", spdxImage}},
	}
	ids := make(map[string]string, len(d.Components))
	for _, c := range d.Components {
		ids[c.ID] = spdxID(c)
		document.Packages = append(document.Packages, d.spdxComponent(c, ids[c.ID]))
		document.Relationships = append(document.Relationships, spdxRelationship{spdxImage, "CONTAINS", ids[c.ID]})
	}
	document.Relationships = append(document.Relationships, d.spdxDependencies(ids)...)
	document.Licenses = d.spdxLicenses()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		return nil, fmt.Errorf("writing the SBOM of %s as SPDX: %w", d.Subject.Name, err)
	}
	return b.Bytes(), nil
}

func (d *Document) spdxCreators() []string {
	var creators []string
	for _, tool := range d.Tools {
		creators = append(creators, strings.TrimSuffix("Tool: "+tool.Name+"-"+tool.Version, "-"))
	}
	if d.Creator != "" {
		creators = append(creators, spdxEntity(d.Creator))
	}
	return creators
}

func (d *Document) spdxSubject() spdxPackage {
	s := d.Subject
	subject := spdxPackage{
		SPDXID: spdxImage, Name: s.Name, VersionInfo: s.Version, PrimaryPackagePurpose: "APPLICATION",
		DownloadLocation: spdxUnknown, CopyrightText: spdxUnknown, Originator: spdxEntity(d.Creator),
		ExternalRefs: spdxPURL(s.PURL()),
	}
	subject.LicenseDeclared, subject.LicenseConcluded = spdxLicenseOf(d.License)
	if !d.ofImages() {
		subject.PrimaryPackagePurpose, subject.Checksums = "CONTAINER", spdxSHA256(s.Manifest.String())
		subject.SourceInfo = fmt.Sprintf("manifest %s for %s in index %s", s.Manifest, s.Platform, s.Index)
	}
	if d.Complete {
		subject.Comment = "all store paths of the image are listed"
	}
	return subject
}

func (d *Document) spdxComponent(c Component, id string) spdxPackage {
	component := spdxPackage{
		SPDXID: id, Name: c.Name, VersionInfo: c.Version, PackageFileName: c.File.Name,
		DownloadLocation: spdxUnknown, CopyrightText: spdxUnknown, Originator: spdxEntity(c.Creator),
		ExternalRefs: spdxPURL(c.PURL),
	}
	component.LicenseDeclared, component.LicenseConcluded = spdxLicenseOf(c.License)
	switch {
	case c.Type == applicationType:
		component.PrimaryPackagePurpose = "APPLICATION"
	case c.Type == containerType:
		component.PrimaryPackagePurpose = "CONTAINER"
	case c.StorePath != "":
		component.Checksums = spdxSHA256(c.NarHash)
		component.SourceInfo = "store path " + c.StorePath + " with NAR hash " + c.NarHash
	case len(c.Where) > 0:
		component.SourceInfo = c.Type + " package found in " + strings.Join(c.Where, ", ")
	}
	if c.File.SHA512 != "" {
		component.Checksums = append(component.Checksums, spdxChecksum{"SHA512", c.File.SHA512})
	}
	for _, cpe := range c.CPEs {
		component.ExternalRefs = append(component.ExternalRefs, spdxExternalRef{"SECURITY", "cpe23Type", cpe})
	}
	if c.Source != (Source{}) {
		if isURL(c.Source.URL) {
			component.DownloadLocation = c.Source.URL
		}
		component.SourceInfo = strings.TrimPrefix(component.SourceInfo+"; ", "; ") + strings.TrimSpace("source "+c.Source.URL+" "+c.Source.Hash)
	}
	for _, patch := range c.Patches {
		component.Annotations = append(component.Annotations, d.spdxPatch(patch))
	}
	return component
}

// spdxPatch returns a comment for a patch, because SPDX 2.3 has no better place.
func (d *Document) spdxPatch(patch Patch) spdxAnnotation {
	words := []string{"patch", patch.Name, patch.Hash}
	if patch.URL != "" {
		words = append(words, "from "+patch.URL)
	}
	if len(patch.Resolves) > 0 {
		words = append(words, "resolves "+strings.Join(patch.Resolves, ", "))
	}
	tool := "libre"
	if len(d.Tools) > 0 {
		tool = d.Tools[len(d.Tools)-1].Name
	}
	return spdxAnnotation{Date: d.Subject.time(), Type: "OTHER", Annotator: "Tool: " + tool, Comment: strings.Join(words, " ")}
}

func spdxLicenseOf(license License) (declared, concluded string) {
	switch {
	case license.Expression == "":
		return spdxUnknown, spdxUnknown
	case license.Concluded:
		return spdxUnknown, license.Expression
	default:
		return license.Expression, spdxUnknown
	}
}

// spdxLicenses returns definitions of the licenses that SPDX does not list.
func (d *Document) spdxLicenses() []spdxLicense {
	all := license.Refs(d.License.Expression)
	for _, c := range d.Components {
		all = append(all, license.Refs(c.License.Expression)...)
	}
	var defined []spdxLicense
	for _, ref := range unique(all) {
		_, name, _ := strings.Cut(ref, "LicenseRef-")
		defined = append(defined, spdxLicense{ref, name, "The text is with the component that has this license."})
	}
	return defined
}

// spdxEntity returns a URL or email address as the name of a person or an organisation.
func spdxEntity(creator string) string {
	switch {
	case creator == "":
		return ""
	case isURL(creator):
		return "Organization: " + creator
	default:
		return "Person: " + creator + " (" + creator + ")"
	}
}

func isURL(text string) bool { return strings.Contains(text, "://") }

func (d *Document) spdxDependencies(ids map[string]string) []spdxRelationship {
	var all []spdxRelationship
	for _, other := range d.DependsOn {
		all = append(all, spdxRelationship{spdxImage, "DEPENDS_ON", ids[other]})
	}
	for _, c := range d.Components {
		for _, other := range c.DependsOn {
			all = append(all, spdxRelationship{ids[c.ID], "DEPENDS_ON", ids[other]})
		}
	}
	return all
}

// spdxID returns an ID with the component's name, for people, and a hash, because only letters,
// digits, dots and dashes are allowed.
func spdxID(c Component) string {
	sum := sha256.Sum256([]byte(c.ID))
	name := strings.Map(func(r rune) rune {
		if isLetter(byte(r)) && r < 0x80 || '0' <= r && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, c.Name)
	return "SPDXRef-" + name + "-" + hex.EncodeToString(sum[:8])
}

func spdxSHA256(digest string) []spdxChecksum {
	return []spdxChecksum{{"SHA256", strings.TrimPrefix(digest, "sha256:")}}
}

func spdxPURL(purl string) []spdxExternalRef {
	if purl == "" {
		return nil
	}
	return []spdxExternalRef{{"PACKAGE-MANAGER", "purl", purl}}
}
