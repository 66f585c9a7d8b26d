// Package containerfile reads Containerfiles and builds images from them with
// buildah, podman or docker, or BuildKit's daemon. It is the only package that runs these programs.
//
// Reading is pure: [Parse] and [File.Bases] return the images that a build needs.
// Building ignores the user's own images: every base is fetched by digest into libre's
// own storage, and the engine gets a rewritten Containerfile, in which each FROM names
// exactly that image.
package containerfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// FileName matches the usual names of Containerfiles, without their folder.
var FileName = lazyregexp.New(`(?i)^(?:Containerfile|Dockerfile)(?:[._-][\w.-]+)?$|\.(?:Containerfile|Dockerfile)$`)

// File is a parsed Containerfile.
type File struct {
	name   string
	lines  []string // without byte order mark, carriage returns and final newline
	escape rune     // the escape character of the "# escape=" directive
	global []instructions.ArgCommand
	stages []stage
}

// stage is one FROM with its instructions.
type stage struct {
	instructions.Stage
	as   string // the name as spelled in the file; Stage.Name is lower case
	line int    // first line of FROM, from 1
	last int    // last line of FROM
}

// Arg is one ARG declaration.
type Arg struct {
	Name    string
	Default *string // not expanded; nil if the declaration has none
	Line    int     // from 1
	Global  bool    // declared before the first FROM, for FROM lines only
}

// parseErrorPrefix is the prefix of messages of BuildKit's parser; libre writes the line
// in its own form.
var parseErrorPrefix = lazyregexp.New(`^(dockerfile parse error( on)? line \d+: )+`)

// Parse parses a Containerfile with BuildKit's parser. name is the path for errors, as
// in "src/Dockerfile:3: unknown instruction: FRM".
func Parse(name string, data []byte) (*File, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	f := &File{name: name}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, f.errorf(0, "the file is empty")
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	f.lines = strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")

	tree, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, f.located(err)
	}
	f.escape = tree.EscapeToken
	// The linter's output is not used, but without a linter BuildKit 0.34 panics on a
	// "# check=" comment beside an instruction.
	stages, global, err := instructions.Parse(tree.AST, linter.New(&linter.Config{}))
	if err != nil {
		return nil, f.located(err)
	}
	if len(stages) == 0 {
		return nil, f.errorf(0, "no FROM line")
	}
	f.global = global
	for _, s := range stages {
		st := stage{Stage: s, line: firstLine(s.Location), last: lastLine(s.Location)}
		if words := strings.Fields(s.SourceCode); s.Name != "" && len(words) > 0 {
			st.as = words[len(words)-1]
		}
		f.stages = append(f.stages, st)
	}
	return f, nil
}

// Targets returns the names of the stages, in the file's order.
func (f *File) Targets() []string {
	var names []string
	for _, s := range f.stages {
		if s.as != "" {
			names = append(names, s.as)
		}
	}
	return names
}

// Args returns all ARG declarations, in the file's order. A name that is declared before
// the first FROM and again in a stage appears twice.
func (f *File) Args() []Arg {
	var args []Arg
	add := func(c *instructions.ArgCommand, global bool) {
		for _, a := range c.Args {
			args = append(args, Arg{Name: a.Key, Default: a.Value, Line: firstLine(c.Location()), Global: global})
		}
	}
	for i := range f.global {
		add(&f.global[i], true)
	}
	for _, s := range f.stages {
		for _, c := range s.Commands {
			if arg, ok := c.(*instructions.ArgCommand); ok {
				add(arg, false)
			}
		}
	}
	return args
}

// errorf makes an error that begins with the file's name and the line, unless it is 0.
func (f *File) errorf(line int, format string, args ...any) error {
	msg := fmt.Sprintf(format, args...)
	if line == 0 {
		return fmt.Errorf("%s: %s", f.name, msg)
	}
	return fmt.Errorf("%s:%d: %s", f.name, line, msg)
}

// located rewrites an error of BuildKit's parser.
func (f *File) located(err error) error {
	line := 0
	var at *parser.LocationError
	if errors.As(err, &at) && len(at.Locations) > 0 {
		line = firstLine(at.Locations[0])
	}
	return f.errorf(line, "%s", text.Line(parseErrorPrefix().ReplaceAllString(err.Error(), "")))
}

func hasHeredoc(c instructions.Command) bool {
	switch c := c.(type) {
	case *instructions.RunCommand:
		return len(c.Files) > 0
	case *instructions.CopyCommand:
		return len(c.SourceContents) > 0
	case *instructions.AddCommand:
		return len(c.SourceContents) > 0
	}
	return false
}

func firstLine(at []parser.Range) int {
	if len(at) == 0 {
		return 0
	}
	return at[0].Start.Line
}

func lastLine(at []parser.Range) int {
	if len(at) == 0 {
		return 0
	}
	return at[len(at)-1].End.Line
}
