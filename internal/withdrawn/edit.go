package withdrawn

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/libresh/libre/internal/atomicfile"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/yamlfile"
)

// Add writes a release at the end of the list of the catalogue in dir, and leaves everything
// else in the file as it is.
func Add(dir string, r Release) error {
	return edit(dir, func(content []byte, list List) ([]byte, error) {
		if former := list.Find(r.App, r.Tag); former != nil {
			return nil, fmt.Errorf("%s %s is withdrawn already, since %s: %s", r.App, r.Tag, former.Date.Format(time.DateOnly), former.Reason)
		}
		return add(content, r)
	})
}

func add(content []byte, r Release) ([]byte, error) {
	return yamlfile.Append(File, content, listKey, []yamlfile.Field{
		{Key: "app", Value: yamlfile.Scalar(r.App)}, {Key: "version", Value: yamlfile.Scalar(r.Tag)},
		{Key: "reason", Value: yamlfile.Scalar(r.Reason)}, {Key: "date", Value: yamlfile.Scalar(r.Date.Format(time.DateOnly))},
	})
}

// Remove takes a release out of the list of the catalogue in dir.
func Remove(dir, app, tag string) error {
	return edit(dir, func(content []byte, list List) ([]byte, error) {
		return remove(content, list, app, tag)
	})
}

func remove(content []byte, list List, app, tag string) ([]byte, error) {
	number := slices.IndexFunc(list, func(r Release) bool { return r.App == app && r.Tag == tag })
	if number < 0 {
		return nil, fmt.Errorf("%s has no %s %s", File, app, tag)
	}
	rest, err := yamlfile.Remove(File, content, listKey, number)
	if err != nil {
		return nil, err
	}
	if left, err := Parse(rest); err != nil || !slices.Equal(left, slices.Delete(slices.Clone(list), number, number+1)) {
		return nil, &fault.Fault{Err: fmt.Errorf("%s is written in a way that libre does not change", File), Fix: "remove the entry of " + app + " " + tag + " by hand"}
	}
	return rest, nil
}

// edit changes the file. The result is one that Load reads.
func edit(dir string, change func([]byte, List) ([]byte, error)) error {
	unlock, err := atomicfile.Lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	path := filepath.Join(dir, File)
	content, err := file.ReadOwn(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	list, err := Parse(content)
	if err != nil {
		return err
	}
	changed, err := change(content, list)
	if err != nil {
		return err
	}
	if _, err := Parse(changed); err != nil {
		return err
	}
	return atomicfile.Write(path, changed, 0o644)
}
