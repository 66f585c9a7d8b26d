// Package clean frees the disk of what libre can make or fetch again: each kind of it by a
// rule. It never touches the data of apps that libre run keeps, nor the Nix store.
package clean

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/scan"
)

// Machine is where libre writes, and for how long what it wrote may be unused.
type Machine struct {
	Cache  string    // libre's folder in the user's cache
	Temp   string    // where temporary folders are made
	Before time.Time // what was used or written since then stays

	Output string                   // the OCI layout of the catalogue; "" for none
	Drop   func(v1.Descriptor) bool // chooses the entries of Output that go
	Engine func() (*containerfile.Builder, error)
}

// Group is what can be removed of one kind.
type Group struct {
	Kind  string `json:"kind"`            // images, fetched images, layers, evaluations, SBOMs, vulnerabilities, upstream, logs, GC roots, engine storage or temporary folders
	Bytes int64  `json:"bytes"`           // about how many
	Rule  string `json:"rule"`            // what goes
	Where string `json:"where"`           // the folder
	Error string `json:"error,omitempty"` // why it is unknown, or why some of it stays

	remove func(ctx context.Context) error
}

// Remove removes what the rule allows now. It keeps what was used since the group was made.
func (g *Group) Remove(ctx context.Context) error { return g.remove(ctx) }

// room is a kind of what libre writes.
type room interface {
	measure(ctx context.Context) (bytes int64, err error)
	remove(ctx context.Context) error
}

// Groups measures what can be removed of each kind. It leaves out kinds without anything to
// remove.
func (m *Machine) Groups(ctx context.Context) []*Group {
	var groups []*Group
	add := func(kind, rule, where string, r room) {
		g := &Group{Kind: kind, Rule: rule, Where: where, remove: r.remove}
		var err error
		if g.Bytes, err = r.measure(ctx); err != nil {
			g.Error = err.Error()
		}
		if g.Bytes > 0 || err != nil {
			groups = append(groups, g)
		}
	}
	if m.Output != "" {
		add("images", "published and no longer defined, or in no image", m.Output, &images{m.Output, m.Drop, nil})
	}
	for _, kind := range kinds {
		add(kind.name, kind.rule, filepath.Join(m.Cache, kind.below), &files{m.Cache, m.Before, kind.globs})
	}
	databases := filepath.Join(m.Cache, "vulnerabilities")
	add("vulnerabilities", "databases that no scan used", databases, &listed{m.Cache, func() []string {
		return (&scan.Store{Dir: databases}).Stale(m.Before)
	}})
	fetched := filepath.Join(m.Cache, "run")
	add("fetched images", "no libre run of a release", fetched, &images{fetched, func(v1.Descriptor) bool { return true }, &m.Before})
	containers := filepath.Join(m.Cache, "containers")
	if _, err := os.Lstat(containers); err == nil {
		add("engine storage", "bases that no build used, leftovers of killed builds", containers, &storage{m.Engine, m.Output})
	}
	for _, dir := range slices.Compact([]string{m.Temp, filepath.Join(m.Cache, "tmp")}) {
		add("temporary folders", "left by killed runs", dir, &files{dir, m.Before, temporary})
	}
	return groups
}

// kinds are the files of the cache, by patterns below it. Each can be removed at any time:
// who misses it makes it again.
var kinds = []struct {
	name, below, rule string
	globs             []string
}{
	{"layers", "layers", "which layer is in which blob", []string{"layers/*.json"}},
	{"evaluations", "evaluations", "results of evaluations", []string{"evaluations/*.json"}},
	{"SBOMs", "", "the index of libre find and site", []string{"sboms/*/*", "sboms-*/*/*"}},
	{"upstream", "upstream", "answers of forges", []string{"upstream/*"}},
	{"logs", "logs", "logs of builds", []string{"logs/*"}},
	{"GC roots", "sources", "sources that no evaluation used", []string{"sources/*.json", "sources/*.root"}},
}

// temporary are the folders that libre makes in TMPDIR and removes when it ends.
var temporary = []string{
	"libre-add-*", "libre-bump-*", "libre-code-*", "libre-fetch-*", "libre-git-*", "libre-index-*", "libre-inspect-*",
	"libre-layout-*", "libre-mirror-*", "libre-nix-*", "libre-part-*", "libre-patch-*", "libre-published-*",
	"libre-rebuild-*", "libre-roots-*", "libre-sbom-*", "libre-scan-*", "libre-shell-*", "libre-try-*",
}

// storage is that of buildah or podman, with the folders that killed builds left in the OCI
// layout.
type storage struct {
	engine func() (*containerfile.Builder, error)
	work   string
}

func (s *storage) measure(ctx context.Context) (int64, error) {
	engine, err := s.engine()
	if err != nil {
		return 0, err
	}
	bytes, err := engine.Unused(ctx)
	if s.work != "" {
		bytes += containerfile.LeftWork(s.work)
	}
	return bytes, err
}

func (s *storage) remove(ctx context.Context) error {
	engine, err := s.engine()
	if err != nil {
		return err
	}
	if s.work != "" {
		engine.CleanWork(s.work)
	}
	return engine.Clean(ctx)
}

// isMissing reports whether a folder is not there.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
