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

// uncommitted finds edits of libre that were never committed, such as after a run was
// killed between edit and commit. Otherwise these apps would look up to date.
type uncommitted struct {
	ctx     context.Context
	dir     string   // the catalogue
	changed []string // files that differ from the last commit, by path in dir
}

// findUncommitted asks git. Without a repository there is nothing to commit.
func findUncommitted(ctx context.Context, dir string) *uncommitted {
	out, err := git.Output(ctx, dir, "diff", "--name-only", "--relative", "-z", "HEAD", "--", ".")
	if err != nil || out == "" {
		return &uncommitted{}
	}
	return &uncommitted{ctx, dir, strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")}
}

// files are those with a version, a hash or a digest of the app that the last commit does
// not have. Other edits are the user's.
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

// lock is flake.lock if it differs from the last commit.
func (u *uncommitted) lock() []string {
	if slices.Contains(u.changed, lockFile) {
		return []string{lockFile}
	}
	return nil
}

// literals are the values that updates write to a definition, by attribute.
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
