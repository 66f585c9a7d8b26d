package containerfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/testkit"
)

// allKinds uses every way to name a base, two kinds of arguments, and one
// named context.
const allKinds = `# syntax=docker/dockerfile:1
ARG BASE=base
FROM --platform=$BUILDPLATFORM ${BASE}:1 AS Build
ARG GREETING=hello
ARG TARGETARCH
ARG SOURCE_DATE_EPOCH
COPY --from=extra n.txt /n.txt
RUN busybox echo "$GREETING $TARGETARCH $SOURCE_DATE_EPOCH" > /out.txt && busybox touch /new && \
    busybox mkdir /dir
RUN --mount=type=bind,from=tools.example/t:2,source=/bin,target=/mnt busybox wc -c < /mnt/busybox > /size

FROM nowhere.example/never:1 AS unused
RUN never

FROM base:1
COPY --from=build /out.txt /new /size /n.txt /
COPY --from=tools.example/t:2 /etc/passwd /p
COPY sub /sub
USER 1000
ENV A=b
ENTRYPOINT ["/bin/sh"]
`

func request(t testing.TB, source string, bases map[string]Origin) Request {
	work := t.TempDir()
	return Request{Source: source, Bases: bases, Work: work, Log: filepath.Join(work, "log"), Timestamp: 86400}
}

func TestBuild(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		ctx := context.Background()
		idx := busyboxIndex(t)
		dist := catalogueLayout(t, "base-default:1-1", idx)
		digest, err := idx.Digest()
		if err != nil {
			t.Fatal(err)
		}
		bases := map[string]Origin{
			"docker.io/library/base:1": {Layout: dist, Ref: "base-default:1-1"},
		}
		// A layout that is still being written: blobs come first, the index last.
		writing := t.TempDir()
		if err := os.CopyFS(writing, os.DirFS(dist)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(writing, "index.json"), []byte(`{"schemaVersion":2,"manifests":[]}`), 0o644); err != nil {
			t.Fatal(err)
		}
		bases["tools.example/t:2"] = Origin{Layout: writing, Ref: digest.String()}
		source := write(t, map[string]string{
			"app/docker/Dockerfile":              allKinds,
			"app/docker/Dockerfile.dockerignore": "sub/ignored\n",
			"app/src/sub/f":                      "content",
			"app/src/sub/ignored":                "",
		})
		if err := os.Chmod(filepath.Join(source, "app/src/sub"), 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(filepath.Join(source, "app/src/sub"), 0o755) })
		b := NewBuilder(e, newStorage(t, e))
		var last string
		req := request(t, source, bases)
		req.Context, req.File = "app/src", "app/docker/Dockerfile"
		req.Args = map[string]string{"GREETING": "hey $HOME `id` \"x\""}
		req.Contexts = map[string]string{"extra": write(t, map[string]string{"n.txt": "named"})}
		req.Step = func(done, total int, line string) { last = fmt.Sprintf("%d/%d %s", done, total, line) }
		res, err := b.Build(ctx, req)
		if err != nil {
			t.Fatal(describe(err))
		}
		if want := `14/14 ENTRYPOINT ["/bin/sh"]`; last != want {
			t.Errorf("last step %q, want %q", last, want)
		}
		want := []ResolvedBase{
			{Base{"base:1", machinePlatform(), 3}, "docker.io/library/base:1", "docker.io/library/base:1", digest.String(), true},
			{Base{"tools.example/t:2", machinePlatform(), 10}, "tools.example/t:2", "tools.example/t:2", digest.String(), true},
		}
		if diff := cmp.Diff(want, res.Bases); diff != "" {
			t.Error(diff)
		}
		if res.From == nil || res.From.Name != "base:1" {
			t.Errorf("the image is built on %+v", res.From)
		}
		img, cf := built(t, res)
		files := filesOf(t, img)
		for name, want := range map[string]file{
			"/out.txt": {0o644, 86400, 0, "hey $HOME `id` \"x\" " + runtime.GOARCH + " 86400\n"},
			"/n.txt":   {0o644, 86400, 0, "named"},
			"/new":     {0o644, 86400, 0, ""},
			"/sub":     {0o755, 86400, 0, ""},
			"/sub/f":   {0o644, 86400, 0, "content"},
			"/p":       {0o644, 86400, 0, "root:x:0:0::/:/bin/sh\n"},
		} {
			if files[name] != want {
				t.Errorf("%s: %v, want %v", name, files[name], want)
			}
		}
		for _, name := range []string{"/sub/ignored", "/dir"} {
			if _, ok := files[name]; ok {
				t.Errorf("%s is in the image", name)
			}
		}
		wantConfig := v1.Config{User: "1000", Entrypoint: []string{"/bin/sh"}, Env: []string{"PATH=/bin", "PLATFORM=" + machinePlatform(), "A=b"}}
		if diff := cmp.Diff(wantConfig, cf.Config); diff != "" {
			t.Error(diff)
		}
		m, err := img.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range m.Layers {
			if l.Digest != cf.RootFS.DiffIDs[i] {
				t.Errorf("layer %d is compressed: %s", i, l.MediaType)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(req.Work, "*")); len(left) != 2 {
			t.Errorf("work folder holds %v, want layout and log", left)
		}

		t.Run("again in another storage", func(t *testing.T) {
			defer umask(0o077)()
			res, err := NewBuilder(e, newStorage(t, e)).Build(ctx, req)
			if err != nil {
				t.Fatal(describe(err))
			}
			_, again := built(t, res)
			if diff := cmp.Diff(comparable(cf), comparable(again)); diff != "" {
				t.Error(diff)
			}
		})
	})
}

// comparable removes messages of an engine about its own storage.
func comparable(cf *v1.ConfigFile) *v1.ConfigFile {
	cf = cf.DeepCopy()
	for i := range cf.History {
		cf.History[i].Comment = ""
	}
	return cf
}

func describe(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return err.Error() + "\n" + strings.Join(e.Tail, "\n")
	}
	return err.Error()
}

// Inputs that buildah's own cache ignores still change the image.
func TestBuildIsNotCached(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		b := NewBuilder(e, newStorage(t, e))
		for _, v := range []string{"1", "2"} {
			dist := catalogueLayout(t, "base", busyboxIndex(t, "BASE="+v))
			req := request(t, write(t, map[string]string{
				"Dockerfile": "FROM base\nRUN --mount=type=bind,target=/ctx busybox cat /ctx/f > /f; echo $BASE > /b\nARG A\nENV B=$A\n",
				"f":          v,
			}), map[string]Origin{"base": {Layout: dist}})
			req.Args = map[string]string{"A": v}
			res, err := b.Build(context.Background(), req)
			if err != nil {
				t.Fatal(describe(err))
			}
			img, cf := built(t, res)
			files := filesOf(t, img)
			if f, base := files["/f"].content, files["/b"].content; f != v || base != v+"\n" || !slices.Contains(cf.Config.Env, "B="+v) {
				t.Errorf("build %s: mounted %q, base %q, %q", v, f, base, cf.Config.Env)
			}
		}
	})
}

// A build with a stage for the building machine, and an image for another platform.
func TestBuildForAnotherPlatform(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		dist := catalogueLayout(t, "base", busyboxIndex(t))
		req := request(t, write(t, map[string]string{"Containerfile": `FROM --platform=$BUILDPLATFORM base AS build
ARG BUILDARCH
ARG TARGETPLATFORM
RUN busybox echo $BUILDARCH $TARGETPLATFORM > /f
FROM base
COPY --from=build /f /f
`}), map[string]Origin{"base": {Layout: dist}})
		req.Platform = foreignPlatform()
		res, err := NewBuilder(e, newStorage(t, e)).Build(context.Background(), req)
		if err != nil {
			t.Fatal(describe(err))
		}
		img, cf := built(t, res)
		if got := cf.OS + "/" + cf.Architecture; got != req.Platform {
			t.Errorf("platform %s, want %s", got, req.Platform)
		}
		if got, want := filesOf(t, img)["/f"].content, runtime.GOARCH+" "+req.Platform+"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if len(res.Bases) != 2 {
			t.Errorf("bases %v, want one name for two platforms", res.Bases)
		}
	})
}

// When the context ends, all processes of the engine end too, and nothing stays mounted.
func TestBuildCancelled(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		dist := catalogueLayout(t, "base", busyboxIndex(t))
		marker := fmt.Sprintf("86%d", os.Getpid())
		req := request(t, write(t, map[string]string{
			"Dockerfile": "FROM base\nRUN trap '' TERM; busybox sleep " + marker + "; busybox sleep " + marker,
		}), map[string]Origin{"base": {Layout: dist}})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		storage := newStorage(t, e)
		done := make(chan error, 1)
		go func() {
			_, err := NewBuilder(e, storage).Build(ctx, req)
			done <- err
		}()
		until(t, "the step to run", func() bool { return len(processes(marker)) > 0 })
		cancel()
		err := <-done
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "interrupted") {
			t.Errorf("error %v, want context.Canceled", err)
		}
		until(t, "the step's processes to end", func() bool { return len(processes(marker)) == 0 })
		if left, _ := filepath.Glob(filepath.Join(req.Work, "[a-k]*")); len(left) > 0 {
			t.Errorf("work folder holds %v", left)
		}
		mounts, err := os.ReadFile("/proc/self/mounts")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(mounts), storage) {
			t.Error("something is still mounted in the storage")
		}
	})
}

// until waits for an effect of another process.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	err := testkit.Eventually(func() error {
		if !ok() {
			return fmt.Errorf("waited for %s in vain", what)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// processes returns the processes with a word in their command line.
func processes(word string) (pids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), "sleep\x00"+word) {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

// Several Builders, like several processes, build in one storage at the same time. Two builds
// are of the same image.
func TestBuildConcurrently(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		dist := catalogueLayout(t, "base", busyboxIndex(t))
		storage := newStorage(t, e)
		shared := NewBuilder(e, storage)
		var wg sync.WaitGroup
		configs := make([]*v1.ConfigFile, 4)
		for i := range configs {
			req := request(t, write(t, map[string]string{
				"Dockerfile": fmt.Sprintf("FROM base AS a\nRUN busybox echo %d > /f\nFROM base\nCOPY --from=a /f /\nRUN busybox cat /f", i/2),
			}), map[string]Origin{"base": {Layout: dist}})
			b := shared
			if i > 1 {
				b = NewBuilder(e, storage)
			}
			wg.Go(func() {
				res, err := b.Build(context.Background(), req)
				if err != nil {
					t.Error(describe(err))
					return
				}
				_, configs[i] = built(t, res)
				configs[i] = comparable(configs[i])
			})
		}
		wg.Wait()
		for i := 0; i < len(configs); i += 2 {
			if diff := cmp.Diff(configs[i], configs[i+1]); diff != "" {
				t.Errorf("builds %d and %d of one image differ: %s", i, i+1, diff)
			}
		}
	})
}
