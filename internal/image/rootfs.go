package image

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Owner is the mode and the owner of a file or a folder of the root file system.
type Owner struct {
	Mode uint32 // permission bits with setuid, setgid and sticky, at most 07777; 0 or 0777 for a link
	UID  int
	GID  int
}

// rootFS writes the tree at source as "/". All entries belong to root; folders have mode
// 0755, files 0644 or, if the owner may execute them, 0755. owners has exceptions by
// absolute path in the image; a path that the tree lacks is an error. There is no entry
// for "/" itself.
func (t *tree) rootFS(source string, owners map[string]Owner) error {
	left := maps.Clone(owners)
	err := walk(source, func(name string, info fs.FileInfo) error {
		if name == "" {
			if !info.IsDir() {
				return fmt.Errorf("the root file system %s is not a folder", source)
			}
			return nil
		}
		owner, declared := left["/"+name]
		delete(left, "/"+name)
		from := filepath.Join(source, name)
		mode := int64(owner.Mode)
		switch info.Mode().Type() {
		case fs.ModeDir:
			if !declared {
				mode = 0o755
			}
			return t.dir(name, mode, owner.UID, owner.GID)
		case fs.ModeSymlink:
			if mode != 0 && mode != 0o777 {
				return fmt.Errorf("/%s is a link and cannot have mode %#o", name, mode)
			}
			target, err := os.Readlink(from)
			if err != nil {
				return err
			}
			return t.symlink(name, target, owner.UID, owner.GID)
		case 0:
			if !declared {
				mode = 0o644 | executable(info)&0o111
			}
			return t.file(name, from, mode, owner.UID, owner.GID)
		}
		return fmt.Errorf("%s is neither a file, a folder nor a link", from)
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		return fmt.Errorf("mode and owner are declared for %s, which is not in the root file system", name)
	}
	return nil
}

// checkOwners refuses values that a tar header cannot have.
func checkOwners(owners map[string]Owner) error {
	for _, name := range slices.Sorted(maps.Keys(owners)) {
		o := owners[name]
		if !strings.HasPrefix(name, "/") || filepath.Clean(name) != name {
			return fmt.Errorf("mode and owner are declared for %q, which is not a clean absolute path", name)
		}
		if o.Mode > 0o7777 || o.UID < 0 || o.GID < 0 {
			return fmt.Errorf("mode %#o, uid %d, gid %d of %s: out of range", o.Mode, o.UID, o.GID, name)
		}
	}
	return nil
}
