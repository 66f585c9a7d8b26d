package newapp

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Limits of what is read of a source, which is from outside.
const (
	mostFile  = 1 << 20 // bytes of one file
	mostNames = 50_000  // files and folders that are looked at
	mostDepth = 4       // folders above a file
)

// tree is the source: its files by path, read when they are asked for. Links are not followed.
type tree struct {
	files fs.FS
	names []string // of files, sorted
	cut   bool     // there are more than mostNames
}

// ignoredFolders have no program of the app, or another one's.
var ignoredFolders = lazyregexp.New(`(?i)^(\..+|node_modules|vendor|third_party|testdata|tests?|e2e|examples?|samples?|docs?|fixtures)$`)

// newTree lists a source's files.
func newTree(files fs.FS) (*tree, error) {
	t := &tree{files: files}
	seen := 0
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if seen++; seen > mostNames {
			t.cut = true
			return fs.SkipAll
		}
		switch {
		case err != nil:
			return err
		case name != "." && entry.IsDir() && (ignoredFolders().MatchString(entry.Name()) || depth(name) > mostDepth):
			return fs.SkipDir
		case entry.Type().IsRegular():
			t.names = append(t.names, name)
		}
		return nil
	})
	slices.Sort(t.names)
	return t, err
}

func depth(name string) int { return strings.Count(name, "/") + 1 }

// has reports whether there is such a file.
func (t *tree) has(name string) bool {
	_, found := slices.BinarySearch(t.names, name)
	return found
}

// exists reports whether there is such a file or folder, also one that is not listed.
func (t *tree) exists(name string) bool {
	_, err := fs.Lstat(t.files, path.Clean(name))
	return err == nil
}

// read reads a file that is listed; nil if there is none, or if it is too large.
func (t *tree) read(name string) []byte {
	if !t.has(name) {
		return nil
	}
	content, err := readSmall(t.files, name)
	if err != nil {
		return nil
	}
	return content
}

func readSmall(files fs.FS, name string) ([]byte, error) {
	file, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("no file"))
	}
	content, err := io.ReadAll(io.LimitReader(file, mostFile+1))
	if err == nil && len(content) > mostFile {
		err = errors.New("too large")
	}
	return content, err
}

// find lists the files whose name, without folder, matches; those with fewer folders first.
func (t *tree) find(pattern *regexp.Regexp) []string {
	var found []string
	for _, name := range t.names {
		if pattern.MatchString(path.Base(name)) {
			found = append(found, name)
		}
	}
	slices.SortStableFunc(found, func(a, b string) int { return depth(a) - depth(b) })
	return found
}
