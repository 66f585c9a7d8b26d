// Package sbom lists what an image is made of: from the closure of a Nix image,
// from the files of any image as syft recognises them, and from both, merged. A
// list is written as CycloneDX 1.6 and as SPDX 2.3, both from one model and both
// byte for byte the same for the same image.
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

// Document says what an image for one platform is made of. FromClosure, a Scanner,
// Merge and Read make documents in which everything is sorted; who adds to
// one keeps it so.
type Document struct {
	Subject Subject `json:",omitzero"` // none where a part of an image is described
	Tools   []Tool  // what the document was made with, libre among it
	Creator string  // email address or URL of who answers for the document; may be empty

	Components []Component // sorted by ID
	DependsOn  []string    // IDs: what the image as a whole needs; the rest follows from these, sorted
	Complete   bool        // no store path of the image is missing among the components
}

// Subject is the image that a document describes.
type Subject struct {
	Name     string // without registry and tag: docs-backend-default
	Version  string // appver-pkgver
	Index    v1.Hash
	Manifest v1.Hash // the platform's
	Platform v1.Platform
	Created  time.Time // the image's, which is its source's: the document's time as well
}

// Tool is a program that had a part in making a document.
type Tool struct{ Name, Version string }

// Component is a store path, or a package that was recognised by its files.
type Component struct {
	ID        string   // unique in a document: the store path, else the package URL, after the store path that it is in
	Name      string   // as its ecosystem has it: openssl, @babel/core, golang.org/x/text
	Version   string   // may be empty
	Type      string   // its ecosystem: nix, go-module, deb, npm, … as syft names them
	PURL      string   // https://github.com/package-url/purl-spec; may be empty
	StorePath string   // of a Nix component: /nix/store/HASH-NAME
	NarHash   string   // of a Nix component: sha256:BASE16
	Where     []string // absolute paths in the image, sorted
	DependsOn []string // IDs of what it needs, sorted
}

// Rows gives a table with a row for each component: name, version, type, package
// URL, and the paths where it is, with a comma between them.
func (d *Document) Rows() [][]string {
	rows := make([][]string, len(d.Components))
	for i, c := range d.Components {
		rows[i] = []string{c.Name, c.Version, c.Type, c.PURL, strings.Join(c.Where, ",")}
	}
	slices.SortStableFunc(rows, slices.Compare)
	return rows
}

// purl of the image, which names no registry: the same image may be in several.
// https://github.com/package-url/purl-spec/blob/main/types/oci-definition.json
func (s Subject) purl() string {
	return packageurl.NewPackageURL(packageurl.TypeOCI, "", strings.ToLower(s.Name), s.Manifest.String(),
		packageurl.QualifiersFromMap(map[string]string{"arch": s.Platform.Architecture, "tag": s.Version}), "").ToString()
}

// time in the form that both formats want: whole seconds, UTC.
func (s Subject) time() string { return s.Created.UTC().Format(time.RFC3339) }

// check finds what must be there for a document to be valid in both formats.
func (d *Document) check() error {
	var missing string
	switch {
	case d.Subject.Name == "":
		missing = "name"
	case d.Subject.Index.Hex == "":
		missing = "index digest"
	case d.Subject.Manifest.Hex == "":
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

// id follows from the image's digest and all that the document says: a document
// of the same image that says something else is another document, as both
// formats want it. https://www.rfc-editor.org/rfc/rfc9562#section-5.5
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

// NewDocument makes a document, without a subject, of components by their IDs, in
// any order: the image needs those that no other needs.
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

// sorted gives the components of a map by ID, each in order and without
// repetition, without edges to what is not there or to itself.
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

// unique sorts a copy of the list and leaves out what is repeated; it is nil where
// nothing is left.
func unique(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
