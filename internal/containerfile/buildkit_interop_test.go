//go:build interop

package containerfile

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/testkit"
)

// startBuildKitDaemon starts a daemon, and makes it the engine.
func startBuildKitDaemon(t *testing.T, k BuildKit, arguments ...string) (*testkit.BuildKitDaemon, Engine) {
	t.Helper()
	daemon := testkit.BuildKit(t, arguments...)
	k.Host = daemon.Host
	e, err := Detect(t.Context(), Choice{Name: "buildkit", BuildKit: k})
	if err != nil {
		t.Fatal(err)
	}
	return daemon, e
}

// Two daemons without a cache make the same image, from bases in a layout, and keep to the
// definition.
func TestInteropBuildKitMakesTheSameImageAgain(t *testing.T) {
	dist := catalogueLayout(t, "base-default:1-1", busyboxIndex(t))
	source := write(t, map[string]string{"Dockerfile": allKinds, "Dockerfile.dockerignore": "sub/ignored", "sub/f": "content", "sub/ignored": ""})
	var digests []string
	for range 2 {
		_, e := startBuildKitDaemon(t, BuildKit{})
		if got := e.String(); got != "buildkit 0.34.2" {
			t.Errorf("engine %q", got)
		}
		req := request(t, source, map[string]Origin{
			"base:1": {Layout: dist, Ref: "base-default:1-1"}, "tools.example/t:2": {Layout: dist, Ref: "base-default:1-1"},
		})
		req.Args = map[string]string{"GREETING": "hey $HOME `id` \"x\"", "BUILDKIT_SYNTAX": "syntax.example/frontend:1"}
		req.Contexts = map[string]string{"extra": write(t, map[string]string{"n.txt": "named"})}
		steps := map[string]bool{}
		req.Step = func(_, _ int, line string) { steps[line] = true }
		res, err := NewBuilder(e, "").Build(t.Context(), req)
		if err != nil {
			t.Fatal(describe(err))
		}
		if !steps["COPY sub /sub"] {
			t.Errorf("steps %v", steps)
		}
		img, cf := built(t, res)
		digest, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest.String())
		files, got := filesOf(t, img), map[string]string{}
		for _, path := range []string{"/out.txt", "/n.txt", "/sub/f", "/p"} {
			got[path] = fmt.Sprint(files[path].mtime, " ", files[path].content)
		}
		want := map[string]string{
			"/out.txt": "86400 hey $HOME `id` \"x\" amd64 86400\n", "/n.txt": "86400 named", "/sub/f": "86400 content", "/p": "0 root:x:0:0::/:/bin/sh\n",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if _, there := files["/sub/ignored"]; there || cf.Config.User != "1000" {
			t.Errorf("ignored file %v, config %+v", there, cf.Config)
		}
	}
	if digests[0] != digests[1] {
		t.Errorf("digests %v", digests)
	}
}

// BuildKit does with all instructions, flags and triggers what the other engines do, and explains
// as well what is missing.
func TestInteropBuildKitDoesWhatOtherEnginesDo(t *testing.T) {
	_, e := startBuildKitDaemon(t, BuildKit{Registries: logins{}})
	others := withEngines
	t.Cleanup(func() { withEngines = others })
	withEngines = func(t *testing.T, test func(t *testing.T, e Engine)) { test(t, e) }
	t.Run("instructions", TestEveryInstruction)
	t.Run("triggers", TestTriggersOfABase)
	t.Run("missing", TestMissingSourceIsExplained)
}

func TestInteropBuildKitStepsCannotEscape(t *testing.T) {
	_, e := startBuildKitDaemon(t, BuildKit{})
	stepsCannotEscape(t, e)
}

func TestInteropBuildKitStepsUseProxy(t *testing.T) {
	_, e := startBuildKitDaemon(t, BuildKit{})
	stepsUseProxy(t, e)
}

func TestInteropBuildKitStepsGetTheirSecrets(t *testing.T) {
	_, e := startBuildKitDaemon(t, BuildKit{})
	stepsGetTheirSecrets(t, e)
}

// registryWithLogin asks for a login, and lists the repositories of all requests with one.
func registryWithLogin(t *testing.T) (host string, asked func() string) {
	server := newRegistry(t)
	open := server.Config.Handler
	var mu sync.Mutex
	var paths []string
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "p" {
			w.Header().Set("WWW-Authenticate", "Basic realm=here")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		paths = append(paths, r.Method+" "+r.URL.Path)
		mu.Unlock()
		open.ServeHTTP(w, r)
	})
	return hostOf(server), func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(paths, "\n")
	}
}

func hostOf(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }

// logins knows the login to all registries, and resolves names with it.
type logins struct{}

func (logins) Credentials(string) (string, string, error) { return "u", "p", nil }

func (logins) Digest(_ context.Context, reference string) (string, error) {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return "", err
	}
	found, err := remote.Head(ref, remote.WithTransport(withLogin{}))
	if err != nil {
		return "", err
	}
	return found.Digest.String(), nil
}

type withLogin struct{}

func (withLogin) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.SetBasicAuth("u", "p")
	return http.DefaultTransport.RoundTrip(r)
}

// The daemon fetches bases by digest with libre's login, and no other frontend. Results of steps
// go to a registry, and come from there in another daemon.
func TestInteropBuildKitFetchesByDigestAndKeepsResultsInARegistry(t *testing.T) {
	host, asked := registryWithLogin(t)
	base := host + "/base:1"
	ref, err := name.ParseReference(base)
	if err != nil {
		t.Fatal(err)
	}
	idx := busyboxIndex(t)
	if err := remote.WriteIndex(ref, idx, remote.WithTransport(withLogin{})); err != nil {
		t.Fatal(err)
	}
	digest, err := idx.Digest()
	if err != nil {
		t.Fatal(err)
	}
	before := len(asked())
	source := write(t, map[string]string{"Dockerfile": "# syntax=" + host + "/frontend:1\nFROM " + base + "\nRUN busybox cat /proc/sys/kernel/random/uuid > /random\n"})
	var random []string
	for i, origins := range []map[string]Origin{{base: {Digest: digest.String()}}, nil} {
		_, e := startBuildKitDaemon(t, BuildKit{Registries: logins{}, Cache: host + "/build-cache"})
		req := request(t, source, origins)
		req.Cache = "docs/backend"
		res, err := NewBuilder(e, "").Build(t.Context(), req)
		if err != nil {
			t.Fatal(describe(err))
		}
		if got := res.Bases[0]; got.Digest != digest.String() || got.Pinned != (i == 0) {
			t.Errorf("base %+v", got)
		}
		img, _ := built(t, res)
		random = append(random, filesOf(t, img)["/random"].content)
		if log, _ := os.ReadFile(req.Log); strings.Contains(string(log), " CACHED\n") != (i == 1) {
			t.Errorf("build %d:\n%s", i, log)
		}
	}
	if random[0] == "" || random[0] != random[1] {
		t.Errorf("the step ran again: %q", random)
	}
	said := asked()[before:]
	if strings.Contains(said, "/frontend/") || !strings.Contains(said, "/v2/base/manifests/"+digest.String()) || !strings.Contains(said, "PUT /v2/build-cache/manifests/docs-backend-linux-amd64") {
		t.Errorf("requests:\n%s", said)
	}
}

// If the daemon is killed in the middle of a build, the build ends soon, with one line. The next
// build, with a daemon, makes the image.
func TestInteropBuildKitThatEndsIsOneClearLine(t *testing.T) {
	daemon, e := startBuildKitDaemon(t, BuildKit{})
	base := catalogueLayout(t, "base", busyboxIndex(t))
	build := func(step string, seen func()) error {
		req := request(t, write(t, map[string]string{"Containerfile": "FROM base\nRUN " + step + "\n"}), map[string]Origin{"base": {Layout: base}})
		req.Step = func(_, _ int, line string) {
			if strings.Contains(line, "RUN "+step) {
				seen()
			}
		}
		_, err := NewBuilder(e, "").Build(t.Context(), req)
		return err
	}
	var killing sync.WaitGroup
	err := build("busybox sleep 10", sync.OnceFunc(func() { killing.Go(daemon.Kill) }))
	if err == nil || !strings.HasPrefix(err.Error(), "build Containerfile: BuildKit's daemon has ended: ") || strings.Contains(err.Error(), "\n") || !strings.HasSuffix(err.Error(), "; "+startBuildKit) {
		t.Errorf("the daemon is killed: %v", err)
	}
	err = build("busybox true", func() {})
	if err == nil || !strings.HasPrefix(err.Error(), "BuildKit's daemon at "+daemon.Host+" does not answer: ") || !strings.HasSuffix(err.Error(), "; "+startBuildKit) {
		t.Errorf("no daemon: %v", err)
	}
	killing.Wait()
	daemon.Start(t)
	if err := build("busybox true", func() {}); err != nil {
		t.Errorf("the next build: %v", describe(err))
	}
	err = build("busybox false", func() {})
	if want := "build Containerfile:2: /bin/sh -c busybox false: exit status 1"; errorText(err) != want {
		t.Errorf("a step fails: %v, want %s", err, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	req := request(t, write(t, map[string]string{"Containerfile": "FROM base\nRUN busybox sleep 300\n"}), map[string]Origin{"base": {Layout: base}})
	req.Step = func(_, _ int, line string) {
		if strings.Contains(line, "sleep 300") {
			cancel()
		}
	}
	if _, err := NewBuilder(e, "").Build(ctx, req); errorText(err) != "build Containerfile: interrupted" {
		t.Errorf("interrupted: %v", err)
	}
}

// A daemon on this machine whose steps have this machine's network is refused, unless upstreams
// are trusted. Then a step with --network=none still has none.
func TestInteropBuildKitInThisMachinesNetworkIsRefused(t *testing.T) {
	_, e := startBuildKitDaemon(t, BuildKit{}, "--oci-worker-net=host")
	base := catalogueLayout(t, "base", busyboxIndex(t))
	if _, _, err := NewBuilder(e, "").Confinement(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot isolate build steps from this machine") {
		t.Errorf("doctor: %v", err)
	}
	for _, trust := range []bool{false, true} {
		req := request(t, write(t, map[string]string{"Containerfile": "FROM base\nRUN --network=none busybox ls /sys/class/net > /net\n"}), map[string]Origin{"base": {Layout: base}})
		var warnings []string
		req.TrustUpstream, req.Warn = trust, func(warning string) { warnings = append(warnings, warning) }
		res, err := NewBuilder(e, "").Build(t.Context(), req)
		if !trust {
			if err == nil || !strings.Contains(fault.Fix(err), "--oci-worker-net=bridge") {
				t.Errorf("not trusted: %v", err)
			}
			continue
		}
		if err != nil || len(warnings) != 1 {
			t.Fatalf("trusted: %v, warnings %q", err, warnings)
		}
		img, _ := built(t, res)
		if net := filesOf(t, img)["/net"].content; net != "lo\n" {
			t.Errorf("the step has the network %q", net)
		}
	}
}

// With daemons of two platforms, each image is built where its platform is at home.
func TestInteropBuildKitBuildsEachPlatformWhereItIsAtHome(t *testing.T) {
	_, e := startBuildKitDaemon(t, BuildKit{})
	e.BuildKit.Others = []string{testkit.BuildKit(t, "--oci-worker-platform="+foreignPlatform()).Host}
	base := catalogueLayout(t, "base", busyboxIndex(t))
	b := NewBuilder(e, "")
	var group errgroup.Group
	for _, platform := range []string{machinePlatform(), foreignPlatform()} {
		req := request(t, write(t, map[string]string{"Containerfile": "FROM base\nRUN busybox hostname > /made\n"}), map[string]Origin{"base": {Layout: base}})
		req.Platform = platform
		group.Go(func() error {
			res, err := b.Build(t.Context(), req)
			if err != nil {
				return err
			}
			img, cf := built(t, res)
			if _, made := filesOf(t, img)["/made"]; !made || "linux/"+cf.Architecture != platform {
				t.Errorf("%s: made %v, architecture %s", platform, made, cf.Architecture)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(describe(err))
	}
	how, _, err := b.Confinement(t.Context())
	if err != nil || !strings.Contains(how, e.BuildKit.Host) || !strings.Contains(how, e.BuildKit.Others[0]+", for "+foreignPlatform()) {
		t.Errorf("%s, %v", how, err)
	}
}

// A worker that cannot run steps of another platform is one line, before anything is sent. Without
// steps to run, it makes the image.
func TestInteropBuildKitWorkerOfAnotherPlatform(t *testing.T) {
	_, e := startBuildKitDaemon(t, BuildKit{})
	base := catalogueLayout(t, "base", busyboxIndex(t))
	for file, want := range map[string]string{
		"FROM base\nRUN true\n":                "Containerfile:1: BuildKit's daemon at " + e.BuildKit.Host + " cannot run steps for linux/s390x: its worker has " + machinePlatform(),
		"FROM scratch\nCOPY Containerfile /\n": "",
		"FROM --platform=$BUILDPLATFORM base AS b\nRUN true\nFROM scratch\nCOPY --from=b /bin /b\n": "",
	} {
		req := request(t, write(t, map[string]string{"Containerfile": file}), map[string]Origin{"base": {Layout: base}})
		req.Platform = "linux/s390x"
		res, err := NewBuilder(e, "").Build(t.Context(), req)
		if want != "" {
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: %v", file, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", file, describe(err))
			continue
		}
		if _, cf := built(t, res); cf.Architecture != "s390x" {
			t.Errorf("%s: architecture %s", file, cf.Architecture)
		}
	}
}
