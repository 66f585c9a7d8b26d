package kube

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/nix"
)

// ownApps returns the documents of libre's own apps and of the template's, by APP/VARIANT.
// Digests stand for built images.
func ownApps(t *testing.T) map[string]*describe.Application {
	t.Helper()
	if _, err := exec.LookPath("nix"); err != nil && os.Getenv("LIBRE_TEST_ALL") == "" {
		t.Skip(err)
	}
	all, err := evaluated()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var evaluated = sync.OnceValues(func() (map[string]*describe.Application, error) {
	all := map[string]*describe.Application{}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"../..", "../../nix/template"} {
		n := &nix.Nix{CacheDir: filepath.Join(cache, "libre")}
		catalogue, err := n.OpenCatalogue(context.Background(), dir, nix.Nixpkgs)
		if err != nil {
			return nil, err
		}
		evaluation, err := catalogue.Evaluate(context.Background(), nix.Request{Patterns: catalog.All, Described: true})
		if err != nil {
			return nil, err
		}
		for _, app := range evaluation.Apps {
			for _, variant := range app.Variants {
				document, err := describe.New(app, variant)
				if err != nil {
					return nil, err
				}
				document.Spec.Registry = "registry.example/coop"
				for name, c := range document.Spec.Components {
					c.Image.Digest = "sha256:" + strings.Repeat("1", 64)
					if c.User == "" { // from the Containerfile's image
						c.User = "1001:127"
					}
					document.Spec.Components[name] = c
				}
				all[app.Name+"/"+variant] = document
			}
		}
	}
	return all, nil
})

// everything returns a run of an app with all that is optional, and with what is required.
func everything(a *describe.Application) (r run) {
	used := map[string]bool{}
	r.Settings = map[string]string{}
	for name, need := range a.Spec.Needs {
		used[name] = need.Optional
	}
	for _, component := range a.Spec.Components {
		for name, service := range component.Services {
			used[name] = used[name] || service.Optional
			for name, setting := range service.Config {
				if setting.Required && !setting.Secret {
					r.Settings[name] = "me@example.org"
				}
			}
		}
	}
	maps.DeleteFunc(used, func(_ string, optional bool) bool { return !optional })
	r.With = slices.Sorted(maps.Keys(used))
	return r
}
