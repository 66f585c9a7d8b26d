package containerfile

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startNested starts the attacker in new namespaces.
func startNested(path string) {
	nested := exec.Command("/proc/self/exe")
	nested.Args = []string{"attack", "nested=" + path}
	nested.Env = []string{"NESTED=yes"}
	nested.Stdout = os.Stdout
	nested.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	nested.Run() // if namespaces are forbidden, it does not start
}

// attackKernel opens kernel interfaces that affect the whole machine; it changes nothing.
func attackKernel(string) {
	files := []string{
		"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory", "/proc/sysrq-trigger",
		"/proc/sys/fs/binfmt_misc/register", "/sys/kernel/uevent_helper", "/sys/power/state", "/sys/kernel/mm/transparent_hugepage/enabled",
		"/dev/mem", "/dev/port", "/dev/kmsg", "/proc/kcore", "/proc/1/oom_score_adj",
	}
	for _, pattern := range []string{"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/*/cgroup.procs", "/sys/fs/cgroup/*/release_agent", "/sys/fs/cgroup/release_agent", "/sys/module/*/parameters/*", "/sys/block/*/queue/scheduler"} {
		found, _ := filepath.Glob(pattern)
		files = append(files, found...)
	}
	for _, path := range files {
		how := os.O_WRONLY
		if path == "/proc/kcore" {
			how = os.O_RDONLY
		}
		// If the build has its own process namespace, its first process belongs to the build.
		if f, err := os.OpenFile(path, how, 0); err == nil && (path != "/proc/1/oom_score_adj" || os.Getpid() > 1000) {
			escaped("may set %s", filepath.Base(path))
			f.Close()
		}
	}
	if name, err := os.Hostname(); err == nil && unix.Sethostname([]byte(name)) == nil {
		escaped("named the machine")
	}
}

// attackProcess reads, changes and signals a process of the host, by its PID there.
func attackProcess(value string) {
	pid, _ := strconv.Atoi(value)
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		if line, _ := os.ReadFile(path); strings.Contains(string(line), "sleep\x0086") {
			escaped("sees the canary process at %s", path)
		}
	}
	if f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid)); err == nil {
		escaped("opened the memory of %d", pid)
		f.Close()
	}
	if unix.Setpriority(unix.PRIO_PROCESS, pid, 1) == nil {
		escaped("has changed the priority of %d", pid)
	}
	if unix.Prlimit(pid, unix.RLIMIT_CORE, nil, new(unix.Rlimit)) == nil {
		escaped("reads the limits of %d", pid)
	}
	if fd, err := unix.PidfdOpen(pid, 0); err == nil {
		escaped("has a descriptor of %d", pid)
		if other, err := unix.PidfdGetfd(fd, 0, 0); err == nil {
			escaped("took a file of %d", pid)
			unix.Close(other)
		}
		unix.Close(fd)
	}
	if unix.PtraceSeize(pid) == nil {
		escaped("traces %d", pid)
	}
	if unix.Kill(pid, 0) == nil {
		escaped("may kill %d", pid)
		unix.Kill(pid, unix.SIGKILL)
	}
}

// attackSecret looks for a text in the environments of all processes, and in mounted
// secrets.
func attackSecret(text string) {
	for _, pattern := range []string{"/proc/[0-9]*/environ", "/proc/[0-9]*/task/*/environ", "/proc/[0-9]*/cmdline", "/run/secrets/*", "/run/*", "/etc/*", "/dev/shm/*", "/proc/[0-9]*/root/run/secrets/*"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
				continue
			}
			data, _ := os.ReadFile(path)
			// The attacker's own arguments contain the text after "secret=".
			if strings.Contains(strings.ReplaceAll(string(data), "secret="+text, ""), text) {
				escaped("read the secret in %s", path)
			}
		}
	}
	// BuildKit sets a socket even without an agent.
	if agent := os.Getenv("SSH_AUTH_SOCK"); agent != "" {
		if c, err := net.Dial("unix", agent); err == nil {
			escaped("reaches the agent %s", agent)
			c.Close()
		}
	}
}

// attackLoopback connects to a port of the host's loopback, and to an abstract socket with
// the same number, from each network that it can enter.
func attackLoopback(port string) {
	talk(port)
	networks, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, link := range networks {
		onThread(func() {
			if f, err := os.Open(link); err == nil {
				defer f.Close()
				if unix.Setns(int(f.Fd()), unix.CLONE_NEWNET) == nil {
					escaped("entered %s", link)
				}
			}
		})
	}
}

func talk(port string) {
	hosts := []string{"127.0.0.1", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "localhost", "10.0.2.2", "10.0.2.3", "[fd00::2]", "[fd00::3]", "[fe80::2%25tap0]",
		"169.254.1.1", "169.254.1.2", "host.containers.internal", "host.docker.internal", "gateway.docker.internal", "172.17.0.1"}
	var all sync.WaitGroup
	for _, host := range hosts {
		all.Go(func() {
			c, err := net.DialTimeout("tcp", host+":"+port, 2*time.Second)
			if err != nil {
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(2 * time.Second))
			fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n")
			answer := make([]byte, 1000)
			if n, _ := c.Read(answer); n > 0 {
				escaped("reached %s:%s: %q", host, port, answer[:n])
			}
		})
	}
	all.Wait()
	if c, err := net.Dial("unix", "@canary-"+port); err == nil {
		escaped("reached the abstract socket")
		c.Close()
	}
}

// attackSocket connects to a socket by its path, and to those of services.
func attackSocket(path string) {
	for _, root := range roots() {
		for _, socket := range []string{path, "/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock", "/run/dbus/system_bus_socket", "/run/systemd/private", "/nix/var/nix/daemon-socket/socket"} {
			if c, err := net.Dial("unix", root+socket); err == nil {
				c.Close()
				escaped("reached the socket %s", root+socket)
				return
			}
		}
	}
}

// attackMemory looks for shared memory of the host: POSIX, by name, and System V, by number.
func attackMemory(value string) {
	name, number, _ := strings.Cut(value, ",")
	for _, root := range roots() {
		if data, err := os.ReadFile(root + "/dev/shm/" + name); err == nil {
			escaped("read shared memory: %s", data)
		}
	}
	if table, _ := os.ReadFile("/proc/sysvipc/shm"); strings.Count(string(table), "\n") > 1 {
		escaped("sees shared memory of others")
	}
	id, _ := strconv.Atoi(number)
	if _, err := unix.SysvShmAttach(id, 0, unix.SHM_RDONLY); err == nil {
		escaped("attached shared memory")
	}
}

// attackKey looks for a key in keyrings that it may share with the host.
func attackKey(name string) {
	for _, ring := range []int{unix.KEY_SPEC_SESSION_KEYRING, unix.KEY_SPEC_USER_KEYRING, unix.KEY_SPEC_USER_SESSION_KEYRING} {
		if _, err := unix.KeyctlSearch(ring, "user", name, 0); err == nil {
			escaped("found the key %s", name)
		}
	}
	if table, _ := os.ReadFile("/proc/keys"); strings.Contains(string(table), name) {
		escaped("sees the key %s", name)
	}
}

// leaveKey puts a key into the keyring of its user.
func leaveKey(name string) {
	if _, err := unix.AddKey("user", name, []byte("canary"), unix.KEY_SPEC_USER_KEYRING); err != nil {
		panic(err)
	}
}
