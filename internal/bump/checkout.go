package bump

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/nixedit"
)

// checkout is a catalogue and a copy of it for trying edits. They reach the catalogue all
// together or not at all.
type checkout struct {
	dir      string            // the catalogue
	copy     string            // of what a flake sees of it
	original map[string][]byte // edited files with the catalogue's contents, by path; nil for a new one
}

// newCheckout copies a catalogue. The caller removes the copy.
func newCheckout(ctx context.Context, dir string) (*checkout, error) {
	files, err := flakeFiles(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("copying %s: %w", dir, err)
	}
	c := &checkout{dir: dir, original: map[string][]byte{}}
	if c.copy, err = os.MkdirTemp("", "libre-bump-"); err != nil {
		return nil, err
	}
	for _, name := range files {
		if err := copyEntry(filepath.Join(c.copy, name), filepath.Join(dir, name)); err != nil {
			c.remove()
			return nil, fmt.Errorf("copying %s: %w", dir, err)
		}
	}
	return c, nil
}

func (c *checkout) remove() { os.RemoveAll(c.copy) }

// flakeFiles lists what Nix sees of a folder: the files that git tracks, or all files
// without git.
func flakeFiles(ctx context.Context, dir string) ([]string, error) {
	out, err := git.Output(ctx, dir, "ls-files", "--cached", "-z")
	if err == nil {
		return slices.Compact(strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")), nil
	}
	if !errors.Is(err, git.ErrNoRepository) && !errors.Is(err, git.ErrMissing) {
		return nil, err
	}
	var files []string
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path == filepath.Join(dir, "dist") {
				return fs.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(dir, path)
		files = append(files, name)
		return err
	})
	return files, err
}

// copyEntry copies a file or a link. It skips tracked files that do not exist. A folder is
// a submodule, whose contents a flake does not see.
func copyEntry(to, from string) error {
	info, err := os.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is neither a file nor a symbolic link", from)
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, info.Mode().Perm()|0o200)
}

// place returns the path of a file in the copy. Links in a stranger's catalogue may lead
// elsewhere within it, but not outside.
func (c *checkout) place(name string) (string, error) {
	top, err := filepath.EvalSymlinks(c.copy)
	if err != nil {
		return "", err
	}
	path, err := filepath.EvalSymlinks(filepath.Join(top, name))
	if err != nil {
		return "", err
	}
	if inside, err := filepath.Rel(top, path); err != nil || !filepath.IsLocal(inside) || !filepath.IsLocal(name) {
		return "", fmt.Errorf("%s is not a file of the catalogue", name)
	}
	return path, nil
}

// read reads a file of the copy, by its path in the catalogue.
func (c *checkout) read(name string) ([]byte, error) {
	path, err := c.place(name)
	if err != nil {
		return nil, err
	}
	content, err := file.Read(path)
	if _, known := c.original[name]; err == nil && !known {
		c.original[name] = content
	}
	return content, err
}

// create writes a new file of the copy. It is an error if the catalogue has a file of this
// name, tracked or not.
func (c *checkout) create(name string, content []byte) error {
	for _, dir := range []string{c.dir, c.copy} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return cmp.Or(err, fmt.Errorf("%s exists already: remove it, or the entry that uses it", name))
		}
	}
	c.original[name] = nil
	return c.writeNew(name, content)
}

// writeNew writes a file that the copy does not have.
func (c *checkout) writeNew(name string, content []byte) error {
	root, err := os.OpenRoot(c.copy)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return root.WriteFile(name, content, 0o644)
}

// edit changes files of the copy.
func (c *checkout) edit(changes ...nixedit.Change) error {
	files := map[string][]byte{}
	for _, change := range changes {
		name := nixedit.File(change)
		if files[name] != nil {
			continue
		}
		content, err := c.read(name)
		if err != nil {
			return err
		}
		files[name] = content
	}
	edited, err := nixedit.Apply(files, changes...)
	if err != nil {
		return err
	}
	for name, content := range edited {
		if err := c.write(name, content); err != nil {
			return err
		}
	}
	return nil
}

// write writes a file of the copy.
func (c *checkout) write(name string, content []byte) error {
	path, err := c.place(name)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

// changed returns the files that differ from the catalogue's, with their new contents: nil
// for a removed file.
func (c *checkout) changed() (map[string][]byte, error) {
	changed := map[string][]byte{}
	for name, original := range c.original {
		content, err := readIfThere(filepath.Join(c.copy, name))
		if err != nil {
			return nil, err
		}
		if (content == nil) != (original == nil) || !bytes.Equal(content, original) {
			changed[name] = content
		}
	}
	return changed, nil
}

// settle keeps the copy's current contents, or restores it.
func (c *checkout) settle(keep bool) error {
	for name, original := range c.original {
		var err error
		switch {
		case keep:
		case original == nil:
			err = os.Remove(filepath.Join(c.copy, name))
		default:
			if err = c.write(name, original); errors.Is(err, fs.ErrNotExist) {
				err = c.writeNew(name, original)
			}
		}
		if err != nil {
			return err
		}
		if keep || original == nil {
			delete(c.original, name)
		}
	}
	return nil
}
