package containerfile

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/util/suggest"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/libresh/libre/internal/lazyregexp"
)

// missingForms match the engines' messages about a missing source of COPY, ADD or a
// mount. The path is relative to the context, the stage or the image.
var missingForms = []func() *regexp.Regexp{
	lazyregexp.New(`copier: stat: \[?"([^"]*)".*: no such file or directory`),
	lazyregexp.New(`no items matching glob "([^"]*)" copied`),
	lazyregexp.New(`sanitizing bind subdirectory "(?:[^"]*/merged)?(/[^"]*)".*: no such file or directory`),
	lazyregexp.New(`failed to calculate checksum of ref \S+: "([^"]*)": not found`),
	lazyregexp.New(`(?:lstat|open) \S*/buildkit-mount\d+(/.*): no such file or directory`),
	lazyregexp.New(`^(?:process ".*" did not complete successfully: )?(?:lstat|open) (/.*): no such file or directory$`),
}

// explainMissing names the source of c that matches nothing, and adds a suggestion or the rule
// that ignores the source. Engines print paths in their own storage instead.
func (j *job) explainMissing(e *Error, c instructions.Command) {
	pattern := ""
	for _, form := range missingForms {
		if m := form().FindStringSubmatch(e.Reason); m != nil {
			pattern = strings.TrimPrefix(m[1], j.context)
			break
		}
	}
	if pattern == "" {
		return
	}
	from, what := "", strings.ToUpper(c.Name())
	var sources []string
	switch c := c.(type) {
	case *instructions.AddCommand:
		sources = c.SourcePaths
	case *instructions.CopyCommand:
		from, sources = c.From, c.SourcePaths
	case *instructions.RunCommand:
		what += " --mount"
		for _, m := range mounts(c) {
			if path.Clean("/"+m.Source) == pattern {
				from = m.From
			}
		}
	}
	for _, source := range sources { // BuildKit names the first missing folder
		if source = path.Clean("/" + source); strings.HasPrefix(source, pattern+"/") {
			pattern = source
		}
	}
	dirs := map[string]string{"": j.context}
	for name := range j.Contexts {
		dirs[name] = j.named[name]
	}
	dir, local := j.contextOf(from, dirs)
	if !local {
		e.Reason = fmt.Sprintf("%s: nothing in %s matches %s", what, from, pattern)
		return
	}
	context := "the build context"
	if from != "" {
		context = "the named context " + from
	}
	pattern = strings.TrimPrefix(pattern, "/")
	e.Reason = fmt.Sprintf("%s: nothing in %s matches %s", what, context, pattern)
	matches, _ := filepath.Glob(filepath.Join(dir, pattern))
	if len(matches) == 0 {
		e.Reason += near(dir, pattern)
		return
	}
	found, err := filepath.Rel(dir, matches[0])
	if name, rules := j.ignoreRules(); err == nil && from == "" {
		if line := ignoredBy(rules, found); line > 0 {
			e.Reason = fmt.Sprintf("%s: %s:%d excludes %s from %s", what, name, line, found, context)
		}
	}
}

func didYouMean(path string) string { return "; did you mean " + path + "?" }

// near lists the deepest existing folder of a path, or suggests a similar name.
func near(dir, pattern string) string {
	parts := strings.Split(pattern, "/")
	for at := 0; ; at++ {
		folder := filepath.Join(parts[:at]...)
		if at < len(parts)-1 && !strings.ContainsAny(parts[at], "*?[") {
			if info, err := os.Stat(filepath.Join(dir, folder, parts[at])); err == nil && info.IsDir() {
				continue
			}
		}
		entries, err := os.ReadDir(filepath.Join(dir, folder))
		if err != nil {
			return ""
		}
		var names []string
		for _, entry := range entries {
			names = append(names, entry.Name())
			if strings.EqualFold(entry.Name(), parts[at]) {
				return didYouMean(path.Join(folder, entry.Name()))
			}
		}
		if name, ok := suggest.Search(parts[at], names, true); ok {
			return didYouMean(path.Join(folder, name))
		}
		if more := len(names) - 8; more > 0 {
			names = append(names[:8], fmt.Sprintf("%d more", more))
		}
		if folder == "" {
			folder = "it"
		}
		if len(names) == 0 {
			return "; " + folder + " is empty"
		}
		return "; " + folder + " has " + strings.Join(names, ", ")
	}
}

// ignoreRules returns the text of the ignore file of the build, and its path in the source.
func (j *job) ignoreRules() (name, rules string) {
	file := j.ignore
	if name = j.ignoreName; name == "" {
		for _, name = range []string{".containerignore", ".dockerignore"} {
			if file = filepath.Join(j.context, name); exists(file) {
				break
			}
		}
	}
	text, _ := os.ReadFile(file)
	return name, string(text)
}

// ignoredBy returns the line of the rules that ignores a path, from 1; 0 if none does.
// https://docs.docker.com/build/concepts/context/#syntax
func ignoredBy(rules, name string) (line int) {
	var patterns []string
	for i, text := range strings.Split(rules, "\n") {
		pattern, err := ignorefile.ReadAll(strings.NewReader(text))
		if err != nil || len(pattern) == 0 {
			continue
		}
		patterns = append(patterns, pattern...)
		matcher, err := patternmatcher.New(patterns)
		if err != nil {
			return 0
		}
		ignored, err := matcher.MatchesOrParentMatches(name)
		switch {
		case err != nil || !ignored:
			line = 0
		case line == 0:
			line = i + 1
		}
	}
	return line
}
