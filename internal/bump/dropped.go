package bump

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/libresh/libre/internal/bump/review"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/nixedit"
)

// dropPatch removes a patch from the app's list, or from those of a variant.
func dropPatch(app catalog.App, check review.PatchCheck) (nixedit.Change, error) {
	attribute, where := "patches", "in a list patches of mkApp's argument"
	if check.Variant != "" {
		attribute, where = "variants."+check.Variant, "in a variant of mkApp's argument"
	}
	at := app.Positions[attribute]
	if at == nil {
		return nil, fmt.Errorf("%s: it is not %s: remove it by hand", check.Name, where)
	}
	item := check.Name
	if !strings.Contains(item, "://") {
		inFolder, err := filepath.Rel(filepath.Dir(at.File), check.Name)
		if err != nil {
			return nil, err
		}
		item = "./" + inFolder
	}
	return nixedit.DropPatch{Attribute: nixedit.Attribute{Path: attribute, At: *at}, Item: item}, nil
}

// removeDropped removes the file of a patch that was dropped, unless a definition still has the
// file's name.
func (c *checkout) removeDropped(dropped nixedit.Change) error {
	drop, ok := dropped.(nixedit.DropPatch)
	if !ok || !strings.HasPrefix(drop.Item, "./") {
		return nil // it is at a URL
	}
	name := path.Join(path.Dir(drop.At.File), drop.Item)
	info, err := os.Lstat(filepath.Join(c.copy, name))
	if err != nil || !info.Mode().IsRegular() { // another list had it too
		return nil
	}
	if named, err := c.isNamed(path.Base(name)); named || err != nil {
		return err
	}
	if _, err := c.read(name); err != nil {
		return err
	}
	place, err := c.place(name)
	if err != nil {
		return err
	}
	return os.Remove(place)
}

// isNamed reports whether a definition, or another .nix file, has a text.
func (c *checkout) isNamed(text string) (bool, error) {
	err := filepath.WalkDir(c.copy, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || filepath.Ext(path) != ".nix" {
			return err
		}
		content, err := file.Read(path)
		if err == nil && bytes.Contains(content, []byte(text)) {
			err = errNamed
		}
		return err
	})
	if errors.Is(err, errNamed) {
		return true, nil
	}
	return false, err
}

var errNamed = errors.New("found")
