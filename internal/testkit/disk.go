package testkit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Disk is a folder on a file system that fails when a test wants it to.
// https://docs.kernel.org/filesystems/fuse.html
type Disk struct {
	program string // name of the program whose operations are recorded; operations of others pass

	mu    sync.Mutex
	seen  []Operation
	fails Operation
	errno syscall.Errno
}

// Operation is an operation of a program on a Disk.
type Operation struct {
	Kind string // open, create, mkdir, link, rename, remove, list, read, write, sync, close, or change of times and modes
	Path string // relative to the folder; random parts of names are *
}

func (o Operation) String() string { return o.Kind + " " + o.Path }

// MountDisk mounts a folder at another path until the test ends. It records the operations of
// the program with a name. The test must not start a program in the folder: Go blocks its
// processor until the program has started, and the file system may need the processor for that.
func MountDisk(t testing.TB, folder, at, program string) *Disk {
	t.Helper()
	RequireRoot(t)
	_, err := os.Stat("/dev/fuse")
	Needed(t, err == nil, "/dev/fuse")
	d := &Disk{program: program}
	root := &fs.LoopbackRoot{Path: folder}
	root.RootNode = &diskNode{LoopbackNode: fs.LoopbackNode{RootData: root}, disk: d}
	options := &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "disk", AllowOther: true}}
	server, err := fs.Mount(at, root.RootNode, options)
	if err != nil {
		t.Fatalf("mounting %s: %v", at, err)
	}
	t.Cleanup(func() {
		// A process that ends at this moment may still use it.
		if err := Eventually(server.Unmount); err != nil {
			t.Errorf("unmounting %s: %v", at, err)
		}
	})
	return d
}

// Fail makes an operation fail from now on. It also clears Seen.
func (d *Disk) Fail(operation Operation, errno syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails, d.errno, d.seen = operation, errno, nil
}

// Mend lets all operations pass. It also clears Seen.
func (d *Disk) Mend() { d.Fail(Operation{}, 0) }

// Seen returns the operations since Fail or Mend, each once, sorted.
func (d *Disk) Seen() []Operation {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := slices.Clone(d.seen)
	slices.SortFunc(seen, func(a, b Operation) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(seen)
}

// random matches the parts of names that differ from run to run.
var random = regexp.MustCompile(`\d{8}T[\d.]+-\d+|[0-9a-z]{32,}|[0-9A-Z]{26}|\d{6,}`)

// do records an operation, and returns its error.
func (d *Disk) do(ctx context.Context, kind, path string) syscall.Errno {
	caller, ok := fuse.FromContext(ctx)
	if !ok {
		return 0
	}
	// /proc/PID/exe would wait while a program is started from this disk.
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", caller.Pid))
	if err != nil || strings.TrimSpace(string(name)) != d.program {
		return 0
	}
	o := Operation{kind, random.ReplaceAllString(path, "*")}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = append(d.seen, o)
	if o == d.fails {
		return d.errno
	}
	return 0
}

// diskNode is a file or folder of a Disk.
type diskNode struct {
	fs.LoopbackNode
	disk *Disk
}

func (n *diskNode) WrapChild(context.Context, fs.InodeEmbedder) fs.InodeEmbedder {
	return &diskNode{LoopbackNode: fs.LoopbackNode{RootData: n.RootData}, disk: n.disk}
}

func (n *diskNode) do(ctx context.Context, kind string, name ...string) syscall.Errno {
	return n.disk.do(ctx, kind, filepath.Join(append([]string{n.Path(n.Root())}, name...)...))
}

func (n *diskNode) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.do(ctx, "open"); errno != 0 {
		return nil, 0, errno
	}
	file, _, errno := n.LoopbackNode.Open(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return diskFile{file.(*fs.LoopbackFile), n}, 0, 0
}

func (n *diskNode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.do(ctx, "create", name); errno != 0 {
		return nil, nil, 0, errno
	}
	inode, file, _, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	return inode, diskFile{file.(*fs.LoopbackFile), inode.Operations().(*diskNode)}, 0, 0
}

func (n *diskNode) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.do(ctx, "mkdir", name); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Mkdir(ctx, name, mode, out)
}

func (n *diskNode) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.do(ctx, "link", name); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Link(ctx, target, name, out)
}

func (n *diskNode) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.do(ctx, "link", name); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Symlink(ctx, target, name, out)
}

func (n *diskNode) Rename(ctx context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if errno := n.disk.do(ctx, "rename", filepath.Join(to.EmbeddedInode().Path(n.Root()), newName)); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Rename(ctx, name, to, newName, flags)
}

func (n *diskNode) Unlink(ctx context.Context, name string) syscall.Errno {
	if errno := n.do(ctx, "remove", name); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Unlink(ctx, name)
}

func (n *diskNode) Rmdir(ctx context.Context, name string) syscall.Errno {
	if errno := n.do(ctx, "remove", name); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Rmdir(ctx, name)
}

func (n *diskNode) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.do(ctx, "list"); errno != 0 {
		return nil, 0, errno
	}
	return n.LoopbackNode.OpendirHandle(ctx, flags)
}

func (n *diskNode) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if errno := n.do(ctx, "change"); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Setattr(ctx, f, in, out)
}

// diskFile is an open file of a Disk.
type diskFile struct {
	*fs.LoopbackFile
	node *diskNode
}

// PassthroughFd makes the kernel send all reads and writes to this program.
func (diskFile) PassthroughFd() (int, bool) { return 0, false }

func (f diskFile) Read(ctx context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if errno := f.node.do(ctx, "read"); errno != 0 {
		return nil, errno
	}
	return f.LoopbackFile.Read(ctx, dest, off)
}

func (f diskFile) Write(ctx context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	if errno := f.node.do(ctx, "write"); errno != 0 {
		return 0, errno
	}
	return f.LoopbackFile.Write(ctx, data, off)
}

func (f diskFile) Fsync(ctx context.Context, flags uint32) syscall.Errno {
	if errno := f.node.do(ctx, "sync"); errno != 0 {
		return errno
	}
	return f.LoopbackFile.Fsync(ctx, flags)
}

func (f diskFile) Flush(ctx context.Context) syscall.Errno {
	if errno := f.node.do(ctx, "close"); errno != 0 {
		return errno
	}
	return f.LoopbackFile.Flush(ctx)
}
