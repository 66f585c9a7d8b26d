// Package sbom makes the SBOM of an image: from the closure of a Nix image, from the packages
// that syft finds in the files of any image, or from both, merged. It writes CycloneDX 1.6 and
// SPDX 2.3 from one model. The same image always gives the same bytes.
package sbom

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anchore/packageurl-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/uuid"
)

// Document is the SBOM of an image for one platform. Documents from FromClosure, Scanner, Merge
// and Read are sorted. Keep them sorted when you add to them.
type Document struct {
	Subject Subject `json:",omitzero"` // zero if the document describes a part of an image
	Tools   []Tool  // programs that made the document, libre included
	Creator string  // email address or URL of the author; may be empty
	License License `json:",omitzero"` // of the image as a whole
	File    File    `json:",omitzero"` // for findings: the store path that has them

	Components []Component // sorted by ID
	DependsOn  []string    // IDs of the image's direct dependencies, sorted; all other components are their dependencies
	Complete   bool        // the components include all store paths of the image

	Serial string `json:"-"` // serial number of a document that was read; empty for a new one
}

// Subject is the image that a document describes.
type Subject struct {
	Name     string // without registry and tag: docs-backend-default
	Version  string // appver-pkgver
	Index    v1.Hash
	Manifest v1.Hash // digest of the platform's manifest
	Platform v1.Platform
	Created  time.Time // time of the image and of the document, which is the time of its source
}

// Tool is a program that helped to make a document.
type Tool struct{ Name, Version string }

// Rows returns a table with a row for each component: name, version, type, package URL, its
// paths, separated by commas, and the licence.
func (d *Document) Rows() [][]string {
	rows := make([][]string, len(d.Components))
	for i, c := range d.Components {
		rows[i] = []string{c.Name, c.Version, c.Type, c.PURL, strings.Join(c.Where, ","), c.License.Expression}
	}
	slices.SortStableFunc(rows, slices.Compare)
	return rows
}

// PURL returns the package URL of the image, which is also its bom-ref. It contains no
// registry, because the image may be in several. An app with several images has no digest.
// https://github.com/package-url/purl-spec/blob/main/types/oci-definition.json
func (s Subject) PURL() string {
	if s.Manifest.Hex == "" {
		return s.appPURL()
	}
	return packageurl.NewPackageURL(packageurl.TypeOCI, "", strings.ToLower(s.Name), s.Manifest.String(),
		packageurl.QualifiersFromMap(map[string]string{"arch": s.Platform.Architecture, "tag": s.Version}), "").ToString()
}

// time formats the time as both formats require: whole seconds, UTC.
func (s Subject) time() string { return s.Created.UTC().Format(time.RFC3339) }

// Encode writes the document in both formats, as CycloneDX and SPDX do.
func (d *Document) Encode() (cyclonedx, spdx []byte, err error) {
	id, err := d.checkedID()
	if err != nil {
		return nil, nil, err
	}
	if cyclonedx, err = d.cyclonedx(id); err != nil {
		return nil, nil, err
	}
	spdx, err = d.spdx(id)
	return cyclonedx, spdx, err
}

// checkedID returns the document's ID, or an error if the document is not valid in both
// formats.
func (d *Document) checkedID() (uuid.UUID, error) {
	if err := d.check(); err != nil {
		return uuid.UUID{}, err
	}
	return d.id()
}

// check returns an error if a field is missing that one of the formats needs.
func (d *Document) check() error {
	var missing string
	switch {
	case d.Subject.Name == "":
		missing = "name"
	case d.Subject.Index.Hex == "" && !d.ofImages():
		missing = "index digest"
	case d.Subject.Manifest.Hex == "" && !d.ofImages():
		missing = "manifest digest"
	case d.Subject.Created.IsZero():
		missing = "time"
	case len(d.Tools) == 0:
		missing = "tool"
	default:
		return nil
	}
	return fmt.Errorf("writing the SBOM of %s: it has no %s", cmp.Or(d.Subject.Name, "an image"), missing)
}

// id derives the document's ID from the digest of the image and the content of the
// document. Both formats require another ID for a document with other content.
// https://www.rfc-editor.org/rfc/rfc9562#section-5.5
func (d *Document) id() (uuid.UUID, error) {
	content := *d
	content.Subject.Created = d.Subject.Created.UTC().Truncate(time.Second)
	text, err := json.Marshal(content)
	if err != nil {
		return uuid.UUID{}, fmt.Errorf("naming the SBOM of %s: %w", d.Subject.Name, err)
	}
	image := uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://libre.sh/sbom/"+d.Subject.Manifest.String()))
	return uuid.NewSHA1(image, text), nil
}

// SerialNumber returns the serial number of the CycloneDX document: as it was read, or as
// CycloneDX will write it.
func (d *Document) SerialNumber() (string, error) {
	if d.Serial != "" {
		return d.Serial, nil
	}
	id, err := d.id()
	return id.URN(), err
}

// NewDocument makes a document without a subject from components by their IDs. The image
// depends on the components that no other component depends on.
func NewDocument(components map[string]*Component, tools ...Tool) *Document {
	document := &Document{Tools: tools, Components: sorted(components)}
	ids := make([]string, len(document.Components))
	byID := map[string][]string{}
	for i, c := range document.Components {
		ids[i], byID[c.ID] = c.ID, c.DependsOn
	}
	document.DependsOn = entries(ids, func(id string) []string { return byID[id] })
	return document
}

// sorted returns the components by ID. Their lists are sorted, without duplicates and
// without dependencies on themselves or on unknown components.
func sorted(components map[string]*Component) []Component {
	var all []Component
	for _, id := range slices.Sorted(maps.Keys(components)) {
		c := *components[id]
		c.Where = unique(c.Where)
		c.DependsOn = unique(slices.DeleteFunc(slices.Clone(c.DependsOn), func(other string) bool {
			return other == id || components[other] == nil
		}))
		all = append(all, c)
	}
	return all
}

// unique returns a sorted copy of the list without duplicates, or nil if it is empty.
func unique(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
