package containerfile

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/testkit"
)

// everyInstruction has all instructions of the Dockerfile reference, and all flags that
// every engine has. ADDRESS is a server of files.
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
WORKDIR /work
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

// made is what everyInstruction makes: mode, owner and content of files.
var made = map[string]string{
	"/shell":               "644 0 uce\n",
	"/triggered":           "644 0 uce\n",
	"/triggered-copy":      "644 0 f",
	"/work/below/f":        "640 7 f",
	"/work/below/g":        "640 7 g",
	"/work/below/a name":   "600 0 f",
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

// configured is what everyInstruction says of the image.
var configured = v1.Config{
	User:         "7:8",
	Env:          []string{"PATH=/bin", "PLATFORM=" + machinePlatform(), "VERSION=1.2", "KIND=a b", "OR=or", "AND=and", "LEGACY=one two"},
	Labels:       map[string]string{"version": "1.2", "a b": "c", "legacy": "one two"},
	WorkingDir:   "/work/below",
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
		res, err := NewBuilder(e, newStorage(t, e)).Build(t.Context(), req)
		if err != nil {
			t.Fatal(describe(err))
		}
		img, cf := built(t, res)
		config := cf.DeepCopy().Config
		config.ArgsEscaped = false // docker sets it, to Windows alone it means something, and an import drops it
		if diff := cmp.Diff(configured, config); diff != "" {
			t.Error(diff)
		}
		if cf.Author != "Upstream <upstream@example.org>" {
			t.Errorf("author %q", cf.Author)
		}
		got := map[string]string{}
		for name, f := range filesOf(t, img) {
			if _, ok := made[name]; ok {
				got[name] = fmt.Sprintf("%o %d %s", f.mode, f.uid, f.content)
			}
		}
		if diff := cmp.Diff(made, got); diff != "" {
			t.Error(diff)
		}
		digest, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if e.Name != "docker" {
			digests[digest.String()] = e.String()
		}
	})
	if len(digests) > 1 {
		t.Errorf("the images of engines differ: %q", slices.Collect(maps.Values(digests)))
	}
}

// withEngines runs a test with each engine that there is: buildah, podman and docker.
func withEngines(t *testing.T, test func(t *testing.T, e Engine)) {
	eachEngine(t, test)
	t.Run("docker", func(t *testing.T) {
		testkit.Docker(t, true)
		e, err := Detect(t.Context(), "docker")
		if err != nil {
			t.Fatal(err)
		}
		test(t, e)
	})
}

// fileServer serves files where engines reach them, not on the loopback.
func fileServer(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", machineAddress(t)+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fetched":
			fmt.Fprint(w, "fetched")
		case "/archive.tar.gz":
			fmt.Fprint(w, archive)
		default:
			http.NotFound(w, r)
		}
	}))
	return l.Addr().String()
}
