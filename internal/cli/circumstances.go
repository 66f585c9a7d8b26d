package cli

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/release"
)

// circumstances are what provenance says of this run.
func (p *place) circumstances(ctx context.Context) release.Circumstances {
	c := release.Circumstances{PackageSet: p.packageSet, Libre: version, Builder: builderID(), Inputs: lockedInputs(p.dir)}
	ask := func(args ...string) string {
		out, _ := git.Output(ctx, p.dir, args...)
		return strings.TrimSpace(out)
	}
	c.CatalogueCommit = ask("rev-parse", "--verify", "--quiet", "HEAD")
	c.CatalogueDirty = ask("status", "--porcelain") != ""
	c.CatalogueURL = withoutCredentials(ask("config", "--get", "remote.origin.url"))
	c.Nix, _ = p.nix.Version(ctx)
	if engine, err := containerfile.Detect(ctx, p.config.Engine); err == nil {
		c.Engine = engine.String()
	}
	return c
}

// withoutCredentials drops user and password of a remote's URL.
func withoutCredentials(remote string) string {
	parsed, err := url.Parse(remote)
	if err != nil || parsed.Host == "" {
		if _, rest, found := strings.Cut(remote, "@"); found && !strings.Contains(rest, "@") {
			return "ssh://" + strings.Replace(rest, ":", "/", 1) // user@host:path
		}
		return ""
	}
	parsed.User, parsed.RawQuery, parsed.Fragment = nil, "", ""
	return parsed.String()
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

// lockedInputs are the inputs of flake.lock by name: the revision, or the hash.
func lockedInputs(dir string) map[string]string {
	inputs := map[string]string{}
	text, err := os.ReadFile(filepath.Join(dir, "flake.lock"))
	if err != nil {
		return inputs
	}
	var lock struct {
		Nodes map[string]struct {
			Locked map[string]any `json:"locked"`
		} `json:"nodes"`
	}
	if json.Unmarshal(text, &lock) != nil {
		return inputs
	}
	for node, entry := range lock.Nodes {
		owner, _ := entry.Locked["owner"].(string)
		repository, _ := entry.Locked["repo"].(string)
		revision, _ := entry.Locked["rev"].(string)
		kind, _ := entry.Locked["type"].(string)
		if revision != "" {
			inputs[node] = strings.TrimSuffix(kind+":"+owner+"/"+repository, ":/") + "/" + revision
		}
	}
	return inputs
}
