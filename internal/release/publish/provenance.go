package publish

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
)

// provenance returns the predicate of an image's SLSA provenance.
// https://slsa.dev/spec/v1.0/provenance
func provenance(app catalog.App, made *state.Image, c BuildInfo) (json.RawMessage, error) {
	target := made.Target
	spec := target.Specs[0]
	systems := map[string]any{}
	for _, s := range target.Specs {
		parameters := map[string]any{"key": s.Key()}
		if file := s.Containerfile(); file != nil {
			parameters["containerfile"] = file.File
			parameters["context"] = file.Context
			if file.Target != nil {
				parameters["target"] = *file.Target
			}
			parameters["args"] = file.Args
		}
		systems[s.System] = parameters
	}
	materials := bases(made)
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
	// A descriptor must have a URI or a digest. A local folder has neither.
	materials = slices.DeleteFunc(append(materials, catalogue), func(r Resource) bool { return r.URI == "" && len(r.Digest) == 0 })
	versions := map[string]string{"libre": c.Libre, "nix": c.Nix}
	if spec.Containerfile() != nil && c.Engine != "" {
		name, version, _ := strings.Cut(c.Engine, " ")
		versions[name] = version
	}
	return json.Marshal(map[string]any{
		"buildDefinition": map[string]any{
			"buildType": "https://libre.sh/build/" + spec.Kind() + "/v1",
			"externalParameters": map[string]any{
				"image":          target.ID.String(),
				"version":        spec.Version,
				"packageVersion": spec.PackageVersion,
				"packageSet":     c.PackageSet,
				"systems":        systems,
			},
			"internalParameters":   c.internalParameters(),
			"resolvedDependencies": materials,
		},
		"runDetails": map[string]any{
			"builder": map[string]any{"id": c.Builder, "version": versions},
		},
	})
}

// internalParameters returns the parameters of a run that do not come from the catalogue.
func (c BuildInfo) internalParameters() map[string]any {
	parameters := map[string]any{"catalogueDirty": c.CatalogueDirty}
	if c.NoGate {
		parameters["scanGate"] = "skipped by --no-gate"
	}
	return parameters
}

// bases returns the base images of an image, with digests, from its annotations.
func bases(made *state.Image) []Resource {
	bases := []Resource{}
	for _, manifest := range made.Manifests {
		digest := manifest.Annotations[release.OCIPrefix+"base.digest"]
		if algorithm, hex, found := strings.Cut(digest, ":"); found {
			bases = append(bases, Resource{Name: "base " + manifest.Annotations[release.OCIPrefix+"base.name"], Digest: map[string]string{algorithm: hex}})
		}
	}
	return bases
}
