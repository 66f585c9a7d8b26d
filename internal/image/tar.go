package image

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libresh/libre/internal/nix"
)

// layerTime is the mtime of every entry, as in a Nix store. Some tools take zero for
// "not set".
var layerTime = time.Unix(1, 0).UTC()

// tree writes file system trees as tar. The bytes depend only on names, contents,
// executable bits and link targets: format PAX, mtime 1, no user or group names, no
// extended attributes, hard links as separate files. Entries are in the order of a walk
// with the names of each folder sorted bytewise.
type tree struct {
	tw  *tar.Writer
	ctx context.Context
}

// buffers are for copying files, of one layer after the other.
var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

func newTree(ctx context.Context, w io.Writer) *tree {
	return &tree{tw: tar.NewWriter(w), ctx: ctx}
}

// dir writes a folder. name is relative, without a slash at the end.
func (t *tree) dir(name string, mode int64, uid, gid int) error {
	return t.header(tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: uid, Gid: gid})
}

func (t *tree) symlink(name, target string, uid, gid int) error {
	return t.header(tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777, Uid: uid, Gid: gid})
}

// file writes the content of the regular file at source.
func (t *tree) file(name, source string, mode int64, uid, gid int) error {
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.header(tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: mode, Uid: uid, Gid: gid}); err != nil {
		return err
	}
	// Hide WriterTo and ReaderFrom: with them io.CopyBuffer ignores the buffer.
	buffer := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buffer)
	n, err := io.CopyBuffer(struct{ io.Writer }{t.tw}, struct{ io.Reader }{f}, buffer[:])
	if errors.Is(err, tar.ErrWriteTooLong) || (err == nil && n != info.Size()) {
		return fmt.Errorf("%s changed while it was read", source)
	}
	return err
}

func (t *tree) header(h tar.Header) error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	if err := checkName(h.Name); err != nil {
		return err
	}
	h.ModTime, h.Format = layerTime, tar.FormatPAX
	return t.tw.WriteHeader(&h)
}

// storePaths writes store paths under their own names, after their parents (nix/,
// nix/store/). Every layer has the parents: an unpacker would create them with its own
// time and umask, and the bytes of a layer must not depend on which layer is first.
func (t *tree) storePaths(paths []nix.PathInfo, storeRoot string) error {
	paths = slices.SortedFunc(slices.Values(paths), func(a, b nix.PathInfo) int { return cmp.Compare(a.Path, b.Path) })
	written := map[string]bool{}
	for _, p := range paths {
		name := strings.TrimPrefix(p.Path, "/")
		for _, parent := range parents(name) {
			if !written[parent] {
				written[parent] = true
				if err := t.dir(parent, 0o755, 0, 0); err != nil {
					return err
				}
			}
		}
		if err := t.storePath(name, storeRoot+p.Path); err != nil {
			return err
		}
	}
	return nil
}

// storePath writes a store path with the modes of a Nix store, 0555 for folders as well:
// a program in the image sees the same as its tests during the build, and not even root
// without CAP_DAC_OVERRIDE can change it.
func (t *tree) storePath(name, source string) error {
	return walk(source, func(rel string, info fs.FileInfo) error {
		entry := path.Join(name, rel)
		from := filepath.Join(source, rel)
		switch info.Mode().Type() {
		case fs.ModeDir:
			return t.dir(entry, 0o555, 0, 0)
		case fs.ModeSymlink:
			target, err := os.Readlink(from)
			if err != nil {
				return err
			}
			return t.symlink(entry, target, 0, 0)
		case 0:
			return t.file(entry, from, 0o444|executable(info)&0o111, 0, 0)
		}
		return fmt.Errorf("%s is neither a file, a folder nor a link", from)
	})
}

// executable returns 0777 if the owner may execute, as Nix decides it, or else 0.
func executable(info fs.FileInfo) int64 {
	if info.Mode()&0o100 != 0 {
		return 0o777
	}
	return 0
}

// walk calls f for root (as "") and all below it, each folder before its content, with
// names sorted bytewise.
func walk(root string, f func(rel string, info fs.FileInfo) error) error {
	info, err := os.Lstat(root)
	if err != nil {
		return err
	}
	return walkInto(root, "", info, f)
}

func walkInto(root, rel string, info fs.FileInfo, f func(string, fs.FileInfo) error) error {
	if err := f(rel, info); err != nil || !info.IsDir() {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(root, rel)) // sorted by name
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if err := walkInto(root, path.Join(rel, e.Name()), info, f); err != nil {
			return err
		}
	}
	return nil
}

// parents lists the folders above a relative name, the outermost first.
func parents(name string) []string {
	var out []string
	for i, c := range name {
		if c == '/' {
			out = append(out, name[:i])
		}
	}
	return out
}
