package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
)

func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// fakeStore is a folder with store paths below its nix/store.
type fakeStore struct {
	t    testing.TB
	root string
	all  []nix.PathInfo
}

func newFakeStore(t testing.TB) *fakeStore {
	s := &fakeStore{t: t, root: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(s.root, "nix/store"), 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

// add makes a store path from a tree. A name with a slash at the end is a folder. Content that
// begins with "→" is a link's target; with "!" the file is executable.
func (s *fakeStore) add(name string, files map[string]string, refs ...string) string {
	s.t.Helper()
	p := nix.PathInfo{Path: pathFor(name), NarHash: "sha256:" + name, References: refs}
	dir := s.root + p.Path
	check(s.t, os.MkdirAll(dir, 0o755))
	for file, content := range files {
		at := filepath.Join(dir, file)
		if strings.HasSuffix(file, "/") {
			check(s.t, os.MkdirAll(at, 0o755))
			continue
		}
		check(s.t, os.MkdirAll(filepath.Dir(at), 0o755))
		if target, ok := strings.CutPrefix(content, "→"); ok {
			check(s.t, os.Symlink(target, at))
			continue
		}
		mode := os.FileMode(0o444)
		if rest, ok := strings.CutPrefix(content, "!"); ok {
			content, mode = rest, 0o555
		}
		check(s.t, os.WriteFile(at, []byte(content), mode))
		p.NarSize += int64(len(content))
	}
	s.all = append(s.all, p)
	return p.Path
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newLayout(t testing.TB) *layout.Layout {
	t.Helper()
	l, err := layout.Create(context.Background(), filepath.Join(t.TempDir(), "dist"), nil)
	check(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

var (
	amd64   = v1.Platform{OS: "linux", Architecture: "amd64"}
	created = time.Date(2026, 7, 9, 10, 0, 0, 0, time.UTC)
)

// demo returns a store with an application of a few paths, and its image.
func demo(t testing.TB) (*fakeStore, Spec) {
	s := newFakeStore(t)
	libc := s.add("glibc-2.41", map[string]string{"lib/libc.so.6": "!" + strings.Repeat("libc ", 300_000), "lib/libc.so": "→libc.so.6"})
	zlib := s.add("zlib-1.3", map[string]string{"lib/libz.so.1": "!zlib"}, libc)
	app := s.add("notes-1.0", map[string]string{"bin/notes": "!#!notes", "share/empty/": "", "share/README": "read me"}, libc, zlib)
	root := s.add("notes-root", map[string]string{
		"etc/passwd":    "app:x:1001:1001::/data:/bin/false\n",
		"etc/secret":    "mine",
		"bin/notes":     "→" + app + "/bin/notes",
		"tmp/":          "",
		"data/":         "",
		"usr/lib/a b/ü": "!x",
	}, app)
	return s, Spec{
		Platform: amd64,
		Closure:  s.all,
		Root:     root,
		Owners: map[string]Owner{
			"/tmp":        {Mode: 0o1777},
			"/data":       {Mode: 0o750, UID: 1001, GID: 1001},
			"/etc/secret": {Mode: 0o600, UID: 1001, GID: 0},
			"/bin/notes":  {UID: 1001, GID: 1001},
		},
		Config: v1.Config{
			Entrypoint:   []string{app + "/bin/notes"},
			Env:          []string{"PORT=8000", "GREETING=<hello> & more"},
			User:         "1001:1001",
			ExposedPorts: map[string]struct{}{"8000/tcp": {}},
			Labels:       map[string]string{"org.opencontainers.image.version": "1.0-1"},
		},
		Created:     created,
		Annotations: map[string]string{"org.opencontainers.image.version": "1.0-1", ImageKeyAnnotation: "key"},
	}
}

func (s *fakeStore) options() Options { return Options{Cache: NewCache(""), StoreRoot: s.root} }

// listing returns a tar's headers, one a line.
func listing(t testing.TB, r io.Reader) string {
	t.Helper()
	var b bytes.Buffer
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		check(t, err)
		if h.ModTime.Unix() != 1 || h.Uname+h.Gname != "" || h.Typeflag == tar.TypeLink {
			t.Errorf("%s: mtime %d, owner %q %q, type %c", h.Name, h.ModTime.Unix(), h.Uname, h.Gname, h.Typeflag)
		}
		line := fmt.Sprintf("%c 0%o %d:%d %s %s", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Name, h.Linkname)
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
}

func layerListing(t testing.TB, l *layout.Layout, d v1.Descriptor) string {
	t.Helper()
	return listing(t, bytes.NewReader(layerTarOf(t, l, d)))
}

// layerTarOf returns the tar inside a layer.
func layerTarOf(t testing.TB, l *layout.Layout, d v1.Descriptor) []byte {
	t.Helper()
	var b bytes.Buffer
	check(t, readLayer(l, d, func(r io.Reader) error {
		_, err := io.Copy(&b, r)
		return err
	}))
	return b.Bytes()
}
