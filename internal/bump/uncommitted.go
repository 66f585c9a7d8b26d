package bump

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/git"
)

// uncommitted finds edits of ours that were never committed, as where a run was
// killed between the edit and the commit: they read as if all were done.
type uncommitted struct {
	ctx     context.Context
	dir     string   // the catalogue
	changed []string // files that are not as the last commit has them, by path in dir
}

// lookForUncommitted asks git; what is in no repository has nothing to commit.
func lookForUncommitted(ctx context.Context, dir string) *uncommitted {
	out, err := git.Output(ctx, dir, "diff", "--name-only", "--relative", "-z", "HEAD", "--", ".")
	if err != nil || out == "" {
		return &uncommitted{}
	}
	return &uncommitted{ctx, dir, strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")}
}

// files are those with a version, a hash or a digest of the app that the last
// commit does not have: what else a person edits is none of ours.
func (u *uncommitted) files(app catalog.App) []string {
	found := map[string]bool{}
	for attribute, literal := range literals(app) {
		at := app.Positions[attribute]
		if at == nil || found[at.File] || !slices.Contains(u.changed, at.File) {
			continue
		}
		now, err := os.ReadFile(filepath.Join(u.dir, at.File))
		if err != nil || !strings.Contains(string(now), literal) {
			continue
		}
		committed, err := git.Output(u.ctx, u.dir, "show", "HEAD:./"+at.File)
		found[at.File] = err == nil && !strings.Contains(committed, literal)
	}
	maps.DeleteFunc(found, func(_ string, is bool) bool { return !is })
	return slices.Sorted(maps.Keys(found))
}

// lock is flake.lock where it is not as the last commit has it.
func (u *uncommitted) lock() []string {
	if slices.Contains(u.changed, lockFile) {
		return []string{lockFile}
	}
	return nil
}

// literals are what updates write into a definition, by attribute.
func literals(app catalog.App) map[string]string {
	all := map[string]string{"version": `"` + app.Version + `"`}
	if app.Source != nil && app.Source.Hash != "" {
		all["source.hash"] = app.Source.Hash
	}
	for attribute, hash := range dependentHashes(app) {
		all[attribute] = hash
	}
	for _, p := range pinsOf(app) {
		if isDigest(p.is) {
			all[p.attribute()] = p.is
		}
	}
	return all
}
