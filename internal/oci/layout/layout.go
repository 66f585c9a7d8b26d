// Package layout reads and writes OCI image layouts on disk:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
//
// It is the only package that knows the files of a layout. The package of the same
// name in go-containerregistry does not serve here: it rewrites index.json in place,
// takes no lock, follows links and reads files of any size.
package layout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/atomicfile"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/private"
)

// RefNameAnnotation names an entry of index.json.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md
const RefNameAnnotation = "org.opencontainers.image.ref.name"

// IndexFile is the name of the file that lists a layout's entries.
const IndexFile = "index.json"

// The other files of a layout. Blobs are blobs/ALGORITHM/HEX.
const (
	versionFile = "oci-layout"
	blobsDir    = "blobs"
)

// version is the content of versionFile.
type version struct {
	Version string `json:"imageLayoutVersion"`
}

const knownVersion = "1.0.0"

// ErrLocked is returned by Create when another process writes the layout.
var ErrLocked = errors.New("another process is writing to it")

// Layout is an OCI image layout in a folder. Blobs appear whole under their digest,
// and index.json changes last, by rename: a reader sees the old state or the new
// one. Links inside the folder are not followed out of it. Methods may be called
// from several goroutines at once.
type Layout struct {
	dir string

	mu   sync.Mutex // held while index.json is rewritten
	lock *os.File   // of the folder itself; nil when opened for reading

	known atomic.Pointer[knownIndex] // nil until index.json is read or written
}

// Open opens a layout for reading. Another process may write to it at the same time.
func Open(dir string) (*Layout, error) {
	l := &Layout{dir: dir}
	content, err := l.readFile(versionFile, MaxDocument)
	if err != nil {
		return nil, fmt.Errorf("opening the OCI layout %s: %w", dir, err)
	}
	var v version
	if err := json.Unmarshal(content, &v); err != nil {
		return nil, fmt.Errorf("opening the OCI layout %s: %s: %w", dir, versionFile, err)
	}
	if v.Version != knownVersion {
		return nil, fmt.Errorf("opening the OCI layout %s: version %q is unknown", dir, v.Version)
	}
	return l, nil
}

// Create opens a layout for writing, and creates it if it does not exist. Only one
// process at a time may write. If another one does, Create calls waiting once and waits
// until that process closes the layout or ctx ends; if waiting is nil, it returns
// ErrLocked. It refuses a folder with other content, a folder with links among the
// layout's files, and one that other users can change. Close unlocks.
func Create(ctx context.Context, dir string, waiting func()) (*Layout, error) {
	fail := func(err error) (*Layout, error) {
		return nil, fmt.Errorf("creating the OCI layout %s: %w", dir, err)
	}
	if err := refuseForeign(dir); err != nil {
		return fail(err)
	}
	if err := refuseLinks(dir); err != nil {
		return fail(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, blobsDir, "sha256"), 0o777); err != nil {
		return fail(err)
	}
	// libre signs what is in the folder.
	if err := private.CheckTrusted(dir); err != nil {
		return nil, &fault.Fault{Doing: "creating the OCI layout " + dir, Err: err, Fix: "remove it, or use a folder of your own"}
	}
	lock, err := lockFolder(ctx, dir, waiting)
	if err != nil {
		return nil, fmt.Errorf("locking the OCI layout %s: %w", dir, err)
	}
	if err := createMissing(dir); err != nil {
		lock.Close()
		return fail(err)
	}
	l, err := Open(dir)
	if err != nil {
		lock.Close()
		return nil, err
	}
	l.lock = lock
	return l, nil
}

// refuseForeign refuses a folder that is used for something else.
func refuseForeign(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == versionFile || e.Name() == blobsDir {
			return nil
		}
	}
	if len(entries) > 0 {
		return fmt.Errorf("the folder is neither empty nor an OCI layout: it holds %q", entries[0].Name())
	}
	return nil
}

// refuseLinks refuses a folder in which a link would lead writes elsewhere.
func refuseLinks(dir string) error {
	for _, below := range []string{"", blobsDir} {
		entries, err := os.ReadDir(filepath.Join(dir, below))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Type() == fs.ModeSymlink {
				return fmt.Errorf("%s is a link", filepath.Join(below, e.Name()))
			}
		}
	}
	return nil
}

// lockFolder locks the folder itself, so that the layout has no lock file. The kernel
// drops the lock when the process ends.
func lockFolder(ctx context.Context, dir string, waiting func()) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for called := false; ; called = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, err
		}
		if waiting == nil {
			f.Close()
			return nil, ErrLocked
		}
		if !called {
			waiting()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// createMissing writes index.json and oci-layout if they do not exist.
func createMissing(dir string, entries ...v1.Descriptor) error {
	for _, f := range []struct {
		name    string
		content any
	}{
		{IndexFile, newIndex(entries)},
		{versionFile, version{knownVersion}},
	} {
		name := filepath.Join(dir, f.name)
		if _, err := os.Stat(name); err == nil {
			continue
		}
		content, err := encode(f.content)
		if err != nil {
			return err
		}
		if err := atomicfile.Write(name, content, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// Link turns an empty folder into a layout whose only entry is d, with links to the blobs of
// this layout. It is for programs that follow links, and accept only layouts of one image.
func (l *Layout) Link(dir string, d v1.Descriptor) error {
	blobs, err := filepath.Abs(filepath.Join(l.dir, blobsDir))
	if err != nil {
		return err
	}
	if err := os.Symlink(blobs, filepath.Join(dir, blobsDir)); err != nil {
		return err
	}
	return createMissing(dir, d)
}

// Close unlocks the layout. It can still be read.
func (l *Layout) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lock == nil {
		return nil
	}
	lock := l.lock
	l.lock = nil
	return lock.Close()
}

func (l *Layout) writable() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkLock()
}

// checkLock returns an error if the layout was opened for reading. The caller holds mu.
func (l *Layout) checkLock() error {
	if l.lock == nil {
		return fmt.Errorf("writing to %s: it was opened for reading", l.dir)
	}
	return nil
}

// Dir returns the folder of the layout, as it was opened.
func (l *Layout) Dir() string { return l.dir }

// open opens a regular file of the layout. It follows no link, since another user may
// have written the layout. For anything but a regular file the error is fs.ErrNotExist.
func (l *Layout) open(name string) (*os.File, fs.FileInfo, error) {
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	info, err := regular(root, name) // first: opening a pipe waits for its other end
	if err != nil {
		return nil, nil, err
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, nil, notOpened(name, err)
	}
	return f, info, nil
}

func (l *Layout) stat(name string) (fs.FileInfo, error) {
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return regular(root, name)
}

func regular(root *os.Root, name string) (fs.FileInfo, error) {
	info, err := root.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, notOpened(name, err)
	}
	return info, nil
}

// notOpened returns the reason of an error, as an error of opening name.
func notOpened(name string, err error) error {
	if reason := (*fs.PathError)(nil); errors.As(err, &reason) {
		err = reason.Err
	}
	return &fs.PathError{Op: "open", Path: name, Err: err}
}

// readFile reads a file of at most the given number of bytes.
func (l *Layout) readFile(name string, most int64) ([]byte, error) {
	f, _, err := l.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAtMost(f, most)
}

func readAtMost(r io.Reader, most int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(content)) > most {
		err = fmt.Errorf("it is larger than %d bytes", most)
	}
	return content, err
}
