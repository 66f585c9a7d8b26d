package nix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
)

// FetchSources fetches the patched sources of Containerfile images, and calls use for
// each image, in order: with the folder of its source, or with an error. The folders may
// be removed after FetchSources returns.
func (n *Nix) FetchSources(ctx context.Context, specs []*catalog.Spec, use func(spec *catalog.Spec, source string, err error) error) error {
	var outputs []Output
	var paths []string
	known := map[string]bool{}
	for _, spec := range specs {
		fetch := spec.Containerfile().Fetch
		if fetch == nil || known[fetch.Out] {
			continue
		}
		known[fetch.Out] = true
		paths = append(paths, fetch.Out)
		if fetch.Drv != nil {
			outputs = append(outputs, Output{Drv: *fetch.Drv, Path: fetch.Out})
		}
	}
	roots, err := os.MkdirTemp("", "libre-roots-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(roots)
	failures, err := n.Realise(ctx, outputs, roots, func(LogEvent) {})
	if err != nil {
		return err
	}
	valid, err := n.Valid(ctx, paths)
	if err != nil {
		return err
	}
	for _, spec := range specs {
		source, err := "", error(nil)
		switch fetch := spec.Containerfile().Fetch; {
		case fetch == nil:
			err = errors.New("the package set is not available")
		case valid[fetch.Out]:
			source = fetch.Out
		case fetch.Drv == nil:
			err = fmt.Errorf("%s is not in the store", fetch.Out)
		default:
			err = FailureOf(*fetch.Drv, failures)
		}
		if err := use(spec, source, err); err != nil {
			return err
		}
	}
	return nil
}

// SourcesInStore returns the patched sources of Containerfile images that are in the
// store, and fetches nothing. Without a package set it finds only unchanged sources, by
// their hash.
func (n *Nix) SourcesInStore(ctx context.Context, specs []*catalog.Spec) (map[*catalog.Spec]string, error) {
	sources := map[*catalog.Spec]string{}
	for _, spec := range specs {
		of := spec.Containerfile()
		if of.Fetch != nil {
			sources[spec] = of.Fetch.Out
		} else if path := unchangedSource(of.Source); path != "" {
			sources[spec] = path
		}
	}
	valid, err := n.Valid(ctx, slices.Compact(slices.Sorted(maps.Values(sources))))
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(sources, func(_ *catalog.Spec, path string) bool { return !valid[path] })
	return sources, nil
}

// unchangedSource returns the store path of a source without changes, even if it does not
// exist; "" for a source with changes. The source's identity (nix/source.nix) has its store
// path or hash.
func unchangedSource(identity json.RawMessage) string {
	var source struct {
		Source  string            `json:"source"`
		Changes []json.RawMessage `json:"changes"`
	}
	if json.Unmarshal(identity, &source) != nil || len(source.Changes) > 0 {
		return ""
	}
	if strings.HasPrefix(source.Source, "/nix/store/") {
		return source.Source
	}
	path, err := SourcePath(source.Source)
	if err != nil {
		return ""
	}
	return path
}

// GitHash fetches a commit of a git repository like a definition's source, and returns
// the SRI hash of its NAR. It runs Nix, because versions of Nix differ in how they apply
// git attributes.
func (n *Nix) GitHash(ctx context.Context, url, commit string) (string, error) {
	if !n.AllowLocalInputs && localReference().MatchString(url) {
		return "", &fault.Fault{Err: fmt.Errorf("the source %q is on this machine: Nix would copy it to the world-readable store", url), Fix: "allow it with --allow-local-inputs"}
	}
	expression := fmt.Sprintf("(builtins.fetchTree { type = \"git\"; url = %s; rev = %s; allRefs = true; }).narHash", Quote(url), Quote(commit))
	evaluate := call{program: "nix", operation: []string{"eval"}, flags: append(n.restrictions(), "--impure", "--raw", "--expr", expression)}
	doing := "fetching " + commit + " by git"
	out, err := n.run(ctx, doing, evaluate)
	if fetcher, _ := n.fetcher(); err != nil && fetcher != nil && overHTTP().MatchString(url) {
		dir, missing := os.MkdirTemp("", "libre-mirror-")
		if missing != nil {
			return "", missing
		}
		defer os.RemoveAll(dir)
		if err := fetcher.Mirror(ctx, url, []string{commit}, dir); err != nil {
			return "", err
		}
		out, err = n.run(ctx, doing, evaluate, mirrorSettings(Mirror{url, dir})...)
	}
	return strings.TrimSpace(string(out)), err
}
