package containerfile

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/testkit"
)

// builderUser is the user of a build: root, or a user with subordinate IDs.
type builderUser struct {
	name string
	uid  int
}

// eachUser runs a test with every engine, as root and as an unprivileged user, in
// parallel.
func eachUser(t *testing.T, test func(t *testing.T, p *place)) {
	testkit.RequireRoot(t)
	testkit.Require(t, "runc", "slirp4netns", "setpriv", "newuidmap")
	eachEngine(t, func(t *testing.T, e Engine) {
		for _, u := range []builderUser{{"root", 0}, {"nobody", 65534}} {
			t.Run(u.name, func(t *testing.T) {
				t.Parallel()
				p := *placeOf(t, e, u)
				p.t = t
				test(t, &p)
			})
		}
	})
}

// place is the folder of a user and engine, shared by all tests. It belongs to the user.
type place struct {
	t    *testing.T
	e    Engine
	u    builderUser
	dir  string
	base string // a layout with the attacker's program in it

	resolv string // file that replaces /etc/resolv.conf, if any
	builds *builds
}

// builds is the shared state of the builds of a place.
type builds struct {
	sync.Mutex
	number int
	known  *known
}

// known is the confinement that the first build found.
type known struct {
	Flags                       []string
	Mapped                      bool
	Isolation, Runtime, Network string
}

var places struct {
	sync.Mutex
	all map[string]*place
}

// TestMain removes the places.
func TestMain(m *testing.M) {
	code := m.Run()
	for _, p := range places.all {
		os.RemoveAll(p.dir)
	}
	os.Exit(code)
}

func placeOf(t *testing.T, e Engine, u builderUser) *place {
	t.Helper()
	places.Lock()
	defer places.Unlock()
	key := e.Name + u.name
	if p := places.all[key]; p != nil {
		return p
	}
	dir, err := os.MkdirTemp("/var/lib", "libre-test-")
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, e: e, u: u, dir: dir, base: dir + "/dist", builds: &builds{}}
	if places.all == nil {
		places.all = map[string]*place{}
	}
	places.all[key] = p
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.run("cp", self, dir+"/test")
	p.run("ln", dir+"/test", dir+"/attack")
	p.run("cp", "-r", attackersBase(t), p.base)
	p.write("home/.docker/config.json", `{"auths": {"canary.example": {"auth": "canary"}}}`, 0o600)
	p.write("ids", fmt.Sprintf("%s:300000:65536\n", u.name), 0o644)
	// With udev everybody can open this device, without udev only root.
	if err := unix.Mknod(dir+"/tun", unix.S_IFCHR, int(unix.Mkdev(10, 200))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir+"/tun", 0o666); err != nil {
		t.Fatal(err)
	}
	p.run("chown", "-R", fmt.Sprint(u.uid), dir)
	return p
}

// attackersBase makes a layout of an image with a shell and the attacker's program.
func attackersBase(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	busybox, err := os.ReadFile(lookPath("busybox"))
	if err != nil {
		t.Fatal(err)
	}
	return catalogueLayout(t, "base", single(image(t, machinePlatform(), []string{"PATH=/bin"}, map[string][]byte{
		"bin/attack": program, "bin/busybox": busybox, "bin/sh": busybox, "etc/passwd": []byte("root:x:0:0::/:/bin/sh\n"), "tmp/.keep": nil, "mnt/.keep": nil,
	})))
}

// withoutRuntimes returns a PATH that starts with runtimes that fail like crun without
// cgroups.
func (p *place) withoutRuntimes() string {
	for _, name := range []string{"runc", "crun"} {
		p.write("broken/"+name, "#!/bin/sh\necho no cgroups >&2\nexit 1\n", 0o755)
	}
	return "PATH=" + p.dir + "/broken:" + os.Getenv("PATH")
}

// write writes a file that belongs, with its folders, to the user.
func (p *place) write(name, content string, mode os.FileMode) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	os.MkdirAll(filepath.Dir(path), 0o755)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		p.t.Fatal(err)
	}
	for dir := path; dir != p.dir; dir = filepath.Dir(dir) {
		if err := os.Lchown(dir, p.u.uid, p.u.uid); err != nil {
			p.t.Fatal(err)
		}
	}
	return path
}

func (p *place) run(program string, args ...string) {
	p.t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v: %s", program, err, out)
	}
}

// order describes a build for a child process.
type order struct {
	Engine       Engine
	Storage      string
	Source, Base string
	Work         string
	Answer       string // file for the answer
	App          string
	Steps
	Unmapped bool // as on a machine without user namespaces
	Known    *known
}

// answer is the result of an ordered build.
type answer struct {
	Layout   string
	Err      string
	Warnings []string
	Known    *known
}

// build builds a Containerfile as the user. context has the files of the build context.
func (p *place) build(containerfile string, context map[string]string, change func(*order), env ...string) (files map[string]file, got answer) {
	p.t.Helper()
	cmd, o := p.order(containerfile, context, change, env...)
	out, err := cmd.CombinedOutput()
	raw, readErr := os.ReadFile(o.Answer)
	if readErr != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		p.t.Fatal(err)
	}
	if change == nil && len(env) == 0 && got.Known != nil {
		p.builds.Lock()
		p.builds.known = got.Known
		p.builds.Unlock()
	}
	if got.Err == "" {
		img, _ := built(p.t, Result{Layout: got.Layout})
		files = filesOf(p.t, img)
	}
	return files, got
}

// order prepares the child process for an ordered build.
func (p *place) order(containerfile string, context map[string]string, change func(*order), env ...string) (*exec.Cmd, order) {
	p.t.Helper()
	p.builds.Lock()
	p.builds.number++
	name := fmt.Sprint("build-", p.builds.number)
	o := order{Engine: p.e, Storage: p.dir + "/storage", Source: p.dir + "/" + name + "/source", Base: p.base, Work: p.dir + "/" + name + "/work", Answer: p.dir + "/" + name + "/answer"}
	if change == nil && len(env) == 0 {
		o.Known = p.builds.known
	}
	p.builds.Unlock()
	p.write(name+"/source/Containerfile", containerfile, 0o644)
	for file, content := range context {
		p.write(name+"/source/"+file, content, 0o600)
	}
	if change != nil {
		change(&o)
	}
	data, _ := json.Marshal(o)
	request := p.write(name+"/order", string(data), 0o644)
	script := `exec "$0" "$@"`
	if p.u.uid != 0 {
		script = fmt.Sprintf(`mount --bind %[1]s/tun /dev/net/tun && mount --bind %[1]s/ids /etc/subuid && mount --bind %[1]s/ids /etc/subgid && exec setpriv --reuid=%[2]d --regid=%[2]d --clear-groups "$0" "$@"`, p.dir, p.u.uid)
	}
	if p.resolv != "" {
		script = fmt.Sprintf("mount --bind %s /etc/resolv.conf && %s", p.resolv, script)
	}
	cmd := exec.Command("unshare", "--mount", "sh", "-c", script, p.dir+"/test", "-test.run", "^TestBuildOfAnOrder$")
	cmd.Dir = p.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir + "/home", "LIBRE_TEST_ORDER=" + request}, env...)
	return cmd, o
}

// TestBuildOfAnOrder is the child process of other tests; otherwise it does nothing.
func TestBuildOfAnOrder(t *testing.T) {
	path := os.Getenv("LIBRE_TEST_ORDER")
	if path == "" {
		return
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var o order
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	var got answer
	b := NewBuilder(o.Engine, o.Storage)
	s := b.storage
	if o.Unmapped {
		s.openUnmapped(t.Context())
	}
	if k := o.Known; k != nil {
		s.once.Do(func() { s.flags, s.mapped = k.Flags, k.Mapped })
		s.confined.once.Do(func() {
			s.confined.found = &confinement{isolation: k.Isolation, runtime: k.Runtime, network: k.Network, mapped: k.Mapped}
		})
	}
	ctx, stop := process.Interruptible(t.Context())
	defer stop()
	if err := os.MkdirAll(o.Work, 0o755); err != nil {
		t.Fatal(err)
	}
	work, remove, err := b.NewWork(o.Work)
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Build(ctx, Request{
		Source: o.Source, Work: work, Timestamp: 86400, Bases: map[string]Origin{"base": {Layout: o.Base}}, Log: o.Work + "/log",
		Warn: func(warning string) { got.Warnings = append(got.Warnings, warning) }, App: o.App, Steps: o.Steps,
	})
	got.Layout = r.Layout
	if err != nil {
		got.Err = describe(err)
		remove()
	}
	if c := s.confined.found; c != nil {
		got.Known = &known{s.flags, s.mapped, c.isolation, c.runtime, c.network}
	}
	raw, _ = json.Marshal(got)
	if err := os.WriteFile(o.Answer, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}
