package containerfile

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/libresh/libre/internal/lazyregexp"
)

// repository is git's folder. Source archives have none; source.describe adds one.
const repository = ".git"

var (
	// gitQuery matches commands that read the repository.
	gitQuery = lazyregexp.New(`\bgit\s+(?:-c\s+\S+\s+|--\S+\s+)*(?:describe|rev-parse|rev-list|log|show|status|diff|diff-index|tag|branch|name-rev|symbolic-ref|for-each-ref|ls-files|ls-tree|archive)\b`)
	// createsRepository matches commands that create a repository.
	createsRepository = lazyregexp.New(`\bgit\s+(?:-\S+\s+)*(?:clone|init)\b`)
	runsMake          = lazyregexp.New(`(?im)(?:^\s*(?:RUN(?:\s+--\S+)*)?|[;&|(]|\[\s*"|\b(?:then|do|else))\s*(?:\w+=\S*\s+)*make(?:$|[\s;&|)"])`)
	// remoteSource matches a remote source of ADD, which may be a repository.
	remoteSource = lazyregexp.New(`^(?:[a-z+]+://|git@)`)
	shellWord    = lazyregexp.New(`[^\s;&|()<>"'` + "`" + `$]+`)
)

// maxScript is the largest script to search, in bytes.
const maxScript = 256 << 10

// missingRepository reports the target's steps that need a .git if the source has none,
// each with file and line, and what to do.
func (j *job) missingRepository() []error {
	if j.plan == nil || exists(filepath.Join(j.Source, repository)) {
		return nil
	}
	s := &repositorySearch{job: j, reported: map[string]bool{}, searched: map[string]bool{}}
	for _, i := range j.plan.used {
		for _, c := range j.file.stages[i].Commands {
			line := firstLine(c.Location())
			switch c := c.(type) {
			case *instructions.CopyCommand:
				if c.From == "" {
					s.files(line, "COPY ", c.SourcePaths)
				}
			case *instructions.AddCommand:
				s.files(line, "ADD ", c.SourcePaths)
				s.ownRepository = s.ownRepository || slices.ContainsFunc(c.SourcePaths, remoteSource().MatchString)
			case *instructions.RunCommand:
				s.run(line, c)
			}
		}
	}
	return s.all
}

type repositorySearch struct {
	*job
	reported      map[string]bool // FILE:LINE
	searched      map[string]bool // scripts
	ownRepository bool            // a step fetches or creates a repository, which cannot be told from the source's
	all           []error
}

func (s *repositorySearch) report(file string, line int, what string) {
	place := fmt.Sprintf("%s:%d", file, line)
	if s.reported[place] {
		return
	}
	s.reported[place] = true
	fix := "set source.describe = true (sources of kind github, and git with a tag)"
	if s.Context != "" && path.Clean(s.Context) != "." {
		fix = "the context is " + s.Context + ", but .git is only at the top of the source: pass the version as a build argument"
	}
	s.all = append(s.all, fmt.Errorf("%s: %s needs .git, which source archives lack: %s; or replace the command with substituteSource", place, what, fix))
}

// files checks the sources of COPY and ADD.
func (s *repositorySearch) files(line int, instruction string, sources []string) {
	if at := slices.IndexFunc(sources, isRepository); at >= 0 {
		s.report(s.file.name, line, instruction+sources[at])
	}
}

// run checks a step's mounts, its text, and the scripts that it runs.
func (s *repositorySearch) run(line int, c *instructions.RunCommand) {
	for _, m := range mounts(c) { // a build reports invalid mounts
		if m.Type == instructions.MountTypeBind && m.From == "" && isRepository(m.Source) {
			s.report(s.file.name, line, "--mount of "+m.Source)
		}
	}
	text := strings.Join(s.file.lines[line-1:min(lastLine(c.Location()), len(s.file.lines))], "\n")
	s.ownRepository = s.ownRepository || createsRepository().MatchString(text)
	if s.ownRepository {
		return
	}
	if at, what := findGitQuery(text, false); at > 0 {
		s.report(s.file.name, line+at-1, what)
	}
	for _, name := range s.scripts(text) {
		if s.searched[name] {
			continue
		}
		s.searched[name] = true
		data, err := os.ReadFile(filepath.Join(s.context, name))
		if err != nil || createsRepository().Match(data) {
			continue
		}
		if at, what := findGitQuery(string(data), isMakefile(name)); at > 0 {
			s.report(path.Join(s.Context, name), at, fmt.Sprintf("%s, run by %s:%d,", what, s.file.name, line))
		}
	}
}

func isRepository(name string) bool {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	return name == repository || strings.HasPrefix(name, repository+"/")
}

// findGitQuery returns the first line with a git query, from 1, and the command. It skips the
// recipes of a Makefile, because it cannot know which of them run.
func findGitQuery(text string, makefile bool) (line int, what string) {
	for i, l := range strings.Split(text, "\n") {
		if makefile && strings.HasPrefix(l, "\t") || strings.HasPrefix(strings.TrimSpace(l), "#") {
			continue
		}
		if found := gitQuery().FindString(l); found != "" {
			return i + 1, strings.Join(strings.Fields(found), " ")
		}
	}
	return 0, ""
}

// makefiles lists the default files of make, in its order.
var makefiles = []string{"GNUmakefile", "makefile", "Makefile"}

func isMakefile(name string) bool { return slices.Contains(makefiles, path.Base(name)) }

// scripts returns the files of the context that a step's text mentions as commands.
func (j *job) scripts(text string) []string {
	text = strings.ReplaceAll(text, string(j.file.escape)+"\n", " ") // continued lines are one
	var names []string
	add := func(name string) bool {
		real, err := within(j.context, name)
		if err != nil {
			return false
		}
		if info, err := os.Stat(real); err != nil || !info.Mode().IsRegular() || info.Size() > maxScript {
			return false
		}
		names = append(names, name)
		return true
	}
	if runsMake().MatchString(text) {
		for _, name := range makefiles {
			if add(name) {
				break
			}
		}
	}
	for _, word := range shellWord().FindAllString(text, -1) {
		name := strings.TrimPrefix(path.Clean(word), "/")
		if strings.HasSuffix(name, ".sh") || strings.HasPrefix(word, "./") {
			add(name)
		}
	}
	return names
}

// keepRepository adds an exception for .git to an ignore file. line is the rule that ignored
// it, from 1; 0 if there is none.
// https://docs.docker.com/build/concepts/context/#syntax
func keepRepository(ignore []byte) (kept []byte, line int) {
	for i, pattern := range strings.Split(string(ignore), "\n") {
		pattern = strings.TrimSpace(pattern)
		name, back := strings.CutPrefix(pattern, "!")
		name = strings.TrimPrefix(path.Clean("/"+strings.TrimPrefix(strings.TrimSpace(name), "**/")), "/")
		matches, _ := path.Match(strings.TrimSuffix(name, "/**"), repository)
		switch {
		case pattern == "" || pattern[0] == '#' || !matches:
		case back:
			line = 0
		default:
			line = i + 1
		}
	}
	return append(bytes.TrimRight(ignore, "\n"), "\n!"+repository+"\n!"+repository+"/**\n"...), line
}
