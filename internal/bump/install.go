package bump

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/libresh/libre/internal/atomicfile"
)

// Install replaces files of a catalogue, all or none. before are their expected contents,
// nil for a new file: if a file was changed meanwhile, nothing is written. after are the new
// contents, nil to remove a file.
func Install(dir string, before, after map[string][]byte) (err error) {
	written := map[string]*atomicfile.File{}
	defer func() {
		for _, file := range written {
			file.Discard()
		}
	}()
	names := slices.Sorted(maps.Keys(after))
	for _, name := range names {
		path := filepath.Join(dir, name)
		now, err := readIfThere(path)
		if err != nil {
			return err
		}
		if (now == nil) != (before[name] == nil) || !bytes.Equal(now, before[name]) {
			return fmt.Errorf("%s was changed in the meantime: nothing was written; run the same command again", name)
		}
		if after[name] == nil {
			continue
		}
		if written[name], err = writeBeside(path, after[name]); err != nil {
			delete(written, name)
			return err
		}
	}
	for i, name := range names {
		var err error
		path := filepath.Join(dir, name)
		if after[name] == nil {
			err = remove(path)
		} else {
			err = written[name].Replace(path)
		}
		if err != nil {
			return errors.Join(err, Restore(dir, names[:i], before))
		}
	}
	return nil
}

// readIfThere returns the content of a file, not nil, or nil if there is none.
func readIfThere(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return append([]byte{}, content...), err
}

// Restore restores the contents that files had before Install. It overwrites files in
// place, which succeeds on a full disk too.
func Restore(dir string, names []string, before map[string][]byte) error {
	var failures []error
	for _, name := range names {
		if err := restore(filepath.Join(dir, name), before[name]); err != nil {
			failures = append(failures, fmt.Errorf("%s has an edit that could not be undone: %w", name, err))
		}
	}
	return errors.Join(failures...)
}

// remove removes a file, and its folder if that is empty then.
func remove(path string) error {
	err := os.Remove(path)
	_ = os.Remove(filepath.Dir(path)) // fails unless it is empty
	return err
}

// restore restores one file, or removes it if it was not there.
func restore(path string, before []byte) error {
	now, err := readIfThere(path)
	switch {
	case before == nil && now == nil:
		return nil
	case before == nil:
		return remove(path)
	case err == nil && bytes.Equal(now, before):
		return nil
	}
	beside, err := writeBeside(path, before)
	if err == nil {
		defer beside.Discard()
		err = beside.Replace(path)
	}
	if err != nil {
		err = os.WriteFile(path, before, 0o644)
	}
	return err
}

// writeBeside writes a file that can take another one's place, with its mode. It makes the
// folder of a new file.
func writeBeside(path string, content []byte) (*atomicfile.File, error) {
	mode := fs.FileMode(0o644)
	info, err := os.Stat(path)
	switch {
	case err == nil:
		mode = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := atomicfile.Create(filepath.Dir(path), 0o600)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Chmod(mode)
	}
	if err != nil {
		file.Discard()
		return nil, err
	}
	return file, nil
}
