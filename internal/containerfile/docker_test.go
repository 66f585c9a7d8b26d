package containerfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/testkit"
)

// buildx cannot run without a daemon: a replacement records its arguments, and writes an image
// to the requested path.
func TestDocker(t *testing.T) {
	testkit.Require(t, "busybox")
	idx := busyboxIndex(t)
	digest, err := idx.Digest()
	if err != nil {
		t.Fatal(err)
	}
	dist := catalogueLayout(t, "base-default:1-1", idx)
	dir := t.TempDir()
	fake := filepath.Join(dir, "docker")
	script := `#!/bin/sh
if [ "$1" = info ]; then printf '28.0.0\n[name=seccomp,profile=builtin]\n[[driver-type io.containerd.snapshotter.v1]]\n'; exit; fi
if [ "$2" = imagetools ]; then echo '{"digest":"sha256:` + strings.Repeat("1", 64) + `"}'; exit; fi
for a; do printf '%s\n' "$a"; done > ` + dir + `/args
while [ "$1" != --file ]; do [ "$1" = --output ] && out=$2; shift; done
cp "$2" ` + dir + `/file; cp "$2.dockerignore" ` + dir + `/ignore
out=${out#*dest=}; mkdir ${out%%,*}; echo '{}' > ${out%%,*}/index.json
echo '#7 [build 1/2] FROM x'; echo '#8 [build 2/2] RUN y'; echo '#8 [build 2/2] RUN y'
`
	if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	req := request(t, write(t, map[string]string{"Dockerfile": allKinds, "Dockerfile.dockerignore": "x", "sub/f": ""}), map[string]Origin{
		"base:1": {Layout: dist, Ref: "base-default:1-1"},
	})
	req.Args = map[string]string{"GREETING": "a b", "BUILDKIT_SYNTAX": "nowhere.example/frontend"}
	req.Contexts = map[string]string{"extra": dist}
	req.Platform, req.NoCache = "linux/arm64", true
	req.Cache, req.Proxy = "docs/backend", "http://proxy.example:3128"
	var seen []string
	req.Step = func(done, total int, line string) {
		seen = append(seen, strings.Join([]string{string(rune('0' + done)), string(rune('0' + total)), line}, " "))
	}
	res, err := NewBuilder(Engine{Name: "docker", Path: fake, Version: "28.0.0"}, "").Build(context.Background(), req)
	if err != nil {
		t.Fatal(describe(err))
	}
	raw, err := os.ReadFile(filepath.Join(dir, "args"))
	if err != nil {
		t.Fatal(err)
	}
	got := string(raw)
	tmp := got[strings.Index(got, "--file\n")+7 : strings.Index(got, "/Containerfile\n")]
	pin := "sha256:" + strings.Repeat("1", 64)
	want := strings.Join([]string{
		"buildx", "build", "--progress=plain", "--platform", "linux/arm64", "--provenance=false", "--sbom=false",
		"--output", "type=oci,tar=false,dest=" + res.Layout + ",rewrite-timestamp=true,compression=uncompressed,force-compression=true",
		"--build-arg=SOURCE_DATE_EPOCH=86400", "--file", tmp + "/Containerfile", "--no-cache",
		"--build-arg=BUILDKIT_CACHE_MOUNT_NS=docs/backend",
		"--build-arg=HTTP_PROXY", "--build-arg=http_proxy", "--build-arg=HTTPS_PROXY", "--build-arg=https_proxy",
		"--build-arg=FTP_PROXY=", "--build-arg=ftp_proxy=", "--build-arg=ALL_PROXY=", "--build-arg=all_proxy=", "--build-arg=NO_PROXY=", "--build-arg=no_proxy=",
		"--build-arg=GREETING=a b", "--build-arg=TARGETARCH=arm64",
		"--build-context=extra=" + tmp + "/context-0",
		"--build-context=libre-base-" + digest.Hex + "=oci-layout://" + dist + "@" + digest.String(),
		"--build-context=tools.example/t:2=docker-image://tools.example/t@" + pin,
		"--", tmp + "/context", "",
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	file, _ := os.ReadFile(filepath.Join(dir, "file"))
	if !strings.Contains(string(file), "\nFROM libre-base-"+digest.Hex+"\n") || strings.Contains(string(file), "syntax") {
		t.Errorf("file:\n%s", file)
	}
	if ignore, _ := os.ReadFile(filepath.Join(dir, "ignore")); string(ignore) != "x" {
		t.Errorf("ignore file %q", ignore)
	}
	if diff := cmp.Diff([]string{"1 2 FROM x", "2 2 RUN y"}, seen); diff != "" {
		t.Error(diff)
	}
	wantBases := []ResolvedBase{
		{Base{"base:1", machinePlatform(), 3}, "base:1", "docker.io/library/base:1", digest.String(), true},
		{Base{"tools.example/t:2", "linux/arm64", 10}, "", "tools.example/t:2", pin, false},
		{Base{"base:1", "linux/arm64", 15}, "base:1", "docker.io/library/base:1", digest.String(), true},
	}
	if diff := cmp.Diff(wantBases, res.Bases); diff != "" {
		t.Error(diff)
	}
}

// A vulnerable daemon is refused, unless upstreams are trusted, with a warning each time.
func TestVulnerableDockerIsRefused(t *testing.T) {
	testkit.Require(t, "busybox")
	dist := catalogueLayout(t, "base", busyboxIndex(t))
	for _, tt := range []struct{ info, how, err string }{
		{info: "28.0.0 [name=seccomp,profile=builtin]", how: "containers of docker's daemon 28.0.0, where root in steps is root of its machine (rootless mode or userns-remap prevents it)"},
		{info: "26.1.5+dfsg1 [name=seccomp,profile=builtin name=rootless]", how: "containers of docker's daemon 26.1.5+dfsg1"},
		{info: "24.0.9 [name=userns]", how: "containers of docker's daemon 24.0.9"},
		{info: "25.0.1 [name=rootless]", err: "docker's daemon 25.0.1 cannot isolate build steps from its machine: it is vulnerable to CVE-2024-21626, CVE-2024-23651, CVE-2024-23652"},
		{info: "23.0.6 []", err: "docker's daemon 23.0.6 cannot isolate"},
		{info: "nothing []", err: "docker's daemon nothing cannot isolate"},
	} {
		fake := filepath.Join(t.TempDir(), "docker")
		script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = info ] && printf '%s\n[[driver-type io.containerd.snapshotter.v1]]\n' && exit\nwhile [ \"$1\" != --output ]; do shift; done; out=${2#*dest=}; mkdir ${out%%%%,*}; echo '{}' > ${out%%%%,*}/index.json\n", strings.Replace(tt.info, " ", "\\n", 1))
		if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		b := NewBuilder(Engine{Name: "docker", Path: fake, Version: "28.0.0"}, "")
		how, _, err := b.Confinement(t.Context())
		if how != tt.how || !strings.HasPrefix(errorText(err), tt.err) || (err != nil) != (tt.err != "") {
			t.Errorf("%s: %q, %v", tt.info, how, err)
		}
		for _, trust := range []bool{false, true} {
			req := request(t, write(t, map[string]string{"Containerfile": "FROM base\nRUN true\n"}), map[string]Origin{"base": {Layout: dist}})
			var warnings []string
			req.TrustUpstream, req.Warn = trust, func(warning string) { warnings = append(warnings, warning) }
			_, err := b.Build(t.Context(), req)
			switch loud := tt.err != "" && trust; {
			case (err != nil) != (tt.err != "" && !trust), err != nil && !strings.Contains(fault.Fix(err), "trustUpstream: true"):
				t.Errorf("%s: trusted %v: %v", tt.info, trust, err)
			case loud != (len(warnings) == 1), loud && !strings.Contains(warnings[0], "CAN READ AND CHANGE THIS MACHINE"):
				t.Errorf("%s: trusted %v: warnings %q", tt.info, trust, warnings)
			}
		}
	}
}

// The same attacks fail with docker's own daemon. Features that libre refuses are named.
func TestDockerStepsCannotEscape(t *testing.T) {
	testkit.Docker(t, true)
	e, err := Detect(t.Context(), Choice{Name: "docker"})
	if err != nil {
		t.Fatal(err)
	}
	stepsCannotEscape(t, e)
}

// stepsCannotEscape attacks this machine from the steps of a daemon.
func stepsCannotEscape(t *testing.T, e Engine) {
	p := &place{t: t, dir: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.run("cp", self, p.dir+"/attack")
	c := newCanaries(p)
	c.login = p.write("login", "canary", 0o600)
	base := attackersBase(t)
	t.Setenv("https_proxy", "http://user:"+secret+"@127.0.0.1:1")
	t.Setenv("SECRET", secret)
	for flags, refused := range map[string]string{
		"":                                             "",
		"--mount=type=bind,target=/c,rw ":              "",
		"--mount=type=tmpfs,target=/c ":                "",
		"--mount=type=cache,target=/c ":                "",
		"--mount=type=ssh ":                            "",
		"--mount=type=secret,id=SECRET ":               "",
		"--network=host ":                              "libre does not allow RUN --network=host",
		"--security=insecure ":                         "libre does not allow RUN --security=insecure",
		"--device=/dev/null ":                          "libre does not allow RUN --device",
		"--mount=type=ssh,required=true ":              "it is not configured",
		"--mount=type=secret,id=SECRET,required=true ": "it is not configured",
	} {
		file := "FROM base\nARG SECRET\nARG https_proxy\nRUN " + flags + c.attack() + " > /out 2>&1; echo \"$SECRET$https_proxy\" > /arguments\n"
		res, err := NewBuilder(e, "").Build(t.Context(), request(t, write(t, map[string]string{"Containerfile": file}), map[string]Origin{"base": {Layout: base}}))
		if refused != "" {
			if err == nil || !strings.Contains(err.Error(), refused) {
				t.Errorf("%s: %v, expected %s", flags, err, refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", flags, err)
			continue
		}
		img, _ := built(t, res)
		files := filesOf(t, img)
		for line := range strings.Lines(files["/out"].content) {
			if !strings.HasPrefix(line, "ESCAPED made the disk") || !strings.HasSuffix(line, "false\n") { // a build can make the device, but cannot open it
				t.Error(flags, line)
			}
		}
		if said := files["/arguments"].content; said != "\n" {
			t.Errorf("%s: steps have the arguments %q", flags, said)
		}
	}
	c.untouched(t)
}

// A daemon without containerd's image store cannot export a layout, and a missing daemon
// cannot build: both errors have a fix.
func TestUnusableDockerHasAFix(t *testing.T) {
	testkit.Docker(t, false)
	e, err := Detect(t.Context(), Choice{Name: "docker"})
	if err != nil {
		t.Fatal(err)
	}
	build := func() error { return buildSmall(t, e) }
	err = build()
	if err == nil || !strings.Contains(err.Error(), "docker's daemon "+e.Version) || !strings.Contains(err.Error(), `without the containerd image store; set {"features": {"containerd-snapshotter": true}}`) {
		t.Errorf("no image store: %v", err)
	}
	var failed *Error
	if errors.As(err, &failed) {
		t.Errorf("no image store: found by %s only", failed.Doing)
	}
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	if err := build(); err == nil || !strings.Contains(err.Error(), "Cannot connect to the Docker daemon at unix:///nowhere/docker.sock") ||
		!strings.HasSuffix(err.Error(), "start docker's daemon, or set engine: buildah in libre.yaml") {
		t.Errorf("no daemon: %v", err)
	}
}

// If the daemon is killed in the middle of a build, the build ends soon, with one line. The
// next build, with a daemon, makes the image.
func TestDockerThatEndsIsOneClearLine(t *testing.T) {
	daemon := testkit.Docker(t, true)
	testkit.Require(t, "busybox")
	e, err := Detect(t.Context(), Choice{Name: "docker"})
	if err != nil {
		t.Fatal(err)
	}
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
	err = build("busybox sleep 10", sync.OnceFunc(func() { killing.Go(daemon.Kill) }))
	if err == nil || !strings.HasPrefix(err.Error(), "build Containerfile: docker's daemon has ended: ") || strings.Contains(err.Error(), "\n") || !strings.HasSuffix(err.Error(), "; "+startDaemon) {
		t.Errorf("the daemon is killed: %v", err)
	}
	killing.Wait()
	daemon.Start(t)
	if err := build("busybox true", func() {}); err != nil {
		t.Errorf("the next build: %v", describe(err))
	}
}

// BuildKit sometimes loses the connection to docker's client. Then the build runs once more.
func TestLostConnectionOfDockerIsMadeAnew(t *testing.T) {
	testkit.Docker(t, true)
	docker, err := exec.LookPath("docker")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	loses := func(times int) {
		script := fmt.Sprintf(`#!/bin/sh
case "$1 $2" in "buildx build")
  echo build >>%[1]s/builds
  [ $(wc -l <%[1]s/builds) -gt %[2]d ] || { echo 'ERROR: failed to solve: failed to compute cache key: Unavailable: connection error: desc = "transport: Error while dialing: only one connection allowed"' >&2; exit 1; }
esac
exec %[3]s "$@"
`, dir, times, docker)
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o755), os.RemoveAll(filepath.Join(dir, "builds"))); err != nil {
			t.Fatal(err)
		}
	}
	loses(1)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	e, err := Detect(t.Context(), Choice{Name: "docker"})
	if err != nil {
		t.Fatal(err)
	}
	build := func() error { return buildSmall(t, e) }
	if err := build(); err != nil {
		t.Errorf("lost once: %v", describe(err))
	}
	loses(2)
	if err := build(); err == nil || !strings.Contains(err.Error(), "only one connection allowed") {
		t.Errorf("lost twice: %v", err)
	}
}

// buildSmall builds an image of one file.
func buildSmall(t *testing.T, e Engine) error {
	_, err := NewBuilder(e, "").Build(t.Context(), request(t, write(t, map[string]string{"Containerfile": "FROM scratch\nCOPY f /f\n", "f": "x"}), nil))
	return err
}
