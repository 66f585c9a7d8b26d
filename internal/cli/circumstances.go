package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/text"
)

// circumstances are what provenance says of this run.
func (ws *workspace) circumstances(ctx context.Context, catalogue *nix.Catalogue) (release.BuildInfo, error) {
	c := release.BuildInfo{PackageSet: ws.packageSet, Libre: version, Builder: builderID()}
	inputs, err := catalogue.Inputs(ctx)
	if err != nil {
		return c, fmt.Errorf("reading what the catalogue is made with: %w", err)
	}
	for _, input := range inputs {
		c.Inputs = append(c.Inputs, release.Resource(input))
	}
	ask := func(args ...string) string {
		out, _ := git.Output(ctx, ws.dir, args...)
		return strings.TrimSpace(out)
	}
	c.CatalogueCommit = ask("rev-parse", "--verify", "--quiet", "HEAD")
	c.CatalogueDirty = ask("status", "--porcelain") != ""
	c.CatalogueURL = text.PublicURL(ask("config", "--get", "remote.origin.url"))
	c.Nix, _ = ws.nix.Version(ctx)
	if engine, err := containerfile.Detect(ctx, ws.settings.Engine); err == nil {
		c.Engine = engine.String()
	}
	return c, nil
}

// builderID names who builds: the job of a workflow, by what GitHub and Forgejo
// set, or a person's machine, which is not named.
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
