package release

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
)

// Predicate types of the attestations of an image.
const (
	CycloneDXType  = "https://cyclonedx.org/bom"
	SPDXType       = "https://spdx.dev/Document"
	ProvenanceType = "https://slsa.dev/provenance/v1"
)

// BuildInfo are what a provenance says of a run. Nothing of it is secret:
// no environment, no credentials.
type BuildInfo struct {
	CatalogueURL    string     // of the git remote, without credentials; "" where there is none
	CatalogueCommit string     // "" outside of git
	CatalogueDirty  bool       // whether there were uncommitted changes
	Inputs          []Resource // flake inputs, and the parts of the host package set
	PackageSet      string
	Nix             string // as `nix --version` says
	Engine          string // of Containerfile images: "buildah 1.28.2"
	Builder         string // URL that identifies who builds
	Libre           string // version
}

// Resource is SLSA's ResourceDescriptor, as far as it is used. Of digests, narHash is
// Nix's hash of a folder as SRI: sha256-BASE64.
// https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md
type Resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
}

// provenance is the predicate of an image's SLSA provenance.
// https://slsa.dev/spec/v1.0/provenance
func provenance(app catalog.App, target *Target, bases []Resource, c BuildInfo) (json.RawMessage, error) {
	spec := target.Specs[0]
	systems := map[string]any{}
	for _, s := range target.Specs {
		parameters := map[string]any{"key": s.Key()}
		if s.Kind == "containerfile" {
			parameters["containerfile"] = s.File
			parameters["context"] = s.Context
			if s.Target != nil {
				parameters["target"] = *s.Target
			}
			parameters["args"] = s.Args
		}
		systems[s.System] = parameters
	}
	materials := append([]Resource{}, bases...)
	if source := app.Source; source != nil {
		material := Resource{URI: source.Page, Name: source.Kind + " " + source.Revision}
		if source.Hash != "" {
			material.Digest = map[string]string{"narHash": source.Hash}
		}
		materials = append(materials, material)
	}
	materials = append(materials, c.Inputs...)
	catalogue := Resource{URI: c.CatalogueURL, Name: "catalogue"}
	if c.CatalogueCommit != "" {
		catalogue.Digest = map[string]string{"gitCommit": c.CatalogueCommit}
	}
	// A descriptor says where its thing is or what is in it: a folder of this machine does neither.
	materials = slices.DeleteFunc(append(materials, catalogue), func(r Resource) bool { return r.URI == "" && len(r.Digest) == 0 })
	versions := map[string]string{"libre": c.Libre, "nix": c.Nix}
	if spec.Kind == "containerfile" && c.Engine != "" {
		name, version, _ := strings.Cut(c.Engine, " ")
		versions[name] = version
	}
	return json.Marshal(map[string]any{
		"buildDefinition": map[string]any{
			"buildType": "https://libre.sh/build/" + spec.Kind + "/v1",
			"externalParameters": map[string]any{
				"image":          target.ID.String(),
				"version":        spec.Version,
				"packageVersion": spec.PackageVersion,
				"packageSet":     c.PackageSet,
				"systems":        systems,
			},
			"internalParameters":   map[string]any{"catalogueDirty": c.CatalogueDirty},
			"resolvedDependencies": materials,
		},
		"runDetails": map[string]any{
			"builder": map[string]any{"id": c.Builder, "version": versions},
		},
	})
}

// bases are the images that an image was built on, by digest, as its labels say.
func (p *Publisher) bases(i *publication) []Resource {
	var bases []Resource
	for _, manifest := range i.manifests {
		digest := manifest.Annotations[ociPrefix+"base.digest"]
		if algorithm, hex, found := strings.Cut(digest, ":"); found {
			bases = append(bases, Resource{Name: "base " + manifest.Annotations[ociPrefix+"base.name"], Digest: map[string]string{algorithm: hex}})
		}
	}
	return bases
}
