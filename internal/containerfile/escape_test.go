package containerfile

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/libresh/libre/internal/testkit"
)

// builderUser is who builds in a test: root, or a user with subordinate IDs.
type builderUser struct {
	name string
	uid  int
}

// eachUser runs a test with every engine, as root and as a user without root.
func eachUser(t *testing.T, test func(t *testing.T, e Engine, u builderUser)) {
	testkit.RequireRoot(t)
	testkit.Require(t, "runc", "slirp4netns", "setpriv", "newuidmap")
	eachEngine(t, func(t *testing.T, e Engine) {
		for _, u := range []builderUser{{"root", 0}, {"nobody", 65534}} {
			t.Run(u.name, func(t *testing.T) { test(t, e, u) })
		}
	})
}

// place is where a user builds: all of it is that user's.
type place struct {
	t    *testing.T
	e    Engine
	u    builderUser
	dir  string
	base string // a layout with the attacker's program in it

	resolv string // file in the place of /etc/resolv.conf, if any
}

func newPlace(t *testing.T, e Engine, u builderUser) *place {
	t.Helper()
	dir, err := os.MkdirTemp("/var/lib", "libre-test-")
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, e: e, u: u, dir: dir}
	t.Cleanup(func() {
		for _, mapped := range []bool{true, false} {
			os.RemoveAll((&storage{engine: e, dir: filepath.Join(dir, "storage"), mapped: mapped}).runRootOf(u.uid))
		}
		os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	p.write("test", string(program), 0o755)
	busybox, err := os.ReadFile(lookPath("busybox"))
	if err != nil {
		t.Fatal(err)
	}
	p.base = catalogueLayout(t, "base", single(image(t, machinePlatform(), []string{"PATH=/bin"}, map[string][]byte{
		"bin/attack": program, "bin/busybox": busybox, "bin/sh": busybox, "etc/passwd": []byte("root:x:0:0::/:/bin/sh\n"), "tmp/.keep": nil, "mnt/.keep": nil,
	})))
	p.run("cp", "-r", p.base, dir+"/dist")
	p.base = dir + "/dist"
	p.write("home/.keep", "", 0o644)
	return p
}

func (p *place) write(name, content string, mode os.FileMode) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	os.MkdirAll(filepath.Dir(path), 0o755)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		p.t.Fatal(err)
	}
	return path
}

func (p *place) run(program string, args ...string) {
	p.t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v: %s", program, err, out)
	}
}

// order is a build that a child process does.
type order struct {
	Engine        Engine
	Storage       string
	Source, Base  string
	Work          string
	Answer        string // file for the answer
	TrustUpstream bool
	Unmapped      bool // as where there are no user namespaces
	Proxy         string
}

// answer is what came of it.
type answer struct {
	Layout   string
	Err      string
	Warnings []string
}

// build builds a Containerfile as the place's user, with more in the environment.
func (p *place) build(name, containerfile string, change func(*order), env ...string) (files map[string]file, got answer) {
	p.t.Helper()
	o := order{Engine: p.e, Storage: p.dir + "/storage", Source: p.dir + "/" + name, Base: p.base, Work: p.dir + "/work-" + name, Answer: p.dir + "/answer-" + name}
	p.write(name+"/Containerfile", containerfile, 0o644)
	if change != nil {
		change(&o)
	}
	data, _ := json.Marshal(o)
	request := p.write("order-"+name, string(data), 0o644)
	ids := p.write("ids", fmt.Sprintf("%s:300000:65536\n", p.u.name), 0o644)
	p.run("chown", "-Rh", fmt.Sprint(p.u.uid), p.dir)
	// udev lets everybody open this; a machine without udev does not.
	tun := p.dir + "/tun"
	if _, err := os.Stat(tun); err != nil {
		if err := unix.Mknod(tun, unix.S_IFCHR, int(unix.Mkdev(10, 200))); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := os.Chmod(tun, 0o666); err != nil {
		p.t.Fatal(err)
	}
	script := `exec "$0" "$@"`
	if p.u.uid != 0 {
		script = fmt.Sprintf(`mount --bind %[3]s /dev/net/tun && mount --bind %[1]s /etc/subuid && mount --bind %[1]s /etc/subgid && exec setpriv --reuid=%[2]d --regid=%[2]d --clear-groups "$0" "$@"`, ids, p.u.uid, tun)
	}
	if p.resolv != "" {
		script = fmt.Sprintf("mount --bind %s /etc/resolv.conf && %s", p.resolv, script)
	}
	cmd := exec.Command("unshare", "--mount", "sh", "-c", script, p.dir+"/test", "-test.run", "^TestBuildOfAnOrder$")
	cmd.Dir = p.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir + "/home", "LIBRE_TEST_ORDER=" + request}, env...)
	out, err := cmd.CombinedOutput()
	raw, readErr := os.ReadFile(o.Answer)
	if readErr != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		p.t.Fatal(err)
	}
	if got.Err == "" {
		img, _ := built(p.t, Result{Layout: got.Layout})
		files = filesOf(p.t, img)
	}
	return files, got
}

// TestBuildOfAnOrder is the child that other tests start; by itself it does nothing.
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
	if o.Unmapped {
		b.storage.openUnmapped(t.Context())
	}
	r, err := b.Build(context.Background(), Request{
		Source: o.Source, Work: o.Work, Timestamp: 86400, Bases: map[string]Origin{"base": {Layout: o.Base}}, Log: o.Work + "/log",
		Warn: func(warning string) { got.Warnings = append(got.Warnings, warning) }, TrustUpstream: o.TrustUpstream, Proxy: o.Proxy,
	})
	got.Layout = r.Layout
	if err != nil {
		got.Err = describe(err)
	}
	raw, _ = json.Marshal(got)
	if err := os.WriteFile(o.Answer, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

// canaries are what a build must not reach.
type canaries struct {
	file    string
	process *exec.Cmd
	port    string
	hits    *int
	memory  string
}

const secret = "canary-secret-5f2b"

func newCanaries(p *place) canaries {
	t := p.t
	t.Helper()
	dir, err := os.MkdirTemp("/var/lib", "libre-canary-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := canaries{file: filepath.Join(dir, "file"), hits: new(int)}
	if err := os.WriteFile(c.file, []byte("canary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.run("chown", "-R", fmt.Sprint(p.u.uid), dir)
	c.process = exec.Command("setpriv", fmt.Sprintf("--reuid=%d", p.u.uid), "--bounding-set=-all", "--inh-caps=-all", "sleep", fmt.Sprintf("86%d", os.Getpid()))
	c.process.Env = []string{"PATH=" + os.Getenv("PATH"), "SECRET=" + secret}
	if err := c.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.process.Process.Kill(); c.process.Wait() })
	for _, address := range []string{"127.0.0.1:0", "[::1]:"} {
		if c.port != "" {
			address += c.port
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Log(err) // a machine without IPv6
			continue
		}
		_, c.port, _ = net.SplitHostPort(l.Addr().String())
		go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { *c.hits++; fmt.Fprint(w, "canary") }))
		t.Cleanup(func() { l.Close() })
	}
	if l, err := net.Listen("unix", "@canary-"+c.port); err == nil {
		t.Cleanup(func() { l.Close() })
	}
	c.memory = filepath.Base(dir)
	if err := os.WriteFile("/dev/shm/"+c.memory, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.run("chown", fmt.Sprint(p.u.uid), "/dev/shm/"+c.memory)
	t.Cleanup(func() { os.Remove("/dev/shm/" + c.memory) })
	return c
}

// untouched says what of the canaries was reached.
func (c canaries) untouched(t *testing.T) {
	t.Helper()
	if data, err := os.ReadFile(c.file); err != nil || string(data) != "canary\n" {
		t.Errorf("the canary file is %q, %v", data, err)
	}
	if beside, _ := os.ReadDir(filepath.Dir(c.file)); len(beside) != 1 {
		t.Errorf("beside the canary file there is %v", beside)
	}
	if c.process.ProcessState != nil || len(processes("86"+fmt.Sprint(os.Getpid()))) == 0 {
		t.Error("the canary process has ended")
	}
	if *c.hits > 0 {
		t.Errorf("the service on loopback was reached %d times", *c.hits)
	}
}

func (c canaries) attack() string {
	return fmt.Sprintf("attack secret=%s process=%d loopback=%s memory=%s file=%s", secret, c.process.Process.Pid, c.port, c.memory, c.file)
}

// An upstream's steps with every way out at once.
func TestStepsCannotLeaveTheirBuild(t *testing.T) {
	eachUser(t, func(t *testing.T, e Engine, u builderUser) {
		p := newPlace(t, e, u)
		c := newCanaries(p)
		files, got := p.build("all", "FROM base\nRUN "+c.attack()+" > /out 2>&1; busybox chmod 777 /tmp\nUSER 1000\nRUN "+c.attack()+" > /tmp/out 2>&1; true\n", nil,
			"https_proxy=http://user:"+secret+"@127.0.0.1:1", "SSH_AUTH_SOCK=/run/agent", "SECRET="+secret)
		if got.Err != "" {
			t.Fatal(got.Err)
		}
		for _, name := range []string{"/out", "/tmp/out"} {
			if _, ok := files[name]; !ok {
				t.Errorf("%s is missing", name)
			}
			if said := files[name].content; said != "" {
				t.Errorf("%s:\n%s", name, said)
			}
		}
		c.untouched(t)
	})
}

// The same for the chroot that users without root have where no runtime works.
func TestStepsInAChrootCannotLeaveTheirBuild(t *testing.T) {
	eachUser(t, func(t *testing.T, e Engine, u builderUser) {
		p := newPlace(t, e, u)
		c := newCanaries(p)
		// These are found before the machine's own, and fail as crun does without its cgroups.
		for _, name := range []string{"runc", "crun"} {
			p.write("broken/"+name, "#!/bin/sh\necho no cgroups >&2\nexit 1\n", 0o755)
		}
		files, got := p.build("chroot", "FROM base\nRUN "+c.attack()+" > /out 2>&1\n", nil, "PATH="+p.dir+"/broken:"+os.Getenv("PATH"), "SECRET="+secret)
		if u.uid == 0 {
			if !strings.Contains(got.Err, "cannot keep an upstream's steps from this machine") || !strings.Contains(got.Err, "trustUpstream: true") || strings.Contains(got.Err, "\n") {
				t.Errorf("got %q", got.Err)
			}
			c.untouched(t)
			// Without a wall the attacks succeed, so they are attacks.
			files, got = p.build("trusted", "FROM base\nRUN "+c.attack()+" > /out 2>&1\n", func(o *order) { o.TrustUpstream = true }, "PATH="+p.dir+"/broken:"+os.Getenv("PATH"))
			if got.Err != "" {
				t.Fatal(got.Err)
			}
			for _, want := range []string{"ESCAPED may kill", "ESCAPED sees the canary", "ESCAPED reached 127.0.0.1", "ESCAPED by : read", "ESCAPED read the secret", "ESCAPED read shared memory"} {
				if !strings.Contains(files["/out"].content, strings.TrimSuffix(want, ": ")) {
					t.Errorf("trusted, %q is not said:\n%s", want, files["/out"].content)
				}
			}
			if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "CAN READ AND CHANGE THIS MACHINE") {
				t.Errorf("warnings %q", got.Warnings)
			}
			return
		}
		if got.Err != "" {
			t.Fatal(got.Err)
		}
		if said, ok := files["/out"]; !ok || said.content != "" {
			t.Errorf("%v\n%s", ok, said.content)
		}
		c.untouched(t)
	})
}

// ADD fetches in the engine, which is in the same network as the steps; a step may have
// the network of its engine, which is not this machine's.
func TestAddReachesNoLoopback(t *testing.T) {
	eachUser(t, func(t *testing.T, e Engine, u builderUser) {
		p := newPlace(t, e, u)
		c := newCanaries(p)
		for i, host := range []string{"127.0.0.1", "localhost", "10.0.2.2", "0"} {
			files, got := p.build(fmt.Sprint("add-", i), "FROM base\nADD http://"+host+":"+c.port+"/ /got\n", nil)
			if got.Err == "" {
				t.Errorf("%s: %+v", host, files["/got"])
			}
		}
		files, got := p.build("network", "FROM base\nRUN --network=host attack loopback="+c.port+" > /out\n", nil)
		if got.Err == "" && files["/out"].content != "" {
			t.Error(files["/out"].content)
		}
		c.untouched(t)
	})
}

// The proxy that is set for builds reaches steps, and the image does not say it.
func TestProxyForBuilds(t *testing.T) {
	eachUser(t, func(t *testing.T, e Engine, u builderUser) {
		p := newPlace(t, e, u)
		files, got := p.build("proxy", "FROM base\nRUN echo $https_proxy $HTTP_PROXY > /out\n", func(o *order) { o.Proxy = "http://proxy.example:3128" }, "https_proxy=http://other.example")
		if want := "http://proxy.example:3128 http://proxy.example:3128\n"; got.Err != "" || files["/out"].content != want {
			t.Errorf("%s %q", got.Err, files["/out"].content)
		}
		if got.Err != "" {
			return
		}
		_, cf := built(t, Result{Layout: got.Layout})
		if said, _ := json.Marshal(cf); strings.Contains(string(said), "proxy.example") {
			t.Errorf("the image says it: %s", said)
		}
	})
}

// What honest steps and ADD fetch they still reach, by name too, where the machine's
// resolver is on its loopback.
func TestStepsReachTheNetwork(t *testing.T) {
	eachUser(t, func(t *testing.T, e Engine, u builderUser) {
		p := newPlace(t, e, u)
		address := ""
		addresses, err := net.InterfaceAddrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addresses {
			if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
				address = ip.IP.String()
				break
			}
		}
		testkit.Needed(t, address != "", "a network")
		l, err := net.Listen("tcp", address+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "fetched ", r.Host) }))
		_, port, _ := net.SplitHostPort(l.Addr().String())
		nameServer(t, "127.0.0.53:53", net.ParseIP(address))
		p.resolv = p.write("resolv.conf", "nameserver 127.0.0.53\nsearch example\n", 0o644)
		files, got := p.build("net", "FROM base\nADD http://packages.example:"+port+"/ /added\nRUN busybox wget -q -O /stepped http://packages.example:"+port+"/\n", nil)
		want := "fetched packages.example:" + port
		if got.Err != "" || files["/added"].content != want || files["/stepped"].content != want || len(got.Warnings) > 0 {
			t.Errorf("%s %q %q %q", got.Err, files["/added"].content, files["/stepped"].content, got.Warnings)
		}
	})
}

// nameServer answers every question for an address with one.
// https://www.rfc-editor.org/rfc/rfc1035#section-4
func nameServer(t *testing.T, at string, address net.IP) {
	t.Helper()
	c, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		for {
			question := make([]byte, 512)
			n, from, err := c.ReadFrom(question)
			if err != nil {
				return
			}
			end := 12
			for end < n && question[end] != 0 {
				end += int(question[end]) + 1
			}
			end += 5 // the root, type and class
			if end > n {
				continue
			}
			answer := append([]byte{}, question[:end]...)
			answer[2], answer[3] = 0x81, 0x80
			copy(answer[6:12], []byte{0, 0, 0, 0, 0, 0})
			if question[end-3] == 1 { // A
				answer[7] = 1
				answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4)
				answer = append(answer, address.To4()...)
			}
			c.WriteTo(answer, from)
		}
	}()
}

// Where there is no network to be had, a build goes on without, and says why.
func TestStepsWithoutANetworkSaySo(t *testing.T) {
	eachUser(t, func(t *testing.T, e Engine, u builderUser) {
		p := newPlace(t, e, u)
		c := newCanaries(p)
		p.write("broken/slirp4netns", "#!/bin/sh\necho no tun here >&2\nexit 1\n", 0o755)
		files, got := p.build("offline", "FROM base\nRUN attack loopback="+c.port+" > /out\n", nil, "PATH="+p.dir+"/broken:"+os.Getenv("PATH"))
		if got.Err != "" || files["/out"].content != "" {
			t.Errorf("%s %q", got.Err, files["/out"].content)
		}
		if len(got.Warnings) != 1 || !strings.HasPrefix(got.Warnings[0], "its steps reach no network: slirp4netns: no tun here") {
			t.Errorf("warnings %q", got.Warnings)
		}
		c.untouched(t)
	})
}
