package atomicfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// ErrForeign means that a folder has files that Folder did not write.
var ErrForeign = errors.New("it has files of somebody else")

// Folder writes files that belong together: beside first, and in place when all are whole. A
// file in the folder lists them, so that those that are no longer written are removed, and no
// others. Its methods may be called at once, but Replace and Discard.
type Folder struct {
	root    *os.Root
	made    bool   // the folder was not there
	work    string // folder in it, where files are written
	list    string
	former  []string
	mu      sync.Mutex
	written []string
	folders map[string]bool // that are there; each file would ask for each of its own
}

// OpenFolder opens a folder, which it makes if it is not there. list is the name of the file
// that lists the others. A folder that has files and no list is ErrForeign.
func OpenFolder(dir, list string) (*Folder, error) {
	_, err := os.Lstat(dir)
	f := &Folder{made: errors.Is(err, fs.ErrNotExist), work: Prefix + rand.Text(), list: list, folders: map[string]bool{}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if f.root, err = os.OpenRoot(dir); err != nil {
		return nil, err
	}
	if err := f.readList(); err != nil {
		f.Discard()
		return nil, err
	}
	return f, f.root.Mkdir(f.work, 0o755)
}

// readList reads what was written before, and removes what a killed run left.
func (f *Folder) readList() error {
	listed, err := f.root.ReadFile(f.list)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, readErr := fs.ReadDir(f.root.FS(), ".")
	if readErr != nil {
		return readErr
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), Prefix) {
			if err := f.root.RemoveAll(entry.Name()); err != nil {
				return err
			}
		} else if err != nil {
			return fmt.Errorf("%w: %s", ErrForeign, entry.Name())
		}
	}
	for name := range strings.Lines(string(listed)) {
		if name = strings.TrimSuffix(name, "\n"); fs.ValidPath(name) && name != "." && name != f.list {
			f.former = append(f.former, name)
		}
	}
	return nil
}

// Write writes a file beside. name is a path with slashes, relative to the folder.
func (f *Folder) Write(name string, content []byte) error {
	beside := path.Join(f.work, name)
	if err := f.folder(path.Dir(beside)); err != nil {
		return err
	}
	if err := f.root.WriteFile(beside, content, 0o644); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written = append(f.written, name)
	return nil
}

// folder makes a folder and those that it is in.
func (f *Folder) folder(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.folders[name] {
		return nil
	}
	err := f.root.MkdirAll(name, 0o755)
	f.folders[name] = err == nil
	return err
}

// Replace puts the files in place, in the order in which they were written, and removes those
// that were written before and are not now. If there is something else with the name of one,
// it is ErrForeign, and nothing changes.
func (f *Folder) Replace() error {
	known := set(f.former)
	for _, name := range f.written {
		if _, err := f.root.Lstat(name); err == nil && !known[name] {
			return fmt.Errorf("%w: %s", ErrForeign, name)
		}
	}
	if err := f.writeList(slices.Concat(f.former, f.written)); err != nil { // a run that is killed here knows all
		return err
	}
	for _, name := range f.written {
		if err := f.folder(path.Dir(name)); err != nil {
			return err
		}
		if err := f.root.Rename(path.Join(f.work, name), name); err != nil {
			return err
		}
	}
	if err := f.removeFormer(); err != nil {
		return err
	}
	return f.writeList(f.written)
}

func (f *Folder) removeFormer() error {
	now := set(f.written)
	for _, name := range f.former {
		if now[name] {
			continue
		}
		if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if f.root.Remove(dir) != nil {
				break // it has others
			}
		}
	}
	return nil
}

func set(names []string) map[string]bool {
	all := map[string]bool{}
	for _, name := range names {
		all[name] = true
	}
	return all
}

func (f *Folder) writeList(names []string) error {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	beside := path.Join(f.work, f.list)
	if err := f.root.WriteFile(beside, []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	return f.root.Rename(beside, f.list)
}

// Discard removes what is beside, and a folder that was made for nothing. It is for defer.
func (f *Folder) Discard() {
	if f.root == nil {
		return
	}
	_ = f.root.RemoveAll(f.work) // the next run does
	f.root.Close()
	if f.made {
		_ = os.Remove(filepath.Clean(f.root.Name())) // not if there is something in it
	}
}
