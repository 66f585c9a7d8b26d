package nix

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/private"
	"github.com/libresh/libre/internal/text"
)

// maxOutcomes is the number of cached outcomes; the least recently used are removed.
const maxOutcomes = 64

// evaluation is what the outcome of an evaluation depends on. The evaluation of a locked
// flake is pure: it depends on the tracked files, the commit, the command and the nix
// program. (Nix's own cache is by attribute, and only for commits without changes.)
//
// The outcome is the output of the evaluation. It is cached in Nix.OutcomeDir under the
// hash of its dependencies, in a file of two lines: the store paths in it that existed
// afterwards, as JSON, and the outcome. It is valid as long as these paths exist.
type evaluation struct {
	name  string // of the outcome
	flake *tracked
}

// evaluation returns the dependencies of an evaluation; nil if its folder is not in a git
// repository, or in one with submodules.
func (n *Nix) evaluation(ctx context.Context, cmd *exec.Cmd) *evaluation {
	if n.OutcomeDir == "" || slices.Contains(n.Options, "--impure") {
		return nil
	}
	sum := sha256.New()
	program, err := identity(cmd.Path)
	if err != nil {
		return nil
	}
	fmt.Fprintf(sum, "1 %s %q\n", program, cmd.Args[1:])
	for _, variable := range slices.Sorted(slices.Values(cmd.Env)) {
		if strings.HasPrefix(variable, "NIX_") {
			fmt.Fprintf(sum, "%q\n", variable)
		}
	}
	flake, err := track(ctx, cmd.Dir)
	if err != nil {
		return nil
	}
	sum.Write(flake.sum)
	return &evaluation{hex.EncodeToString(sum.Sum(nil)), flake}
}

// identity returns a text that changes when a program is replaced.
func identity(path string) (string, error) {
	program, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(program)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%q %d %d", program, info.Size(), info.ModTime().UnixNano()), nil
}

// loadOutcome returns the cached outcome of an evaluation.
func (n *Nix) loadOutcome(e *evaluation) ([]byte, bool) {
	if e == nil {
		return nil, false
	}
	file := filepath.Join(n.OutcomeDir, e.name+".json")
	text, err := private.ReadCached(file)
	if err != nil {
		return nil, false
	}
	first, printed, _ := bytes.Cut(text, []byte("\n"))
	var present []string
	if json.Unmarshal(first, &present) != nil || !json.Valid(printed) || slices.ContainsFunc(present, func(path string) bool { return !exists(path) }) {
		return nil, false
	}
	return printed, true
}

// saveOutcome caches the outcome of an evaluation, unless the flake is not locked or its
// files changed meanwhile. Errors are ignored: they only cost time.
func (n *Nix) saveOutcome(ctx context.Context, e *evaluation, flake Flake, printed []byte, log string) {
	if e == nil || !locked(log, flake.Overrides) || !e.flake.unchanged(ctx) {
		return
	}
	present := []string{}
	for _, path := range slices.Compact(slices.Sorted(slices.Values(storePath().FindAllString(string(printed), -1)))) {
		if exists(path) {
			present = append(present, path)
		}
	}
	first, err := json.Marshal(present)
	if err != nil || private.Folder(n.OutcomeDir) != nil {
		return
	}
	text := slices.Concat(first, []byte("\n"), printed)
	if private.Replace(filepath.Join(n.OutcomeDir, e.name+".json"), text) == nil {
		n.pruneOutcomes()
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// pruneOutcomes removes the least recently used outcomes.
func (n *Nix) pruneOutcomes() {
	files, err := os.ReadDir(n.OutcomeDir)
	if err != nil || len(files) <= maxOutcomes {
		return
	}
	used := func(file fs.DirEntry) int64 {
		info, err := file.Info()
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	slices.SortFunc(files, func(a, b fs.DirEntry) int { return cmp.Compare(used(b), used(a)) })
	for _, file := range files[maxOutcomes:] {
		_ = os.Remove(filepath.Join(n.OutcomeDir, file.Name()))
	}
}

var (
	storePath  = lazyregexp.New(`/nix/store/[0-9a-z]{32}-[0-9A-Za-z+._?=-]+`)
	lockChange = lazyregexp.New(`(?m)^• (Added|Updated|Removed) input '([^']+)'`)
)

// locked reports whether nix, according to its log, would have changed nothing in the
// lock file but the overridden inputs.
func locked(log string, overrides []Override) bool {
	log = text.Output(log)
	return !strings.Contains(log, "lock file") || lockChange().MatchString(log) && len(lockChanges(log, overrides)) == 0
}

// lockChanges returns the changes that nix would have made to the lock file, each as
// "Added" and the input's name, such as x/y, without the overridden inputs.
func lockChanges(log string, overrides []Override) (changes [][2]string) {
	for _, change := range lockChange().FindAllStringSubmatch(text.Output(log), -1) {
		top, _, _ := strings.Cut(change[2], "/")
		if !slices.ContainsFunc(overrides, func(o Override) bool { return o.Input == top }) {
			changes = append(changes, [2]string{change[1], change[2]})
		}
	}
	return changes
}
