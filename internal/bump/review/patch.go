package review

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/text"
)

// PatchError means that patch gave no verdict on a change, because the program is missing or
// was killed.
type PatchError struct {
	Reason string
	Tail   []string // last lines of its output, safe to show
	Err    error
}

func (e *PatchError) Error() string { return "running patch: " + e.Reason }

func (e *PatchError) Unwrap() error { return e.Err }

const (
	maxPatchOutput = 1 << 20 // bytes of output that are kept, the last ones
	maxSections    = 200     // sections tried one by one
)

// patch tries a patch as a whole, as the build does. If that fails, it tries each section.
func (p *checker) patch(ctx context.Context, c Change, check *PatchCheck) error {
	sections := readSections(c.Patch)
	if len(sections) == 0 {
		return obstacle("it is not a unified diff")
	}
	run, err := p.tree.patch(ctx, c.Patch, sections)
	if err != nil {
		return err
	}
	if run.ok {
		check.Verdict, check.Reason = Applies, run.moved()
		if run.fuzz > 0 {
			check.Verdict = AppliesFuzz
		}
		p.tree.adopt(run)
		return nil
	}
	back, err := p.tree.patch(ctx, c.Patch, sections, "-R")
	if err != nil {
		return err
	}
	if back.ok && back.fuzz == 0 {
		check.Verdict = InUpstream
		return nil
	}
	check.Verdict = Fails
	check.Places, err = p.tree.clone().places(ctx, sections)
	if len(check.Places) == 0 {
		check.Reason = run.lastMessage()
	}
	return err
}

// places tries sections one by one, and returns the places that fail.
func (t *tree) places(ctx context.Context, sections []section) ([]Place, error) {
	var places []Place
	for _, s := range sections[:min(len(sections), maxSections)] {
		// With --force only the hunk fails. Otherwise the first hunk that is already applied skips
		// the whole file.
		run, err := t.patch(ctx, s.text, []section{s}, "--force")
		if err != nil {
			return nil, err
		}
		if run.ok {
			t.adopt(run)
			continue
		}
		back, err := t.patch(ctx, s.text, []section{s}, "-R")
		if err != nil {
			return nil, err
		}
		file := t.fileOf(s)
		switch failed := run.failedHunks(s); {
		case !fs.ValidPath(file):
			places = append(places, Place{File: text.Name(file), Reason: "it is not a path inside the source"})
		case back.ok && back.fuzz == 0:
			places = append(places, Place{File: text.Name(file), Reason: "already upstream"})
		case s.create && t.exists(file):
			places = append(places, Place{File: text.Name(file), Reason: "upstream has a file of this name now"})
		case !t.exists(file) && !s.create:
			places = append(places, Place{File: text.Name(file), Reason: "the source has no such file"})
		case len(failed) == 0:
			places = append(places, Place{File: text.Name(file), Reason: run.lastMessage()})
		default:
			lines := t.linesOf(file)
			for _, h := range failed {
				places = append(places, Place{text.Name(file), h.header, h.why(lines)})
			}
		}
	}
	return places, nil
}

// fileOf returns the first name of a section that exists, or otherwise its last name.
func (t *tree) fileOf(s section) string {
	for _, name := range s.names {
		if t.exists(name) {
			return name
		}
	}
	if len(s.names) == 0 {
		return "?"
	}
	return s.names[len(s.names)-1]
}

func (t *tree) exists(name string) bool {
	_, err := t.mode(name)
	return err == nil
}

func (t *tree) linesOf(name string) []string {
	data, err := t.read(name)
	if err != nil {
		return nil
	}
	lines := strings.Split(string(data), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	return lines
}

// why returns the reason why a hunk fails in a file with these lines.
func (h hunk) why(lines []string) string {
	if len(h.new) > 0 && containsRun(lines, h.new) {
		return "already upstream"
	}
	for _, line := range slices.Concat(h.removed, h.old) {
		if !slices.Contains(lines, line) {
			return "no line " + strconv.Quote(text.Name(strings.TrimSpace(line)))
		}
	}
	return "its lines are no longer in this order"
}

func containsRun(lines, run []string) bool {
	for i := 0; i+len(run) <= len(lines); i++ {
		if slices.Equal(lines[i:i+len(run)], run) {
			return true
		}
	}
	return false
}

// patchRun is the result of one run of patch.
type patchRun struct {
	ok      bool
	output  string
	fuzz    int
	shifted bool // lines were at other places
	changed map[string]*entry
}

// adopt applies the changes of a successful run.
func (t *tree) adopt(run *patchRun) { maps.Copy(t.changed, run.changed) }

// patch runs GNU patch in a temporary folder with only the files of these sections. It uses the
// build's arguments, and --unified, so patch does not read text as an ed script. Without a
// terminal it cannot prompt.
func (t *tree) patch(ctx context.Context, patch []byte, sections []section, more ...string) (*patchRun, error) {
	scratch, err := os.MkdirTemp("", "libre-patch-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	names, err := t.extract(filepath.Join(scratch, "source"), sections)
	if err != nil {
		return nil, err
	}
	output := &process.Capture{Most: maxPatchOutput, End: true}
	cmd := process.Command(ctx, "patch", append([]string{"-p1", "--no-backup-if-mismatch", "--unified"}, more...)...)
	cmd.Dir = filepath.Join(scratch, "source")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TMPDIR=" + scratch}
	cmd.Stdin = bytes.NewReader(patch)
	cmd.Stdout, cmd.Stderr = output, output
	err = cmd.Run()
	run := &patchRun{ok: err == nil, output: output.String()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, &PatchError{"interrupted", run.tail(), ctx.Err()}
	case errors.Is(err, exec.ErrNotFound):
		return nil, &PatchError{"patch is not installed: libre needs it to try patches before a build", nil, err}
	case errors.As(err, &exit) && exit.Exited() && !strings.Contains(run.output, "unrecognized option"):
		run.readOutput()
		return run, nil
	case errors.As(err, &exit) && exit.Exited():
		return nil, &PatchError{"it is not GNU patch: install GNU patch", run.tail(), err}
	case err != nil:
		return nil, &PatchError{err.Error(), run.tail(), err}
	}
	run.readOutput()
	run.changed, err = collect(filepath.Join(scratch, "source"), names)
	return run, err
}

// extract writes the files of sections to a new folder, and returns their names.
func (t *tree) extract(folder string, sections []section) ([]string, error) {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var names []string
	size := 0
	for _, s := range sections {
		for _, name := range s.names {
			if !fs.ValidPath(name) || slices.Contains(names, name) {
				continue
			}
			mode, err := t.mode(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if mode.IsDir() {
				if err := root.MkdirAll(name, 0o755); err != nil {
					return nil, err
				}
				continue
			}
			data, err := t.read(name)
			if err != nil {
				return nil, err
			}
			if size += len(data); size > maxTried {
				return nil, obstacle("the files that it changes are too large to try")
			}
			if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
				return nil, err
			}
			if err := root.WriteFile(name, data, mode.Perm()|0o600); err != nil {
				return nil, err
			}
			names = append(names, name)
		}
	}
	return names, nil
}

// collect reads the files with these names from a folder in which patch ran.
func collect(folder string, names []string) (map[string]*entry, error) {
	changed := map[string]*entry{}
	for _, name := range names {
		changed[name] = nil
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := &entry{mode: info.Mode()}
		if info.Mode().IsRegular() {
			if e.data, err = root.ReadFile(name); err != nil {
				return err
			}
		}
		changed[name] = e
		return nil
	})
	return changed, err
}

var (
	hunkMoved  = lazyregexp.New(`(?m)^Hunk #\d+ succeeded at -?\d+(?: with fuzz (\d+))?(?: \(offset -?\d+ lines?\))?\.$`)
	hunkFailed = lazyregexp.New(`(?m)^Hunk #(\d+) FAILED at `)
	patchNoise = lazyregexp.New(`^(?:patch: \*+ )?`)
	hunkCount  = lazyregexp.New(`^\d+ out of \d+ hunks? `)
)

func (r *patchRun) readOutput() {
	for _, hunk := range hunkMoved().FindAllStringSubmatch(r.output, -1) {
		r.shifted = true
		if fuzz, err := strconv.Atoi(hunk[1]); err == nil {
			r.fuzz = max(r.fuzz, fuzz)
		}
	}
}

// moved returns how a patch that applies does not fit exactly, or "" if it fits.
func (r *patchRun) moved() string {
	switch {
	case r.fuzz > 0:
		return fmt.Sprintf("nixpkgs' GNU patch applies it with fuzz %d; busybox' patch, of the host package set, does not", r.fuzz)
	case r.shifted:
		return "its lines have moved"
	}
	return ""
}

func (r *patchRun) failedHunks(s section) []hunk {
	var failed []hunk
	for _, found := range hunkFailed().FindAllStringSubmatch(r.output, -1) {
		if n, err := strconv.Atoi(found[1]); err == nil && n >= 1 && n <= len(s.hunks) {
			failed = append(failed, s.hunks[n-1])
		}
	}
	return failed
}

// lastMessage returns the last message of patch, apart from the count of hunks.
func (r *patchRun) lastMessage() string {
	lines := r.tail()
	for _, line := range slices.Backward(lines) {
		if line = patchNoise().ReplaceAllString(line, ""); line != "" && !hunkCount().MatchString(line) {
			return text.Name(line)
		}
	}
	return "patch refuses it"
}

// tail returns the last lines of the output, safe to show.
func (r *patchRun) tail() []string {
	var lines []string
	for line := range strings.Lines(r.output) {
		if line = text.Line(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-10):]
}
