package containerfile

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/testkit"
)

// everyInstruction has all instructions of the Dockerfile reference, and all flags that
// every engine supports. ADDRESS is a file server.
// https://docs.docker.com/reference/dockerfile/
const everyInstruction = `# syntax=docker/dockerfile:1
# check=skip=all
ARG BASE
ARG TAG
FROM --platform=$BUILDPLATFORM ${BASE:-base}${TAG:+:$TAG} AS tools
ENTRYPOINT default
SHELL ["/bin/sh", "-euc"]
RUN echo "$-" > /shell
ONBUILD RUN echo "$-" > /triggered
ONBUILD COPY sub/f /triggered-copy

FROM tools
MAINTAINER Upstream <upstream@example.org>
ARG VERSION=1.2
ARG EMPTY
ARG PORT=8080
ENV VERSION=$VERSION KIND="a b" OR=${EMPTY:-or} AND=${VERSION:+and}
ENV LEGACY one two
LABEL version=$VERSION "a b"=c
LABEL legacy one two
WORKDIR /srv
WORKDIR below
COPY --link --chown=7:8 --chmod=0640 sub/f sub/g ./
COPY \
  # between
  --link=true \
  --chmod=600 ["sub/f", "a name"]
COPY --from=tools /shell /copied
COPY --from=0 --chown=7 /shell /counted
COPY sub/*.txt /pattern/
ADD --chown=7:8 --chmod=600 sub/f /added/
ADD --link=false archive.tar.gz /unpacked/
ADD --chmod=604 http://ADDRESS/fetched /fetched
ADD http://ADDRESS/archive.tar.gz /not-unpacked.tar.gz
RUN --mount=type=bind,source=sub,target=/mnt/sub echo "$(busybox cat /mnt/sub/f)" > /bound
RUN --mount=from=tools,source=/shell,target=/mnt/shell busybox cat /mnt/shell > /bound-from
RUN --mount=type=cache,target=/mnt/cache,id=c,mode=0700,uid=7 busybox touch /mnt/cache/x; busybox stat -c '%a %u' /mnt/cache > /cached
RUN --mount=type=cache,target=/mnt/cache,id=c,mode=0700,uid=7 busybox ls /mnt/cache > /cached-again
RUN --mount=type=tmpfs,target=/mnt/tmpfs busybox grep -c ' /mnt/tmpfs tmpfs' /proc/mounts > /tmpfs
RUN --mount=type=secret,id=token,target=/mnt/token,mode=0440,required=true busybox wc -c < /mnt/token > /secret
RUN --mount=type=ssh,required=true [ -S "$SSH_AUTH_SOCK" ] && echo agent > /ssh
RUN --network=default echo default > /network
RUN --security=sandbox echo sandbox > /security
RUN ["/bin/busybox", "sh", "-c", "echo $-exec > /exec"]
RUN echo "${VERSION}$LEGACY" \
    # a comment between
    > /variables
VOLUME /data $VERSION/volume
VOLUME ["/more"]
EXPOSE 80 53/udp $PORT
STOPSIGNAL SIGUSR1
USER 7:8
HEALTHCHECK NONE
HEALTHCHECK --interval=30s --timeout=2s --start-period=1m --retries=4 CMD ["/bin/sh", "-c", "true"]
ENTRYPOINT ["/entry", "$VERSION"]
CMD serve $VERSION
ONBUILD RUN true
`

// made lists the files of everyInstruction: mode, owner and content.
var made = map[string]string{
	"/shell":               "644 0 uce\n",
	"/triggered":           "644 0 uce\n",
	"/triggered-copy":      "644 0 f",
	"/srv/below/f":         "640 7 f",
	"/srv/below/g":         "640 7 g",
	"/srv/below/a name":    "600 0 f",
	"/copied":              "644 0 uce\n",
	"/counted":             "644 7 uce\n",
	"/pattern/1.txt":       "644 0 1",
	"/pattern/2.txt":       "644 0 2",
	"/added/f":             "600 7 f",
	"/unpacked/inside":     "640 0 inside",
	"/fetched":             "604 0 fetched",
	"/not-unpacked.tar.gz": "600 0 " + archive,
	"/bound":               "644 0 f\n",
	"/bound-from":          "644 0 uce\n",
	"/cached":              "644 0 700 7\n",
	"/cached-again":        "644 0 x\n",
	"/tmpfs":               "644 0 1\n",
	"/secret":              "644 0 6\n",
	"/ssh":                 "644 0 agent\n",
	"/network":             "644 0 default\n",
	"/security":            "644 0 sandbox\n",
	"/exec":                "644 0 cexec\n",
	"/variables":           "644 0 1.2one two\n",
}

// archive is a tar archive of the file inside, compressed.
var archive = func() string {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	_ = w.WriteHeader(&tar.Header{Name: "inside", Mode: 0o640, Size: 6, ModTime: time.Unix(1000, 0)})
	_, _ = w.Write([]byte("inside"))
	_ = w.Close()
	_ = z.Close()
	return packed.String()
}()

// configured is the image configuration of everyInstruction.
var configured = v1.Config{
	User:         "7:8",
	Env:          []string{"PATH=/bin", "PLATFORM=" + machinePlatform(), "VERSION=1.2", "KIND=a b", "OR=or", "AND=and", "LEGACY=one two"},
	Labels:       map[string]string{"version": "1.2", "a b": "c", "legacy": "one two"},
	WorkingDir:   "/srv/below",
	Volumes:      map[string]struct{}{"/data": {}, "1.2/volume": {}, "/more": {}},
	ExposedPorts: map[string]struct{}{"80/tcp": {}, "53/udp": {}, "8080/tcp": {}},
	StopSignal:   "SIGUSR1",
	Healthcheck:  &v1.HealthConfig{Test: []string{"CMD", "/bin/sh", "-c", "true"}, Interval: 30 * time.Second, Timeout: 2 * time.Second, StartPeriod: time.Minute, Retries: 4},
	Entrypoint:   []string{"/entry", "$VERSION"},
	Cmd:          []string{"/bin/sh", "-euc", "serve $VERSION"},
	Shell:        []string{"/bin/sh", "-euc"},
	OnBuild:      []string{"RUN true"},
}

// Every instruction and every flag has its effect with every engine.
func TestEveryInstruction(t *testing.T) {
	address := fileServer(t)
	dist := catalogueLayout(t, "base", busyboxIndex(t))
	source := write(t, map[string]string{
		"Containerfile": strings.ReplaceAll(everyInstruction, "ADDRESS", address),
		"sub/f":         "f", "sub/g": "g", "sub/1.txt": "1", "sub/2.txt": "2", "archive.tar.gz": archive, "unused/f": "",
	})
	t.Setenv("LIBRE_TEST_TOKEN", "secret")
	_, key := newKey(t, "")
	t.Setenv("LIBRE_TEST_KEY", key)
	digests := map[string]string{}
	withEngines(t, func(t *testing.T, e Engine) {
		req := request(t, source, map[string]Origin{"base:1": {Layout: dist}})
		req.Args = map[string]string{"TAG": "1"}
		req.App = "docs"
		req.Secrets = map[string]Secret{"token": {Environment: "LIBRE_TEST_TOKEN", Apps: []string{"docs"}}}
		req.SSH = map[string]Secret{"default": {Environment: "LIBRE_TEST_KEY", Apps: []string{"docs"}}}
		b := NewBuilder(e, newStorage(t, e))
		res, err := b.Build(t.Context(), req)
		if err != nil {
			t.Fatal(describe(err))
		}
		img, cf := built(t, res)
		config := cf.DeepCopy().Config
		config.ArgsEscaped = false // docker sets it; it has a meaning on Windows only, and an import drops it
		if diff := cmp.Diff(configured, config); diff != "" {
			t.Error(diff)
		}
		if cf.Author != "Upstream <upstream@example.org>" {
			t.Errorf("author %q", cf.Author)
		}
		compareFiles(t, img, made)
		digest, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if e.Name != "docker" {
			digests[digest.String()] = e.String()
		}
		newerInstructions(t, b, req, address)
	})
	if len(digests) > 1 {
		t.Errorf("the images of engines differ: %q", slices.Collect(maps.Values(digests)))
	}
}

// compareFiles compares mode, owner and content of files; "" is a missing file.
func compareFiles(t *testing.T, img v1.Image, want map[string]string) {
	t.Helper()
	files := filesOf(t, img)
	got := map[string]string{}
	for name := range want {
		got[name] = ""
		if f, ok := files[name]; ok {
			got[name] = fmt.Sprintf("%o %d %s", f.mode, f.uid, f.content)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// newer lists instructions that some engines lack, by the feature's name. Each has its files
// for compareFiles, or no files if no engine may run it.
var newer = []struct {
	feature, stage, lines string
	makes                 map[string]string
}{
	{"here-documents", "", "RUN <<EOF\necho one > /here\necho two >> /here\nEOF\nCOPY --chmod=600 <<EOF <<\"RAW\" /heres/\n$VERSION\nEOF\n$VERSION\nRAW\n",
		map[string]string{"/here": "644 0 one\ntwo\n", "/heres/EOF": "600 0 1.2\n", "/heres/RAW": "600 0 $VERSION\n"}},
	{"FROM of a named context", "FROM extra AS from-extra\n", "COPY --from=from-extra n.txt /from-context\n", map[string]string{"/from-context": "644 0 named"}},
	{"RUN --network=none", "", "RUN --network=none busybox grep -vc Iface /proc/net/route > /none; true\n", map[string]string{"/none": "644 0 0\n"}},
	{"RUN --network=host", "", "RUN --network=host true\n", nil},
	{"RUN --security=insecure", "", "RUN --security=insecure true\n", nil},
	{"RUN --device", "", "RUN --device=vendor.example/device=x true\n", nil},
	{"RUN --mount=type=secret,env=", "", "RUN --mount=type=secret,id=token,env=TOKEN echo ${#TOKEN} > /secret-env\n", map[string]string{"/secret-env": "644 0 6\n"}},
	{"COPY --parents", "", "COPY --parents sub/f /parents/\n", map[string]string{"/parents/sub/f": "644 0 f"}},
	{"COPY --exclude, ADD --exclude", "", "COPY --exclude=*.txt sub /excluded/\nADD --exclude=f sub /added-too/\n",
		map[string]string{"/excluded/f": "644 0 f", "/excluded/1.txt": "", "/added-too/g": "644 0 g", "/added-too/f": ""}},
	{"COPY --chmod, ADD --chmod with a symbolic mode", "", "COPY --chmod=u=rwx,go=r sub/f /letters\n", map[string]string{"/letters": "744 0 f"}},
	{"ADD --checksum", "", "ADD --checksum=sha256:" + fmt.Sprintf("%x", sha256.Sum256([]byte("fetched"))) + " http://ADDRESS/fetched /checked\n", map[string]string{"/checked": "600 0 fetched"}},
	{"ADD of a git repository", "", "ADD http://ADDRESS/repository.git /git\n", map[string]string{"/git/f": "644 0 f\n", "/git/.git/HEAD": ""}},
	{"ADD --keep-git-dir", "", "ADD --keep-git-dir=true http://ADDRESS/repository.git#main /kept\n", map[string]string{"/kept/f": "644 0 f\n"}},
	{"ADD --unpack", "", "ADD --unpack=true http://ADDRESS/archive.tar.gz /unpacked-too/\n", map[string]string{"/unpacked-too/inside": "640 0 inside"}},
	{"HEALTHCHECK --start-interval", "", "HEALTHCHECK --start-interval=3s CMD true\n", nil},
	{"variable expansion with #, % and /", "", "ENV TRIMMED=${VERSION#1.} CUT=${VERSION%.*} SWAPPED=${VERSION/./-}\nRUN echo $TRIMMED $CUT $SWAPPED > /trimmed\n", map[string]string{"/trimmed": "644 0 2 1 1-2\n"}},
	{"variable expansion with -, + and ? without a colon", "", "ENV COLONLESS=${NOTHING-unset}\nRUN echo $COLONLESS > /colonless\n", map[string]string{"/colonless": "644 0 unset\n"}},
}

// newerInstructions builds the instructions that the engine supports, and checks that it
// refuses the others, each with its line.
func newerInstructions(t *testing.T, b *Builder, req Request, address string) {
	t.Helper()
	has := map[bool]string{true: "", false: ""}
	stages := map[bool]string{true: "", false: ""}
	makes := map[string]string{}
	var lacked []string
	for _, f := range features {
		i := slices.IndexFunc(newer, func(n struct {
			feature, stage, lines string
			makes                 map[string]string
		}) bool {
			return n.feature == f.name
		})
		if i < 0 {
			if f.name != linkOfBase.name { // see TestTriggersOfABase
				t.Errorf("no test of %s", f.name)
			}
			continue
		}
		can := !f.missingIn(b.engine)
		has[can] += newer[i].lines
		stages[can] += newer[i].stage
		maps.Copy(makes, newer[i].makes)
		if !can {
			lacked = append(lacked, f.name)
			for name := range newer[i].makes {
				delete(makes, name)
			}
		}
	}
	head := "FROM base:1\nENV VERSION=1.2\n"
	build := func(can bool) (Result, error) {
		req.Source = write(t, map[string]string{"Containerfile": strings.ReplaceAll(stages[can]+head+has[can], "ADDRESS", address), "sub/f": "f", "sub/g": "g", "sub/1.txt": "1"})
		req.Contexts = map[string]string{"extra": write(t, map[string]string{"n.txt": "named"})}
		return b.Build(t.Context(), req)
	}
	if has[true] != "" {
		res, err := build(true)
		if err != nil {
			t.Error(describe(err))
			return
		}
		img, _ := built(t, res)
		compareFiles(t, img, makes)
	}
	_, err := build(false)
	if err == nil {
		t.Fatal("nothing is refused")
	}
	problems := strings.Split(err.Error(), "\n")
	for _, name := range lacked {
		if !slices.ContainsFunc(problems, func(p string) bool { return like(p, "Containerfile:%: %"+name+"%: %") }) {
			t.Errorf("not refused: %s: %v", name, err)
		}
	}
}

// withEngines runs a test with each installed engine: buildah, podman and docker. The tests of
// BuildKit replace it.
var withEngines = func(t *testing.T, test func(t *testing.T, e Engine)) {
	eachEngine(t, test)
	t.Run("docker", func(t *testing.T) {
		testkit.Docker(t, true)
		e, err := Detect(t.Context(), Choice{Name: "docker"})
		if err != nil {
			t.Fatal(err)
		}
		test(t, e)
	})
}

// fileServer serves files at an address that engines can reach, not on the loopback.
func fileServer(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", machineAddress(t)+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	repository := gitServer(t)
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fetched":
			fmt.Fprint(w, "fetched")
		case "/archive.tar.gz":
			fmt.Fprint(w, archive)
		default:
			repository.ServeHTTP(w, r)
		}
	}))
	return l.Addr().String()
}

// gitServer serves /repository.git, whose branch main has the file f.
func gitServer(t *testing.T) http.Handler {
	t.Helper()
	dir := t.TempDir()
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=u", "-c", "user.email=u@example.org"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "main", "work")
	if err := os.WriteFile(filepath.Join(dir, "work/f"), []byte("f\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	git("-C", "work", "add", "f")
	git("-C", "work", "commit", "-qm", "f")
	git("clone", "-q", "--bare", "work", "repository.git")
	return &cgi.Handler{Path: git("--exec-path") + "/git-http-backend", Dir: dir, Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"}}
}
