package containerfile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/libresh/libre/internal/lazyregexp"
)

// job is a Request in progress.
type job struct {
	Request
	file    *File
	plan    *plan
	out     *output
	tmp     string // folder below Work, removed at the end
	path    string // of the rewritten file
	ignore  string // path of an ignore file for this Containerfile only, or one to add .git to; or ""
	layout  string
	context string // the copied context

	ignoreName string       // path of the ignore file in the source
	triggers   map[Base]int // number of ONBUILD steps by base, without its line
	named      map[string]string
	args       []string // NAME=VALUE, sorted
	proxy      proxy

	secrets map[string]string // values by id
	agents  map[string]string // a private key, or the path of an agent's socket, by id
}

// maxContainerfile is the largest Containerfile, in bytes.
const maxContainerfile = 4 << 20

// open finds and reads the Containerfile, and plans its build.
func (j *job) open() error {
	dir, err := within(j.Source, j.Context)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("build context %s: no such folder in the source%w", j.Context, hidden{os.ErrNotExist})
	}
	if err != nil {
		return fmt.Errorf("build context: %w", err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("build context %s is not a folder", j.Context)
	}
	candidates := []string{j.File}
	if j.File == "" {
		candidates = []string{filepath.Join(j.Context, "Containerfile"), filepath.Join(j.Context, "Dockerfile")}
	}
	var path string
	for _, c := range candidates {
		if path, err = within(j.Source, c); !errors.Is(err, os.ErrNotExist) {
			j.File = c
			break
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: no such file in the source%w", strings.Join(candidates, " or "), hidden{os.ErrNotExist})
	}
	if err != nil {
		return err
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > maxContainerfile {
		return cmp.Or(err, fmt.Errorf("%s is not a file of at most %d MiB", j.File, maxContainerfile>>20))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if j.file, err = Parse(j.File, data); err != nil {
		return err
	}
	use := Use{Target: j.Target, Args: j.Args, Platform: j.Platform}
	for name := range j.Contexts {
		use.Contexts = append(use.Contexts, name)
	}
	if j.plan, err = j.file.plan(use); err != nil {
		return err
	}
	// https://docs.docker.com/build/concepts/context/#filename-and-location
	ignores := []string{j.File + ".containerignore", j.File + ".dockerignore"}
	if exists(filepath.Join(dir, repository)) {
		ignores = append(ignores, filepath.Join(j.Context, ".containerignore"), filepath.Join(j.Context, ".dockerignore"))
	}
	for _, name := range ignores {
		if p, err := within(j.Source, name); err == nil {
			j.ignore, j.ignoreName = p, name
			break
		}
	}
	j.context = dir
	return nil
}

// read opens the Containerfile, and checks what it can before the engine runs.
func (j *job) read() error {
	for name := range j.Args {
		if !argName().MatchString(name) {
			return badArgument(name)
		}
	}
	if err := j.open(); err != nil {
		return err
	}
	j.args = j.arguments()
	var err error
	if j.proxy, err = newProxy(j.Proxy); err != nil {
		return err
	}
	return j.readSecrets()
}

// syntaxArgument would make BuildKit fetch another frontend.
// https://docs.docker.com/reference/dockerfile/#syntax
const syntaxArgument = "BUILDKIT_SYNTAX"

// arguments returns Args and the automatic arguments that the file declares: some engines
// do not set all of them.
func (j *job) arguments() []string {
	values := autoArgs(j.Platform, j.file.stages[j.plan.target].Name)
	values["SOURCE_DATE_EPOCH"] = fmt.Sprint(j.Timestamp)
	declared := j.file.Args()
	for name := range values {
		if !slices.ContainsFunc(declared, func(a Arg) bool { return a.Name == name }) {
			delete(values, name)
		}
	}
	for name, v := range j.Args {
		values[name] = v
	}
	delete(values, syntaxArgument)
	var args []string
	for name, v := range values {
		args = append(args, name+"="+v)
	}
	slices.Sort(args)
	return args
}

// copyContexts copies the build contexts for the engine.
func (j *job) copyContexts() error {
	at := time.Unix(j.Timestamp, 0)
	if err := copyTree(j.copied(""), j.context, at); err != nil {
		return fmt.Errorf("copy the build context: %w", err)
	}
	for name, dir := range j.Contexts {
		if name == "" || strings.ContainsAny(name, "=,") {
			return fmt.Errorf("named context %q: invalid name", name)
		}
		if err := copyTree(j.copied(name), dir, at); err != nil {
			return fmt.Errorf("copy the named context %s: %w", name, err)
		}
	}
	return nil
}

// copied returns the path of the copy of a named context, or of the build context ("").
func (j *job) copied(name string) string {
	if name == "" {
		return filepath.Join(j.tmp, "context")
	}
	names := slices.Sorted(maps.Keys(j.Contexts))
	return filepath.Join(j.tmp, fmt.Sprintf("context-%d", slices.Index(names, name)))
}

// prepare makes the engine use the copied contexts and ignore file.
func (j *job) prepare() error {
	j.context = j.copied("")
	for name := range j.Contexts {
		j.named[name] = j.copied(name)
	}
	if j.ignore == "" {
		return nil
	}
	// The engine may have no access to the source.
	data, err := os.ReadFile(j.ignore)
	if err != nil {
		return err
	}
	if exists(filepath.Join(j.context, repository)) {
		var line int
		if data, line = keepRepository(data); line > 0 && j.Warn != nil {
			j.Warn(fmt.Sprintf("%s:%d ignores .git: it stays in the build context, because source.describe is set", filepath.Base(j.ignore), line))
		}
	}
	j.ignore = filepath.Join(j.tmp, "ignore")
	return os.WriteFile(j.ignore, data, 0o644)
}

// contextFlags returns the flags for the named contexts, sorted.
func (j *job) contextFlags() []string {
	var flags []string
	for name, value := range j.named {
		flags = append(flags, "--build-context="+name+"="+value)
	}
	slices.Sort(flags)
	return flags
}

// locate adds the line of the file that a failed build had reached.
func (j *job) locate(err error, at position) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	e.Doing = "build " + j.File
	e.Reason = strings.ReplaceAll(e.Reason, strconv.Quote(j.context), "the build context")
	if name := whiteoutIn(j.context); name != "" && strings.Contains(e.Reason, whiteout) {
		e.Reason = fmt.Sprintf("%s: in a layer, a name that begins with %q marks a deleted file; rename it, or exclude it with .dockerignore", name, whiteout)
	}
	if j.out.ctx.Err() != nil {
		return err
	}
	if at.step == 0 {
		j.locateByLine(e)
		return err
	}
	line, c := j.at(at)
	if line > 0 {
		e.Doing += fmt.Sprintf(":%d", line)
	}
	if c != nil {
		j.explainMissing(e, c)
	}
	return err
}

// markedLine matches BuildKit's mark of the failed line in the rewritten file. docker
// copies no mounts, so the file has the same line numbers.
var markedLine = lazyregexp.New(`^\s*(\d+) \| >>> `)

func (j *job) locateByLine(e *Error) {
	for _, l := range e.Tail {
		m := markedLine().FindStringSubmatch(l)
		if m == nil {
			continue
		}
		line, _ := strconv.Atoi(m[1])
		e.Doing += fmt.Sprintf(":%d", line)
		for i := range j.file.stages {
			for _, c := range j.file.stages[i].Commands {
				if firstLine(c.Location()) <= line && line <= lastLine(c.Location()) {
					j.explainMissing(e, c)
				}
			}
		}
		return
	}
}

// at finds the line of a step of the rewritten file, and its command; nil for a trigger
// of a base.
func (j *job) at(p position) (line int, c instructions.Command) {
	stage, added := j.plan.original(p.stage)
	if stage >= len(j.file.stages) {
		return 0, nil
	}
	s := &j.file.stages[stage]
	if added {
		m := j.plan.addedBefore(stage, p.stage)
		line = m.lines[0][0]
	}
	n := p.step - 2 - j.triggersOf(stage)
	for i, c := range s.Commands {
		if at := firstLine(c.Location()); added && at == line || !added && i == n {
			return at, c
		}
	}
	return s.line, nil
}

// triggersOf counts the ONBUILD steps before a stage's own.
func (j *job) triggersOf(stage int) (n int) {
	switch from := j.plan.from[stage]; {
	case from.stage != nil:
		for _, c := range from.stage.Commands {
			if _, ok := c.(*instructions.OnbuildCommand); ok {
				n++
			}
		}
	case from.base != nil:
		n = j.triggers[from.base.image()]
	}
	return n
}
