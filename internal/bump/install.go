package bump

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/libresh/libre/internal/atomicfile"
)

// Install replaces files of a catalogue, all or none. before are their expected contents:
// if a file was changed meanwhile, nothing is written.
func Install(dir string, before, after map[string][]byte) (err error) {
	var written []*atomicfile.File
	defer func() {
		for _, file := range written {
			file.Discard()
		}
	}()
	names := slices.Sorted(maps.Keys(after))
	for _, name := range names {
		path := filepath.Join(dir, name)
		now, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !bytes.Equal(now, before[name]) {
			return fmt.Errorf("%s was changed meanwhile: nothing was written; run the same command again", name)
		}
		beside, err := writeBeside(path, after[name])
		if err != nil {
			return err
		}
		written = append(written, beside)
	}
	for i, name := range names {
		if err := written[i].Replace(filepath.Join(dir, name)); err != nil {
			return errors.Join(err, Restore(dir, names[:i], before))
		}
	}
	return nil
}

// Restore restores the contents that files had before Install. It overwrites files in
// place, which succeeds on a full disk too.
func Restore(dir string, names []string, before map[string][]byte) error {
	var failures []error
	for _, name := range names {
		path := filepath.Join(dir, name)
		if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, before[name]) {
			continue
		}
		beside, err := writeBeside(path, before[name])
		if err == nil {
			defer beside.Discard()
			err = beside.Replace(path)
		}
		if err != nil {
			err = os.WriteFile(path, before[name], 0o644)
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s has an edit that could not be undone: %w", name, err))
		}
	}
	return errors.Join(failures...)
}

// writeBeside writes a file that can take another one's place, with its mode.
func writeBeside(path string, content []byte) (*atomicfile.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	file, err := atomicfile.Create(filepath.Dir(path), 0o600)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Chmod(info.Mode().Perm())
	}
	if err != nil {
		file.Discard()
		return nil, err
	}
	return file, nil
}
