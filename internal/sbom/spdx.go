package sbom

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
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
	}
	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		SPDXID                string            `json:"SPDXID"`
		Name                  string            `json:"name"`
		VersionInfo           string            `json:"versionInfo,omitempty"`
		PrimaryPackagePurpose string            `json:"primaryPackagePurpose,omitempty"`
		DownloadLocation      string            `json:"downloadLocation"`
		FilesAnalyzed         bool              `json:"filesAnalyzed"`
		Checksums             []spdxChecksum    `json:"checksums,omitempty"`
		SourceInfo            string            `json:"sourceInfo,omitempty"`
		Comment               string            `json:"comment,omitempty"`
		ExternalRefs          []spdxExternalRef `json:"externalRefs,omitempty"`
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
	spdxRoot  = "SPDXRef-DOCUMENT"
	spdxImage = "SPDXRef-Image"
)

// SPDX writes the document as SPDX 2.3 JSON.
func (d *Document) SPDX() ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	id, err := d.id()
	if err != nil {
		return nil, err
	}
	document := spdxDocument{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: spdxRoot, Name: d.Subject.Name,
		DocumentNamespace: "https://libre.sh/spdx/" + id.String(),
		CreationInfo:      spdxCreation{Created: d.Subject.time(), Creators: d.spdxCreators()},
		Packages:          []spdxPackage{d.spdxSubject()},
		Relationships:     []spdxRelationship{{spdxRoot, "DESCRIBES", spdxImage}},
	}
	for _, c := range d.Components {
		document.Packages = append(document.Packages, spdxComponent(c))
		document.Relationships = append(document.Relationships, spdxRelationship{spdxImage, "CONTAINS", spdxID(c)})
	}
	document.Relationships = append(document.Relationships, d.spdxDependencies()...)
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
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
		creators = append(creators, "Organization: "+d.Creator)
	}
	return creators
}

func (d *Document) spdxSubject() spdxPackage {
	s := d.Subject
	subject := spdxPackage{
		SPDXID: spdxImage, Name: s.Name, VersionInfo: s.Version, PrimaryPackagePurpose: "CONTAINER",
		DownloadLocation: "NOASSERTION",
		Checksums:        spdxSHA256(s.Manifest.String()),
		SourceInfo:       fmt.Sprintf("manifest %s for %s in index %s", s.Manifest, s.Platform, s.Index),
		ExternalRefs:     spdxPURL(s.PURL()),
	}
	if d.Complete {
		subject.Comment = "all store paths of the image are listed"
	}
	return subject
}

func spdxComponent(c Component) spdxPackage {
	component := spdxPackage{
		SPDXID: spdxID(c), Name: c.Name, VersionInfo: c.Version,
		DownloadLocation: "NOASSERTION",
		ExternalRefs:     spdxPURL(c.PURL),
	}
	switch {
	case c.StorePath != "":
		component.Checksums = spdxSHA256(c.NarHash)
		component.SourceInfo = "store path " + c.StorePath + " with NAR hash " + c.NarHash
	case len(c.Where) > 0:
		component.SourceInfo = c.Type + " package found in " + strings.Join(c.Where, ", ")
	}
	return component
}

func (d *Document) spdxDependencies() []spdxRelationship {
	ids := map[string]string{}
	for _, c := range d.Components {
		ids[c.ID] = spdxID(c)
	}
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

// spdxID gives an ID with the name, for people, and a hash, since only letters, digits,
// dots and dashes are allowed.
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
