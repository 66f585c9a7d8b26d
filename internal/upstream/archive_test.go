package upstream_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/klauspost/compress/zstd"
	"github.com/nix-community/go-nix/pkg/nar"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shell runs a script in a folder, with its own git settings.
func shell(t testing.TB, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "HOME="+dir,
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
		"NIX_CONFIG=experimental-features = nix-command\nbuild-users-group =")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, out, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}

func hashArchive(t testing.TB, content []byte) *upstream.Archive {
	t.Helper()
	a, err := upstream.HashArchive(bytes.NewReader(content), upstream.DefaultArchiveLimits)
	must(t, err)
	t.Cleanup(func() { a.Close() })
	return a
}

// goNixHash returns the hash of a folder from another implementation.
func goNixHash(t testing.TB, dir string) string {
	t.Helper()
	sum := sha256.New()
	must(t, nar.DumpPath(sum, dir))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum.Sum(nil))
}

// oddTree has names that git, tar and NAR sort differently, and every kind of entry.
const oddTree = `
mkdir -p repo/a/b/c repo/a-b repo/empty "repo/with space" repo/bin repo/ünï
cd repo
printf hello > a.txt; printf x > a/z; printf y > a/b/c/deep; : > a-b/empty; printf 1234567 > seven; printf 12345678 > eight
printf '#!/bin/sh\n' > bin/run; chmod 755 bin/run; printf 'group only' > bin/not; chmod 654 bin/not; printf "name" > 'with space/q"uote'
printf u > ünï/é; ln -s a.txt link; ln -s ../../outside dangling; ln -s a folder-link; printf B > B; printf b > b
i=0; while [ $i -lt 40 ]; do head -c $i /dev/zero > "a/n$i"; i=$((i+1)); done
head -c 300000 /dev/urandom > large
`

// The archive that git makes has the same hash here, in Nix and in go-nix.
func TestArchiveHashOfGitArchive(t *testing.T) {
	testkit.Require(t, "git", "tar", "nix")
	dir := t.TempDir()
	shell(t, dir, oddTree+`git init -q -b main . && git add . && git commit -qm one
		git archive --prefix=repo-1.0/ -o ../git.tar.gz HEAD
		mkdir ../unpacked && tar xzf ../git.tar.gz -C ../unpacked`)
	content, err := os.ReadFile(filepath.Join(dir, "git.tar.gz"))
	must(t, err)
	a := hashArchive(t, content)
	unpacked := filepath.Join(dir, "unpacked/repo-1.0")
	if want := goNixHash(t, unpacked); a.Hash != want {
		t.Errorf("hash %s, go-nix has %s", a.Hash, want)
	}
	if want := shell(t, dir, "nix hash path "+unpacked); a.Hash != want {
		t.Errorf("hash %s, nix has %s", a.Hash, want)
	}
	// Nix itself checks the hash.
	shell(t, dir, `nix eval --store "$PWD/store" --impure --raw --expr "builtins.fetchTarball { url = \"file://$PWD/git.tar.gz\"; sha256 = \"`+a.Hash+`\"; }" && chmod -R u+w store`)
	if want := shell(t, dir+"/repo", "git rev-parse HEAD"); a.Commit != want || a.Top != "repo-1.0" {
		t.Errorf("commit %q of %s, expected %s of repo-1.0", a.Commit, a.Top, want)
	}
	if want := shell(t, dir, "find unpacked/repo-1.0 -mindepth 1 | wc -l"); fmt.Sprint(a.Entries) != want {
		t.Errorf("%d entries, expected %s", a.Entries, want)
	}
	if len(a.Lacks) > 0 || len(a.ExportSubst) > 0 {
		t.Errorf("lacks %q, export-subst in %q", a.Lacks, a.ExportSubst)
	}
}

// go-nix's own writer refuses these names.
func TestArchiveHashOfNamesWithDots(t *testing.T) {
	testkit.Require(t, "tar", "nix")
	dir := t.TempDir()
	shell(t, dir, `mkdir -p repo/..2026/sub repo/a; printf 1 > repo/..data; printf 2 > repo/..2026/sub/...; printf 3 > repo/a/..b; printf 4 > repo/.c; tar -czf x.tar.gz repo`)
	content, err := os.ReadFile(filepath.Join(dir, "x.tar.gz"))
	must(t, err)
	if got, want := hashArchive(t, content).Hash, shell(t, dir, "nix hash path repo"); got != want {
		t.Errorf("hash %s, nix has %s", got, want)
	}
}

// Other tars and other compressions of one tree have the same hash.
func TestArchiveFormats(t *testing.T) {
	testkit.Require(t, "tar", "xz", "zstd", "bzip2")
	dir := t.TempDir()
	shell(t, dir, oddTree)
	want := goNixHash(t, filepath.Join(dir, "repo"))
	for _, arguments := range []string{
		"--format=ustar repo", "--format=gnu repo", "--format=pax repo", "--format=v7 -z repo", "-z ./repo", "-J repo", "-j repo", "--zstd repo",
		"--sort=name repo", "--no-recursion -T reversed", "--sparse --hole-detection=raw repo",
	} {
		shell(t, dir, "find repo | sort -r > reversed; tar -cf x.tar "+arguments)
		content, err := os.ReadFile(filepath.Join(dir, "x.tar"))
		must(t, err)
		a, err := upstream.HashArchive(bytes.NewReader(content), upstream.DefaultArchiveLimits)
		if err != nil {
			t.Errorf("tar %s: %v", arguments, err)
			continue
		}
		if a.Hash != want {
			t.Errorf("tar %s: hash %s, expected %s", arguments, a.Hash, want)
		}
		must(t, a.Close())
	}
}

// A zip of a tree has the hash of its tar. A damaged zip, or one above a limit, is an error.
func TestZip(t *testing.T) {
	testkit.Require(t, "zip")
	dir := t.TempDir()
	shell(t, dir, "mkdir -p top/a/empty; echo one > top/a/one; printf '#!/bin/sh' > top/run; chmod +x top/run; ln -s a/one top/link; seq 100000 > top/large; zip -qry tree.zip top")
	content, err := os.ReadFile(filepath.Join(dir, "tree.zip"))
	must(t, err)
	a, err := upstream.HashArchive(bytes.NewReader(content), upstream.DefaultArchiveLimits)
	must(t, err)
	defer a.Close()
	if want := goNixHash(t, filepath.Join(dir, "top")); a.Hash != want {
		t.Errorf("hash %s, expected %s", a.Hash, want)
	}
	for name, damage := range map[string]func() ([]byte, int64){
		"cut":        func() ([]byte, int64) { return content[:len(content)/2], 1 << 30 },
		"flipped":    func() ([]byte, int64) { c := slices.Clone(content); c[len(c)/2] ^= 1; return c, 1 << 30 },
		"large":      func() ([]byte, int64) { return content, int64(len(content)) + 100 },
		"very large": func() ([]byte, int64) { return content, int64(len(content)) - 100 },
	} {
		damaged, limit := damage()
		if a, err := upstream.HashArchive(bytes.NewReader(damaged), upstream.ArchiveLimits{Bytes: limit, Entries: 100}); err == nil {
			t.Errorf("%s: hash %s", name, a.Hash)
			a.Close()
		}
	}
}

// entry is an entry of a tar. Its name and content decide its type: "/" at the end of the name
// is a folder, "→" at the start of the content a link.
type entry struct{ name, content string }

func makeTar(t testing.TB, entries ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Mode: 0o644}
		content := ""
		switch e := e.(type) {
		case *tar.Header:
			h = e
			content = strings.Repeat("x", int(e.Size))
		case entry:
			h.Name, content = e.name, e.content
			if target, ok := strings.CutPrefix(content, "→"); ok {
				h.Typeflag, h.Linkname, content = tar.TypeSymlink, target, ""
			} else if strings.HasSuffix(e.name, "/") {
				h.Typeflag, h.Mode = tar.TypeDir, 0o755
			}
			h.Size = int64(len(content))
		}
		must(t, w.WriteHeader(h))
		_, err := io.WriteString(w, content)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(content)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func global(comment string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": comment}}
}

func TestArchiveRefuses(t *testing.T) {
	file := entry{"top/file", "x"}
	limits := upstream.ArchiveLimits{Bytes: 64 << 10, Entries: 6}
	tests := []struct {
		name    string
		want    string
		entries []any
	}{
		{"absolute", `"/top/file": its name is not a valid path`, []any{entry{"/top/file", "x"}}},
		{"dot dot", `"top/../../file": its name is outside the tree`, []any{entry{"top/../../file", "x"}}},
		{"dot dot inside", `"top/a/../file": its name is outside the tree`, []any{entry{"top/a/../file", "x"}}},
		{"only dot dot", `"..": its name is outside the tree`, []any{entry{"..", "→x"}}},
		{"long name", `"` + strings.Repeat("n", 80) + `"…: its name is not a valid path`, []any{entry{strings.Repeat("n", 5000), "x"}}},
		{"hard link", `"top/hard": it is a hard link`, []any{file, &tar.Header{Typeflag: tar.TypeLink, Name: "top/hard", Linkname: "top/file"}}},
		{"device", `"top/null": it is a device`, []any{file, &tar.Header{Typeflag: tar.TypeChar, Name: "top/null", Devmajor: 1, Devminor: 3}}},
		{"block device", `"top/sda": it is a device`, []any{&tar.Header{Typeflag: tar.TypeBlock, Name: "top/sda"}}},
		{"fifo", `"top/fifo": it is a device`, []any{&tar.Header{Typeflag: tar.TypeFifo, Name: "top/fifo"}}},
		{"contiguous", `"top/c": it is of the unknown type '7'`, []any{&tar.Header{Typeflag: tar.TypeCont, Name: "top/c"}}},
		{"twice", `"top/file": it is in the archive twice`, []any{file, file}},
		{"twice, spelled differently", `"./top//file": it is in the archive twice`, []any{file, entry{"./top//file", "y"}}},
		{"folder twice", `"top/": it is in the archive twice`, []any{entry{"top/", ""}, entry{"top/", ""}}},
		{"file over a folder", `"top": it is in the archive twice`, []any{file, entry{"top", "x"}}},
		{"folder over a file", `"top/file/": it is in the archive twice`, []any{file, entry{"top/file/", ""}}},
		{"below a file", `"top/file/x": its parent "file" is not a folder`, []any{file, entry{"top/file/x", "x"}}},
		{"below a link", `"top/l/passwd": its parent "l" is not a folder`, []any{entry{"top/l", "→/etc"}, entry{"top/l/passwd", "x"}}},
		{"two at the top", "it has 2 entries at its top, expected one folder", []any{file, entry{"other", "x"}}},
		{"a file at the top", `"top" at its top is not a folder`, []any{entry{"top", "x"}}},
		{"a link at the top", `"top" at its top is not a folder`, []any{entry{"top", "→x"}}},
		{"nothing", "it has 0 entries at its top, expected one folder", []any{global("x")}},
		{"nameless", `"./.": it has no name`, []any{entry{"./.", "x"}}},
		{"many entries", `"top/1/2/3/4/5/6/7": the archive's entries exceed the limit`, []any{entry{"top/1/2/3/4/5/6/7", "x"}}},
		{"large", `"top/large": it is larger than the limit of 65536 bytes: raise limits.archive in libre.yaml`, []any{entry{"top/large", strings.Repeat("x", 100<<10)}}},
		{"control characters", `"\x1b[31m\u202e/..": its name is outside the tree`, []any{entry{"\x1b[31m\u202e/..", "→x"}}},
		{"empty target", `"top/l": it is a link to ""`, []any{&tar.Header{Typeflag: tar.TypeSymlink, Name: "top/l"}}},
	}
	for _, test := range tests {
		for _, content := range [][]byte{makeTar(t, test.entries...), gzipped(t, makeTar(t, test.entries...))} {
			a, err := upstream.HashArchive(bytes.NewReader(content), limits)
			if err == nil || err.Error() != "reading the archive: "+test.want {
				t.Errorf("%s: error %v, expected %s", test.name, err, test.want)
			}
			if err == nil {
				a.Close()
			}
		}
	}
}

func TestArchiveDamaged(t *testing.T) {
	good := gzipped(t, makeTar(t, entry{"top/file", strings.Repeat("some text ", 10_000)}))
	flipped := slices.Clone(good)
	flipped[len(flipped)-5] ^= 1 // of the checksum
	bomb := gzipped(t, make([]byte, 1<<20))
	for name, content := range map[string][]byte{
		"cut": good[:len(good)/2], "without its end": good[:len(good)-4], "checksum": flipped, "zeros": bomb, "empty": {}, "html": []byte("<!DOCTYPE html>"),
	} {
		a, err := upstream.HashArchive(bytes.NewReader(content), upstream.ArchiveLimits{Bytes: 512 << 10, Entries: 10})
		if err == nil {
			t.Errorf("%s: hash %s", name, a.Hash)
			a.Close()
		}
		if format := name == "html" || name == "empty"; format != errors.Is(err, upstream.ErrArchiveFormat) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(256<<20), zstd.WithSingleSegment(false))
	must(t, err)
	_, err = io.CopyN(w, zeros{}, 300<<20)
	must(t, err)
	must(t, w.Close())
	if a, err := upstream.HashArchive(&b, upstream.DefaultArchiveLimits); err == nil {
		t.Errorf("a window of 256 MB: hash %s", a.Hash)
		a.Close()
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestArchiveFacts(t *testing.T) {
	commit := strings.Repeat("0123456789", 4)
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("0", 64) + "\nsize 12345\n"
	a := hashArchive(t, makeTar(t,
		global(commit), global(strings.Repeat("f", 40)),
		entry{"top/", ""},
		entry{"top/.gitattributes", "# export-subst\n*.png filter=lfs\nversion.txt\texport-subst -text\n"},
		entry{"top/sub/.gitattributes", "*.txt -export-subst\n*.c !export-subst\nexport-subst text\n"},
		entry{"top/crlf/.gitattributes", "*.txt text export-subst\r\n"},
		entry{"top/.gitmodules", "[submodule]\n"},
		entry{"top/img/logo.png", pointer},
		entry{"top/z.png", pointer},
		entry{"top/text.md", "the line: version https://git-lfs.github.com/spec/v1\n"},
		entry{"top/long.md", pointer + strings.Repeat("x", 2000)},
	))
	if a.Commit != commit {
		t.Errorf("commit %q", a.Commit)
	}
	if want := []string{`2 files of Git LFS, "img/logo.png" first`, "submodules (.gitmodules)"}; !slices.Equal(a.Lacks, want) {
		t.Errorf("lacks %q", a.Lacks)
	}
	if want := []string{".gitattributes", "crlf/.gitattributes"}; !slices.Equal(a.ExportSubst, want) {
		t.Errorf("export-subst in %q", a.ExportSubst)
	}
	for _, comment := range []string{"", "1.0", commit + "0", strings.ToUpper(commit[:39]) + "A", commit + "\n"} {
		if a := hashArchive(t, makeTar(t, global(comment), entry{"top/", ""})); a.Commit != "" {
			t.Errorf("comment %q is the commit %q", comment, a.Commit)
		}
	}
}

// The tree can be read without being unpacked, and links are not followed.
func TestArchiveFS(t *testing.T) {
	a := hashArchive(t, gzipped(t, makeTar(t,
		entry{"top/z/later", "z"}, entry{"top/LICENSE", "MIT"}, entry{"top/a/b/c.txt", strings.Repeat("c", 100_000)}, entry{"top/empty/", ""},
		&tar.Header{Typeflag: tar.TypeReg, Name: "top/run", Mode: 0o755, Size: 3},
	)))
	must(t, fstest.TestFS(a, "z/later", "LICENSE", "a/b/c.txt", "empty", "run"))
	text, err := fs.ReadFile(a, "LICENSE")
	if err != nil || string(text) != "MIT" {
		t.Errorf("LICENSE: %q, %v", text, err)
	}
	matches, err := fs.Glob(a, "*/*/*.txt")
	if err != nil || !slices.Equal(matches, []string{"a/b/c.txt"}) {
		t.Errorf("matches %q, %v", matches, err)
	}

	linked := hashArchive(t, makeTar(t, entry{"top/etc", "→/etc"}, entry{"top/passwd", "→/etc/passwd"}, entry{"top/up", "→.."}, entry{"top/self", "→."}, entry{"top/file", "x"}))
	for _, name := range []string{"etc", "etc/passwd", "passwd", "up", "self/file", "../file", "/etc/passwd", ""} {
		if text, err := fs.ReadFile(linked, name); err == nil {
			t.Errorf("%s: %q", name, text)
		}
	}
	if target, err := fs.ReadLink(linked, "passwd"); err != nil || target != "/etc/passwd" {
		t.Errorf("link to %q, %v", target, err)
	}
	var names []string
	must(t, fs.WalkDir(linked, ".", func(name string, d fs.DirEntry, err error) error {
		names = append(names, d.Type().String()[:1]+name)
		return err
	}))
	if want := []string{"d.", "Letc", "-file", "Lpasswd", "Lself", "Lup"}; !slices.Equal(names, want) {
		t.Errorf("walked %q", names)
	}
}
