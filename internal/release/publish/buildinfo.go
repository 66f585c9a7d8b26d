package publish

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/text"
)

// BuildInfo is the description of a run in a provenance. It contains no secrets: neither
// environment variables nor credentials.
type BuildInfo struct {
	CatalogueURL    string     // of the git remote, without credentials; "" if there is none
	CatalogueCommit string     // "" outside of git
	CatalogueDirty  bool       // whether there were uncommitted changes
	Inputs          []Resource // flake inputs, and the parts of the host package set
	PackageSet      string
	Nix             string // from `nix --version`
	Engine          string // of Containerfile images: "buildah 1.28.2"
	Builder         string // URL that identifies the builder
	Libre           string // version
	NoGate          bool   // whether --no-gate skipped a configured gate
}

// Resource is SLSA's ResourceDescriptor, without unused fields. The digest narHash is Nix's
// hash of a folder as SRI: sha256-BASE64.
// https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md
type Resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
}

// ReadBuildInfo returns the description of this run. dir is the catalogue's folder, engine
// the one in the settings, libre the program's version.
func ReadBuildInfo(ctx context.Context, n *nix.Nix, catalogue *nix.Catalogue, dir, packageSet, libre string, engine containerfile.Choice) (BuildInfo, error) {
	info := BuildInfo{PackageSet: packageSet, Libre: libre, Builder: builderID()}
	inputs, err := catalogue.Inputs(ctx)
	if err != nil {
		return info, fmt.Errorf("reading the inputs of the catalogue: %w", err)
	}
	for _, input := range inputs {
		info.Inputs = append(info.Inputs, Resource(input))
	}
	ask := func(args ...string) (string, error) {
		out, err := git.Output(ctx, dir, args...)
		return strings.TrimSpace(out), err
	}
	info.CatalogueCommit, _ = ask("rev-parse", "--verify", "--quiet", "HEAD")
	changed, err := ask("status", "--porcelain")
	info.CatalogueDirty = changed != "" || err != nil && info.CatalogueCommit != ""
	origin, _ := ask("config", "--get", "remote.origin.url")
	info.CatalogueURL = text.PublicURL(origin)
	info.Nix, _ = n.Version(ctx)
	if engine, err := containerfile.Detect(ctx, engine); err == nil {
		info.Engine = engine.String()
	}
	return info, nil
}

// builderID returns the URL of a workflow's job, from the variables that GitHub and Forgejo
// set. It does not identify a person's machine.
func builderID() string {
	server, repository, workflow := os.Getenv("GITHUB_SERVER_URL"), os.Getenv("GITHUB_REPOSITORY"), os.Getenv("GITHUB_WORKFLOW_REF")
	if server != "" && repository != "" {
		if workflow != "" {
			return server + "/" + workflow
		}
		return server + "/" + repository
	}
	return "https://libre.sh/builder/workstation"
}
