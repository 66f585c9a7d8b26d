package bench

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/testkit"
)

// Store is a folder with a Nix store made of installed Debian packages. Each package is a store
// path that refers to its dependencies.
type Store struct {
	Dir     string         // has nix/store
	Closure []nix.PathInfo // NarSize is the size of the files
	Root    string         // a small store path that refers to the first package

	packages map[string]debianPackage
	paths    map[string]string // by package; "" while one is being added
}

type debianPackage struct {
	version string
	needs   []string // packages, or virtual packages
}

// NewStore copies a package and all its dependencies.
func NewStore(b *testing.B, name string) *Store {
	b.Helper()
	testkit.Require(b, "dpkg-query")
	s := &Store{Dir: b.TempDir(), packages: installedPackages(b), paths: map[string]string{}}
	_, installed := s.packages[name]
	testkit.Needed(b, installed, name)
	top := s.add(b, name)
	s.Root = storePath("root")
	if err := os.MkdirAll(filepath.Join(s.Dir, s.Root, "etc"), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, s.Root, "etc", "passwd"), []byte("app:x:1000:1000::/:/bin/false\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	s.Closure = append(s.Closure, nix.PathInfo{Path: s.Root, NarHash: "sha256:root", References: []string{top}})
	return s
}

// Size returns the size of all files in bytes.
func (s *Store) Size() (size int64) {
	for _, p := range s.Closure {
		size += p.NarSize
	}
	return size
}

// Times returns a store with so many copies of each path, as hard links. Its root refers to all
// of them.
func (s *Store) Times(b *testing.B, n int) *Store {
	b.Helper()
	copied := &Store{Dir: b.TempDir(), Root: s.Root}
	if err := os.MkdirAll(filepath.Join(copied.Dir, "nix/store"), 0o755); err != nil {
		b.Fatal(err)
	}
	root := nix.PathInfo{Path: s.Root, NarHash: "sha256:root"}
	for i := range n {
		name := func(path string) string { return fmt.Sprintf("%s-%d", path, i) }
		for _, p := range s.Closure {
			if p.Path == s.Root {
				continue
			}
			to := nix.PathInfo{Path: name(p.Path), NarHash: name(p.NarHash), NarSize: p.NarSize}
			for _, reference := range p.References {
				to.References = append(to.References, name(reference))
			}
			copied.Closure = append(copied.Closure, to)
			root.References = append(root.References, to.Path)
			Command(b, "cp", "-al", filepath.Join(s.Dir, p.Path), filepath.Join(copied.Dir, to.Path))
		}
	}
	copied.Closure = append(copied.Closure, root)
	Command(b, "cp", "-al", filepath.Join(s.Dir, s.Root), filepath.Join(copied.Dir, s.Root))
	return copied
}

// installedPackages reads dpkg's database. Of alternatives, the first installed one counts.
// Virtual packages are found by their names.
// https://www.debian.org/doc/debian-policy/ch-relationships.html
func installedPackages(b *testing.B) map[string]debianPackage {
	b.Helper()
	format := "${db:Status-Abbrev}\t${Package}\t${Version}\t${Provides}\t${Pre-Depends}, ${Depends}\n"
	out, err := exec.Command("dpkg-query", "--show", "--showformat", format).Output()
	if err != nil {
		b.Fatal(err)
	}
	bare := func(relation string) string { // "libc6:any (>= 2.34)" becomes libc6
		name, _, _ := strings.Cut(strings.TrimSpace(relation), " ")
		name, _, _ = strings.Cut(name, ":")
		return name
	}
	lines := strings.Split(string(out), "\n")
	providers, all := map[string]string{}, map[string]debianPackage{}
	for _, line := range lines {
		if cells := strings.Split(line, "\t"); len(cells) == 5 && strings.HasPrefix(cells[0], "ii") {
			all[cells[1]] = debianPackage{version: cells[2]}
			for virtual := range strings.SplitSeq(cells[3], ",") {
				providers[bare(virtual)] = cells[1]
			}
		}
	}
	for _, line := range lines {
		cells := strings.Split(line, "\t")
		if len(cells) != 5 || all[cells[1]].version == "" {
			continue
		}
		p := all[cells[1]]
		for relation := range strings.SplitSeq(cells[4], ",") {
			for alternative := range strings.SplitSeq(relation, "|") {
				name := bare(alternative)
				if _, installed := all[name]; !installed {
					name = providers[name]
				}
				if name != "" {
					p.needs = append(p.needs, name)
					break
				}
			}
		}
		all[cells[1]] = p
	}
	return all
}

// storePath returns a store path for a name.
func storePath(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "/nix/store/" + hex.EncodeToString(sum[:16]) + "-" + name
}

// add copies a package's dependencies, then the package. A store has no cycles: a
// dependency that closes one is left out.
func (s *Store) add(b *testing.B, name string) string {
	b.Helper()
	if path, seen := s.paths[name]; seen {
		return path
	}
	s.paths[name] = ""
	p := nix.PathInfo{Path: storePath(name), NarHash: "sha256:" + name + s.packages[name].version}
	for _, needed := range s.packages[name].needs {
		if path := s.add(b, needed); path != "" {
			p.References = append(p.References, path)
		}
	}
	out, err := exec.Command("dpkg-query", "--listfiles", name).Output()
	if err != nil {
		b.Fatal(err)
	}
	to := filepath.Join(s.Dir, p.Path)
	for file := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		size, err := copyFile(filepath.Join(to, file), file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			b.Fatal(err)
		}
		p.NarSize += size
	}
	s.Closure, s.paths[name] = append(s.Closure, p), p.Path
	return p.Path
}

// copyFile copies a folder, a link or a file, and returns its size. The machine may have a
// link where a package has a folder.
func copyFile(to, from string) (size int64, err error) {
	info, err := os.Stat(from)
	if err == nil && info.IsDir() {
		return 0, os.MkdirAll(to, 0o755)
	}
	if target, err := os.Readlink(from); err == nil {
		return 0, os.Symlink(target, to)
	}
	if err != nil || !info.Mode().IsRegular() {
		return 0, err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return 0, err
	}
	return int64(len(content)), os.WriteFile(to, content, 0o644|info.Mode()&0o111)
}
