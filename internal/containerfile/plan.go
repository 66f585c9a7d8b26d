package containerfile

import (
	"cmp"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Use says how a build uses a Containerfile.
type Use struct {
	Target   string            // a stage's name; "" is the last stage
	Args     map[string]string // build arguments; they override the file's defaults
	Contexts []string          // names of named contexts, which are not images
	Platform string            // OS/ARCH or OS/ARCH/VARIANT; "" is linux on this machine's architecture
}

// Base is an image that a build reads and does not make itself.
type Base struct {
	Name     string // as in the file, with arguments expanded: python:3.13-alpine
	Platform string // the platform to fetch: FROM --platform, else the build's
	Line     int    // first line that uses it, from 1
}

// image returns the base without its line.
func (b Base) image() Base { return Base{Name: b.Name, Platform: b.Platform} }

// plan lists what one build needs from a file.
type plan struct {
	target  int   // index of the stage to build
	used    []int // indices of the stages that target needs, including itself, ascending
	from    map[int]origin
	bases   []Base // sorted by line
	copies  []Base // the bases that COPY --from and RUN --mount use
	spell   []spelling
	steps   int // instructions in all used stages
	mounts  []mounted
	globals map[string]string // values of the arguments before the first FROM
	count   []spelling        // COPY --from and RUN --mount with the number of a stage
}

// spelling is a reference to a stage in another case than its definition. BuildKit
// ignores case, buildah does not.
type spelling struct {
	first, last int // the command's lines
	name, as    string
}

// origin is what a stage is built on: one of stage, base and context, or none for scratch.
type origin struct {
	stage    *stage
	base     *Base
	context  string // a named context
	platform string // of FROM --platform, with arguments expanded
}

// Bases returns the images that a build of u's target reads: those of FROM, COPY --from
// and RUN --mount=from in the stages that the target needs, without stage names, scratch
// and named contexts. They are sorted by line, and each pair of name and platform is
// listed once.
//
// The error for an unknown target lists the existing ones; the error for an argument
// without a value has its name and line.
func (f *File) Bases(u Use) ([]Base, error) {
	p, err := f.plan(u)
	if err != nil {
		return nil, err
	}
	return p.bases, nil
}

func (f *File) plan(u Use) (*plan, error) {
	if u.Platform == "" {
		u.Platform = machinePlatform()
	}
	p := &plan{target: len(f.stages) - 1, from: map[int]origin{}}
	if u.Target != "" {
		if p.target = f.stageBefore(len(f.stages), u.Target); p.target < 0 {
			if len(f.Targets()) == 0 {
				return nil, f.errorf(0, "unknown target %q: no stage has a name", u.Target)
			}
			return nil, f.errorf(0, "unknown target %q: the file has %s", u.Target, strings.Join(f.Targets(), ", "))
		}
	}
	env, err := f.globals(u, f.stages[p.target].Name)
	if err != nil {
		return nil, err
	}
	p.globals = env
	r := resolver{file: f, use: u, env: env, lex: shell.NewLex(f.escape), plan: p}
	if err := r.visit(p.target); err != nil {
		return nil, err
	}
	slices.Sort(p.used)
	slices.SortStableFunc(p.bases, func(a, b Base) int { return cmp.Compare(a.Line, b.Line) })
	return p, nil
}

// root returns the image that the target is built on, directly or through other stages;
// nil for scratch or a named context.
func (f *File) root(p *plan) *Base {
	at := p.target
	for p.from[at].stage != nil {
		at = f.stageAt(p.from[at].stage.line)
	}
	return p.from[at].base
}

// stageAt finds the stage whose FROM is at a line.
func (f *File) stageAt(line int) int {
	return slices.IndexFunc(f.stages, func(s stage) bool { return s.line == line })
}

// stageBefore finds the last stage with a name among the first n, or -1. Like BuildKit and
// buildah it ignores case.
func (f *File) stageBefore(n int, name string) int {
	for i := n - 1; i >= 0; i-- {
		if f.stages[i].Name != "" && strings.EqualFold(f.stages[i].Name, name) {
			return i
		}
	}
	return -1
}

// autoArgs returns the arguments that a builder sets automatically.
// https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope
func autoArgs(platform, target string) map[string]string {
	if target == "" {
		target = "default"
	}
	args := map[string]string{"TARGETSTAGE": target}
	for prefix, platform := range map[string]string{"TARGET": platform, "BUILD": machinePlatform()} {
		parts := append(strings.SplitN(platform, "/", 3), "", "")
		args[prefix+"PLATFORM"] = platform
		args[prefix+"OS"], args[prefix+"ARCH"], args[prefix+"VARIANT"] = parts[0], parts[1], parts[2]
	}
	return args
}

// machinePlatform returns the platform of RUN steps: containers are always Linux.
func machinePlatform() string { return "linux/" + runtime.GOARCH }

// globals returns the values that FROM lines see.
func (f *File) globals(u Use, target string) (map[string]string, error) {
	env := autoArgs(u.Platform, target)
	for name := range env {
		if v, ok := u.Args[name]; ok {
			env[name] = v
		}
	}
	lex := shell.NewLex(f.escape)
	for _, c := range f.global {
		for _, a := range c.Args {
			if v, ok := u.Args[a.Key]; ok {
				env[a.Key] = v
			} else if a.Value != nil {
				v, _, err := lex.ProcessWord(*a.Value, getter(env))
				if err != nil {
					return nil, f.errorf(firstLine(c.Location()), "ARG %s: %v", a.Key, err)
				}
				env[a.Key] = v
			}
		}
	}
	return env, nil
}

type getter map[string]string

func (g getter) Get(name string) (string, bool) { v, ok := g[name]; return v, ok }

func (g getter) Keys() []string {
	keys := make([]string, 0, len(g))
	for k := range g {
		keys = append(keys, k)
	}
	return keys
}

// resolver walks from the target to the stages and images that it needs.
type resolver struct {
	file *File
	use  Use
	env  map[string]string
	lex  *shell.Lex
	plan *plan
}

func (r *resolver) visit(i int) error {
	if slices.Contains(r.plan.used, i) {
		return nil
	}
	r.plan.used = append(r.plan.used, i)
	s := &r.file.stages[i]
	r.plan.steps += 1 + len(s.Commands)

	name, err := r.expand(s, s.BaseName)
	if err != nil {
		return err
	}
	o := origin{}
	if s.Platform != "" {
		if o.platform, err = r.expand(s, s.Platform); err != nil {
			return err
		}
		if strings.Count(o.platform, "/") == 0 {
			return r.file.errorf(s.line, "FROM --platform=%s: expected OS/ARCH", o.platform)
		}
	}
	switch j := r.file.stageBefore(i, name); {
	case r.isContext(name):
		o.context = name
	case j >= 0:
		o.stage = &r.file.stages[j]
		if err := r.visit(j); err != nil {
			return err
		}
	case name != "scratch":
		if err := r.checkName(s, name); err != nil {
			return err
		}
		o.base = r.add(name, cmp.Or(o.platform, r.use.Platform), s.line)
	}
	r.plan.from[i] = o

	for _, c := range s.Commands {
		var names []string
		switch c := c.(type) {
		case *instructions.CopyCommand:
			names = append(names, c.From)
		case *instructions.RunCommand:
			for _, m := range instructions.GetMounts(c) {
				names = append(names, m.From)
			}
		}
		for _, name := range names {
			if err := r.read(i, c, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// read records that stage i reads files from another stage or image.
func (r *resolver) read(i int, c instructions.Command, name string) error {
	line := firstLine(c.Location())
	what := strings.ToUpper(c.Name())
	if name == "" || name == "scratch" || r.isContext(name) {
		return nil
	}
	if strings.Contains(name, "$") {
		return r.file.errorf(line, "%s from=%s: arguments are not expanded here: name a stage with \"FROM %s AS …\"", what, name, name)
	}
	if index, err := strconv.Atoi(name); err == nil {
		if index < 0 || index >= i {
			return r.file.errorf(line, "%s from=%s: no earlier stage has this number", what, name)
		}
		r.plan.count = append(r.plan.count, spelling{line, lastLine(c.Location()), name, ""})
		return r.visit(index)
	}
	if j := r.file.stageBefore(i, name); j >= 0 {
		if as := r.file.stages[j].as; as != name {
			r.plan.spell = append(r.plan.spell, spelling{line, lastLine(c.Location()), name, as})
		}
		return r.visit(j)
	}
	if j := r.file.stageBefore(len(r.file.stages), name); j >= 0 {
		return r.file.errorf(line, "%s from=%s: that stage is defined later, at line %d", what, name, r.file.stages[j].line)
	}
	base := r.add(name, r.use.Platform, line)
	if !slices.ContainsFunc(r.plan.copies, func(b Base) bool { return b.Name == name }) {
		r.plan.copies = append(r.plan.copies, *base)
	}
	return nil
}

func (r *resolver) add(name, platform string, line int) *Base {
	for i := range r.plan.bases {
		if b := &r.plan.bases[i]; b.Name == name && b.Platform == platform {
			b.Line = min(b.Line, line)
			return b
		}
	}
	b := Base{Name: name, Platform: platform, Line: line}
	r.plan.bases = append(r.plan.bases, b)
	return &b
}

func (r *resolver) isContext(name string) bool {
	return slices.ContainsFunc(r.use.Contexts, func(c string) bool { return sameImage(c, name) })
}

// expand expands arguments in a word of a FROM line.
func (r *resolver) expand(s *stage, word string) (string, error) {
	res, err := r.lex.ProcessWordWithMatches(word, getter(r.env))
	if err != nil {
		return "", r.file.errorf(s.line, "FROM %s: %v", word, err)
	}
	for name := range res.Unmatched {
		// "${NAME:-default}" is unmatched too, and fine.
		if !regexp.MustCompile(`\$(\{` + regexp.QuoteMeta(name) + `\}|` + regexp.QuoteMeta(name) + `([^0-9A-Za-z_]|$))`).MatchString(word) {
			continue
		}
		if !slices.ContainsFunc(r.file.Args(), func(a Arg) bool { return a.Global && a.Name == name }) {
			return "", r.file.errorf(s.line, "FROM %s: argument %s is not declared before the first FROM", word, name)
		}
		return "", r.file.errorf(s.line, "FROM %s: argument %s has no value", word, name)
	}
	return res.Result, nil
}

// checkName refuses an image name that is invalid because an argument in it is empty.
func (r *resolver) checkName(s *stage, name string) error {
	word := s.BaseName
	var empty []string
	for _, m := range argument().FindAllStringSubmatch(word, -1) {
		if known := cmp.Or(m[1], m[2]); r.env[known] == "" && !slices.Contains(empty, known) {
			empty = append(empty, known)
		}
	}
	if _, err := parseReference(name); name != "" && (err == nil || len(empty) == 0) {
		return nil
	}
	if len(empty) == 0 {
		return r.file.errorf(s.line, "FROM %s: the image name is empty", word)
	}
	slices.Sort(empty)
	what := "argument " + strings.Join(empty, " and ") + " is empty"
	if name == "" {
		return r.file.errorf(s.line, "FROM %s: the image name is empty: %s", word, what)
	}
	return r.file.errorf(s.line, "FROM %s: %q is not an image name: %s", word, name, what)
}

// argument matches an argument in a word: $NAME, ${NAME} or ${NAME:-default}.
var argument = lazyregexp.New(`\$(?:\{([A-Za-z_]\w*)|([A-Za-z_]\w*))`)
