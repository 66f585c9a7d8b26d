package containerfile

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

const secret = "canary-secret-5f2b"

// canaries are targets that a build must not reach.
type canaries struct {
	dir     string // of the file and the socket
	file    string
	login   string // the user's login file
	process int
	ended   chan struct{}
	port    string
	hits    *atomic.Int32
	memory  string // name in /dev/shm, and the number of a segment
	key     string // in the keyring of the user
}

func newCanaries(p *place) canaries {
	t := p.t
	t.Helper()
	dir, err := os.MkdirTemp("/var/lib", "libre-canary-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := canaries{dir: dir, file: dir + "/file", login: p.dir + "/home/.docker/config.json", ended: make(chan struct{}), hits: new(atomic.Int32)}
	if err := os.WriteFile(c.file, []byte("canary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.startProcess(p)
	service := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.hits.Add(1); fmt.Fprint(w, "canary") })
	serve := func(network, address string) net.Listener {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Log(err) // a machine without IPv6
			return nil
		}
		go http.Serve(l, service)
		t.Cleanup(func() { l.Close() })
		return l
	}
	_, c.port, _ = net.SplitHostPort(serve("tcp", "127.0.0.1:0").Addr().String())
	serve("tcp", "[::1]:"+c.port)
	serve("unix", "@canary-"+c.port)
	serve("unix", dir+"/socket")
	name := filepath.Base(dir)
	if err := os.WriteFile("/dev/shm/"+name, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove("/dev/shm/" + name) })
	p.run("chown", "-R", fmt.Sprint(p.u.uid), dir, "/dev/shm/"+name)
	id, err := unix.SysvShmGet(int(unix.IPC_PRIVATE), 4096, unix.IPC_CREAT|0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
	c.memory = fmt.Sprintf("%s,%d", name, id)
	c.key = name
	p.run("setpriv", fmt.Sprintf("--reuid=%d", p.u.uid), p.dir+"/attack", "leave="+name)
	return c
}

// startProcess starts a process of the builder's user, with a secret in its environment.
func (c *canaries) startProcess(p *place) {
	process := exec.Command("setpriv", fmt.Sprintf("--reuid=%d", p.u.uid), "--bounding-set=-all", "--inh-caps=-all", "sleep", fmt.Sprintf("86%d", os.Getpid()))
	process.Env = []string{"PATH=" + os.Getenv("PATH"), "SECRET=" + secret}
	if err := process.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { process.Wait(); close(c.ended) }()
	p.t.Cleanup(func() { process.Process.Kill(); <-c.ended })
	c.process = process.Process.Pid
}

// untouched reports which canaries were reached.
func (c canaries) untouched(t *testing.T) {
	t.Helper()
	if data, err := os.ReadFile(c.file); err != nil || string(data) != "canary\n" {
		t.Errorf("the canary file is %q, %v", data, err)
	}
	if beside, _ := os.ReadDir(c.dir); len(beside) != 2 {
		t.Errorf("beside the canary file there is %v", beside)
	}
	select {
	case <-c.ended:
		t.Error("the canary process has ended")
	default:
	}
	if nice, err := unix.Getpriority(unix.PRIO_PROCESS, c.process); err != nil || nice == 1 {
		t.Errorf("the canary process has the priority %d, %v", nice, err)
	}
	if hits := c.hits.Load(); hits > 0 {
		t.Errorf("the service on loopback was reached %d times", hits)
	}
}

func (c canaries) attack() string {
	return fmt.Sprintf("attack secret=%s process=%d loopback=%s memory=%s key=%s kernel file=%s file=%s socket=%s/socket", secret, c.process, c.port, c.memory, c.key, c.file, c.login, c.dir)
}
