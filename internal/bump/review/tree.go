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
	"strings"

	"github.com/libresh/libre/internal/bump/outside"
	"github.com/libresh/libre/internal/text"
)

const (
	maxTried = 64 << 20 // bytes of the files that one change touches
	maxAdded = 20_000   // files of an added folder
)

// obstacle is why a change cannot be tried here, though a build might take it.
type obstacle string

func (o obstacle) Error() string { return string(o) }

// tree is a source with changes that were made to it, held in memory.
type tree struct {
	source  fs.FS
	changed map[string]*entry // nil for what is gone
}

// entry is a changed file. Its folders are there because it is.
type entry struct {
	data  []byte
	local string // path on this machine, in place of data
	mode  fs.FileMode
}

func newTree(source fs.FS) *tree { return &tree{source, map[string]*entry{}} }

func (t *tree) clone() *tree { return &tree{t.source, maps.Clone(t.changed)} }

// mode tells what name is: an fs.ErrNotExist where it is nothing, an obstacle
// where it is a link or below one, as nothing follows links here.
func (t *tree) mode(name string) (fs.FileMode, error) {
	if !fs.ValidPath(name) {
		return 0, obstacle(outside.Shorten(text.Line(name)) + " is no path inside of the source")
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
	return obstacle(outside.Shorten(text.Line(name)) + " is a symbolic link")
}

// modeOf is mode for a name in a folder that exists.
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

// read gives the content of a file that mode has found.
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
		return nil, obstacle(outside.Shorten(text.Line(name)) + " is too large to be tried")
	}
	return data, err
}

// substitute replaces a text in a file.
func (p *prover) substitute(c Change, proof *Proof) error {
	mode, err := p.tree.mode(c.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		proof.Verdict, proof.Reason = Fails, "the new source has no such file"
		return nil
	case err != nil:
		return err
	case !mode.IsRegular():
		proof.Verdict, proof.Reason = Fails, "it is no file in the new source"
		return nil
	}
	data, err := p.tree.read(c.File)
	if err != nil {
		return err
	}
	text := string(data)
	if c.From == "" || !strings.Contains(text, c.From) {
		proof.Verdict, proof.Reason = Fails, fmt.Sprintf("the text %q is gone", outside.Shorten(c.From))
		if c.To != "" && strings.Contains(text, c.To) {
			proof.Reason += fmt.Sprintf(", %q is there", outside.Shorten(c.To))
		}
		return nil
	}
	proof.Verdict = Applies
	p.tree.changed[c.File] = &entry{data: []byte(strings.ReplaceAll(text, c.From, c.To)), mode: mode}
	return nil
}

// add lays a file or a folder over the source. The build does that with cp, which
// puts what it copies inside of a folder of that name.
func (p *prover) add(c Change, proof *Proof) error {
	info, err := os.Lstat(c.Added)
	if err != nil {
		return err
	}
	for above := path.Dir(c.File); above != "."; above = path.Dir(above) {
		if mode, err := p.tree.mode(above); err == nil && !mode.IsDir() {
			proof.Verdict, proof.Reason = Fails, outside.Shorten(text.Line(above))+" is a file in the new source"
			return nil
		}
	}
	mode, err := p.tree.mode(c.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		proof.Verdict = Applies
	case err != nil:
		return err
	case mode.IsDir() && p.before == nil:
		return obstacle("it is a folder in the new source, and what it was before is not known")
	case mode.IsDir() && !isFolder(p.before, c.File):
		proof.Verdict, proof.Reason = Fails, "it is a folder in the new source, and what is added would land inside of it"
		return nil
	case mode.IsDir():
		proof.Verdict = Applies
		return nil
	case info.IsDir():
		proof.Verdict, proof.Reason = Fails, "it is a file in the new source, and a folder is added"
		return nil
	default:
		proof.Verdict, proof.Reason = p.hides(c.File)
	}
	return p.tree.lay(c.File, c.Added)
}

func isFolder(source fs.FS, name string) bool {
	info, err := fs.Lstat(source, name)
	return err == nil && info.IsDir()
}

// hides judges an addition in the place of a file.
func (p *prover) hides(name string) (Verdict, string) {
	now, err := newTree(p.after).read(name)
	if err != nil {
		return Applies, "" // another change made the file
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

// lay puts a file or folder of this machine at name.
func (t *tree) lay(name, local string) error {
	files := 0
	return filepath.WalkDir(local, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if files++; files > maxAdded {
			return obstacle("the folder that is added has too many files")
		}
		relative, err := filepath.Rel(local, at)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		t.changed[path.Join(name, filepath.ToSlash(relative))] = &entry{local: at, mode: info.Mode()}
		return nil
	})
}
