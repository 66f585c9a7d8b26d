package nix

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// mostOutcomes is how many are kept, those that were used last.
	mostOutcomes = 64
	// mostTracked is up to how many bytes of tracked files an outcome is worth
	// reading them all.
	mostTracked = 64 << 20
)

// outcomeName names the outcome of an evaluation: what it prints. Of a locked flake it is pure: it
// depends on the files that git tracks, the commit, the command and the program that
// runs, whose hash is the name in Nix.OutcomeDir. Nix's own cache of evaluations is
// of attributes, and of commits without changes.
//
// An outcome's file has two lines: the store paths that are in the outcome and were
// in the store afterwards, as JSON, and the outcome. It holds as long as they are
// there.
//
// The name is "" where the flake is in no git repository, or in one that has others
// in it.
func (n *Nix) outcomeName(ctx context.Context, cmd *exec.Cmd) string {
	if n.OutcomeDir == "" || slices.Contains(n.Options, "--impure") {
		return ""
	}
	sum := sha256.New()
	program, err := filepath.EvalSymlinks(cmd.Path)
	if err != nil {
		return ""
	}
	info, err := os.Stat(program)
	if err != nil {
		return ""
	}
	fmt.Fprintf(sum, "1 %q %d %d %q\n", program, info.Size(), info.ModTime().UnixNano(), cmd.Args[1:])
	for _, variable := range slices.Sorted(slices.Values(os.Environ())) {
		if strings.HasPrefix(variable, "NIX_") {
			fmt.Fprintf(sum, "%q\n", variable)
		}
	}
	if err := hashTracked(ctx, sum, cmd.Dir); err != nil {
		return ""
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// hashTracked hashes what Nix sees of a flake in a git repository: the commit, and
// the files of the whole repository that git tracks, as they are in its folder.
func hashTracked(ctx context.Context, sum hash.Hash, dir string) error {
	var place, commit, tracked []byte
	var group errgroup.Group
	group.Go(func() (err error) {
		place, err = git(ctx, dir, "rev-parse", "--show-toplevel", "--show-prefix")
		return err
	})
	group.Go(func() error {
		commit, _ = git(ctx, dir, "rev-parse", "--verify", "--quiet", "HEAD") // a new repository has none
		return nil
	})
	group.Go(func() (err error) {
		tracked, err = git(ctx, dir, "ls-files", "--stage", "--full-name", "-z", ":/")
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	top, prefix, _ := strings.Cut(strings.TrimSuffix(string(place), "\n"), "\n")
	fmt.Fprintf(sum, "%q %q %q\n", prefix, commit, tracked)
	left := int64(mostTracked)
	for _, entry := range strings.Split(strings.TrimSuffix(string(tracked), "\x00"), "\x00") {
		stage, name, _ := strings.Cut(entry, "\t")
		if !strings.HasPrefix(stage, "100") && !strings.HasPrefix(stage, "120") {
			return fmt.Errorf("%s is a repository of its own", name)
		}
		if err := addTracked(sum, filepath.Join(top, filepath.FromSlash(name)), &left); err != nil {
			return err
		}
	}
	return nil
}

func addTracked(sum hash.Hash, name string, left *int64) error {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fmt.Fprint(sum, "missing\n")
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(name)
		fmt.Fprintf(sum, "link %q\n", to)
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is neither a file nor a link", name)
	}
	if *left -= info.Size(); *left < 0 {
		return errors.New("too many bytes are tracked")
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintf(sum, "file %t %d\n", info.Mode()&0o100 != 0, info.Size())
	if copied, err := io.Copy(sum, f); err != nil || copied != info.Size() {
		return cmp.Or(err, errors.New("it is being written"))
	}
	return nil
}

// recall gives what an evaluation of this name printed.
func (n *Nix) recall(name string) ([]byte, bool) {
	if name == "" {
		return nil, false
	}
	file := filepath.Join(n.OutcomeDir, name+".json")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, false
	}
	first, printed, _ := bytes.Cut(text, []byte("\n"))
	var present []string
	if json.Unmarshal(first, &present) != nil || !json.Valid(printed) || slices.ContainsFunc(present, func(path string) bool { return !exists(path) }) {
		return nil, false
	}
	_ = os.Chtimes(file, time.Time{}, time.Now()) // it was used
	return printed, true
}

// keep keeps what an evaluation printed, unless it was of a flake that is not
// locked, or whose files changed meanwhile. That it cannot be kept costs time only.
func (n *Nix) keep(ctx context.Context, name string, cmd *exec.Cmd, flake Flake, printed []byte, log string) {
	if name == "" || !locked(log, flake.Overrides) || n.outcomeName(ctx, cmd) != name {
		return
	}
	present := []string{}
	for _, path := range slices.Compact(slices.Sorted(slices.Values(storePath.FindAllString(string(printed), -1)))) {
		if exists(path) {
			present = append(present, path)
		}
	}
	first, err := json.Marshal(present)
	if err != nil || os.MkdirAll(n.OutcomeDir, 0o755) != nil {
		return
	}
	text := slices.Concat(first, []byte("\n"), printed)
	if writeBeside(filepath.Join(n.OutcomeDir, name+".json"), text) == nil {
		n.forgetOutcomes()
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// forgetOutcomes removes those that were not used for longest.
func (n *Nix) forgetOutcomes() {
	files, err := os.ReadDir(n.OutcomeDir)
	if err != nil || len(files) <= mostOutcomes {
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
	for _, file := range files[mostOutcomes:] {
		_ = os.Remove(filepath.Join(n.OutcomeDir, file.Name()))
	}
}

var (
	storePath  = regexp.MustCompile(`/nix/store/[0-9a-z]{32}-[0-9A-Za-z+._?=-]+`)
	lockChange = regexp.MustCompile(`(?m)^• (?:Added|Updated|Removed) input '([^'/]+)`)
)

// locked tells from what nix printed that it would have written nothing into the
// lock file but the inputs that were replaced for this run.
func locked(log string, overrides []Override) bool {
	log = cleanLog(log)
	if !strings.Contains(log, "lock file") {
		return true
	}
	changes := lockChange.FindAllStringSubmatch(log, -1)
	return len(changes) > 0 && !slices.ContainsFunc(changes, func(change []string) bool {
		return !slices.ContainsFunc(overrides, func(o Override) bool { return o.Input == change[1] })
	})
}
