package review

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/text"
)

const (
	maxTried = 64 << 20 // bytes of the files that one change touches
	maxAdded = 20_000   // files of an added folder
)

// obstacle is the reason why libre cannot try a change, although a build might accept it.
type obstacle string

func (o obstacle) Error() string { return string(o) }

// tree is a source with changes applied in memory.
type tree struct {
	source  fs.FS
	changed map[string]*entry // nil for a removed file
}

// entry is a changed file. Its parent folders exist implicitly.
type entry struct {
	data  []byte
	local string // path on this machine, in place of data
	mode  fs.FileMode
}

func newTree(source fs.FS) *tree { return &tree{source, map[string]*entry{}} }

func (t *tree) clone() *tree { return &tree{t.source, maps.Clone(t.changed)} }

// mode returns the kind of name. If name does not exist, the error is fs.ErrNotExist. If it is
// a symbolic link or below one, the error is an obstacle, because tree follows no links.
func (t *tree) mode(name string) (fs.FileMode, error) {
	if !fs.ValidPath(name) {
		return 0, obstacle(text.Name(name) + " is not a path inside the source")
	}
	for at := 0; at < len(name); at++ {
		end := strings.IndexByte(name[at:], '/')
		if end < 0 {
			break
		}
		at += end
		mode, err := t.modeOf(name[:at])
		switch {
		case err != nil:
			return 0, err
		case mode&fs.ModeSymlink != 0:
			return 0, linkObstacle(name[:at])
		case !mode.IsDir():
			return 0, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
		}
	}
	mode, err := t.modeOf(name)
	if err == nil && mode&fs.ModeSymlink != 0 {
		return 0, linkObstacle(name)
	}
	return mode, err
}

func linkObstacle(name string) obstacle {
	return obstacle(text.Name(name) + " is a symbolic link")
}

// modeOf is like mode for a name in an existing folder.
func (t *tree) modeOf(name string) (fs.FileMode, error) {
	if e, found := t.changed[name]; found && e != nil {
		return e.mode, nil
	}
	for changed, e := range t.changed {
		if e != nil && strings.HasPrefix(changed, name+"/") {
			return fs.ModeDir | 0o755, nil
		}
	}
	if _, gone := t.changed[name]; gone {
		return 0, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	info, err := fs.Lstat(t.source, name)
	if err != nil {
		return 0, err
	}
	return info.Mode(), nil
}

// read returns the content of a file, which mode must have found.
func (t *tree) read(name string) ([]byte, error) {
	if e := t.changed[name]; e != nil && e.local != "" {
		f, err := os.Open(e.local)
		if err != nil {
			return nil, err
		}
		return readTried(f, name)
	} else if e != nil {
		return e.data, nil
	}
	f, err := t.source.Open(name)
	if err != nil {
		return nil, err
	}
	return readTried(f, name)
}

func readTried(f io.ReadCloser, name string) ([]byte, error) {
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTried+1))
	if err == nil && len(data) > maxTried {
		return nil, obstacle(text.Name(name) + " is too large to try")
	}
	return data, err
}

// substitute replaces a text in a file.
func (p *checker) substitute(c Change, check *PatchCheck) error {
	mode, err := p.tree.mode(c.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		check.Verdict, check.Reason = Fails, "the new source has no such file"
		return nil
	case err != nil:
		return err
	case !mode.IsRegular():
		check.Verdict, check.Reason = Fails, "it is not a file in the new source"
		return nil
	}
	data, err := p.tree.read(c.File)
	if err != nil {
		return err
	}
	content := string(data)
	if c.From == "" || !strings.Contains(content, c.From) {
		check.Verdict, check.Reason = Fails, fmt.Sprintf("the text %q is gone", text.Clip(c.From, 80))
		if c.To != "" && strings.Contains(content, c.To) {
			check.Reason += fmt.Sprintf(", %q is there", text.Clip(c.To, 80))
		}
		return nil
	}
	check.Verdict = Applies
	p.tree.changed[c.File] = &entry{data: []byte(strings.ReplaceAll(content, c.From, c.To)), mode: mode}
	return nil
}

// add copies a file or a folder over the source. An added folder is merged into an existing
// one.
func (p *checker) add(c Change, check *PatchCheck) error {
	files, isFolder, err := added(c.File, c.Added)
	if err != nil {
		return err
	}
	if mode, err := p.tree.mode(c.File); err == nil && !mode.IsDir() && isFolder {
		check.Verdict, check.Reason = Fails, "it is a file in the new source, and a folder is added"
		return nil
	}
	check.Verdict = Applies
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for above := path.Dir(name); above != "."; above = path.Dir(above) {
			if mode, err := p.tree.mode(above); err == nil && !mode.IsDir() {
				check.Verdict, check.Reason = Fails, text.Name(above)+" is a file in the new source"
				return nil
			}
		}
		switch mode, err := p.tree.mode(name); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case mode.IsDir():
			check.Verdict, check.Reason = Fails, "it is a folder in the new source, and a file is added"
			if isFolder {
				check.Reason = text.Name(name) + " is a folder in the new source, and a file is added"
			}
			return nil
		case check.Verdict == Applies:
			check.Verdict, check.Reason = p.hides(name)
		}
	}
	maps.Copy(p.tree.changed, files)
	return nil
}

// hides reports whether an added file hides a file of upstream.
func (p *checker) hides(name string) (Verdict, string) {
	now, err := newTree(p.after).read(name)
	if err != nil {
		return Applies, "" // an earlier change added the file
	}
	if p.before == nil {
		return Replaces, "upstream has a file there"
	}
	was, err := newTree(p.before).read(name)
	switch {
	case err != nil:
		return Replaces, "upstream has a file there now"
	case string(was) != string(now):
		return Replaces, "upstream changed the file that it replaces"
	}
	return Applies, ""
}

// added returns the local files to add at name, which may be a folder.
func added(name, local string) (files map[string]*entry, isFolder bool, err error) {
	files = map[string]*entry{}
	err = filepath.WalkDir(local, func(at string, d fs.DirEntry, err error) error {
		if at == local && err == nil {
			isFolder = d.IsDir()
		}
		if err != nil || d.IsDir() {
			return err
		}
		if len(files) == maxAdded {
			return obstacle("the added folder has too many files")
		}
		relative, err := filepath.Rel(local, at)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files[path.Join(name, filepath.ToSlash(relative))] = &entry{local: at, mode: info.Mode()}
		return nil
	})
	return files, isFolder, err
}
