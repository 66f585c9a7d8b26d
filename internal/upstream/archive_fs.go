package upstream

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

type archiveKind uint8

const (
	archiveFile archiveKind = iota
	archiveExecutable
	archiveFolder
	archiveLink
)

type archiveEntry struct {
	kind     archiveKind
	declared bool                     // false for a folder that is only in the names of other entries
	offset   int64                    // of a file, in the temporary file
	size     int64                    // of a file
	target   string                   // of a link
	children map[string]*archiveEntry // of a folder
}

// sorted returns the names in a folder in byte order, the order of a NAR and an fs.FS.
func (e *archiveEntry) sorted() []string { return slices.Sorted(maps.Keys(e.children)) }

// walk visits everything below e.
func (e *archiveEntry) walk(name string, visit func(string, *archiveEntry) error) error {
	for _, child := range e.sorted() {
		below := path.Join(name, child)
		if err := visit(below, e.children[child]); err != nil {
			return err
		}
		if err := e.children[child].walk(below, visit); err != nil {
			return err
		}
	}
	return nil
}

func (a *Archive) section(e *archiveEntry) *io.SectionReader {
	return io.NewSectionReader(a.spool, e.offset, e.size)
}

// Open opens a file or a folder. It returns an error for a link and for a name below one.
func (a *Archive) Open(name string) (fs.File, error) {
	info, err := a.lookup("open", name)
	if err != nil {
		return nil, err
	}
	switch info.kind {
	case archiveLink:
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("is a symbolic link")}
	case archiveFolder:
		return &openFolder{archiveInfo: info}, nil
	}
	return &openFile{info, a.section(info.archiveEntry)}, nil
}

// Stat is the same as Lstat.
func (a *Archive) Stat(name string) (fs.FileInfo, error) { return a.Lstat(name) }

// Lstat describes an entry: a link itself, not its target.
func (a *Archive) Lstat(name string) (fs.FileInfo, error) {
	info, err := a.lookup("stat", name)
	if err != nil {
		return nil, err
	}
	return info, nil
}

// ReadLink returns the target of a link, unchanged.
func (a *Archive) ReadLink(name string) (string, error) {
	info, err := a.lookup("readlink", name)
	if err != nil {
		return "", err
	}
	if info.kind != archiveLink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return info.target, nil
}

func (a *Archive) lookup(op, name string) (archiveInfo, error) {
	if !fs.ValidPath(name) {
		return archiveInfo{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	e := a.root
	if name != "." {
		for part := range strings.SplitSeq(name, "/") {
			if e = e.children[part]; e == nil {
				return archiveInfo{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
			}
		}
	}
	return archiveInfo{path.Base(name), e}, nil
}

// archiveInfo is an entry as fs.FileInfo and fs.DirEntry.
type archiveInfo struct {
	name string
	*archiveEntry
}

func (i archiveInfo) Name() string               { return i.name }
func (i archiveInfo) Size() int64                { return i.size }
func (i archiveInfo) ModTime() time.Time         { return time.Time{} }
func (i archiveInfo) IsDir() bool                { return i.kind == archiveFolder }
func (i archiveInfo) Sys() any                   { return nil }
func (i archiveInfo) Type() fs.FileMode          { return i.Mode().Type() }
func (i archiveInfo) Info() (fs.FileInfo, error) { return i, nil }
func (i archiveInfo) String() string             { return fs.FormatFileInfo(i) }

func (i archiveInfo) Mode() fs.FileMode {
	switch i.kind {
	case archiveFolder:
		return fs.ModeDir | 0o555
	case archiveLink:
		return fs.ModeSymlink | 0o777
	case archiveExecutable:
		return 0o555
	}
	return 0o444
}

type openFile struct {
	info archiveInfo
	*io.SectionReader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openFolder struct {
	archiveInfo
	read int // entries returned so far
}

func (f *openFolder) Stat() (fs.FileInfo, error) { return f.archiveInfo, nil }
func (f *openFolder) Close() error               { return nil }

func (f *openFolder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.name, Err: errors.New("is a directory")}
}

// ReadDir returns the next n entries, or all that are left if n is not positive.
func (f *openFolder) ReadDir(n int) ([]fs.DirEntry, error) {
	names := f.sorted()[f.read:]
	if n > 0 && len(names) == 0 {
		return nil, io.EOF
	}
	if n > 0 && n < len(names) {
		names = names[:n]
	}
	f.read += len(names)
	entries := make([]fs.DirEntry, len(names))
	for i, name := range names {
		entries[i] = archiveInfo{name, f.children[name]}
	}
	return entries, nil
}
