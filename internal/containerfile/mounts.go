package containerfile

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// mounted is what one stage mounts from another stage or image. The rewritten file copies
// these paths into an added stage, which is mounted instead. Before 1.38.1 buildah follows
// links in the path of a mount out of the stage (CVE-2024-1753, CVE-2024-11218); COPY
// never does, and replaces them by folders.
type mounted struct {
	stage   int    // that mounts
	from    string // as spelled in the file
	number  int    // of the mounted stage if it has no name, else -1
	name    string // of the mounted stage or image
	as      string // name of the added stage
	sources []string
	lines   [][2]int // first and last line of the commands, from 1
}

// checkMounts refuses the mounts that escape from the build in a vulnerable engine, and
// adds those to copy to the plan. dirs has the named contexts, and the build context as "".
func (j *job) checkMounts(dirs map[string]string) (problems []error) {
	var caches []string
	for _, i := range j.plan.used {
		s := &j.file.stages[i]
		for _, c := range s.Commands {
			line := firstLine(c.Location())
			if onbuild, ok := c.(*instructions.OnbuildCommand); ok && strings.Contains(onbuild.Expression, "--mount") {
				problems = append(problems, j.file.errorf(line, "this version of the engine does not support ONBUILD with --mount: write the step itself"))
			}
			run, ok := c.(*instructions.RunCommand)
			if !ok {
				continue
			}
			// Variables are not expanded: engines of this age do not either, in mounts.
			if err := run.Expand(func(word string) (string, error) { return word, nil }); err != nil {
				problems = append(problems, j.file.errorf(line, "RUN: %s", text.Line(err.Error())))
				continue
			}
			for _, m := range instructions.GetMounts(run) {
				var err error
				switch {
				case m.Type == instructions.MountTypeCache:
					caches, err = checkCacheMount(m, caches)
				case m.Type == instructions.MountTypeBind:
					err = j.checkBindMount(i, c, m, dirs)
				}
				if err != nil {
					problems = append(problems, j.file.errorf(line, "RUN --mount=type=%s: %v", m.Type, err))
				}
			}
		}
	}
	return problems
}

// checkCacheMount requires that caches are separate folders (CVE-2024-9675): otherwise a link
// in one cache could redirect the path of another.
func checkCacheMount(m *instructions.Mount, caches []string) ([]string, error) {
	switch {
	case m.From != "":
		return caches, fmt.Errorf("from=%s: caches start empty: remove from", m.From)
	case !isRoot(m.Source):
		return caches, fmt.Errorf("source=%s: only a whole cache can be mounted: remove source, or mount a parent folder", m.Source)
	case m.CacheID != "" && (strings.ContainsAny(m.CacheID, `/\$`) || m.CacheID == "." || m.CacheID == ".."):
		return caches, fmt.Errorf("id=%s: a path can lead out of the cache: use an id without / and $", m.CacheID)
	}
	// Without an id the target names the cache.
	target := m.Target
	if m.CacheID != "" {
		target = m.CacheID
	}
	if strings.Contains(target, "$") || slices.Contains(strings.Split(target, "/"), "..") {
		return caches, fmt.Errorf("target=%s: set an id", target)
	}
	target = path.Clean("/" + target)
	for _, other := range caches {
		if strings.HasPrefix(target+"/", other+"/") != strings.HasPrefix(other+"/", target+"/") {
			return caches, fmt.Errorf("target=%s overlaps with the cache %s: give each an id", m.Target, other)
		}
	}
	return append(caches, target), nil
}

// isRoot reports whether a mount's source is everything.
func isRoot(source string) bool { return path.Clean("/"+source) == "/" }

// checkBindMount checks the links of local folders, and records the paths to copy from
// stages and images.
func (j *job) checkBindMount(stage int, c instructions.Command, m *instructions.Mount, dirs map[string]string) error {
	if strings.ContainsAny(m.Source, "$*?[]\\\"") {
		return fmt.Errorf("source=%s: variables and patterns are not supported: write the path", m.Source)
	}
	if isRoot(m.Source) {
		return nil
	}
	source := path.Clean("/" + m.Source)
	if dir, ok := j.contextOf(m.From, dirs); ok {
		switch _, err := within(dir, "."+source); {
		case errors.Is(err, os.ErrNotExist): // the engine would mount an empty folder
			return fmt.Errorf("no match for source=%s%s", m.Source, near(dir, strings.TrimPrefix(source, "/")))
		case err != nil && strings.Contains(err.Error(), "outside"):
			return fmt.Errorf("source=%s leads outside of the mounted folder", m.Source)
		}
		return nil
	}
	if m.From == "scratch" {
		return nil
	}
	lines := [2]int{firstLine(c.Location()), lastLine(c.Location())}
	for i := range j.plan.mounts {
		known := &j.plan.mounts[i]
		if known.stage == stage && known.from == m.From {
			if !slices.Contains(known.sources, source) {
				known.sources = append(known.sources, source)
			}
			known.lines = append(known.lines, lines)
			return nil
		}
	}
	j.plan.mounts = append(j.plan.mounts, mounted{
		stage: stage, from: m.From, as: fmt.Sprintf("libre-mount-%d", len(j.plan.mounts)), sources: []string{source}, lines: [][2]int{lines},
	}.resolved(j.file))
	return nil
}

// resolved finds the stage for the spelled name or number.
func (m mounted) resolved(f *File) mounted {
	m.number, m.name = -1, m.from
	if n, err := strconv.Atoi(m.from); err == nil && n >= 0 && n < m.stage {
		if m.name = f.stages[n].as; m.name == "" {
			m.number = n
		}
	} else if n := f.stageBefore(m.stage, m.from); n >= 0 {
		m.name = f.stages[n].as
	}
	return m
}

// shifted returns the number of a stage in the rewritten file.
func (p *plan) shifted(stage int) int {
	added := 0
	for _, m := range p.mounts {
		if m.stage <= stage {
			added++
		}
	}
	return stage + added
}

// original returns the stage of the file for a stage of the rewritten file. added reports that
// the stage of the rewritten file was added for that one.
func (p *plan) original(stage int) (number int, added bool) {
	for p.shifted(number) < stage {
		number++
	}
	return number, p.shifted(number) != stage
}

// addedBefore returns what an added stage of the rewritten file copies, for a stage of the
// file.
func (p *plan) addedBefore(stage, rewritten int) mounted {
	var added []mounted
	for _, m := range p.mounts {
		if m.stage == stage {
			added = append(added, m)
		}
	}
	return added[len(added)-(p.shifted(stage)-rewritten)]
}

// contextOf returns the local folder that a mount reads, if any.
func (j *job) contextOf(from string, dirs map[string]string) (string, bool) {
	if from == "" {
		return dirs[""], true
	}
	for name, dir := range dirs {
		if name != "" && sameImage(name, from) {
			return dir, true
		}
	}
	return "", false
}

// stages returns the lines of the added stage, which go before the mounting stage.
func (m mounted) stages(p *plan) string {
	text := "FROM scratch AS " + m.as + "\n"
	from := m.name
	if m.number >= 0 {
		from = strconv.Itoa(p.shifted(m.number))
	}
	sources := slices.Clone(m.sources)
	slices.Sort(sources)
	for i, source := range sources {
		if slices.ContainsFunc(sources[:i], func(other string) bool { return strings.HasPrefix(source, other+"/") }) {
			continue // copied with the folder
		}
		text += fmt.Sprintf("COPY --from=%s [%q, %q]\n", from, source, source)
	}
	return text
}

// mountFlags matches RUN with its flags, on any number of lines.
var mountFlags = lazyregexp.New("(?is)^\\s*RUN(?:\\s+(?:[\\\\`]\\s*\\n\\s*)*--\\S+)+")

// redirect makes the mounting commands use the added stage.
func (m mounted) redirect(lines []string) bool {
	name := regexp.MustCompile(`(--mount=\S*\bfrom=)` + regexp.QuoteMeta(m.from) + `(,|\s|$)`)
	for _, at := range m.lines {
		text := strings.Join(lines[at[0]-1:at[1]], "\n")
		flags := mountFlags().FindString(text)
		changed := name.ReplaceAllString(flags, "${1}"+m.as+"${2}")
		if changed == flags && !strings.Contains(flags, "from="+m.as) {
			return false
		}
		copy(lines[at[0]-1:at[1]], strings.Split(changed+text[len(flags):], "\n"))
	}
	return true
}

// restore puts the original names back into a text of the image's history.
func (p *plan) restore(text string) string {
	for _, m := range p.mounts {
		text = strings.ReplaceAll(text, "from="+m.as, "from="+m.from)
	}
	return text
}

// contextFolders returns the local folders that mounts may read, by name.
func (j *job) contextFolders() map[string]string {
	dirs := map[string]string{"": j.context}
	for name, dir := range j.Contexts {
		dirs[name] = filepath.Clean(dir)
	}
	return dirs
}
