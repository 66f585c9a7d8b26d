package containerfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

func TestBuildErrors(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		dist := catalogueLayout(t, "base", busyboxIndex(t))
		single := catalogueLayout(t, "base", busyboxIndex(t))
		b := NewBuilder(e, newStorage(t, e))
		for _, tt := range []struct {
			name, file string
			edit       func(*Request)
			want       string // with % for any text
		}{
			{name: "step", file: "FROM base\nENV X=\"a: b\"\nRUN busybox true && \\\n  busybox sh -c 'exit 7'\n",
				want: "build Dockerfile:3: RUN busybox true && busybox sh -c 'exit 7': exit status 7"},
			{name: "copy", file: "FROM base\n\nCOPY nothing /\n", want: "build Dockerfile:3: COPY: nothing in the build context matches nothing; it has Dockerfile, link, sub"},
			{name: "user", file: "FROM base\nUSER nobody-here\nRUN true\n", want: "build Dockerfile:3: %nobody-here%"},
			{name: "missing file", file: "FROM base", edit: func(r *Request) { r.File = "docker/Dockerfile" }, want: "docker/Dockerfile: no such file in the source"},
			{name: "missing default file", file: "FROM base", edit: func(r *Request) { r.Context = "sub" }, want: "sub/Containerfile or sub/Dockerfile: no such file in the source"},
			{name: "file outside", file: "FROM base", edit: func(r *Request) { r.File = "../x" }, want: "../x is outside of the source"},
			{name: "context outside", file: "FROM base", edit: func(r *Request) { r.Context = "link" }, want: "build context: link leads outside of the source"},
			{name: "context missing", file: "FROM base", edit: func(r *Request) { r.Context = "no" }, want: "build context no: no such folder in the source"},
			{name: "target", file: "FROM base AS a", edit: func(r *Request) { r.Target = "b" }, want: `Dockerfile: unknown target "b": the file has a`},
			{name: "argument", file: "FROM base", edit: func(r *Request) { r.Args = map[string]string{"A=B": "c"} }, want: `build argument "A=B": expected a name of letters, digits and "_"`},
			{name: "not in the layout", file: "FROM base", edit: func(r *Request) { r.Bases = map[string]Origin{"base": {Layout: dist, Ref: "x"}} },
				want: `Dockerfile:1: base base: OCI layout %: no image "x": it has base`},
			{name: "not for this platform", file: "FROM base", edit: func(r *Request) { r.Platform = "linux/s390x" },
				want: `Dockerfile:1: base base: OCI layout %: image "": it holds no image for linux/s390x, only for ` + machinePlatform() + ", " + foreignPlatform()},
			{name: "no registry", file: "FROM scratch\nCOPY --from=127.0.0.1:1/x:1 / /", want: "Dockerfile:2: base 127.0.0.1:1/x:1 (not pinned by digest): %connection refused"},
			{name: "pinned, no registry", file: "FROM 127.0.0.1:1/x@sha256:" + hex, want: "Dockerfile:1: base 127.0.0.1:1/x@sha256:" + hex + ": %connection refused"},
			{name: "pin", file: "FROM base", edit: func(r *Request) { r.Bases = map[string]Origin{"base": {Digest: "latest"}} }, want: `Dockerfile:1: base base: "latest" is not a digest`},
			{name: "name", file: "FROM Base:1:2", want: `Dockerfile:1: base Base:1:2: image name "Base:1:2": %`},
			{name: "context as a base", file: "FROM a AS b", edit: func(r *Request) { r.Contexts = map[string]string{"a": dist} }, want: "Dockerfile:1: " + e.String() + " does not support FROM of a named context: use docker 23.0 or newer; %"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel() // some wait for a registry
				source := write(t, map[string]string{"Dockerfile": tt.file, "sub/f": ""})
				if err := os.Symlink("/", filepath.Join(source, "link")); err != nil {
					t.Fatal(err)
				}
				req := request(t, source, map[string]Origin{"base": {Layout: single}})
				if tt.edit != nil {
					tt.edit(&req)
				}
				_, err := b.Build(context.Background(), req)
				if err == nil {
					t.Fatal("no error")
				}
				if !like(err.Error(), tt.want) {
					t.Errorf("got  %s\nwant %s", err, tt.want)
				}
				var failed *Error
				if errors.As(err, &failed) && (failed.Log != req.Log || len(failed.Tail) == 0) {
					t.Errorf("log %q, tail %q", failed.Log, failed.Tail)
				}
				if left, _ := filepath.Glob(filepath.Join(req.Work, "[a-k]*")); len(left) > 0 {
					t.Errorf("work folder holds %v", left)
				}
			})
		}
	})
}

// like matches a pattern in which % is any text.
func like(s, pattern string) bool {
	parts := strings.Split(pattern, "%")
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for i, p := range parts[1:] {
		if i == len(parts)-2 {
			return strings.HasSuffix(s, p)
		}
		at := strings.Index(s, p)
		if at < 0 {
			return false
		}
		s = s[at+len(p):]
	}
	return s == ""
}

// A full disk is reported, whatever text the engine adds to the error.
func TestFullDiskIsReported(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		if os.Geteuid() != 0 {
			t.Skip("only root can mount a small file system")
		}
		dist := catalogueLayout(t, "base", busyboxIndex(t))
		storage := newStorage(t, e)
		if err := os.MkdirAll(storage, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", storage, "tmpfs", 0, "size=24m"); err != nil {
			t.Skipf("mount: %v", err)
		}
		t.Cleanup(func() {
			// A process that ended may still use it.
			if err := testkit.Eventually(func() error { return syscall.Unmount(storage, 0) }); err != nil {
				t.Error(err)
			}
		})
		req := request(t, write(t, map[string]string{"Dockerfile": "FROM base\nRUN busybox dd if=/dev/zero of=/f bs=1048576 count=30\n"}), map[string]Origin{"base": {Layout: dist}})
		_, err := NewBuilder(e, storage).Build(context.Background(), req)
		if want := "build Dockerfile:2: no space left on device below " + storage; errorText(err) != want || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	})
}

// Engines parse the path of the Containerfile as a line of CSV.
func TestFoldersOfABuildMayHaveAnyName(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		for _, name := range []string{"a,b", `"a", b`, `a"b`, " a=b;c'd"} {
			req := request(t, write(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY f /f\n", "f": "x"}), nil)
			req.Work = filepath.Join(req.Work, name)
			home := filepath.Join(newStorage(t, e), name)
			if _, err := NewBuilder(e, home).Build(t.Context(), req); err != nil {
				t.Errorf("%q: %v", name, describe(err))
			}
		}
	})
}
