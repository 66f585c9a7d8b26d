// Package edit unpacks a source into a folder under git, where it can be changed by hand, and
// makes a patch of the changes. The source may be hostile: nothing of it is run, and its
// attributes, links and folders .git have no effect.
package edit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/text"
)

// Origin is what the source of a folder is. The folder's .git/config has it.
type Origin struct {
	Catalogue string // folder of the catalogue
	App       string
	Variant   string // "" for all variants
	Version   string // of the app
	Identity  string // of the source
}

// Unpacked is what Unpack could not do as asked.
type Unpacked struct {
	Rejected []string // files with hunks of the patch that do not apply, in FILE.rej
	LeftOut  []string // folders and files .git of the source
}

// Unpack copies a source into a new or empty folder, as the first commit of a repository. patch
// are changes that go on top, uncommitted; nil for none.
func Unpack(ctx context.Context, folder, source string, patch []byte, origin Origin) (_ *Unpacked, err error) {
	entries, err := os.ReadDir(folder)
	made := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !made:
		return nil, err
	case len(entries) > 0:
		return nil, &fault.Fault{Err: fmt.Errorf("%s is not empty (it contains %s)", folder, text.Name(entries[0].Name())), Fix: "name another folder"}
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, emptied(folder, made))
		}
	}()
	unpacked := &Unpacked{}
	if unpacked.LeftOut, err = copyTree(folder, source); err != nil {
		return nil, err
	}
	r := repository{folder}
	if err := r.create(ctx, origin); err != nil {
		return nil, err
	}
	unpacked.Rejected, err = r.apply(ctx, patch)
	return unpacked, err
}

// emptied removes what was written into a folder, and the folder if it is new.
func emptied(folder string, made bool) error {
	if made {
		return os.RemoveAll(folder)
	}
	entries, err := os.ReadDir(folder)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(folder, entry.Name())))
	}
	return err
}

// copyTree copies files, folders and links, which it does not follow. Folders and files .git are
// left out: git would take them for its own.
func copyTree(to, from string) (leftOut []string, err error) {
	err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		switch {
		case strings.EqualFold(entry.Name(), ".git"):
			leftOut = append(leftOut, name)
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return os.MkdirAll(target, 0o755)
		case entry.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s of the source is neither a file nor a folder nor a link", text.Name(name))
		}
		return copyFile(target, path, entry)
	})
	return leftOut, err
}

func copyFile(to, from string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644|info.Mode().Perm()&0o111)
}

// Open finds the folder that libre edit made around dir, and what its source is.
func Open(ctx context.Context, dir string) (folder string, origin Origin, err error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", origin, &fault.Fault{Err: fmt.Errorf("%s is not a folder", dir), Fix: "name the one that libre edit made"}
	}
	unknown := &fault.Fault{Err: fmt.Errorf("%s is in no folder that libre edit made", dir), Fix: "libre edit APP --variant NAME makes one"}
	folder, err = git.Top(ctx, dir)
	if errors.Is(err, git.ErrNoRepository) {
		return "", origin, unknown
	}
	if err != nil {
		return "", origin, err
	}
	r := repository{folder}
	for _, one := range origin.settings() {
		value, err := r.git(ctx, "config", "--local", "--default", "", "--get", one.key)
		if err != nil {
			return "", origin, err
		}
		*one.value = value
	}
	if origin.App == "" || origin.Catalogue == "" {
		return "", origin, unknown
	}
	return folder, origin, nil
}

type setting struct {
	key   string
	value *string
}

func (o *Origin) settings() []setting {
	return []setting{
		{"libre.catalogue", &o.Catalogue}, {"libre.app", &o.App}, {"libre.variant", &o.Variant},
		{"libre.version", &o.Version}, {"libre.source", &o.Identity},
	}
}
