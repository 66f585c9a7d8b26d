// Package compare compares two releases of an app. It is pure: it reads no file and no
// registry, and the same releases give the same result.
package compare

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/scan"
)

// Release is a release, or the release that the working tree would make. Its texts may come
// from outside.
type Release struct {
	Name           string // as people refer to it: a reference, or APP/VARIANT
	App, Variant   string
	Version        string // upstream's
	PackageVersion int
	Migration      *describe.Migration
	Application    *describe.Application // what the app is and needs; nil if it is not known
	Outline        json.RawMessage       // the part of Application that older records have: a JSON object; empty if it is not known
	Images         map[string]*Image     // by component
}

// Image is one component of a release, on one platform. Fields that are nil were not read, and
// are not compared.
type Image struct {
	Platforms []string // of the component's images, sorted
	Platform  string   // of this image, as OS/ARCHITECTURE
	Digest    string   // of its manifest

	Config   *v1.Config
	Layers   []Layer // the lowest first
	SBOM     *sbom.Document
	Findings []scan.Finding // nil unless the image was scanned
}

// Layer is a layer of an image, as it is in a registry.
type Layer struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"`         // bytes, compressed
	By     string `json:"by,omitempty"` // what made it: the history's text
}

// NewImage makes an Image from a manifest and its configuration.
func NewImage(digest string, manifest v1.Manifest, config v1.ConfigFile) *Image {
	platform := v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}
	image := &Image{Platform: platform.String(), Digest: digest, Config: &config.Config, Layers: []Layer{}}
	var by []string
	for _, history := range config.History {
		if !history.EmptyLayer {
			by = append(by, strings.TrimPrefix(history.CreatedBy, "libre: "))
		}
	}
	for i, layer := range manifest.Layers {
		described := Layer{Digest: layer.Digest.String(), Size: layer.Size}
		if len(by) == len(manifest.Layers) {
			described.By = by[i]
		}
		image.Layers = append(image.Layers, described)
	}
	return image
}

// Comparison is the result of Compare, and the output of `libre diff --json`. Later versions
// may add fields, and do not rename any. Lists are sorted. A list is null if it was not
// compared, and empty if nothing differs.
type Comparison struct {
	From        Side             `json:"from"` // the first release
	To          Side             `json:"to"`   // the second release
	Kind        Kind             `json:"kind"`
	Different   bool             `json:"different"`   // whether anything differs
	Upgrade     Upgrade          `json:"upgrade"`     // whether the step from the first to the second release is allowed
	Description []Change         `json:"description"` // null if a release has none
	Components  []ComponentDelta `json:"components"`  // by name
	Notes       []Note           `json:"notes"`       // upstream's, newest version first; null if they were not read
}

// Side identifies one of the compared releases.
type Side struct {
	Name           string `json:"name"` // a reference, or APP/VARIANT
	App            string `json:"app"`
	Variant        string `json:"variant"`
	Version        string `json:"version"`
	PackageVersion int    `json:"packageVersion"`
}

// Tag returns the release's tag, such as 5.4.1-1.
func (s Side) Tag() string { return catalog.Tag(s.Version, s.PackageVersion) }

// Kind says which version differs.
type Kind string

// The kinds.
const (
	AppVersion     Kind = "app-version"     // upstream's version, and so perhaps the package version
	PackageVersion Kind = "package-version" // ours only
	SameVersion    Kind = "same-version"
)

// Note is upstream's text about a version.
type Note struct {
	Version string `json:"version"`
	Page    string `json:"page,omitempty"` // URL
	Text    string `json:"text"`           // Markdown from outside
}

// ComponentDelta compares the images of one component.
type ComponentDelta struct {
	Component       string                `json:"component"`
	Change          Edit                  `json:"change"`             // of the image as a whole
	Platform        string                `json:"platform,omitempty"` // of the compared images
	Digests         FromTo[string]        `json:"digests"`            // of the manifests
	Platforms       []Change              `json:"platforms"`          // of the component's images
	Config          []Change              `json:"config"`             // of the image
	Size            *SizeDelta            `json:"size"`               // null if it was not compared
	Packages        *PackagesDelta        `json:"packages"`           // in the SBOMs; null if they were not compared
	Licenses        []LicenseChange       `json:"licenses"`           // of packages that both images have
	Vulnerabilities *VulnerabilitiesDelta `json:"vulnerabilities"`    // null if the images were not scanned
}

// Edit is the kind of a change.
type Edit string

// The edits.
const (
	Added   Edit = "added"
	Removed Edit = "removed"
	Changed Edit = "changed"
	Kept    Edit = "kept"
)

// FromTo has a value of both releases.
type FromTo[T any] struct {
	From T `json:"from"` // before
	To   T `json:"to"`   // after
}

// Compare compares two releases. The caller adds upstream's notes.
func Compare(from, to *Release) *Comparison {
	c := &Comparison{From: from.side(), To: to.side(), Upgrade: NewUpgrade(from, to), Components: []ComponentDelta{}}
	switch {
	case from.Version != to.Version:
		c.Kind = AppVersion
	case from.PackageVersion != to.PackageVersion:
		c.Kind = PackageVersion
	default:
		c.Kind = SameVersion
	}
	switch {
	case from.Application != nil && to.Application != nil:
		c.Description = jsonChanges(description(from.Application), description(to.Application))
	case len(from.Outline) > 0 && len(to.Outline) > 0:
		c.Description = jsonChanges(from.Outline, to.Outline)
	}
	names := maps.Clone(from.Images)
	if names == nil {
		names = map[string]*Image{}
	}
	maps.Copy(names, to.Images)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c.Components = append(c.Components, compareImages(name, from.Images[name], to.Images[name]))
	}
	c.Different = c.Kind != SameVersion || len(c.Description) > 0 || slices.ContainsFunc(c.Components, func(d ComponentDelta) bool { return d.Change != Kept })
	return c
}

func (r *Release) side() Side { return Side{r.Name, r.App, r.Variant, r.Version, r.PackageVersion} }

// compareImages compares the images of a component. One of them may be nil.
func compareImages(component string, from, to *Image) ComponentDelta {
	d := ComponentDelta{Component: component, Change: Changed}
	switch {
	case from == nil:
		from, d.Change = noImage(), Added
	case to == nil:
		to, d.Change = noImage(), Removed
	case from.Digest == to.Digest:
		d.Change = Kept
	}
	d.Platform = to.Platform
	if d.Platform == "" {
		d.Platform = from.Platform
	}
	d.Digests = FromTo[string]{from.Digest, to.Digest}
	if from.Platforms != nil && to.Platforms != nil {
		d.Platforms = setChanges("platform", from.Platforms, to.Platforms)
	}
	if len(d.Platforms) > 0 && d.Change == Kept {
		d.Change = Changed
	}
	if from.Config != nil && to.Config != nil {
		d.Config = configChanges(from.Config, to.Config)
	}
	if from.Layers != nil && to.Layers != nil {
		d.Size = sizeDelta(from.Layers, to.Layers)
	}
	if from.SBOM != nil && to.SBOM != nil {
		d.Packages, d.Licenses = packages(from.SBOM, to.SBOM)
	}
	if from.Findings != nil && to.Findings != nil {
		d.Vulnerabilities = vulnerabilities(from.Findings, to.Findings)
	}
	return d
}

// noImage returns an empty image, which replaces the image that a release does not have.
func noImage() *Image {
	return &Image{Platforms: []string{}, Config: &v1.Config{}, Layers: []Layer{}, SBOM: &sbom.Document{}, Findings: []scan.Finding{}}
}
